"""The root of a system: its supervision tree keeps every replica, and it holds the directory.

    root supervisor            one_for_one; gives up when whole families keep failing
    ├── name authority         gives away the names of the whole system
    └── family supervisor      one for each family, one_for_one
        └── keeper             one for each replica

A restart of the root's process finds the replicas by name and adopts those that live.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybeam.actors import ClusterError, SupervisorReport, gen_server
from raybeam.actors.runtime import ambient_runtime, log

from .kernel.views import Member, Table, first_table, member_down, member_health, member_up
from .name_authority import AUTHORITY, NameAuthority
from .replica_records import ReplicaRecords
from .root_directory import RootDirectory
from .root_mesh import RootMesh
from .root_scaling import RootScaling
from .root_tree import RootTree
from .scaling import check_scale, kept_apart
from .status import Occurrence, SystemStatus
from .telemetry.root_telemetry import RootTelemetry

if TYPE_CHECKING:
    from collections.abc import Hashable

    from raybeam.actors import Pid

    from .blueprint import Blueprint
    from .host import ReplicaHandle, RootHost
    from .kernel.health import Health
    from .large import Exchanged
    from .names import ReplicaName
    from .replica import Beat

WATCH_S = 20.0
EVENTS_KEPT = 1000
NAMES_AGAIN_S = 0.05


class Root:
    """The root of one system.

    Args:
        blueprint: Of the system.
        attached: Whether the system ends when no driver has renewed its lease for `driver_timeout_s`.
        host: The world that it runs in.
    """

    def __init__(self, blueprint: Blueprint, attached: bool, host: RootHost) -> None:
        self.blueprint = blueprint
        self.host = host
        self._attached = attached
        self._renewed_at = self.host.now()
        self.replicas = ReplicaRecords(blueprint.families)
        self.scaling = RootScaling(blueprint, host, self, self.replicas, self._occurred)
        self._directory: RootDirectory | None = None
        self._came_up: set[tuple[str, int]] = set()
        self._adoptable: dict[tuple[str, int], tuple[ReplicaName, ReplicaHandle]] = {}
        self._waiting: set[str] = set()
        self._observed = RootTelemetry(blueprint, self._table, self.replicas, self.scaling.wanted)
        self._occurrences: list[Occurrence] = []
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
        families = {
            name: self.replicas.status(table.view(name), self.scaling.wanted(name)) for name in self.blueprint.families
        }
        return SystemStatus(self.blueprint.name, self._failed, families, tuple(self._occurrences))

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

    # -- what keepers tell (Records) -----------------------------------------------------------------

    def adoptable(self, family: str, index: int) -> tuple[ReplicaName, ReplicaHandle] | None:
        """See `Records`."""
        return self._adoptable.pop((family, index), None)

    async def up(self, family: str, member: Member, *, adopted: bool) -> None:
        """See `Records`."""
        place = (family, member.index)
        if not adopted and place in self._came_up:
            self.replicas.restarts[family] += 1
        self._came_up.add(place)
        member = replace(member, draining=self.scaling.is_leaving(*place))
        self._install(member_up(self._table(), family, member))
        self._occurred("up", member.name, f"serves on machine {member.machine[:8]}")
        spec = self.blueprint.families[family]
        if spec.spread != "pack":
            there = len(await self.host.living_machines())
            machines = [other.machine for other in self._table().view(family).members]
            if doubled_up(machines, there, kept_apart(spec)):
                self._occurred("placement", family, "replicas share a machine although there are others")

    def down(self, name: ReplicaName, cause: str) -> None:
        """See `Records`."""
        self._install(member_down(self._table(), name.family, str(name)))
        self.replicas.gone(name)
        self._occurred("down", str(name), cause)

    def health(self, name: ReplicaName, health: Health) -> None:
        """See `Records`."""
        self._install(member_health(self._table(), name.family, str(name), health))
        self._occurred("health", str(name), health.value)

    def beat(self, name: ReplicaName, beat: Beat) -> None:
        """See `Records`."""
        before = self.replicas.heard(name, beat, self.host.now())
        self.scaling.beat(name, beat)
        if beat.stack is not None and (before is None or before.stack is None):
            self._occurred("health", str(name), f"stuck for {beat.stuck_s:.1f} s at\n{beat.stack}")

    def keeps(self, family: str, index: int, keeper: Pid) -> None:
        """See `Records`."""
        self.scaling.keeps(family, index, keeper)

    def placed(self, name: ReplicaName, machine: str | None) -> None:
        """See `Records`."""
        self.scaling.placed(name.family, name.place, machine)
        if machine is not None:
            self._waiting.discard(str(name))
        elif str(name) not in self._waiting:
            self._waiting.add(str(name))
            self._occurred("placement", str(name), "waits for room on a machine")

    def is_leaving(self, family: str, index: int) -> bool:
        """See `Records`."""
        return self.scaling.is_leaving(family, index)

    def gone(self, family: str, index: int) -> None:
        """See `Records`."""
        self._came_up.discard((family, index))
        self.scaling.gone(family, index)

    def adoptable_places(self) -> set[tuple[str, int]]:
        """Places with a replica from before a restart of the root that nobody has adopted yet."""
        return set(self._adoptable)

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
                self.scaling.start(directory, self._mesh.runtime)
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
        for name, handle in await self.host.find():
            key = (name.family, name.place)
            known = self._adoptable.get(key)
            if known is None or known[0].incarnation < name.incarnation:  # an older one ends by its lease
                self._adoptable[key] = (name, handle)
        found: dict[str, list[Member]] = {name: [] for name in self.blueprint.families}
        for name, _ in self._adoptable.values():
            if name.family in found and name.place in self.scaling.rosters[name.family].places:
                leaving = self.scaling.is_leaving(name.family, name.place)
                member = Member(str(name), name.place, name.incarnation, draining=leaving)
                found[name.family].append(member)
        if self.host.restarted:
            rosters = self.scaling.rosters.items()
            self._came_up = {(name, place) for name, roster in rosters for place in roster.places}
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
            self._occurred("system", self.blueprint.name, self._failed)
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
        self._occurred("system", self.blueprint.name, why)
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
        downs = [occurrence for occurrence in self._occurrences if occurrence.kind == "down"]
        return f"; last: {downs[-1].subject}: {downs[-1].text}" if downs else ""

    def _install(self, table: Table) -> None:
        assert self._directory is not None
        self._directory.install(table)

    def _occurred(self, kind: str, subject: str, text: str) -> None:
        self._observed.occurred(kind)
        self._occurrences.append(Occurrence(self.host.wall_clock(), kind, subject, text))
        del self._occurrences[:-EVENTS_KEPT]
        log.info("%s %s: %s", kind, subject, text)

    def _report(self, report: object) -> None:
        if isinstance(report, SupervisorReport) and report.context == "shutdown_error":
            return
        log.warning("%s", report)


def doubled_up(machines: list[str], machines_there: int, apart: int) -> bool:
    """Whether replicas share a machine though there are machines enough to keep them apart.

    Args:
        machines: Of the replicas.
        machines_there: How many machines there are.
        apart: How many replicas should be kept apart; any others may share.

    >>> doubled_up(["a", "a"], 3, 2), doubled_up(["a", "b"], 3, 2), doubled_up(["a", "b", "a"], 2, 3)
    (True, False, False)
    >>> doubled_up(["a", "b", "b"], 3, 2)
    False
    """
    return len(set(machines)) < min(len(machines), machines_there, apart)
