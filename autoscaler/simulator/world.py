"""What a simulation takes place in: how long things take, what fails, and what is seen of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_REPLICAS = 100_000
"""So many replicas, or machines, are played."""


def check(given: object, names: Sequence[str], least: float = 0.0, *, above: bool = False) -> None:
    """Raise `UsageError` unless each named field is a finite number, `least` or more (or `above` it)."""
    for name in names:
        value = getattr(given, name)
        if not (isinstance(value, int | float) and isfinite(value) and (value > least if above else value >= least)):
            bound = f"above {least:g}" if above else f"{least:g} or more"
            raise UsageError(f"{name}={value!r}: give a finite number, {bound}")


@dataclass(frozen=True, slots=True)
class World:
    """The cluster that replicas live in.

    Attributes:
        interval_s: The policy is asked so often. Default 1.
        start_s: Seconds from placing a replica until it serves. Default 10.
        end_s: Seconds from a drained replica's last answer until its place is free. Default 0.
        starts: Starts that were measured somewhere, to be played again: when each began, and its seconds. A replica
            takes as long as the one that began nearest in time; several at one time as those that began at one time.
            Default: none, all take `start_s`.
        take_back: Whether replicas that drain serve again when more are wanted, instead of new ones. Default no.
        boot_s: Seconds from asking for a machine until it is up. Default 45.
        places: Replicas that fit on one machine. Default 4.
        machine_idle_s: A machine without replicas is given back after so long, unless the policy wants it. Default 60.
        max_machines: There are never more. Default 1000.
        spare_machines: Machines that are up at the beginning besides those that the first replicas need. Default 0.

    Raises:
        UsageError: A value is not possible.
    """

    interval_s: float = 1.0
    start_s: float = 10.0
    boot_s: float = 45.0
    places: int = 4
    machine_idle_s: float = 60.0
    max_machines: int = 1000
    spare_machines: int = 0
    end_s: float = 0.0
    starts: tuple[tuple[float, float], ...] = ()
    take_back: bool = False

    def __post_init__(self) -> None:
        check(self, ["interval_s"], above=True)
        check(self, ["start_s", "end_s", "boot_s", "machine_idle_s", "spare_machines"])
        check(self, ["places", "max_machines"], 1)
        if not all(isfinite(at) and isfinite(took) and took >= 0 for at, took in self.starts):
            raise UsageError(f"starts={self.starts!r}: give finite times, and seconds that are 0 or more")
        if self.spare_machines > MOST_REPLICAS:
            raise UsageError(f"spare_machines={self.spare_machines!r}: at most {MOST_REPLICAS:,} are played")

    def start_at(self, now: float, before: int = 0) -> float:
        """Seconds that a replica takes to start which is placed at a time, after so many others at the same time.

        >>> world = World(starts=((10.0, 2.0), (60.0, 7.0), (60.0, 8.0)))
        >>> world.start_at(20.0), world.start_at(50.0), world.start_at(50.0, 1), World().start_at(20.0)
        (2.0, 7.0, 8.0, 10.0)
        """
        if not self.starts:
            return self.start_s
        nearest = min(abs(at - now) for at, _ in self.starts)
        took = [took for at, took in self.starts if abs(at - now) == nearest]
        return took[before % len(took)]


@dataclass(frozen=True, slots=True)
class Faults:
    """What breaks.

    Attributes:
        replica_mtbf_s: Mean seconds between deaths of one replica, exponential; `None`: none dies.
        machine_mtbf_s: The same of one machine; all its replicas die with it.
        machines_lost_s: Times at which one machine is lost, the one with the most replicas.
    """

    replica_mtbf_s: float | None = None
    machine_mtbf_s: float | None = None
    machines_lost_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self)[:2]:
            if getattr(self, field.name) is not None:
                check(self, [field.name], above=True)
        if not all(isfinite(at) and at >= 0 for at in self.machines_lost_s):
            raise UsageError(f"machines_lost_s={self.machines_lost_s!r}: give finite times, 0 or more")


@dataclass(frozen=True, slots=True)
class Sensor:
    """How the policy sees the world.

    Attributes:
        noise: Each number is multiplied by a random factor with this coefficient of variation. Default 0.
        lag_s: The numbers are so old. Default 0.
        loss: The share of snapshots that bring nothing new; they repeat the one before with `fresh=False`. Default 0.
    """

    noise: float = 0.0
    lag_s: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        check(self, ["noise", "lag_s", "loss"])
        if not self.loss < 1:
            raise UsageError(f"loss={self.loss!r}: give a share below 1, or the policy never sees anything")
