"""What scaling costs the root: one decision of the default policy, and the controller's load while it scales."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from benchmarks.goal import Goal
from raybeam.actors import Runtime, gen_server
from raybeam.actors.testing import run
from raybeam.autoscaler import Bounds, QueueDepth
from raybeam.autoscaler.controller import Controller
from raybeam.autoscaler.fleet import FamilyReading, Fleet, MachinesReading
from raybeam.autoscaler.history import History
from raybeam.autoscaler.simulator import Family, World
from raybeam.autoscaler.simulator.controlled import SimulatedFleet, control_of
from raybeam.autoscaler.workload import Diurnal, LogNormal, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybeam.autoscaler.kernel.policy import Decision
    from raybeam.autoscaler.kernel.snapshot import Snapshot

FAMILIES = 10
PER_S = 90.0
"""Mean arrivals a second of one family: ten replicas of them, in the mean."""
LENGTH_S = 2400.0
WARM_S = 1800.0
"""What happens before is not counted: policies get slower until their memories are full."""
WORLD = World(start_s=5.0, boot_s=20.0, places=8)


@dataclass(frozen=True)
class Timed:
    """The default policy, with the time that each decision takes."""

    policy: QueueDepth = field(default_factory=lambda: QueueDepth(bounds=Bounds(1, 100)))
    took_ms: list[float] = field(default_factory=list)

    def start(self) -> Any:
        return self.policy.start()

    def decide(self, snapshot: Snapshot, state: Any) -> tuple[Decision, Any]:
        began = time.process_time()
        answer = self.policy.decide(snapshot, state)
        if snapshot.time_s > WARM_S:
            self.took_ms.append((time.process_time() - began) * 1e3)
        return answer


class Aside(Fleet):
    """A simulated fleet whose own work is not counted.

    Attributes:
        spent_s: CPU seconds of the simulation.
        replicas: Replicas that were read, at each look.
    """

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._fleet = fleet
        self.spent_s = 0.0
        self.replicas: list[int] = []

    def now(self) -> float:
        return self._fleet.now()

    def wall_clock(self) -> float:
        return self._fleet.wall_clock()

    def read(self) -> Mapping[str, FamilyReading]:
        began = time.process_time()
        read = self._fleet.read()
        self.spent_s += time.process_time() - began
        self.replicas.append(sum(len(family.replicas) for family in read.values()))
        return read

    async def machines(self) -> MachinesReading:
        began = time.process_time()
        read = await self._fleet.machines()
        self.spent_s += time.process_time() - began
        return read

    async def scale(self, family: str, replicas: int, reason: str) -> None:
        began = time.process_time()
        await self._fleet.scale(family, replicas, reason)
        self.spent_s += time.process_time() - began

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        began = time.process_time()
        await self._fleet.request_machines(shape)
        self.spent_s += time.process_time() - began

    async def recall(self) -> bytes | None:
        return await self._fleet.recall()

    async def remember(self, data: bytes) -> None:
        await self._fleet.remember(data)


def measure() -> list[Goal]:
    """All figures of this benchmark."""
    policies = [Timed() for _ in range(FAMILIES)]
    families = [
        Family(f"family-{n}", draw("day", Diurnal(PER_S / 2, PER_S * 3 / 2), LogNormal(0.1, 1.0), LENGTH_S, seed=n),
               policy, initial=10, min_replicas=1)
        for n, policy in enumerate(policies)
    ]  # fmt: skip
    load, replicas = run(_load(families))
    means = [sum(policy.took_ms) / len(policy.took_ms) for policy in policies]
    slowest = [sorted(policy.took_ms)[ceil(0.99 * len(policy.took_ms)) - 1] for policy in policies]
    return [
        Goal("ms of a decision on a busy trace, mean", means, 1.0),
        Goal("ms of a decision on a busy trace, 99th percentile", slowest, 1.0),
        Goal(f"% of a core for {FAMILIES} families with {replicas:.0f} replicas, a tick a second", [100 * load], 2.0),
    ]


async def _load(families: list[Family]) -> tuple[float, float]:
    """CPU seconds a second of the controller with all that it calls but the fleet, and the mean number of replicas."""
    async with Runtime() as runtime:
        fleet = Aside(SimulatedFleet(WORLD, families, runtime.loop.time))
        history = History(family.name for family in families)
        await gen_server.start(Controller, fleet, control_of(WORLD, families), history, lambda *_: None)
        await asyncio.sleep(WARM_S + 0.5)
        began, aside = time.process_time(), fleet.spent_s
        await asyncio.sleep(LENGTH_S - WARM_S - 1.0)
        spent_s = time.process_time() - began - (fleet.spent_s - aside)
        return spent_s / (LENGTH_S - WARM_S - 1.0), sum(fleet.replicas) / len(fleet.replicas)
