"""Calls to one replica over the whole path (routing, validation, deadline, metrics) against a bare async Ray actor."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import ray

from benchmarks.ratio import Ratio
from raybeam.actors import GenServer, call
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster, LocalClusterOptions, connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLERS = 1000
CALLS_EACH = 20
BARE_CALLS_EACH = 1
ROUNDS = 5
IDLE_CALLS = 200


class Adder(GenServer):
    async def init(self) -> None:
        self.total = 0

    @call(timeout_s=60.0)
    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total


class BareAdder:
    def __init__(self) -> None:
        self.total = 0

    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total


async def load(add: Callable[[int], Awaitable[int]], each: int) -> tuple[float, float]:
    """Calls per second and the 99th percentile of the latency with all callers at once."""
    latencies: list[float] = []

    async def caller() -> None:
        for _ in range(each):
            began = time.perf_counter()
            await add(1)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    rate = CALLERS * each / (time.perf_counter() - began)
    return rate, sorted(latencies)[int(len(latencies) * 0.99)]


async def idle(add: Callable[[int], Awaitable[int]]) -> float:
    """Median milliseconds of one call when nothing else happens."""
    took = []
    for _ in range(IDLE_CALLS):
        began = time.perf_counter()
        await add(1)
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2] * 1000


def measure() -> list[Ratio]:
    """All ratios of this benchmark."""
    blueprint = {"name": "bench", "families": {"adder": {"service": Adder}}}
    options = LocalClusterOptions(machines=1, cpus_per_machine=4, dashboard=False)
    with LocalCluster(options) as cluster, connect(cluster.connection), System.start(blueprint) as system:
        bare_class: Any = ray.remote(BareAdder)
        bare = bare_class.options(max_concurrency=10_000, num_cpus=0.1).remote()
        ours, theirs = system.ref(Adder).add, bare.add.remote
        return asyncio.run(_rounds(ours, theirs))


async def _rounds(ours: Callable[[int], Awaitable[int]], theirs: Callable[[int], Awaitable[int]]) -> list[Ratio]:
    await load(ours, 2)
    await load(theirs, 1)
    loads = [(await load(ours, CALLS_EACH), await load(theirs, BARE_CALLS_EACH)) for _ in range(ROUNDS)]
    idles = [(await idle(ours), await idle(theirs)) for _ in range(ROUNDS)]
    peer = "bare async actor"
    return [
        Ratio("calls/s, 1000 callers, one replica", peer, [a[0] for a, _ in loads], [b[0] for _, b in loads], 20),
        Ratio(
            "p99 at that load, s", peer, [a[1] for a, _ in loads], [b[1] for _, b in loads], 0.05, more_is_better=False
        ),
        Ratio("one idle call, ms", peer, [a for a, _ in idles], [b for _, b in idles], 1.25, more_is_better=False),
    ]
