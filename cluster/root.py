"""The root of a system: its supervision tree keeps every replica, and it holds the directory.

    root supervisor            one_for_one; gives up when whole families keep failing
    ├── name authority         gives away the names of the whole system
    └── family supervisor      one for each family, one_for_one
        └── keeper             one for each replica

A restart of the root's process finds the replicas by name and adopts those that live.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from raybeam.actors import SupervisorReport, gen_server
from raybeam.actors.runtime import ambient_runtime, log

from .kernel.histogram import Histogram
from .kernel.views import Member, Table, first_table, member_down, member_health, member_up
from .name_authority import AUTHORITY, NameAuthority
from .root_mesh import RootMesh
from .root_tree import RootTree
from .service_regulation import together
from .status import FamilyStatus, Occurrence, ReplicaStatus, SystemStatus
from .telemetry.root_telemetry import RootTelemetry

if TYPE_CHECKING:
    from collections.abc import Hashable

    from raybeam.actors import Pid, RegulationCounters

    from .blueprint import Blueprint, Family
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
        self._table = Table()  # until `_prepare` knows what lives
        self._changed: asyncio.Event | None = None
        self._came_up: set[tuple[str, int]] = set()
        self._adoptable: dict[tuple[str, int], tuple[ReplicaName, ReplicaHandle]] = {}
        self._beats: dict[str, Beat] = {}
        self._past_waits: dict[str, Histogram] = {name: Histogram() for name in blueprint.families}
        self._past_services: dict[str, Histogram] = {name: Histogram() for name in blueprint.families}
        self._past_regulation: dict[str, RegulationCounters | None] = dict.fromkeys(blueprint.families)
        self._restarts = dict.fromkeys(blueprint.families, 0)
        self._observed = RootTelemetry(blueprint, lambda: self._table, self._beats, self._restarts)
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
        await self._ensure_started()
        assert self._changed is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WATCH_S):
                while self._table.version <= version:
                    changed = self._changed
                    await changed.wait()
        return self._table

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
        families = {name: self._family_status(name, family) for name, family in self.blueprint.families.items()}
        return SystemStatus(self.blueprint.name, self._failed, families, tuple(self._occurrences))

    async def described(self) -> Blueprint:
        """The blueprint of the system."""
        await self._ensure_started()
        return self.blueprint

    async def wait_ready(self, timeout_s: float) -> str | None:
        """Wait until every family has all its replicas: `None`, or why not."""
        await self._ensure_started()
        assert self._changed is not None
        try:
            async with asyncio.timeout(timeout_s):
                while self._missing() and self._failed is None:
                    changed = self._changed
                    await changed.wait()
        except TimeoutError:
            return f"after {timeout_s} s these replicas are not up: {', '.join(self._missing())}{self._last_words()}"
        return self._failed

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
        if not adopted and (place in self._came_up or self.host.restarted):
            self._restarts[family] += 1
        self._came_up.add(place)
        self._install(member_up(self._table, family, member))
        self._occurred("up", member.name, f"serves on machine {member.machine[:8]}")
        if self.blueprint.families[family].spread != "pack":
            there = len(await self.host.living_machines())
            if doubled_up([other.machine for other in self._table.view(family).members], there):
                self._occurred("placement", family, "replicas share a machine although there are others")

    def down(self, name: ReplicaName, cause: str) -> None:
        """See `Records`."""
        self._install(member_down(self._table, name.family, str(name)))
        beat = self._beats.pop(str(name), None)
        if beat is not None:
            self._past_waits[name.family].merge(beat.waits)
            self._past_services[name.family].merge(beat.services)
            if beat.regulation is not None:
                past = self._past_regulation[name.family]
                self._past_regulation[name.family] = together(past, beat.regulation.past())
        self._occurred("down", str(name), cause)

    def health(self, name: ReplicaName, health: Health) -> None:
        """See `Records`."""
        self._install(member_health(self._table, name.family, str(name), health))
        self._occurred("health", str(name), health.value)

    def beat(self, name: ReplicaName, beat: Beat) -> None:
        """See `Records`."""
        before = self._beats.get(str(name))
        self._beats[str(name)] = beat
        if beat.stack is not None and (before is None or before.stack is None):
            self._occurred("health", str(name), f"stuck for {beat.stuck_s:.1f} s at\n{beat.stack}")

    def replica_names(self) -> list[str]:
        """The replicas that serve now."""
        return [member.name for view in self._table.views.values() for member in view.members]

    # -- inside --------------------------------------------------------------------------------------

    async def _ensure_started(self) -> None:
        """Start the tree with the first call: an actor's `__init__` has no running loop."""
        if self._top is not None:
            return
        if self._starting is None:
            self._starting = asyncio.Lock()
        async with self._starting:
            if self._top is not None:
                return
            self._changed = asyncio.Event()
            self._observed.start()
            await self._prepare()
            self._mesh = RootMesh(
                self.blueprint.name, self._table.generation, self._report, self.host.directory, self.host.seed
            )
            self._mesh.follow(self._table)
            ambient_runtime.set(self._mesh.runtime)
            self._top = await gen_server.start(RootTree, self)
            for task in (self._watch_top(self._top), self._watch_drivers(), self._mesh.keep_up()):
                running = asyncio.get_running_loop().create_task(task)
                self._tasks.add(running)

    async def _prepare(self) -> None:
        """Make room; find replicas that a former process of this root left."""
        await self.host.prepare(list(self.blueprint.families))
        for replica, handle in await self.host.find():
            key = (replica.family, replica.place)
            known = self._adoptable.get(key)
            if known is None or known[0].incarnation < replica.incarnation:  # an older one ends by its lease
                self._adoptable[key] = (replica, handle)
        found: dict[str, list[Member]] = {name: [] for name in self.blueprint.families}
        for replica, _ in self._adoptable.values():
            if replica.family in found:
                found[replica.family].append(Member(str(replica), replica.place, replica.incarnation))
        # The clock serves as a floor for a system that follows another of its name: its clients may still be there.
        self._table = first_table(await self.host.next_generation(int(self.host.wall_clock())), found)

    async def _watch_top(self, top: Pid) -> None:
        assert self._mesh is not None
        await self._mesh.runtime.ended(top)
        if not self._stopping:
            self._failed = f"its families keep failing{self._last_words()}"
            self._occurred("system", self.blueprint.name, self._failed)
            self._wake()
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
        await self.host.remove_placements(list(self.blueprint.families))
        await self.host.forget_counters()
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
        return [
            f"{name}/{index}"
            for name, family in self.blueprint.families.items()
            for index in range(family.replicas)
            if index not in {member.index for member in self._table.view(name).members}
        ]

    def _last_words(self) -> str:
        downs = [occurrence for occurrence in self._occurrences if occurrence.kind == "down"]
        return f"; last: {downs[-1].subject}: {downs[-1].text}" if downs else ""

    def _family_status(self, name: str, family: Family) -> FamilyStatus:
        waits, services = self._past_waits[name].copy(), self._past_services[name].copy()
        regulation = self._past_regulation[name]
        replicas = []
        for member in self._table.view(name).members:
            beat = self._beats.get(member.name)
            if beat is not None:
                waits.merge(beat.waits)
                services.merge(beat.services)
                regulation = together(regulation, beat.regulation)
            replicas.append(
                ReplicaStatus(
                    member.name,
                    member.machine,
                    member.health,
                    beat.depth if beat else 0,
                    beat.served if beat else 0,
                    beat.crashes if beat else 0,
                    beat.stuck_s if beat else 0.0,
                )
            )
        return FamilyStatus(tuple(replicas), family.replicas, self._restarts[name], waits, services, regulation)

    def _install(self, table: Table) -> None:
        if table is not self._table:
            self._table = table
            if self._mesh is not None:
                self._mesh.follow(table)
            self._wake()

    def _wake(self) -> None:
        """Wake everybody who waits for a change."""
        changed, self._changed = self._changed, asyncio.Event()
        if changed is not None:
            changed.set()

    def _occurred(self, kind: str, subject: str, text: str) -> None:
        self._observed.occurred(kind)
        self._occurrences.append(Occurrence(self.host.wall_clock(), kind, subject, text))
        del self._occurrences[:-EVENTS_KEPT]
        log.info("%s %s: %s", kind, subject, text)

    def _report(self, report: object) -> None:
        if isinstance(report, SupervisorReport) and report.context == "shutdown_error":
            return
        log.warning("%s", report)


def doubled_up(machines: list[str], machines_there: int) -> bool:
    """Whether replicas share a machine though there are machines enough to keep them apart.

    >>> doubled_up(["a", "a"], 3), doubled_up(["a", "b"], 3), doubled_up(["a", "b", "a"], 2)
    (True, False, False)
    """
    return len(set(machines)) < min(len(machines), machines_there)
