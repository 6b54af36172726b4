"""The root of a system: its supervision tree keeps every replica, and it holds the directory.

    root supervisor            one_for_one; gives up when whole families keep failing
    ├── name authority         gives away the names of the whole system
    ├── family supervisor      one for each family, one_for_one
    │   └── keeper             one for each replica
    └── scaling supervisor     if a family scales
        └── controller         decides how many replicas there are

A restart of the root's process finds the replicas by name and adopts those that live.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from raybeam.actors import ClusterError, SupervisorReport, gen_server
from raybeam.actors.runtime import ambient_runtime, log
from raybeam.autoscaler.history import History

from .control import control_of
from .kernel.views import Table, first_table
from .name_authority import AUTHORITY, NameAuthority
from .replica_records import ReplicaRecords
from .root_directory import RootDirectory
from .root_fleet import RootFleet
from .root_mesh import RootMesh
from .root_records import RootRecords
from .root_tree import RootTree
from .scaling import check_scale
from .status import SystemStatus
from .telemetry.root_telemetry import RootTelemetry

if TYPE_CHECKING:
    from collections.abc import Hashable

    from raybeam.actors import Pid
    from raybeam.autoscaler.history import FamilyHistory

    from .blueprint import Blueprint
    from .host import RootHost
    from .large import Exchanged

WATCH_S = 20.0
NAMES_AGAIN_S = 0.05


class Root:
    """The root of one system.

    Args:
        blueprint: Of the system.
        attached: Whether the system ends when no driver has renewed its lease for `driver_timeout_s`.
        host: The world that it runs in.

    Attributes:
        replicas: What the replicas have told.
        records: What happens to them.
        scaling: Keeps as many of them as are wanted.
        control: What decides how many replicas the families have that scale; `None`: there are none.
        scaling_history: What it decided.
        fleet: The system as the autoscaler's controller sees it; there once the tree starts.
    """

    def __init__(self, blueprint: Blueprint, attached: bool, host: RootHost) -> None:
        self.blueprint = blueprint
        self.host = host
        self._attached = attached
        self._renewed_at = self.host.now()
        self.replicas = ReplicaRecords(blueprint.families)
        self.records = RootRecords(blueprint, host, self.replicas)
        self.scaling = self.records.scaling
        self.control = control_of(blueprint)
        self.scaling_history = History(self.control.families if self.control else ())
        self.fleet: RootFleet
        self._directory: RootDirectory | None = None
        self._observed = RootTelemetry(
            blueprint, self._table, self.replicas, self.scaling.wanted, self.records.counts, self.scaling_history
        )
        self._failed: str | None = None
        self._stopping = False
        self._ending: asyncio.Task[None] | None = None
        self._top: Pid | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._mesh: RootMesh | None = None
        self._starting: asyncio.Lock | None = None

    # -- interface -----------------------------------------------------------------------------------

    async def watch(self, version: int) -> Table:
        """The directory's table, as soon as its version is above `version`."""
        directory = await self._ensure_started()
        await directory.wait(lambda: directory.table.version > version, WATCH_S)
        return directory.table

    async def exchange(self, generation: int, data: bytes, *large: object) -> Exchanged | None:
        """See `RootMesh.exchange`."""
        await self._ensure_started()
        assert self._mesh is not None
        return await self._mesh.exchange(generation, data, *large)

    async def lifeline(self, generation: int) -> bool:
        """See `RootMesh.lifeline`."""
        await self._ensure_started()
        assert self._mesh is not None
        return await self._mesh.lifeline(generation)

    async def whereis_name(self, name: Hashable) -> Pid | None:
        """Who has a name of the whole system."""
        return (await self._names()).get(name)

    async def registered_names(self) -> list[Hashable]:
        """All names of the whole system."""
        return list(await self._names())

    async def renew(self) -> str | None:
        """A driver lives; why the system has failed, if it has."""
        await self._ensure_started()
        self._renewed_at = self.host.now()
        return self._failed

    async def status(self) -> SystemStatus:
        """What the observer shows."""
        await self._ensure_started()
        table = self._table()
        latest = self.scaling_history.latest
        families = {
            name: self.replicas.status(table.view(name), self.scaling.wanted(name), latest.get(name))
            for name in self.blueprint.families
        }
        return SystemStatus(self.blueprint.name, self._failed, families, tuple(self.records.occurrences))

    async def scaled(self, family: str) -> FamilyHistory:
        """What was decided for a family that scales, and how it went."""
        await self._ensure_started()
        return self.scaling_history.of(family)

    async def described(self) -> Blueprint:
        """The blueprint of the system."""
        await self._ensure_started()
        return self.blueprint

    async def wait_ready(self, timeout_s: float) -> str | None:
        """Wait until every family has all its replicas: `None`, or why not."""
        directory = await self._ensure_started()
        if not await directory.wait(lambda: not self._missing() or self._failed is not None, timeout_s):
            return f"after {timeout_s} s these replicas are not up: {', '.join(self._missing())}{self._last_words()}"
        return self._failed

    async def scale(self, family: str, replicas: int, reason: str = "by hand") -> None:
        """Let a family have so many replicas; returns when it is on its way.

        Raises:
            UsageError: There is no such family, or it may not have so many.
            ClusterError: The system is ending.
        """
        check_scale(self.blueprint, family, replicas)
        await self._ensure_started()
        if self._stopping or self._failed is not None:
            raise ClusterError(f"the system {self.blueprint.name!r} is ending: it does not scale any more")
        await self.scaling.scale(family, replicas, reason)

    async def stop(self) -> None:
        """End the system in order: families in the reverse order of the blueprint, then the placement groups."""
        await self._ensure_started()
        self._stopping = True
        await self._end("stopped")

    def replica_names(self) -> list[str]:
        """The replicas that serve now."""
        return [member.name for view in self._table().views.values() for member in view.members]

    # -- inside --------------------------------------------------------------------------------------

    async def _ensure_started(self) -> RootDirectory:
        """Start the tree with the first call: an actor's `__init__` has no running loop."""
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._top is None:
                self._observed.start()
                directory = self._directory = RootDirectory(await self._first_table())
                self._mesh = RootMesh(
                    self.blueprint.name, directory.table.generation, self._report, self.host.directory, self.host.seed
                )
                self._mesh.follow(directory.table)
                directory.follow = self._mesh.follow
                self.records.directory = directory
                self.scaling.start(directory, self._mesh.runtime)
                self.fleet = RootFleet(self.blueprint, self.host, self.scaling, self.replicas, directory)
                ambient_runtime.set(self._mesh.runtime)
                self._top = await gen_server.start(RootTree, self)
                for task in (self._watch_top(self._top), self._watch_drivers(), self._mesh.keep_up()):
                    self._tasks.add(asyncio.get_running_loop().create_task(task))
        assert self._directory is not None
        return self._directory

    async def _first_table(self) -> Table:
        """Make room; find replicas that a former process of this root left."""
        await self.host.prepare(list(self.blueprint.families))
        await self.scaling.recall()
        found = self.records.found(await self.host.find())
        places = {name: roster.kept for name, roster in self.scaling.rosters.items()}
        # The clock serves as a floor for a system that follows another of its name: its clients may still be there.
        return first_table(await self.host.next_generation(int(self.host.wall_clock())), found, places)

    def _table(self) -> Table:
        return Table() if self._directory is None else self._directory.table

    async def _watch_top(self, top: Pid) -> None:
        assert self._mesh is not None
        await self._mesh.runtime.ended(top)
        if not self._stopping:
            self._failed = f"its families keep failing{self._last_words()}"
            self.records.occurred("system", self.blueprint.name, self._failed)
            assert self._directory is not None
            self._directory.wake()
            await self._end(self._failed, linger_s=self.blueprint.driver_timeout_s)

    async def _watch_drivers(self) -> None:
        while self._attached and not self._stopping:
            await asyncio.sleep(0.5)
            if self.host.now() - self._renewed_at > self.blueprint.driver_timeout_s:
                log.warning("%s: no driver for %.0f s: stopping", self.blueprint.name, self.blueprint.driver_timeout_s)
                self._stopping = True
                await self._end("no driver")

    async def _end(self, why: str, linger_s: float = 0.0) -> None:
        """End everything, once, whoever asks for it."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end_once(why, linger_s))
        await asyncio.shield(self._ending)

    async def _end_once(self, why: str, linger_s: float) -> None:
        assert self._mesh is not None
        assert self._top is not None
        ambient_runtime.set(self._mesh.runtime)
        if self._mesh.runtime.cell(self._top) is not None:
            await gen_server.stop(self._top, "shutdown")
        self.records.occurred("system", self.blueprint.name, why)
        self.scaling.close()
        await self.host.remove_placements()
        await self.host.forget()
        await self._observed.telemetry.end()
        asyncio.get_running_loop().call_later(linger_s + 0.2, self.host.end)

    async def _names(self) -> dict[Hashable, Pid]:
        """The names of the whole system, as soon as they are known again after a restart."""
        await self._ensure_started()
        assert self._mesh is not None
        while True:
            cell: Any = self._mesh.runtime.cell(AUTHORITY)
            if cell is not None and isinstance(cell.server, NameAuthority) and not cell.server.collecting:
                return cell.server.table()
            await asyncio.sleep(NAMES_AGAIN_S)

    def _missing(self) -> list[str]:
        """Replicas that should be there and are not."""
        table = self._table()
        up = {name: {member.index for member in table.view(name).members} for name in self.blueprint.families}
        return [
            f"{name}/{index}"
            for name, roster in self.scaling.rosters.items()
            for index in roster.kept
            if index not in up[name]
        ]

    def _last_words(self) -> str:
        downs = [occurrence for occurrence in self.records.occurrences if occurrence.kind == "down"]
        waiting = ", ".join(sorted(self.scaling.waiting))
        told = [f"last: {down.subject}: {down.text}" for down in downs[-1:]]
        return "".join(f"; {text}" for text in (*told, f"no machine has room for {waiting}" if waiting else "") if text)

    def _report(self, report: object) -> None:
        if isinstance(report, SupervisorReport) and report.context == "shutdown_error":
            return
        log.warning("%s", report)
