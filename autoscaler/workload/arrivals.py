"""Traces drawn at random from a shape of load and a distribution of service times."""

from __future__ import annotations

from math import isfinite
from random import Random
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

from .trace import MOST_REQUESTS, MOST_STEPS, Trace

if TYPE_CHECKING:
    from .rates import Rate
    from .service import Service


def poisson_times(rate: Rate, duration_s: float, chance: Random, step_s: float = 1.0) -> list[float]:
    """A Poisson process whose rate is constant within each step.

    Args:
        rate: Requests per second at a time.
        duration_s: How long.
        chance: Where the randomness comes from.
        step_s: The rate is looked up in the middle of each such step. Default 1.

    Raises:
        UsageError: A rate is negative or not finite, or there are more requests than a trace holds.
    """
    times: list[float] = []
    need = chance.expovariate(1.0)
    steps = -int(-duration_s // step_s)
    if steps > MOST_STEPS:
        raise UsageError(
            f"duration_s={duration_s:g} is more than {MOST_STEPS:,} steps of {step_s:g} s: make it shorter"
        )
    expected = 0.0
    for step in range(steps):
        begin = step * step_s
        end = min(begin + step_s, duration_s)
        per_s = rate((begin + end) / 2)
        if not (isfinite(per_s) and per_s >= 0):
            raise UsageError(f"the rate at {begin:g} s is {per_s!r}: give a finite number, 0 or more")
        mass = per_s * (end - begin)
        expected += mass
        if expected > MOST_REQUESTS:
            raise UsageError(
                f"{expected:.3g} requests are more than the {MOST_REQUESTS:,} that a trace holds, and only "
                f"{end:g} s of {duration_s:g} s are drawn: make it shorter, or its rate lower"
            )
        used = 0.0
        while used + need < mass:
            used += need
            times.append(min(begin + used / per_s, end))
            need = chance.expovariate(1.0)
        need -= mass - used
    return [at for at in times if at < duration_s]


def draw(
    name: str, rate: Rate, service: Service, duration_s: float, seed: int, *, onset_s: float | None = None
) -> Trace:
    """A trace with Poisson arrivals.

    Args:
        name: What to call it.
        rate: Requests per second at a time.
        service: How long they take.
        duration_s: How long it is, seconds.
        seed: The same seed gives the same trace.
        onset_s: When its crowd begins, if it has one.

    Raises:
        UsageError: Nothing came at all, or a value is not possible.

    >>> from raybeam.autoscaler.workload import Constant, Steady, draw
    >>> trace = draw("steady", Steady(5.0), Constant(0.2), 100.0, seed=1)
    >>> round(trace.rate_per_s), round(trace.offered)
    (5, 1)
    """
    if not (isfinite(duration_s) and duration_s > 0):
        raise UsageError(f"duration_s={duration_s!r}: give a finite number above 0")
    chance = Random(f"{name} {seed}")
    times = poisson_times(rate, duration_s, chance)
    sizes = [service.draw(chance) for _ in times]
    return Trace(name, times, sizes, duration_s, onset_s)
