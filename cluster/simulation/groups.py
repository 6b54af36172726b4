"""The scenario for processes that deal with each other across replicas: groups and names agree again after faults."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import CallFailed, ClusterError, GenServer, pg, query
from raybeam.actors.kernel.groups import Joined, Left
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.server_cell import ServerCell

from .. import global_names
from ..global_names import GlobalNameConflict
from ..names import SERVICE, ReplicaName
from .faults import KINDS, FaultMix, KillDriver, Scale
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
AGREES_WITHIN_S = 8.0
TRIES_AGAIN_S = 1.0
SEATS = 2
WANTS_SEAT = "wants seat"


class Member(GenServer):
    """Joins a group, follows who else does, and wants a seat: a name of the whole system, of which there are few."""

    async def init(self) -> None:
        """Join."""
        if self.runtime.whereis(pg.DEFAULT_SCOPE) is None:
            await pg.start()
        await pg.join(GROUP, self.pid)
        _, members = await pg.monitor(GROUP)
        self.followed: list[Pid] = list(members)
        self.seat = ("seat", ReplicaName.parse(self.runtime.name).place % SEATS)
        self.seated = False
        self._cell.deliver(WANTS_SEAT)

    async def handle_info(self, message: object) -> Result:
        """Somebody came or went, or a seat may be free."""
        match message:
            case str() if message == WANTS_SEAT:
                await self._take_seat()
            case GlobalNameConflict():
                self.seated = False
            case Joined(_, _, pids):
                self.followed.extend(pids)
            case Left(_, _, pids):
                for pid in pids:
                    self.followed.remove(pid)
        return None

    async def _take_seat(self) -> None:
        """Take it if it is free, and try again later if not."""
        if not self.seated:
            with contextlib.suppress(ClusterError, CallFailed):
                rule = global_names.random_notify_name
                self.seated = await global_names.register_name(self.seat, self.pid, conflict=rule, timeout_s=1.0)
        self.runtime.loop.call_later(TRIES_AGAIN_S, self._cell.deliver, WANTS_SEAT)

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


def seats_agree(history: History) -> Iterator[Broken]:
    """When all is quiet each seat is taken by a process that lives and knows it, and all replicas know by whom."""
    for event in history.events:
        if event.kind == "seats":
            name, listed, seated = event.data
            if listed != seated:
                yield Broken(seats_agree.__name__, f"{name} lists {listed}, and seated are {seated}", event.at)


class GroupScenario(Scenario):
    """Four replicas in one process group, two seats for them; drivers ask how many there are."""

    blueprint: ClassVar[Mapping[str, object]] = {
        "name": "club",
        "families": {"member": {"service": Member, "replicas": 4, "max_restarts": 1000, "process_restarts": 100}},
        "health": {"beat_s": 0.5, "unknown_after_s": 1.0, "down_after_s": 1.8},
        "orphan_timeout_s": 15.0,
    }
    drivers: ClassVar[int] = 1
    mix: ClassVar[FaultMix] = FaultMix(kinds=tuple(kind for kind in KINDS if kind not in (KillDriver, Scale)))
    promises: ClassVar[Sequence[Promise]] = (groups_agree, seats_agree)

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
        members = {name: member for name, runtime in runtimes.items() if (member := _member(runtime)) is not None}
        joined = sorted(str(member.pid) for member in members.values())
        seated = sorted(f"{member.seat[1]}: {member.pid}" for member in members.values() if member.seated)
        for name, member in members.items():
            listed, seats = contextvars.Context().run(_listed, runtimes[name])
            note("groups", name, listed, sorted(map(str, member.followed)), joined)
            note("seats", name, seats, seated if len(seated) == SEATS else [*seated, "some is free, or taken twice"])


def _member(runtime: Runtime) -> Member | None:
    cell = runtime.cell(SERVICE)
    return cell.server if isinstance(cell, ServerCell) and isinstance(cell.server, Member) else None


def _listed(runtime: Runtime) -> tuple[list[str], list[str]]:
    """The group and the seats, as a runtime knows them."""
    ambient_runtime.set(runtime)
    holders = {number: global_names.whereis_name(("seat", number)) for number in range(SEATS)}
    return sorted(map(str, pg.get_members(GROUP))), [f"{number}: {pid}" for number, pid in holders.items()]
