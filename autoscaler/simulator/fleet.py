"""Machines and the replicas on them: where a replica goes, which one ends, what it all costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import World


@dataclass(slots=True, eq=False)
class Machine:
    """A machine from the time it was asked for.

    Attributes:
        number: Counts from 0.
        asked_s: When it was asked for.
        up: Whether it has booted.
        used: Replicas on it.
        idle_since_s: Since when it has none.
    """

    number: int
    asked_s: float
    up: bool = False
    used: int = 0
    idle_since_s: float = 0.0


@dataclass(slots=True, eq=False)
class Replica:
    """A replica from the time it was asked for.

    Attributes:
        number: Counts from 0.
        family: Whose it is.
        machine: Where it is; `None`: there is no place yet.
        placed_s: Since when it has been there.
        phase: `waiting` for a machine, `starting`, `ready`, `draining` or `gone`.
        ends_s: When it will have drained, if it drains.
    """

    number: int
    family: int
    machine: Machine | None = None
    placed_s: float = 0.0
    phase: str = "waiting"
    ends_s: float = 0.0


@dataclass(slots=True)
class Fleet:
    """All machines. Replicas go to the fullest machine that has a place, so that others empty."""

    world: World
    machines: list[Machine] = field(default_factory=list)
    floor: int = 0
    count: int = 0
    machine_s: float = 0.0

    def up(self) -> int:
        """Machines that have booted."""
        return sum(machine.up for machine in self.machines)

    def order(self, now: float) -> Machine:
        """Ask for one more machine."""
        machine = Machine(self.count, now)
        self.count += 1
        self.machines.append(machine)
        return machine

    def missing(self, waiting: int) -> int:
        """How many machines to ask for, so that `waiting` replicas find a place and the floor is held."""
        pending = sum(not machine.up for machine in self.machines)
        for_replicas = -(-waiting // self.world.places) - pending
        for_floor = self.floor - len(self.machines)
        return max(0, min(max(for_replicas, for_floor), self.world.max_machines - len(self.machines)))

    def place(self, replica: Replica, now: float) -> bool:
        """Put a replica onto a machine; whether there was a place."""
        places = self.world.places
        with_place = [machine for machine in self.machines if machine.up and machine.used < places]
        if not with_place:
            return False
        machine = max(with_place, key=lambda machine: (machine.used, -machine.number))
        machine.used += 1
        replica.machine, replica.placed_s, replica.phase = machine, now, "starting"
        return True

    def leave(self, replica: Replica, now: float) -> float:
        """A replica is gone; the seconds that it had a place."""
        machine, replica.phase = replica.machine, "gone"
        if machine is None:
            return 0.0
        machine.used -= 1
        machine.idle_since_s = now
        return now - replica.placed_s

    def give_back(self, now: float) -> None:
        """Give back the machines that have been empty for long and are not wanted."""
        surplus = len(self.machines) - self.floor
        empty_before = now - self.world.machine_idle_s
        for machine in sorted(self.machines, key=lambda machine: -machine.number):
            if surplus <= 0:
                return
            if machine.up and machine.used == 0 and machine.idle_since_s <= empty_before:
                self.lose(machine, now)
                surplus -= 1

    def lose(self, machine: Machine, now: float) -> None:
        """A machine is gone."""
        self.machines.remove(machine)
        self.machine_s += now - machine.asked_s
