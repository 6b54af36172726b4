"""The scenario for processes that deal with each other across replicas: their groups agree again after faults."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import CallFailed, GenServer, pg, query
from raybeam.actors.kernel.groups import Joined, Left
from raybeam.actors.runtime import ambient_runtime

from ..names import SERVICE
from .faults import KINDS, FaultMix, KillDriver
from .promises import Broken
from .recorder import note
from .scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raybeam.actors import Pid, Runtime
    from raybeam.actors.kernel.server import Result

    from .cluster import Driver, SimulatedCluster
    from .history import History
    from .promises import Promise

GROUP = "members"
AGREES_WITHIN_S = 5.0


class Member(GenServer):
    """Joins a group, and follows who else does."""

    async def init(self) -> None:
        """Join."""
        if self.runtime.whereis(pg.DEFAULT_SCOPE) is None:
            await pg.start()
        await pg.join(GROUP, self.pid)
        _, members = await pg.monitor(GROUP)
        self.followed: list[Pid] = list(members)

    async def handle_info(self, message: object) -> Result:
        """Somebody came or went."""
        match message:
            case Joined(_, _, pids):
                self.followed.extend(pids)
            case Left(_, _, pids):
                for pid in pids:
                    self.followed.remove(pid)
        return None

    @query(timeout_s=2.0)
    async def count(self) -> int:
        """How many there are."""
        return len(pg.get_members(GROUP))


def groups_agree(history: History) -> Iterator[Broken]:
    """When all is quiet all replicas list the processes that joined, and who followed by messages knows the same."""
    for event in history.events:
        if event.kind == "groups":
            name, listed, followed, joined = event.data
            if not listed == followed == joined:
                text = f"{name} lists {listed} and has followed {followed}, and there are {joined}"
                yield Broken(groups_agree.__name__, text, event.at)


class GroupScenario(Scenario):
    """Four replicas in one process group; drivers ask how many there are."""

    blueprint: ClassVar[Mapping[str, object]] = {
        "name": "club",
        "families": {"member": {"service": Member, "replicas": 4, "max_restarts": 1000, "process_restarts": 100}},
        "health": {"beat_s": 0.6, "unknown_after_s": 1.5, "down_after_s": 4.0},
        "orphan_timeout_s": 15.0,
    }
    drivers: ClassVar[int] = 1
    mix: ClassVar[FaultMix] = FaultMix(kinds=tuple(kind for kind in KINDS if kind is not KillDriver))
    promises: ClassVar[Sequence[Promise]] = (groups_agree,)

    async def drive(self, driver: Driver) -> None:
        """Ask now and then."""
        member = driver.ref(Member)
        for _ in range(5):
            try:
                await member.count()
            except CallFailed:
                note("unanswered")
            await asyncio.sleep(1.0)

    async def probe(self, driver: Driver) -> None:
        """They answer."""
        await driver.ref(Member).count()

    async def check(self, cluster: SimulatedCluster) -> None:
        """Write down what each replica lists."""
        await asyncio.sleep(AGREES_WITHIN_S)
        runtimes = {name: replica._runtime for name, replica in cluster.replicas().items() if replica._top is not None}
        joined = sorted(str(runtime.whereis(SERVICE)) for runtime in runtimes.values())
        for name, runtime in runtimes.items():
            cell = runtime.cell(SERVICE)
            followed = sorted(map(str, cell.server.followed)) if cell is not None else []  # type: ignore[attr-defined]  # a Member
            note("groups", name, contextvars.Context().run(_listed, runtime), followed, joined)


def _listed(runtime: Runtime) -> list[str]:
    ambient_runtime.set(runtime)
    return sorted(map(str, pg.get_members(GROUP)))
