"""A replica: one runtime that runs one supervision tree of a service; on Ray it is an actor."""

from __future__ import annotations

import asyncio
import concurrent.futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybeam.actors import (
    ChildSpec,
    CrashReport,
    Pid,
    Runtime,
    Supervisor,
    SupervisorReport,
    SupervisorSpec,
    gen_server,
)
from raybeam.actors.kernel.reason import is_normal_end
from raybeam.actors.runtime import ambient_runtime, log_report

from . import peers
from .client import IDLE_LANE_S
from .kernel.histogram import Histogram
from .mesh import Mesh
from .name_server import SERVER, Holdings, start_server
from .names import SERVICE, ReplicaName, RootName
from .service_load import Load, ServiceLoad
from .service_regulation import ServiceRegulation
from .session import Sessions
from .telemetry.replica_telemetry import ReplicaTelemetry

if TYPE_CHECKING:
    from raybeam.actors import RegulationCounters
    from raybeam.actors.cell import Cell

    from .blueprint import Blueprint, Family
    from .host import ReplicaHost
    from .kernel.views import Table, View
    from .large import Exchanged

SERVICE_PERIOD_S = 5.0
MAX_INTENSITY = "reached_max_restart_intensity"
STUCK_AFTER_S = 3.0
LAST_ANSWERS_S = 1.0
LIFELINE_S = 20.0
FORGET_LANES_AFTER_S = 2 * IDLE_LANE_S


@dataclass(frozen=True, slots=True)
class Beat:
    """What a replica tells at each heartbeat.

    Attributes:
        depth: Messages that wait for the service and calls that it works on.
        served: Calls served since it came up.
        waits: Waiting times in the mailbox.
        services: Times in the handlers.
        crashes: Crashes of processes that the replica mended by itself.
        stuck_s: Seconds since the loop last moved; a stuck replica is busy, not dead.
        stack: Where it is stuck, when it has been for `STUCK_AFTER_S`.
        regulation: What the service's regulator has done since the replica came up; `None`: it is not regulated.
        arrivals: Calls and casts that came since the replica came up, those refused included.
        load: How much the service has to do.
    """

    depth: int
    served: int
    waits: Histogram
    services: Histogram
    crashes: int
    stuck_s: float
    stack: str | None = None
    regulation: RegulationCounters | None = None
    arrivals: int = 0
    load: Load = field(default_factory=Load)


@dataclass(frozen=True, slots=True)
class End:
    """The service of a replica has ended.

    Attributes:
        orderly: Whether by itself and as it should; else its process kept crashing.
        reason: The exit reason, in words.
    """

    orderly: bool
    reason: str


class _Tree(Supervisor):
    """The top of a replica's supervision tree; a service that may end takes the tree with it."""

    async def init(self, family: Family, holdings: Holdings) -> SupervisorSpec:
        async def start_service() -> Pid:
            service = family.service_class()
            return await gen_server.start_link(service, *family.args, name=SERVICE, regulation=family.regulation)

        may_end = family.restart != "permanent"
        service = ChildSpec(
            SERVICE, start_service, restart=family.restart, shutdown=family.shutdown_s, significant=may_end
        )
        return SupervisorSpec(
            [ChildSpec(SERVER, (start_server, holdings)), service],
            intensity=family.process_restarts,
            period_s=SERVICE_PERIOD_S,
            auto_shutdown="any_significant" if may_end else "never",
        )


class Replica:
    """One replica of a family.

    Args:
        name: `system/family/index#incarnation`.
        blueprint: Of the system.
        host: The world that it runs in.
    """

    def __init__(self, name: str, blueprint: Blueprint, host: ReplicaHost) -> None:
        self._host = host
        self._name = ReplicaName.parse(name)
        self._blueprint = blueprint
        self._family = blueprint.families[self._name.family]
        self._lease = host.lease(blueprint.orphan_timeout_s, host.end_orphan)
        self._runtime = Runtime(name, seed=host.seed, reports=self._report)
        self._mesh = Mesh(self._runtime, host.directory)
        self._names = Holdings()
        self._view: View | None = None
        self._waits = Histogram()
        self._services = Histogram()
        self._load = ServiceLoad(self._runtime, SERVICE)
        self._regulation = ServiceRegulation(self._runtime, SERVICE)
        self._observed = ReplicaTelemetry(self._name, blueprint, self._waits, self._services, self._regulation.counters)
        self._sessions = Sessions(self._runtime, SERVICE, self._mesh.receive, lambda: self._view, self._observed.served)
        self._crashes = 0
        self._gave_up = False
        self._moved_at = self._host.now()
        self._top: Pid | None = None
        self._end: concurrent.futures.Future[End] = concurrent.futures.Future()
        self._background: set[asyncio.Task[None]] = set()

    # -- data path ---------------------------------------------------------------------------------

    async def start(self) -> str:
        """Bring the service up; the id of the machine. Raises `StartError` when its `init` fails."""
        self._runtime.open()
        self._runtime.on_served = self._served
        ambient_runtime.set(self._runtime)
        loop = asyncio.get_running_loop()
        self._observed.start()
        self._client = peers.open(
            self._runtime,
            self._blueprint,
            self._family.calls,
            self._host.directory,
            self._follow,
            self._observed.telemetry,
        )
        self._top = await gen_server.start(_Tree, self._family, self._names)
        for task in (self._tick(), self._watch_top(self._top)):
            running = loop.create_task(task)
            self._background.add(running)
        return self._host.machine

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """One batch of a lane, and the large values of its messages."""
        return await self._sessions.exchange(data, *large)

    async def stop(self) -> None:
        """End the service in order and let its last answers out; the replica itself is ended by its keeper."""
        if self._top is not None and self._runtime.cell(self._top) is not None:
            ambient_runtime.set(self._runtime)
            await gen_server.stop(self._top, "shutdown")
        await self._sessions.drain(LAST_ANSWERS_S)
        await self._observed.telemetry.end()

    # -- system messages, which may come on other threads: a busy service is busy, not dead --------

    async def renew(self) -> None:
        """Renews the lease while the service starts."""
        self._lease.renew()

    async def beat(self) -> Beat:
        """A sign of life asked for by the root, which renews the lease."""
        self._lease.renew()
        stuck_s = self._host.now() - self._moved_at
        stack = self._host.stack() if stuck_s > STUCK_AFTER_S else None
        regulation = self._regulation.counters()
        return Beat(
            self._sessions.depth(),
            self._waits.total,
            self._waits.copy(),
            self._services.copy(),
            self._crashes,
            stuck_s,
            stack,
            regulation,
            self._sessions.arrivals,
            self._load.now(regulation),
        )

    async def lifeline(self) -> End | None:
        """Returns when the service has ended; fails at once when the process dies.

        After a while it returns `None` and is called again: nobody cancels the calls of those who died.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._end)), LIFELINE_S)
        except TimeoutError:
            return None

    async def machine(self) -> str:
        """The id of the machine; also tells that the replica was started."""
        return self._host.machine if self._top is not None else ""

    # -- inside ------------------------------------------------------------------------------------

    def _follow(self, table: Table) -> None:
        """The directory has told something new, perhaps as another process of the root."""
        self._view = table.views.get(self._name.family)
        self._mesh.follow(table)
        self._names.follow(self._runtime, str(RootName(self._blueprint.name, table.generation)))

    async def _tick(self) -> None:
        while True:
            self._moved_at = self._host.now()
            self._load.look()
            self._mesh.keep_up(IDLE_LANE_S)
            self._sessions.forget_silent(FORGET_LANES_AFTER_S)
            await asyncio.sleep(0.25)

    async def _watch_top(self, top: Pid) -> None:
        reason = await self._runtime.ended(top)
        self._end.set_result(End(is_normal_end(reason) and not self._gave_up, str(reason)))

    def _served(self, cell: Cell, waited_s: float, served_s: float) -> None:
        self._waits.add(waited_s)
        self._services.add(served_s)
        self._load.served(served_s)

    def _report(self, report: object) -> None:
        if isinstance(report, CrashReport):
            self._crashes += 1
        elif isinstance(report, SupervisorReport) and report.reason == MAX_INTENSITY:
            self._gave_up = True
        self._observed.served.reported(report)
        log_report(report)
