"""Shapes of load: how many requests per second come at which time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite, pi, sin
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

from .trace import MOST_STEPS

if TYPE_CHECKING:
    from random import Random

Rate = Callable[[float], float]
"""Requests per second at a time in seconds."""


class _Shape:
    """Checks that all numbers of a shape are finite and not negative."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]  # every shape is a dataclass
            value = getattr(self, field.name)
            if not (isfinite(value) and value >= 0):
                raise UsageError(f"{type(self).__name__}.{field.name}={value!r}: give a finite number, 0 or more")


@dataclass(frozen=True, slots=True)
class Steady(_Shape):
    """Always the same.

    Attributes:
        per_s: Requests per second.
    """

    per_s: float

    def __call__(self, at_s: float) -> float:
        """Requests per second at a time."""
        return self.per_s


@dataclass(frozen=True, slots=True)
class Diurnal(_Shape):
    """A day: a sine between night and noon, lowest at the beginning.

    Attributes:
        low_per_s: Requests per second at night.
        high_per_s: And at noon.
        period_s: Length of the day. Default: 3600, a day in fast motion.
    """

    low_per_s: float
    high_per_s: float
    period_s: float = 3600.0

    def __call__(self, at_s: float) -> float:
        """Requests per second at a time."""
        height = (1 + sin(2 * pi * at_s / self.period_s - pi / 2)) / 2
        return self.low_per_s + (self.high_per_s - self.low_per_s) * height


@dataclass(frozen=True, slots=True)
class Ramp(_Shape):
    """From one rate to another in a straight line.

    Attributes:
        from_per_s: Requests per second until it begins.
        to_per_s: And from its end on.
        start_s: When it begins.
        length_s: How long it takes; 0: a step.
    """

    from_per_s: float
    to_per_s: float
    start_s: float = 0.0
    length_s: float = 0.0

    def __call__(self, at_s: float) -> float:
        """Requests per second at a time."""
        if at_s < self.start_s:
            return self.from_per_s
        if at_s >= self.start_s + self.length_s:
            return self.to_per_s
        return self.from_per_s + (self.to_per_s - self.from_per_s) * (at_s - self.start_s) / self.length_s


@dataclass(frozen=True, slots=True)
class FlashCrowd(_Shape):
    """Suddenly many, who leave in a while.

    Attributes:
        per_s: Requests per second in calm times.
        times: The crowd is so many times that. Default 10.
        start_s: When it comes. Default 600.
        rise_s: In how many seconds. Default 0, at once.
        hold_s: How long it stays. Default 300.
        fall_s: In how many seconds it leaves. Default 60.
    """

    per_s: float
    times: float = 10.0
    start_s: float = 600.0
    rise_s: float = 0.0
    hold_s: float = 300.0
    fall_s: float = 60.0

    def __call__(self, at_s: float) -> float:
        """Requests per second at a time."""
        since = at_s - self.start_s
        left = since - self.rise_s - self.hold_s
        if since < 0 or left >= self.fall_s:
            share = 0.0
        elif since < self.rise_s:
            share = since / self.rise_s
        else:
            share = 1.0 if left < 0 else 1 - left / self.fall_s
        return self.per_s * (1 + (self.times - 1) * share)


@dataclass(frozen=True, slots=True)
class Spikes(_Shape):
    """Short crowds that come back, as at each full hour.

    Attributes:
        per_s: Requests per second between them.
        times: A spike is so many times that. Default 8.
        every_s: Seconds from one to the next; the first comes after so many. Default 300.
        length_s: How long each is. Default 20.
    """

    per_s: float
    times: float = 8.0
    every_s: float = 300.0
    length_s: float = 20.0

    def __call__(self, at_s: float) -> float:
        """Requests per second at a time."""
        in_spike = at_s >= self.every_s and at_s % self.every_s < self.length_s
        return self.per_s * (self.times if in_spike else 1.0)


def on_off(low_per_s: float, high_per_s: float, off_s: float, on_s: float, duration_s: float, chance: Random) -> Rate:
    """Bursts at random: a Markov-modulated Poisson process with two states.

    Args:
        low_per_s: Requests per second while it is off.
        high_per_s: And while it is on.
        off_s: Mean seconds of being off, exponential.
        on_s: And of being on.
        duration_s: So much is drawn.
        chance: Where the randomness comes from.
    """
    for name, value in (("off_s", off_s), ("on_s", on_s), ("duration_s", duration_s)):
        if not (isfinite(value) and value > 0):
            raise UsageError(f"{name}={value!r}: give a finite number above 0")
    if duration_s > MOST_STEPS * (off_s + on_s):
        raise UsageError(f"off_s={off_s!r}, on_s={on_s!r}: that is too often for {duration_s:g} s")
    for name, value in (("low_per_s", low_per_s), ("high_per_s", high_per_s)):
        if not (isfinite(value) and value >= 0):
            raise UsageError(f"{name}={value!r}: give a finite number, 0 or more")
    switches: list[float] = []
    at, on = 0.0, False
    while at < duration_s:
        at += chance.expovariate(1 / (on_s if on else off_s))
        switches.append(at)
        on = not on
    return lambda at_s: high_per_s if bisect_right(switches, at_s) % 2 else low_per_s
