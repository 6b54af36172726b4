"""A simulated system behind the controller's port: the very controller that scales a live one scales replicas on paper.

So what this shows is what the live system would do, its failures included; the policies' own simulations
(`simulate`) leave the controller out.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from raybeam.actors import Runtime, gen_server
from raybeam.actors.testing import run as run_in_virtual_time

from ..controller import Controller
from ..fleet import FamilyReading, Fleet, MachinesReading, ReplicaReading
from ..history import History
from ..kernel.bounds import Bounds
from ..kernel.control import Control, Scaled
from ..kernel.observation import Counters
from ..kernel.plan import MachineType
from .simulation import Simulation
from .world import Faults, Sensor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..kernel.snapshot import Snapshot
    from .crew import Crew
    from .family import Family
    from .run import Run
    from .world import World

PLACE = {"CPU": 1.0}
"""What one replica takes of its machine."""


class SimulatedFleet(Fleet):
    """Simulated families as a fleet. Replicas beat at each interval of the world; their policies are not asked.

    Each tells an equal part of what all of its family have counted. One that comes up tells so at once.

    Args:
        world: How long things take, and how large machines are.
        families: Who plays.
        clock: Tells the time since the beginning, seconds.
        faults: What breaks. Default: nothing.
        seed: Everything that is drawn at random hangs on it.

    Attributes:
        horizon_s: When the longest load ends.
        memory: What was remembered last.
    """

    def __init__(
        self,
        world: World,
        families: Sequence[Family],
        clock: Callable[[], float],
        faults: Faults | None = None,
        seed: int = 1,
    ) -> None:
        self._clock = clock
        self._simulation = Simulation(world, tuple(families), faults or Faults(), Sensor(), seed)
        self._simulation.set_up()
        self.horizon_s = self._simulation.horizon_s
        self._crews = {crew.family.name: crew for crew in self._simulation.crews}
        self._told = {name: _Told(name, crew) for name, crew in self._crews.items()}
        self._ticks = count(1)
        self._next_beat = world.interval_s * next(self._ticks)
        self.memory: bytes | None = None

    def now(self) -> float:
        """See `Fleet`."""
        return self._clock()

    def wall_clock(self) -> float:
        """See `Fleet`; the epoch is the beginning."""
        return self._clock()

    def read(self) -> Mapping[str, FamilyReading]:
        """See `Fleet`."""
        self._play()
        return {
            name: FamilyReading(crew.target, crew.family.slots, self._told[name].readings())
            for name, crew in self._crews.items()
        }

    async def machines(self) -> MachinesReading:
        """See `Fleet`."""
        self._play()
        machines = self._simulation.fleet.machines
        resources = {"CPU": float(self._simulation.world.places)}
        ready = {f"machine-{machine.number}": resources for machine in machines if machine.up}
        return MachinesReading(ready, len(machines) - len(ready))

    async def scale(self, family: str, replicas: int, reason: str) -> None:
        """See `Fleet`."""
        self._play()
        crew = self._crews[family]
        if replicas != crew.target:
            crew.target = replicas
            crew.targets.append((self._clock(), replicas))
            self._simulation.reconcile(crew, self._clock())

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        """See `Fleet`."""
        self._play()
        self._simulation.fleet.floor = len(shape)
        self._simulation.place_waiting(self._clock())

    async def recall(self) -> bytes | None:
        """See `Fleet`."""
        return self.memory

    async def remember(self, data: bytes) -> None:
        """See `Fleet`."""
        self.memory = data

    def finish(self) -> dict[str, Run]:
        """Play it to the end; what became of each family."""
        self._play(self._simulation.horizon_s)
        self._simulation.play(self._simulation.horizon_s)
        return self._simulation.finish()

    def _play(self, until: float | None = None) -> None:
        """Let everything happen up to now, with a heartbeat of all replicas at each interval."""
        until = self._clock() if until is None else until
        fleet = self._simulation.fleet
        while self._next_beat <= min(until, self._simulation.horizon_s) + 1e-9:
            now = self._next_beat
            self._simulation.play(now)
            fleet.give_back(now)
            for name, crew in self._crews.items():
                up = fleet.up()
                self._told[name].beat(now, crew.look(now, up, len(fleet.machines) - up))
            self._next_beat = self._simulation.world.interval_s * next(self._ticks)
        self._simulation.play(until)


class _Told:
    """What the replicas of one family have told."""

    def __init__(self, family: str, crew: Crew) -> None:
        self.family, self.crew = family, crew
        self._replicas: dict[int, ReplicaReading] = {}
        self._untold = Counters()
        self._told_s = 0.0

    def beat(self, now: float, seen: Snapshot) -> None:
        """All replicas tell."""
        self._told_s = now
        mean_s, cv = seen.service_s or 0.0, seen.service_cv or 0.0
        total_s = mean_s * seen.completions
        square_s2 = mean_s * mean_s * (1 + cv * cv) * seen.completions
        self._untold = self._untold.plus(Counters(seen.arrivals, seen.completions, total_s, square_s2))
        speaking = [*self.crew.ready, *self.crew.draining]
        before, self._replicas = self._replicas, {}
        for place, number in enumerate(speaking):
            told = before.get(number) or ReplicaReading(f"simulated/{self.family}/{number}#1")
            part = self._untold
            self._replicas[number] = replace(
                told,
                ready=True,
                heard_s=now,
                waiting=_part(seen.queue, place, len(speaking)),
                in_flight=_part(seen.in_flight, place, len(speaking)),
                arrivals=told.arrivals + _part(part.arrivals, place, len(speaking)),
                completions=told.completions + _part(part.completions, place, len(speaking)),
                service_total_s=told.service_total_s + part.service_total_s / len(speaking),
                service_square_s2=told.service_square_s2 + part.service_square_s2 / len(speaking),
                oldest_wait_s=seen.oldest_wait_s,
            )
        if speaking:
            self._untold = Counters()

    def readings(self) -> tuple[ReplicaReading, ...]:
        """The latest of each replica that there is now."""
        crew = self.crew
        replicas = {**crew.waiting, **crew.starting, **crew.ready, **crew.draining}
        return tuple(
            replace(
                self._replicas.get(number) or self._first(number),
                machine=f"machine-{replica.machine.number}" if replica.machine else "",
                ready=number in crew.ready,
                draining=number in crew.draining,
            )
            for number, replica in replicas.items()
        )

    def _first(self, number: int) -> ReplicaReading:
        """Of one that has not told anything yet but that it is up, if it is."""
        up = number in self.crew.ready or number in self.crew.draining
        return ReplicaReading(f"simulated/{self.family}/{number}#1", heard_s=self._told_s if up else 0.0)


def _part(number: int, place: int, places: int) -> int:
    """An equal part of a whole number; the parts add up."""
    return number // places + (place < number % places)


def control_of(world: World, families: Sequence[Family], dry_run: Collection[str] = ()) -> Control:
    """What decides for simulated families: the controller's kernel with their own policies."""
    types = [MachineType("machine", {"CPU": float(world.places)}, boot_s=world.boot_s, max_machines=world.max_machines)]
    scaled = {
        family.name: Scaled(
            family.policy,
            PLACE,
            bounds=Bounds(max(family.min_replicas, 1), family.max_replicas),
            dry_run=family.name in dry_run,
        )
        for family in families
    }
    return Control(scaled, types=types, linger_s=world.machine_idle_s)


def simulate_controlled(
    world: World, *families: Family, faults: Faults | None = None, seed: int = 1
) -> tuple[dict[str, Run], History]:
    """Play families as `simulate` does, scaled by the controller itself, with its history.

    Args:
        world: How long things take, and how large machines are; its interval is that of heartbeats.
        families: Who plays.
        faults: What breaks. Default: nothing.
        seed: Everything that is drawn at random hangs on it.
    """
    history = History(family.name for family in families)

    async def play() -> dict[str, Run]:
        async with Runtime() as runtime:
            fleet = SimulatedFleet(world, families, runtime.loop.time, faults, seed)
            control = control_of(world, families)
            controller = await gen_server.start(Controller, fleet, control, history, lambda *_: None)
            await asyncio.sleep(fleet.horizon_s)
            await gen_server.stop(controller)
            return fleet.finish()

    return run_in_virtual_time(play()), history
