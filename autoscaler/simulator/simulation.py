"""The simulator's clock: the events that change the fleet, and between them the requests."""

from __future__ import annotations

from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

from ..workload.trace import MOST_STEPS
from .crew import Crew
from .family import in_order_of_calls
from .fleet import Fleet, Machine, Replica
from .world import Faults, Sensor, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from .family import Family
    from .run import Run


class Simulation:
    """One run; use `simulate`."""

    def __init__(self, world: World, families: tuple[Family, ...], faults: Faults, sensor: Sensor, seed: int) -> None:
        if not families:
            raise UsageError("there are no families to simulate")
        self.world, self.faults = world, faults
        self.horizon_s = max(family.trace.duration_s for family in families)
        if self.horizon_s > MOST_STEPS * world.interval_s:
            raise UsageError(
                f"interval_s={world.interval_s!r}: {self.horizon_s:g} s have more than {MOST_STEPS:,} of them; "
                "make it longer"
            )
        self.fleet = Fleet(world)
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.numbers = count()
        self.replicas = count()
        self.chance = Random(seed)
        self.crews = [Crew(family, world, sensor, self.horizon_s, seed) for family in families]
        self.order = [self.crews[place] for place in in_order_of_calls(families)]
        named = {crew.family.name: crew for crew in self.crews}
        for crew in self.crews:
            crew.callees = [(named[call.to].station.demand, call) for call in crew.family.calls]

    def run(self) -> dict[str, Run]:
        """Play it to the end."""
        self.set_up()
        ticks = count(1)
        while (tick := self.world.interval_s * next(ticks)) <= self.horizon_s:
            self.play(tick)
            self.decide(tick)
        self.play(self.horizon_s)
        return self.finish()

    def play(self, until: float) -> None:
        """Let everything happen up to a time; nothing happens after the end."""
        until, events = min(until, self.horizon_s), self.events
        while events and events[0][0] <= until:
            now, _, act = heappop(events)
            self.advance(now)
            act(now)
        self.advance(until)

    def at(self, when: float, act: Callable[[float], None]) -> None:
        """Let something happen."""
        heappush(self.events, (when, next(self.numbers), act))

    def advance(self, until: float) -> None:
        """Serve requests up to a time, callers first."""
        for crew in self.order:
            crew.advance(until)

    def set_up(self) -> None:
        """The first replicas are ready, and the machines for them up; what breaks at given times is known."""
        for at in self.faults.machines_lost_s:
            self.at(at, self.lose_fullest)
        places = self.world.places
        wanted = sum(crew.family.initial for crew in self.crews)
        for _ in range(-(-wanted // places) + self.world.spare_machines):
            self.live(self.fleet.order(0.0)).up = True
        for crew in self.crews:
            crew.target = crew.family.initial
            self.reconcile(crew, 0.0)
            for replica in list(crew.starting.values()):
                self.ready(crew, replica, 0.0)

    def decide(self, now: float) -> None:
        """Ask the policies."""
        fleet = self.fleet
        wanted = [crew.decide(now, fleet.up(), len(fleet.machines) - fleet.up()) for crew in self.crews]
        fleet.floor = sum(machines for machines in wanted if machines is not None)
        for crew in self.crews:
            self.reconcile(crew, now)
        fleet.give_back(now)

    def reconcile(self, crew: Crew, now: float) -> None:
        """Make as many replicas start or end as the target says."""
        surplus = crew.current() - crew.target
        if self.world.take_back:
            for replica in list(crew.draining.values())[: max(0, -surplus)]:
                replica.phase = "ready"
                crew.ready[replica.number] = crew.draining.pop(replica.number)
                crew.station.take_back(replica.number, now)
                surplus += 1
        for _ in range(-surplus):
            replica = Replica(next(self.replicas), self.crews.index(crew))
            crew.waiting[replica.number] = replica
        if surplus > 0:
            for replica in crew.victims(surplus, now):
                self.end(crew, replica, now)
        self.place_waiting(now)

    def place_waiting(self, now: float) -> None:
        """Put replicas that wait onto machines, and ask for machines for the others."""
        for crew in self.crews:
            for before, replica in enumerate(list(crew.waiting.values())):
                if not self.fleet.place(replica, now):
                    break
                crew.starting[replica.number] = crew.waiting.pop(replica.number)
                self.at(now + self.world.start_at(now, before), partial(self.ready, crew, replica))
        for _ in range(self.fleet.missing(sum(len(crew.waiting) for crew in self.crews))):
            machine = self.live(self.fleet.order(now))
            self.at(now + self.world.boot_s, partial(self.booted, machine))

    def live(self, machine: Machine) -> Machine:
        """A machine begins its life, and may die."""
        if self.faults.machine_mtbf_s is not None:
            life = self.chance.expovariate(1 / self.faults.machine_mtbf_s)
            self.at(machine.asked_s + life, partial(self.lose, machine))
        return machine

    def booted(self, machine: Machine, now: float) -> None:
        """A machine is up."""
        if machine in self.fleet.machines:
            machine.up, machine.idle_since_s = True, now
            self.place_waiting(now)

    def ready(self, crew: Crew, replica: Replica, now: float) -> None:
        """A replica begins to serve."""
        if replica.phase != "starting":
            return
        replica.phase = "ready"
        crew.ready[replica.number] = crew.starting.pop(replica.number)
        crew.station.add(replica.number, now)
        if self.faults.replica_mtbf_s is not None:
            life = self.chance.expovariate(1 / self.faults.replica_mtbf_s)
            self.at(now + life, partial(self.die, crew, replica))

    def end(self, crew: Crew, replica: Replica, now: float) -> None:
        """A replica that is not wanted any more ends, after what it is serving."""
        if replica.phase == "ready":
            replica.phase = "draining"
            crew.draining[replica.number] = crew.ready.pop(replica.number)
            answered = crew.station.drain(replica.number, now)
            replica.ends_s = answered + self.world.end_s
            self.at(replica.ends_s, partial(self.drained, crew, replica))
        else:
            self.gone(crew, replica, now)

    def drained(self, crew: Crew, replica: Replica, now: float) -> None:
        """A replica has answered its last request."""
        if replica.phase == "draining" and replica.ends_s <= now:
            crew.station.drained(replica.number, now)
            self.gone(crew, replica, now)
            self.place_waiting(now)

    def gone(self, crew: Crew, replica: Replica, now: float) -> None:
        """A replica is no more."""
        crew.forget(replica)
        crew.replica_s += self.fleet.leave(replica, now)

    def die(self, crew: Crew, replica: Replica, now: float) -> None:
        """A replica dies; it is replaced."""
        if replica.phase == "gone":
            return
        if replica.phase in ("ready", "draining"):
            crew.station.kill(replica.number, now)
        self.gone(crew, replica, now)
        self.reconcile(crew, now)

    def lose(self, machine: Machine, now: float) -> None:
        """A machine is lost, and all its replicas."""
        if machine not in self.fleet.machines:
            return
        for crew in self.crews:
            for replica in crew.on(machine):
                if replica.phase in ("ready", "draining"):
                    crew.station.kill(replica.number, now)
                self.gone(crew, replica, now)
        self.fleet.lose(machine, now)
        for crew in self.crews:
            self.reconcile(crew, now)

    def lose_fullest(self, now: float) -> None:
        """The machine with the most replicas is lost."""
        up = [machine for machine in self.fleet.machines if machine.up]
        if up:
            self.lose(max(up, key=lambda machine: machine.used), now)

    def finish(self) -> dict[str, Run]:
        """Add up what is still there at the end."""
        for crew in self.crews:
            for replica in [*crew.starting.values(), *crew.ready.values(), *crew.draining.values()]:
                crew.replica_s += self.horizon_s - replica.placed_s
        machine_s = self.fleet.machine_s + sum(self.horizon_s - machine.asked_s for machine in self.fleet.machines)
        idle_s = machine_s * self.world.places - sum(crew.replica_s for crew in self.crews)
        return {crew.family.name: crew.result(machine_s, idle_s) for crew in self.crews}


def simulate(
    world: World, *families: Family, faults: Faults | None = None, sensor: Sensor | None = None, seed: int = 1
) -> dict[str, Run]:
    """Play families on machines that they share, and tell what became of each.

    Args:
        world: How long things take, and how large machines are.
        families: Who plays; traces that end earlier than the longest are quiet from then on.
        faults: What breaks. Default: nothing.
        sensor: How the policies see. Default: exactly, at once.
        seed: Everything that is drawn at random hangs on it; the same seed gives the same run.

    Returns:
        A `Run` per name of a family. Machines are shared, so machine-seconds are the same in all of them.

    Raises:
        UsageError: There is no family, a name is given twice, or calls go in a circle or to nobody.
    """
    return Simulation(world, families, faults or Faults(), sensor or Sensor(), seed).run()
