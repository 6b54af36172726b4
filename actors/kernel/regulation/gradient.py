"""An adaptive concurrency limit: Gradient2 of Netflix's concurrency-limits.

The limit follows the ratio of the long-term to the short-term time that calls take. While the ratio is 1 nothing
queues, and the limit grows; when calls take longer than they used to, it shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ...errors import OptionError
from ..options import check_numbers

WARM_UP: Final = 10  # windows whose plain mean the long-term average begins with
LEAST_GRADIENT: Final = 0.5
STALE: Final = 2.0  # the long-term time is this many times the short-term one: it is of worse times
RECOVERY: Final = 0.95


@dataclass(frozen=True, slots=True)
class Gradient:
    """How the limit is found.

    Attributes:
        initial: The first limit. Default 20.
        least: The smallest limit. Default 1.
        most: The largest limit. Default 1000.
        tolerance: By what factor calls may take longer before the limit shrinks. Default 1.5.
        room: Calls that may queue beyond the limit: what it grows by. Default 4.
        smoothing: Share of each step that is taken at once, above 0 to 1. Default 0.2.
        long_windows: Windows that the long-term time is averaged over. Default 600.
        window_s: Seconds that calls are averaged over into one short-term time. Default 1.
        window_calls: The least number of calls in a window; one with fewer goes on. Default 10.
    """

    initial: int = 20
    least: int = 1
    most: int = 1000
    tolerance: float = 1.5
    room: int = 4
    smoothing: float = 0.2
    long_windows: int = 600
    window_s: float = 1.0
    window_calls: int = 10

    def __post_init__(self) -> None:
        check_numbers(
            self,
            "initial",
            "least",
            "most",
            "tolerance",
            "room",
            "smoothing",
            "long_windows",
            "window_s",
            "window_calls",
        )
        if not 1 <= self.least <= self.initial <= self.most:
            raise OptionError(
                f"least={self.least!r}, initial={self.initial!r}, most={self.most!r}: "
                "need 1 <= least <= initial <= most"
            )
        if not self.tolerance >= 1:
            raise OptionError(f"tolerance={self.tolerance!r}: give 1 or more, or the limit would always shrink")
        if not 0 < self.smoothing <= 1:
            raise OptionError(f"smoothing={self.smoothing!r}: give a share above 0, up to 1")
        if self.room < 1 or self.long_windows < WARM_UP or not self.window_s > 0 or self.window_calls < 1:
            raise OptionError(
                f"room={self.room!r}, long_windows={self.long_windows!r}, window_s={self.window_s!r}, "
                f"window_calls={self.window_calls!r}: need room >= 1, long_windows >= {WARM_UP}, window_s > 0, "
                "window_calls >= 1"
            )


class Estimate(NamedTuple):
    """The limit, and what it is found from.

    Attributes:
        limit: The limit; its whole part counts.
        long_s: The long-term time of a call, seconds.
        windows: Windows averaged into it, up to the warm-up.
        began_at: When the window under way began; `None` before the first call.
        calls: Calls in it.
        total_s: What they took together.
        in_flight: The most calls that were worked on at once in it.
    """

    limit: float
    long_s: float = 0.0
    windows: int = 0
    began_at: float | None = None
    calls: int = 0
    total_s: float = 0.0
    in_flight: int = 0


def observed(gradient: Gradient, estimate: Estimate, took_s: float, in_flight: int, now: float) -> Estimate:
    """A call is done; the limit changes at the end of a window.

    Args:
        gradient: How the limit is found.
        estimate: Before.
        took_s: What the call took, seconds.
        in_flight: Calls that were worked on when it began, itself included.
        now: The time.

    >>> gradient = Gradient(initial=20, window_s=1.0, window_calls=1)
    >>> estimate = Estimate(20.0)
    >>> for second in range(20):
    ...     estimate = observed(gradient, estimate, 0.1, in_flight=20, now=float(second))
    >>> estimate.limit > 30
    True
    >>> slower = observed(gradient, estimate, 0.5, in_flight=30, now=20.0)
    >>> slower.limit < estimate.limit
    True
    """
    began_at = now if estimate.began_at is None else estimate.began_at
    calls, total_s = estimate.calls + 1, estimate.total_s + took_s
    most = max(estimate.in_flight, in_flight)
    if calls < gradient.window_calls or now - began_at < gradient.window_s:
        return Estimate(estimate.limit, estimate.long_s, estimate.windows, began_at, calls, total_s, most)
    estimate = Estimate(estimate.limit, estimate.long_s, estimate.windows, now)
    return stepped(gradient, estimate, total_s / calls, most)


def stepped(gradient: Gradient, estimate: Estimate, short_s: float, in_flight: int) -> Estimate:
    """The limit after a window in which calls took `short_s` on the average."""
    if short_s <= 0:
        return estimate
    windows = min(estimate.windows + 1, WARM_UP + 1)
    weight = 1 / windows if windows <= WARM_UP else 2 / (gradient.long_windows + 1)
    long_s = estimate.long_s + (short_s - estimate.long_s) * weight
    if long_s > STALE * short_s:
        long_s *= RECOVERY
    estimate = estimate._replace(long_s=long_s, windows=windows)
    if in_flight < estimate.limit / 2:  # the callers do not use it: nothing is learnt about more
        return estimate
    slope = max(LEAST_GRADIENT, min(1.0, gradient.tolerance * long_s / short_s))
    wanted = estimate.limit * slope + gradient.room
    limit = estimate.limit * (1 - gradient.smoothing) + wanted * gradient.smoothing
    return estimate._replace(limit=min(float(gradient.most), max(float(gradient.least), limit)))
