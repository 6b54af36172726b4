"""Damping by the load of the machine: limits are cut while CPU time or memory run short. After uwiger/jobs.

Samples give a level by a table of steps. It rises at once, and falls one step at a time, when samples have stayed below
the step by a margin for a while: so it does not flap.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ...errors import OptionError
from ..options import check_numbers

LEAST_FACTOR: Final = 0.1


@dataclass(frozen=True, slots=True)
class Damper:
    """How load cuts the limits (places, rate, queue).

    Attributes:
        cpu: Shares of CPU time, rising, 0 to 1; each that is reached is one level more. Default 0.8, 0.9, 1.
        memory: The same for memory. Default 0.8, 0.9, 0.95.
        cut: What each level takes off the limits, as a share of them; at least a tenth of them is left. Default 0.1.
        margin: How far below a step samples must be for the level to fall. Default 0.05.
        calm_s: For how long they must be, seconds. Default 5.
        sample_s: Seconds between two samples. Default 1.
    """

    cpu: tuple[float, ...] = (0.8, 0.9, 1.0)
    memory: tuple[float, ...] = (0.8, 0.9, 0.95)
    cut: float = 0.1
    margin: float = 0.05
    calm_s: float = 5.0
    sample_s: float = 1.0

    def __post_init__(self) -> None:
        for name, steps in (("cpu", self.cpu), ("memory", self.memory)):
            given: object = steps
            if not isinstance(given, tuple | list) or not all(isinstance(step, int | float) for step in given):
                raise OptionError(f"{name}={steps!r}: give a tuple of shares, such as (0.8, 0.9), or () for none")
            if not all(0 < step <= 1 for step in steps) or any(low >= high for low, high in pairwise(steps)):
                raise OptionError(f"{name}={steps!r}: give rising shares above 0, up to 1")
        if not self.cpu and not self.memory:
            raise OptionError("cpu=(), memory=(): give the steps of at least one of them")
        check_numbers(self, "cut", "margin", "calm_s", "sample_s")
        if not 0 < self.cut <= 1:
            raise OptionError(f"cut={self.cut!r}: give a share above 0, up to 1")
        if not 0 <= self.margin < 1:
            raise OptionError(f"margin={self.margin!r}: give a share, 0 or more, below 1")
        if not self.calm_s >= 0 or not self.sample_s > 0:
            raise OptionError(f"calm_s={self.calm_s!r}, sample_s={self.sample_s!r}: need calm_s >= 0, sample_s > 0")


@dataclass(frozen=True, slots=True)
class Sample:
    """How loaded the machine is: shares of its CPU time and memory in use, 0 to 1."""

    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Gauge:
    """One level.

    Attributes:
        level: How many steps are reached, or were and are not yet forgotten.
        calm_since: Since when samples have been below the step by the margin; `None`: the last one was not.
    """

    level: int = 0
    calm_since: float | None = None


@dataclass(frozen=True, slots=True)
class Damping:
    """The levels of CPU time and memory."""

    cpu: Gauge = Gauge()
    memory: Gauge = Gauge()

    @property
    def level(self) -> int:
        """Both together; 0: nothing is cut."""
        return self.cpu.level + self.memory.level


NO_DAMPING: Final = Damping()


def sampled(damper: Damper, damping: Damping, sample: Sample, now: float) -> Damping:
    """The levels after one more sample.

    >>> damper = Damper(calm_s=2.0)
    >>> damping, levels = NO_DAMPING, []
    >>> for now, cpu in enumerate((0.5, 0.95, 0.86, 0.7, 0.7, 0.7, 0.7, 0.7)):
    ...     damping = sampled(damper, damping, Sample(cpu, 0.3), float(now))
    ...     levels.append(damping.level)
    >>> levels
    [0, 2, 2, 2, 2, 1, 1, 0]
    """
    return Damping(
        _moved(damper, damper.cpu, damping.cpu, sample.cpu, now),
        _moved(damper, damper.memory, damping.memory, sample.memory, now),
    )


def factor(damper: Damper, damping: Damping) -> float:
    """What share of each limit is left.

    >>> factor(Damper(), NO_DAMPING), factor(Damper(), Damping(Gauge(2), Gauge(1)))
    (1.0, 0.7)
    """
    return max(LEAST_FACTOR, round(1.0 - damper.cut * damping.level, 9))


def _moved(damper: Damper, steps: tuple[float, ...], gauge: Gauge, value: float, now: float) -> Gauge:
    reached = sum(1 for step in steps if value >= step)
    if reached >= gauge.level:
        return Gauge(reached)
    if not _calm(damper, steps, gauge.level, value):
        return Gauge(gauge.level)
    since = now if gauge.calm_since is None else gauge.calm_since
    if now - since < damper.calm_s:
        return Gauge(gauge.level, since)
    return Gauge(gauge.level - 1, now if _calm(damper, steps, gauge.level - 1, value) else None)


def _calm(damper: Damper, steps: tuple[float, ...], level: int, value: float) -> bool:
    """Whether a sample is so far below a level that it could fall."""
    return level > 0 and value < steps[level - 1] - damper.margin
