"""A replica under three times its capacity, bounded and with CoDel; and slow queries beside fast ones."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from benchmarks.goal import Goal
from raybeam.actors import CoDel, GenServer, Outcome, Regulation, call, query
from raybeam.cluster import System, calm_collector
from raybeam.cluster.local import LocalCluster, LocalClusterOptions, connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WORK_S = 0.004
QUEUE_LIMIT = 50
CODEL = CoDel(target_s=0.05, interval_s=0.2)
OVERLOAD = 3.0
WARM_S = 2.0
LOAD_S = 8.0
ROUNDS = 3
SLOW_S = 2.0
SLOW_ONES = 20
FAST_CALLERS = 4
MIX_S = 4.0


class Bounded(GenServer):
    regulation = Regulation(queue_limit=QUEUE_LIMIT)

    @call(timeout_s=5.0)
    async def work(self) -> None:
        await asyncio.sleep(WORK_S)

    @query
    async def os_pid(self) -> int:
        return os.getpid()


class Delayed(Bounded):
    regulation = Regulation(codel=CODEL)


class Mixed(GenServer):
    @query(timeout_s=30.0, concurrent=True)
    async def slow(self) -> None:
        await asyncio.sleep(SLOW_S)

    @query(timeout_s=30.0)
    async def fast(self) -> None:
        await asyncio.sleep(0.001)


@dataclass(frozen=True, slots=True)
class Overloaded:
    """What a replica did under overload.

    Attributes:
        goodput: Calls served a second, as a share of what it serves of callers who wait for each other.
        served_s: 99th percentile of the time of calls that were served.
        refused_s: The same of those that were refused.
        grown_mb: By how much its memory grew.
        recovered_s: Seconds from the end of the load until a call took no longer than before.
    """

    goodput: float
    served_s: float
    refused_s: float
    grown_mb: float
    recovered_s: float


def p99(times: list[float]) -> float:
    """The 99th percentile; 0 when there are none."""
    return sorted(times)[int(len(times) * 0.99)] if times else 0.0


async def capacity(work: Callable[[], Awaitable[None]]) -> float:
    """Calls a second that ten callers get served who wait for their answers."""
    until, done = time.perf_counter() + WARM_S, 0

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work()
            done += 1

    await asyncio.gather(*(caller() for _ in range(10)))
    return done / WARM_S


async def overload(service: Bounded) -> Overloaded:
    """Three times the capacity in an open loop: callers come whether or not the others were served."""
    able = await capacity(service.work)
    process = psutil.Process(await service.os_pid())
    before_mb = process.memory_info().rss / 1e6
    idle_s = WORK_S * 3
    served: list[float] = []
    refused: list[float] = []
    under_way: set[asyncio.Task[None]] = set()

    async def one() -> None:
        began = time.perf_counter()
        result = await service.work.result()
        took = time.perf_counter() - began
        if result.outcome is Outcome.OK:
            served.append(took)
        elif result.outcome is Outcome.REJECTED:
            refused.append(took)

    began = time.perf_counter()
    made, last_mb = 0, before_mb
    while (now := time.perf_counter() - began) < LOAD_S:
        while made < now * able * OVERLOAD:
            made += 1
            task = asyncio.ensure_future(one())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.sleep(0.002)
    last_mb = process.memory_info().rss / 1e6
    in_time = len(served)
    ended = time.perf_counter()
    await asyncio.sleep(0)
    while True:
        began_call = time.perf_counter()
        result = await service.work.result()
        if result.ok and time.perf_counter() - began_call < idle_s + 0.01:
            break
        await asyncio.sleep(0.01)
    recovered_s = time.perf_counter() - ended
    await asyncio.gather(*under_way)
    return Overloaded(in_time / LOAD_S / able, p99(served), p99(refused), last_mb - before_mb, recovered_s)


async def fast_p99(service: Mixed, slow_ones: int) -> float:
    """99th percentile of the fast queries' time, with so many slow ones under way all the time."""
    until = time.perf_counter() + MIX_S
    times: list[float] = []

    async def slow() -> None:
        while time.perf_counter() < until:
            await service.slow()

    async def fast() -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await service.fast()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(slow() for _ in range(slow_ones)), *(fast() for _ in range(FAST_CALLERS)))
    return p99(times)


def measure() -> list[Goal]:
    """All figures of this benchmark."""
    families = {"bounded": {"service": Bounded}, "delayed": {"service": Delayed}, "mixed": {"service": Mixed}}
    options = LocalClusterOptions(machines=1, cpus_per_machine=4, dashboard=False)
    with (
        LocalCluster(options) as cluster,
        connect(cluster.connection),
        System.start({"name": "overload", "families": families}) as system,
    ):
        calm_collector()
        return asyncio.run(_rounds(system))


async def _rounds(system: System) -> list[Goal]:
    goals: list[Goal] = []
    for name, service, promise_s in (
        ("bounded queue", system.ref(Bounded), (QUEUE_LIMIT + 1) * WORK_S * 1.5 + 0.05),
        ("CoDel", system.ref(Delayed), CODEL.target_s + CODEL.interval_s + 0.05),
    ):
        found = [await overload(service) for _ in range(ROUNDS)]
        goals += [
            Goal(f"{name}, 3x: goodput by capacity", [each.goodput for each in found], 0.9, more_is_better=True),
            Goal(f"{name}, 3x: p99 of the served, s", [each.served_s for each in found], promise_s),
            Goal(f"{name}, 3x: p99 until the refused hear it, s", [each.refused_s for each in found], 0.01),
            Goal(f"{name}, 3x: memory grown, MB", [each.grown_mb for each in found], 20.0),
            Goal(f"{name}, 3x: recovered after, s", [each.recovered_s for each in found], 2.0),
        ]
    mixed = system.ref(Mixed)
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(await fast_p99(mixed, 0))
        beside.append(await fast_p99(mixed, SLOW_ONES))
    ratios = [with_slow / without for with_slow, without in zip(beside, alone, strict=True)]
    goals.append(Goal("p99 of 1 ms queries beside 2 s ones, by that without", ratios, 3.0))
    return goals
