"""From the crash of a supervised server to the first answer of its successor, reports and their tracebacks included."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from benchmarks.goal import Goal
from raybeam.actors import (
    CallFailed,
    ChildSpec,
    GenServer,
    NoProcess,
    Pid,
    Runtime,
    Supervisor,
    SupervisorSpec,
    call,
    gen_server,
)

CRASHES = 300
ROUNDS = 5
MAX_RESTART_MS = 1.0


class Worker(GenServer):
    crashed_at = 0.0

    @call
    async def work(self) -> int:
        return 1

    @call
    async def crash(self) -> None:
        Worker.crashed_at = time.perf_counter()
        raise ZeroDivisionError("crash")


async def start_worker() -> Pid:
    return await gen_server.start_link(Worker, name="worker")


class Top(Supervisor):
    async def init(self) -> SupervisorSpec:
        return SupervisorSpec([ChildSpec("worker", start_worker)], intensity=CRASHES, period_s=60)


def write(report: object) -> None:
    """A report costs what it takes to put it into words, wherever it goes."""
    str(report)


async def restart_ms() -> float:
    """Median milliseconds from crash to answer."""
    took = []
    async with Runtime(reports=write):
        await gen_server.start(Top)
        worker = gen_server.ref(Worker, "worker")
        for _ in range(CRASHES):
            try:
                await worker.crash()
            except CallFailed:
                await answer(worker)
            took.append(time.perf_counter() - Worker.crashed_at)
    return median(took) * 1000


async def answer(worker: Worker) -> None:
    """The first answer of whoever has the name."""
    while True:
        try:
            await worker.work()
        except NoProcess:
            await asyncio.sleep(0)
        else:
            return


def measure() -> list[Goal]:
    """All figures of this benchmark."""
    what = "crash of a supervised server to its successor's first answer, ms"
    return [Goal(what, [asyncio.run(restart_ms()) for _ in range(ROUNDS)], MAX_RESTART_MS)]
