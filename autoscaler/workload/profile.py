"""What a trace asks for, in a few numbers: its rates, and how long its requests take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, sqrt
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from .service import Service
    from .trace import Trace

POINTS = 2000
"""So many service times, equally likely, stand for their distribution."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second, counted in windows.

    Attributes:
        mean: Over all of it.
        p50: Half of the windows have no more.
        p95: 95 of 100 have no more.
        p99: 99 of 100 have no more.
        peak: None has more.
    """

    mean: float
    p50: float
    p95: float
    p99: float
    peak: float


@dataclass(frozen=True, slots=True)
class Times:
    """How long requests take.

    Attributes:
        mean_s: On average, seconds.
        cv: Coefficient of variation.
        sizes: Times that are equally likely, seconds, the shortest first.
    """

    mean_s: float
    cv: float
    sizes: tuple[float, ...]


def rates_of(trace: Trace, window_s: float = 60.0) -> Rates:
    """The rates of a trace.

    Args:
        trace: The trace.
        window_s: Requests are counted in windows of so many seconds. A last one shorter than half is left out.

    Raises:
        UsageError: There is one request only, or the windows are too short or too many.

    >>> from raybeam.autoscaler.workload import Trace
    >>> rates = rates_of(Trace("two", [1.0, 2.0, 65.0], [0.1] * 3, 120.0))
    >>> rates.mean, round(rates.peak, 4)
    (0.025, 0.0333)
    """
    if not (isfinite(window_s) and window_s > 0):
        raise UsageError(f"window_s={window_s!r}: give a finite number above 0")
    if len(trace.times) < 2:
        raise UsageError(f"trace {trace.name!r} has one request only: that tells no rate; give it as load=NUMBER/s")
    number = max(1, int(trace.duration_s / window_s + 0.5))
    if number > 10 * len(trace.times) + 100_000:
        raise UsageError(
            f"window_s={window_s!r} makes {number:,} windows of {len(trace.times)} requests: make it longer"
        )
    counts = [0] * (number + 1)
    for at in trace.times:
        counts[min(number, int(at / window_s))] += 1
    counts.pop()
    length_s = [min(window_s, trace.duration_s - place * window_s) for place in range(number)]
    ordered = sorted(count / length for count, length in zip(counts, length_s, strict=True))
    p50, p95, p99 = (ordered[ceil(share * number) - 1] for share in (0.5, 0.95, 0.99))
    return Rates(trace.rate_per_s, p50, p95, p99, ordered[-1])


def times_of(service: Service | Sequence[float]) -> Times:
    """Service times, from a distribution or as measured.

    Raises:
        UsageError: Requests take no time at all, or the variance is infinite.

    >>> times_of([1.0, 3.0])
    Times(mean_s=2.0, cv=0.5, sizes=(1.0, 3.0))
    """
    shares = [(point + 0.5) / POINTS for point in range(POINTS)]
    if not isinstance(service, Sequence):
        if not isfinite(service.cv):
            raise UsageError(
                f"{service}: the variance of these times is infinite, so no formula tells the waits; "
                "play it: raybeam simulate"
            )
        return Times(service.mean_s, service.cv, tuple(service.quantile(share) for share in shares))
    ordered = sorted(service)
    mean = sum(ordered) / len(ordered)
    if mean <= 0:
        raise UsageError("all requests of the trace take 0 s: there is nothing to plan for")
    cv = sqrt(sum((size - mean) ** 2 for size in ordered) / len(ordered)) / mean
    sizes = ordered if len(ordered) <= POINTS else [ordered[int(share * len(ordered))] for share in shares]
    return Times(mean, cv, tuple(sizes))
