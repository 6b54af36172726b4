"""The replicas of one family in a simulation, and what its policy sees of them."""

from __future__ import annotations

import traceback
from math import ceil, sqrt
from numbers import Integral
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

from raybeam.actors.errors import UsageError

from ..kernel.policy import Decision
from ..kernel.snapshot import Snapshot
from .demand import Demand
from .one_queue import OneQueue
from .run import Run, Timeline
from .two_choices import TwoChoices

if TYPE_CHECKING:
    from .family import Calls, Family
    from .fleet import Machine, Replica
    from .station import Station
    from .world import Sensor, World


def _is_decided(decided: object) -> bool:
    """Whether a policy returned what it may."""
    match decided:
        case (Decision(replicas=replicas, machines=machines), _):
            numbers = (replicas,) if machines is None else (replicas, machines)
            return all(isinstance(number, Integral) and number >= 0 for number in numbers)
        case _:
            return False


def _refused(family: Family, decided: object) -> NoReturn:
    raise UsageError(
        f"the policy {type(family.policy).__name__} of {family.name!r} returned {decided!r}: decide returns a Decision "
        "with whole numbers, 0 or more, and its state, as a pair"
    )


def _failed(family: Family, now: float, error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{last.filename}, line {last.lineno}"
    name = type(family.policy).__name__
    return f"the policy {name} of {family.name!r} failed after {now:g} s in {place}: {type(error).__name__}: {error}"


class Crew:
    """All replicas of a family by number, in the phases of their life.

    Attributes:
        station: Its requests and who serves them.
        target: How many replicas there should be.
        callees: Who gets its calls.
    """

    def __init__(self, family: Family, world: World, sensor: Sensor, horizon_s: float, seed: int) -> None:
        self.family = family
        self.world = world
        self.sensor = sensor
        self.horizon_s = horizon_s
        self.chance = Random(f"{seed} {family.name}")
        self.station: Station = _station(family, world, horizon_s, Random(f"{seed} {family.name} dispatch"))
        self.callees: list[tuple[Demand, Calls]] = []
        self.waiting: dict[int, Replica] = {}
        self.starting: dict[int, Replica] = {}
        self.ready: dict[int, Replica] = {}
        self.draining: dict[int, Replica] = {}
        self.target = family.initial
        self.replica_s = 0.0
        self.state: Any = family.policy.start()
        self.timeline = Timeline()
        self.targets: list[tuple[float, int]] = []
        self._arrived = self._completed = 0
        self._seen: list[Snapshot] = []
        self._last: Snapshot | None = None

    def advance(self, until: float) -> None:
        """Serve requests up to a time, and send those that they cause."""
        station = self.station
        if not self.callees:
            station.advance(until)
            return
        first, demand = len(station.waits), station.demand
        station.advance(until)
        for index in range(first, len(station.waits)):
            end = demand.arrivals[index] + station.waits[index] + demand.services[index]
            for callee, call in self.callees:
                whole = int(call.mean)
                for _ in range(whole + (self.chance.random() < call.mean - whole)):
                    callee.call(end, call.service.draw(self.chance))

    def current(self) -> int:
        """Replicas that serve or will."""
        return len(self.waiting) + len(self.starting) + len(self.ready)

    def on(self, machine: Machine) -> list[Replica]:
        """Replicas on a machine."""
        placed = (*self.starting.values(), *self.ready.values(), *self.draining.values())
        return [replica for replica in placed if replica.machine is machine]

    def forget(self, replica: Replica) -> None:
        """A replica is no more."""
        for phase in (self.waiting, self.starting, self.ready, self.draining):
            phase.pop(replica.number, None)

    def victims(self, surplus: int, now: float) -> list[Replica]:
        """Who is to end: those that do not serve yet, then those on the emptiest machine, idle ones first there."""
        unborn = [*reversed(self.waiting.values()), *reversed(self.starting.values())][:surplus]
        chosen = list(unborn)
        if len(chosen) == surplus:
            return chosen
        busy = self.station.busy(now)
        used = {replica.number: replica.machine.used if replica.machine else 0 for replica in self.ready.values()}
        left = sorted(
            self.ready.values(),
            key=lambda replica: (
                used[replica.number],
                -(replica.machine.number if replica.machine else 0),
                busy.get(replica.number, 0),
                -replica.number,
            ),
        )
        return chosen + left[: surplus - len(chosen)]

    def decide(self, now: float, machines_ready: int, machines_pending: int) -> int | None:
        """Ask the policy; how many machines it wants."""
        snapshot = self.look(now, machines_ready, machines_pending)
        try:
            decided = self.family.policy.decide(snapshot, self.state)
        except Exception as error:
            raise UsageError(_failed(self.family, now, error)) from error
        decision, self.state = decided if _is_decided(decided) else _refused(self.family, decided)
        target = max(self.family.min_replicas, min(decision.replicas, self.family.max_replicas))
        if target != self.target:
            self.targets.append((now, target))
            self.target = target
        return decision.machines

    def look(self, now: float, machines_ready: int, machines_pending: int) -> Snapshot:
        """What there is now, and what the policy is told of it."""
        station = self.station
        completions, work_s, work_squared = station.completed(now)
        arrived = station.demand.arrived(now, self._arrived)
        self._completed += completions
        mean, cv = None, None
        if completions:
            mean = work_s / completions
            if completions > 1 and mean > 0:
                cv = sqrt(max(0.0, work_squared / completions - mean * mean)) / mean
        started = station.started(now)
        snapshot = Snapshot(
            now,
            arrived - started,
            started - self._completed,
            arrived - self._arrived,
            completions,
            mean,
            cv,
            station.oldest_wait_s(now),
            len(self.ready),
            len(self.starting) + len(self.waiting),
            len(self.draining),
            self.family.slots,
            machines_ready,
            machines_pending,
        )
        self._arrived = arrived
        self.timeline.add(snapshot, self.target)
        if self.sensor.noise or self.sensor.lag_s or self.sensor.loss:
            return self.told(snapshot)
        return snapshot

    def told(self, snapshot: Snapshot) -> Snapshot:
        """What the policy is told: old, noisy, or nothing new."""
        self._seen.append(snapshot)
        late = ceil(self.sensor.lag_s / self.world.interval_s)
        source = self._seen[max(0, len(self._seen) - 1 - late)]
        del self._seen[: max(0, len(self._seen) - 1 - late)]
        if self._last is not None and self.chance.random() < self.sensor.loss:
            last = self._last
            return _copy(last, snapshot, last.queue, last.in_flight, 0, 0, None, fresh=False)
        queue, in_flight, arrivals, completions = (
            round(number * self._factor())
            for number in (source.queue, source.in_flight, source.arrivals, source.completions)
        )
        service = None if source.service_s is None else source.service_s * self._factor()
        self._last = _copy(source, snapshot, queue, in_flight, arrivals, completions, service, fresh=True)
        return self._last

    def _factor(self) -> float:
        """Random, at least 0, mean 1, with the coefficient of variation of the sensor's noise."""
        variance = self.sensor.noise**2
        return self.chance.gammavariate(1 / variance, variance) if variance else 1.0

    def result(self, machine_s: float, idle_s: float) -> Run:
        """What became of it."""
        arrivals, waits, pending = self.station.outcome(self.horizon_s)
        return Run(
            self.family.name,
            self.horizon_s,
            arrivals,
            waits,
            pending,
            self.replica_s,
            machine_s,
            idle_s,
            self.timeline,
            self.targets,
            self.family.initial,
        )


def _station(family: Family, world: World, horizon_s: float, chance: Random) -> Station:
    demand = Demand(family.trace.times, family.trace.sizes)
    if family.dispatch == "two_choices":
        return TwoChoices(demand, family.slots, chance)
    return OneQueue(demand, family.slots, world.interval_s, horizon_s)


def _copy(
    source: Snapshot,
    present: Snapshot,
    queue: int,
    in_flight: int,
    arrivals: int,
    completions: int,
    service_s: float | None,
    *,
    fresh: bool,
) -> Snapshot:
    """What requests did then, and what replicas there are now: those the policy's own side knows."""
    return Snapshot(
        present.time_s,
        queue,
        in_flight,
        arrivals,
        completions,
        service_s if completions else None,
        source.service_cv if completions else None,
        source.oldest_wait_s,
        present.ready,
        present.starting,
        present.draining,
        present.slots,
        present.machines_ready,
        present.machines_pending,
        fresh,
    )
