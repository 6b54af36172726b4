"""A client of a small system in memory: its directory and its replicas do what the test wants."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybeam.actors import GenServer, Runtime, gen_server
from raybeam.actors.runtime import ambient_runtime, log_report
from raybeam.cluster import Blueprint
from raybeam.cluster.client import Client
from raybeam.cluster.kernel.views import Member, Table, View, first_table, member_up
from raybeam.cluster.lane import LinkDown, LinkLost
from raybeam.cluster.session import Sessions
from raybeam.cluster.telemetry.served_calls import ServedCalls
from raybeam.cluster.telemetry.telemetry import NO_TELEMETRY, Telemetry

if TYPE_CHECKING:
    from raybeam.cluster.large import Exchanged


@dataclass
class Replica:
    """One replica, reached in the loop of the test.

    Attributes:
        lose_requests: How many of the next batches are lost on their way there.
        lose_replies: How many of the next replies are lost on their way back.
        delay_s: How long a batch is under way.
    """

    runtime: Runtime
    sessions: Sessions
    alive: bool = True
    lose_requests: int = 0
    lose_replies: int = 0
    delay_s: float = 0.001
    newer_view: View | None = None
    batches: int = 0

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        self.batches += 1
        await asyncio.sleep(self.delay_s)
        if not self.alive:
            raise LinkDown
        if self.lose_requests:
            self.lose_requests -= 1
            raise LinkLost
        reply = await self.sessions.exchange(data, *large)
        if not self.alive:
            raise LinkDown
        if self.lose_replies:
            self.lose_replies -= 1
            raise LinkLost
        return reply

    @property
    def server(self) -> Any:
        """The service's object, for a look at its state."""
        cell: Any = self.runtime.cell("service")
        return cell.server

    async def kill_service(self) -> None:
        """End the process of the service, as a crash would, without a supervisor to start it again."""
        cell = self.runtime.cell("service")
        assert cell is not None
        self.runtime.finish(cell, "killed")


class Directory:
    """Tells what the test puts in."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Table | Exception] = asyncio.Queue()
        self.replicas: dict[str, Replica] = {}

    async def watch(self, version: int) -> Table:
        told = await self.told.get()
        if isinstance(told, Exception):
            raise told
        return told

    async def link(self, name: str) -> Replica:
        if name not in self.replicas:
            raise LookupError(name)
        return self.replicas[name]


class Shop:
    """A client and the replicas of one family, `stock`."""

    def __init__(
        self, service: type[GenServer], replicas: int = 1, telemetry: Telemetry = NO_TELEMETRY, **family: object
    ) -> None:
        self.service = service
        self.telemetry = telemetry
        self.served = ServedCalls(telemetry, "stock", service.interface)
        fields = {"service": service, "replicas": replicas, **family}
        self.blueprint = Blueprint.parse({"name": "shop", "families": {"stock": fields}})
        self.directory = Directory()
        self.client = Client(self.blueprint, self.directory, lambda coroutine: None, 1, telemetry=telemetry)
        self.client.open()
        self.table = first_table(1, {"stock": []}, {"stock": range(replicas)})

    async def up(self, place: int, incarnation: int = 1, *args: object) -> Replica:
        """A replica comes up at a place, and the directory tells."""
        name = f"shop/stock/{place}#{incarnation}"
        runtime = Runtime(name, reports=self.report)
        runtime.open()
        replica: Replica
        sessions = Sessions(runtime, "service", view=lambda: replica.newer_view, served=self.served)
        replica = self.directory.replicas[name] = Replica(runtime, sessions)
        await asyncio.create_task(self.serve(replica, *args))
        self.table = member_up(self.table, "stock", Member(name, place, incarnation))
        await self.tell(self.table)
        return replica

    def report(self, report: object) -> None:
        """A replica tells of a crash."""
        self.served.reported(report)
        log_report(report)

    async def serve(self, replica: Replica, *args: object) -> None:
        """Start the service's process in a replica."""
        ambient_runtime.set(replica.runtime)
        await gen_server.start(self.service, *args, name="service")

    async def tell(self, table: Table) -> None:
        """The directory tells its table."""
        self.table = table
        self.directory.told.put_nowait(table)
        await asyncio.sleep(0.01)
