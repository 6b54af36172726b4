"""Where the load is going: its trend over the lead time, and bursts that come back after a period.

A trend is taken over four equal parts of the past, at several lengths, and is the smallest of the three changes
between them (the minmod limiter of numerical fluid dynamics): a step lies within one part and changes at most two of
the three, so it has no trend, while a ramp changes all. If the three differ by no more than chance, it is their mean,
for the smallest of three equal ones is too small. It is believed ahead as long as it has lasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .estimate import Arrivals

SHORTEST = 4
"""Slices of a part of the shortest past that is looked at."""
FALSE_ALARM_S = 3600.0
"""How often about chance alone may look like a trend over each length of the past, seconds."""
STRAIGHT = 2.0 * sqrt(3.0)
"""Changes that differ by no more standard errors are those of a straight line: two of their difference."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How a rate changes.

    Attributes:
        slope: Arrivals a second, per second.
        lasted_s: For how long it has.
        error: Standard error of the slope.
    """

    slope: float = 0.0
    lasted_s: float = 0.0
    error: float = 0.0

    def ahead(self, lead_s: float) -> float:
        """By how much the rate will have grown after a time; 0 when it falls: scale in on facts, not on forecasts.

        >>> Trend(0.5, 20.0).ahead(10.0), Trend(0.5, 20.0).ahead(100.0), Trend(-0.5, 20.0).ahead(10.0)
        (5.0, 10.0, 0.0)
        """
        return max(self.slope, 0.0) * min(max(lead_s, 0.0), self.lasted_s)

    def missed(self, window_s: float) -> float:
        """How many arrivals a window would have had more, had the rate been the present one all the time.

        >>> Trend(0.5, 20.0).missed(10.0), Trend(0.5, 20.0).missed(40.0)
        (25.0, 300.0)
        """
        within = min(window_s, self.lasted_s)
        return self.slope * (within * within / 2.0 + within * (window_s - within))


LEVEL = Trend()
"""No trend."""


def trend(arrivals: Arrivals) -> Trend:
    """The trend in slices of arrivals.

    >>> from raybeam.autoscaler.kernel.estimate import Arrivals
    >>> ramp = Arrivals(tuple((1.0, 50.0 + 2.0 * second) for second in range(60)))
    >>> 1.6 < trend(ramp).slope < 2.0
    True
    >>> trend(Arrivals(((1.0, 10.0),) * 40 + ((1.0, 90.0),) * 10)).slope
    0.0
    """
    marks: list[tuple[float, float]] = []
    window_s = count = 0.0
    for slice_s, number in reversed(arrivals.slices):
        window_s += slice_s
        count += number
        marks.append((window_s, count))
    rough = sqrt(arrivals.peakedness())
    found, strongest, part = LEVEL, 1.0, SHORTEST
    while 4 * part <= len(marks):
        ends = [(0.0, 0.0), *(marks[k * part - 1] for k in (1, 2, 3, 4))]
        rates = [(b - a) / (b_s - a_s) for (a_s, a), (b_s, b) in pairwise(ends)]
        changes = [late - early for late, early in pairwise(rates)]
        error = rough * sqrt(ends[1][1] + ends[4][1] - ends[3][1] + 1.0) / ends[1][0]
        lasted_s = ends[4][0]
        # How much larger the whole change is than chance's once in a while.
        sure = abs(rates[0] - rates[3]) / (error * sqrt(2.0 * log(1.0 + FALSE_ALARM_S / lasted_s)))
        if sure > strongest and (min(changes) > 0 or max(changes) < 0):
            strongest = sure
            straight = max(changes) - min(changes) <= STRAIGHT * error
            change = (rates[0] - rates[3]) / 3 if straight else min(changes, key=abs)
            found = Trend(change * 4 / lasted_s * (1 - 1 / sure**2), lasted_s, error * 4 / 3 / lasted_s)
        part = part * 3 // 2 + 1
    return found


LONGEST = 360
"""Periods are looked for up to so many steps of the history."""
FORGET = 0.998
"""Weight that a step of the history keeps at the next one."""


@dataclass(frozen=True, slots=True)
class Season:
    """After how many steps the past resembles the present.

    Attributes:
        unlike: Sum of the differences to the value 1, 2, 3 ... steps before, older ones weighing less.
    """

    unlike: tuple[float, ...] = ()

    def observe(self, history: Sequence[float]) -> Season:
        """With the latest value, which is the last of the history."""
        latest, before = history[-1], history[-2 : -2 - LONGEST : -1]
        known = self.unlike + (0.0,) * (len(before) - len(self.unlike))
        return Season(tuple([FORGET * sum_ + abs(latest - value) for sum_, value in zip(known, before, strict=False)]))

    def periods(self, length: int, shortest: int = 9) -> tuple[int, int]:
        """The two most likely periods in steps, for a history of some length; 0: there is none.

        >>> season, history = Season(), [0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] * 6
        >>> for n in range(2, len(history) + 1):
        ...     season = season.observe(history[:n])
        >>> season.periods(len(history))[0]
        12
        """
        if length < 2 * shortest + 6:
            return (0, 0)
        # A lag of k steps has been compared length - 1 - k times; it must have been for a good part of a period.
        mean = [
            sum_ / ((1 - FORGET ** (length - 1 - k)) / (1 - FORGET)) if length > 1.3 * (k + 1) + 1 else None
            for k, sum_ in enumerate(self.unlike)
        ]
        lows = []
        for k in range(shortest - 1, len(mean) - 1):
            here, left, right = mean[k], mean[k - 1], mean[k + 1]
            if here is not None and left is not None and right is not None and here <= left and here <= right:
                lows.append((here, k + 1))
        lows.sort()
        if not lows:
            return (0, 0)
        first = lows[0][1]
        return first, next((lag for _, lag in lows[1:] if abs(lag - first) > 3), 0)
