"""Calls to one replica in the same OS process, over the whole path but Ray: with telemetry as shipped, and without.

As shipped means as in a replica and a driver on Ray: everything is counted, a thread hands it out every second, and no
OpenTelemetry SDK is configured. What Ray itself does with the metrics is not measured: a dictionary stands for it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.ratio import Ratio
from raybeam.actors import GenServer, Runtime, UsageError, call, gen_server
from raybeam.actors.runtime import ambient_runtime
from raybeam.cluster import Blueprint
from raybeam.cluster.client import Client
from raybeam.cluster.kernel.histogram import Histogram
from raybeam.cluster.kernel.views import Member, Table, first_table, member_up
from raybeam.cluster.session import Sessions
from raybeam.cluster.telemetry import Telemetry, TelemetryOptions
from raybeam.cluster.telemetry.instruments import HANDLER_TIME, QUEUE_WAIT
from raybeam.cluster.telemetry.served_calls import ServedCalls
from raybeam.cluster.telemetry.sinks import RaySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybeam.actors.cell import Cell
    from raybeam.cluster.large import Exchanged
    from raybeam.cluster.telemetry.instruments import Instrument

CALLERS = 200
CALLS_EACH = 10
ROUNDS = 101
GOAL = 0.95
NAME = "bench/adder/0#1"


class Adder(GenServer):
    async def init(self) -> None:
        self.total = 0

    @call(timeout_s=60.0)
    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total


class RayMetric:
    """Stands for one of Ray's metrics."""

    def __init__(self, instrument: Instrument) -> None:
        self.values: dict[frozenset[tuple[str, str]], float] = {}

    def inc(self, value: float, tags: dict[str, str]) -> None:
        key = frozenset(tags.items())
        self.values[key] = self.values.get(key, 0.0) + value

    observe = set = inc


class Replica:
    """One replica and its directory, reached in the same loop."""

    def __init__(self, blueprint: Blueprint, telemetry: Telemetry) -> None:
        self.runtime = Runtime(NAME)
        self.waits, self.services = Histogram(), Histogram()
        self.served = ServedCalls(telemetry, "adder", Adder.interface)
        telemetry.meter.histogram(QUEUE_WAIT, self.waits, "bench", "adder")
        telemetry.meter.histogram(HANDLER_TIME, self.services, "bench", "adder")
        self.sessions = Sessions(self.runtime, "service", served=self.served)
        self.client = Client(blueprint, self, lambda coroutine: None, 1, telemetry=telemetry)

    async def open(self) -> None:
        self.runtime.open()
        self.runtime.on_served = self.on_served
        ambient_runtime.set(self.runtime)
        await gen_server.start(Adder, name="service")
        self.client.open()

    async def close(self) -> None:
        await self.client.close(UsageError("over"))
        await self.runtime.close()

    def on_served(self, cell: Cell, waited_s: float, served_s: float) -> None:
        self.waits.add(waited_s)
        self.services.add(served_s)

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        return await self.sessions.exchange(data, *large)

    async def link(self, name: str) -> Replica:
        return self

    async def watch(self, version: int) -> Table:
        table = member_up(first_table(1, {"adder": []}), "adder", Member(NAME, 0, 1))
        if table.version <= version:
            await asyncio.Event().wait()
        return table


@contextmanager
def telemetry_of(options: TelemetryOptions) -> Iterator[Telemetry]:
    """Telemetry that is on, if the options say so, with a stand-in for Ray."""
    telemetry = Telemetry("bench", options, ray_is_here=lambda: options.metrics, make_ray_sink=make_sink)
    telemetry.start("bench")
    try:
        yield telemetry
    finally:
        telemetry.close()


def make_sink(samples: int) -> RaySink:
    return RaySink(samples, RayMetric)


async def calls_per_s(add: Any) -> float:
    async def caller() -> None:
        for _ in range(CALLS_EACH):
            await add(1)

    began = time.process_time()  # of this process alone: the machine may have other work
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return CALLERS * CALLS_EACH / (time.process_time() - began)


async def rounds() -> tuple[list[float], list[float]]:
    """Calls per second of CPU time: with telemetry, and without."""
    blueprint = Blueprint.parse({"name": "bench", "families": {"adder": {"service": Adder}}})
    off = TelemetryOptions(metrics=False, spans=False)
    with telemetry_of(TelemetryOptions()) as shipped, telemetry_of(off) as none:
        with_it, without = Replica(blueprint, shipped), Replica(blueprint, none)
        both = [with_it, without]
        for each in both:
            await each.open()
            await calls_per_s(each.client.ref(Adder).add)
        rates: dict[Replica, list[float]] = {with_it: [], without: []}
        for turn in range(ROUNDS):
            for each in both if turn % 2 else reversed(both):
                rates[each].append(await calls_per_s(each.client.ref(Adder).add))
        for each in both:
            await each.close()
        return rates[with_it], rates[without]


def measure() -> list[Ratio]:
    """All ratios of this benchmark."""
    shipped, off = asyncio.run(rounds())
    return [Ratio("calls/s of CPU time, one replica in this process", "telemetry off", shipped, off, GOAL)]
