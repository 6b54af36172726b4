"""A hundred thousand GenServers in one runtime: how long their start takes, and what an idle one weighs.

Each round runs in an OS process of its own, so that its memory is only what this round took. The weight is the growth
of the resident memory, divided by the number of servers; it holds everything: the process, the Python object, its state
(here one number), and what the allocator wastes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

from benchmarks.goal import Goal
from raybeam.actors import (
    ChildSpec,
    DynamicSupervisor,
    GenServer,
    Runtime,
    Supervisor,
    SupervisorSpec,
    call,
    dynamic_supervisor,
    gen_server,
    supervisor,
)

if TYPE_CHECKING:
    from raybeam.actors import Pid

PROCESSES = 100_000
ROUNDS = 3
MAX_START_S = 10.0
MAX_BYTES = 4000.0


class Counter(GenServer):
    async def init(self) -> None:
        self.total = 0

    @call
    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total


async def start_alone() -> Pid:
    return await gen_server.start(Counter)


async def start_supervised() -> Pid:
    started = await dynamic_supervisor.start_child("counters", ChildSpec("counter", Counter))
    assert started.pid is not None
    return started.pid


class Tree(Supervisor):
    async def init(self) -> SupervisorSpec:
        return SupervisorSpec()


numbers = itertools.count()


async def start_in_order() -> Pid:
    started = await supervisor.start_child("tree", ChildSpec(next(numbers), Counter))
    assert started.pid is not None
    return started.pid


STARTS = {"alone": start_alone, "supervised": start_supervised, "supervised in order": start_in_order}


async def round_of(kind: str) -> dict[str, float]:
    """Seconds to start all, bytes each once every one of them has served a call, and tasks that stay."""
    start = STARTS[kind]
    memory = psutil.Process().memory_info
    async with Runtime():
        await gen_server.start(DynamicSupervisor, name="counters")
        await gen_server.start(Tree, name="tree")
        await gen_server.ref(Counter, await start()).add(1)  # validators are built at the first call
        before, began = memory().rss, time.perf_counter()
        pids = [await start() for _ in range(PROCESSES)]
        took = time.perf_counter() - began
        for pid in pids:
            await gen_server.ref(Counter, pid).add(1)
        return {
            "start_s": took,
            "bytes": (memory().rss - before) / PROCESSES,
            "tasks": len(asyncio.all_tasks()),
        }


def measure() -> list[Goal]:
    """All figures of this benchmark."""
    goals = []
    for kind in STARTS:
        rounds = [_in_a_fresh_process(kind) for _ in range(ROUNDS)]
        goals += [
            Goal(f"start {PROCESSES:,} GenServers, {kind}, s", [each["start_s"] for each in rounds], MAX_START_S),
            Goal(f"bytes of each, idle, {kind}", [each["bytes"] for each in rounds], MAX_BYTES),
            Goal("asyncio tasks meanwhile", [each["tasks"] for each in rounds], 64),
        ]
    return goals


def _in_a_fresh_process(kind: str) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.processes", kind], capture_output=True, text=True, check=True, env=os.environ
    )
    figures: dict[str, float] = json.loads(ran.stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(round_of(sys.argv[1]))))
