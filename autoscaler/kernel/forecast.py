"""Where the load is going: its trend over the lead time, and what comes back after a period.

A trend is a line, or a level and then a line, that explains the counts better than any single step from one level to
another: while both are as likely, growth that was there is a fact and growth that may come is none. It is believed
ahead as long as it has lasted. (Choosing between a jump and a bend by likelihood: Basseville and Nikiforov, *Detection
of Abrupt Changes*, 1993.)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .estimate import Arrivals

SHORTEST = 8
"""Slices of the shortest past that is looked at."""
FALSE_ALARM_S = 3600.0
"""How often about chance alone may look like a trend over each length of the past, seconds."""
CLEARER = 2.0
"""By how much more, in squared standard errors, a line must explain than a step: odds of e."""
STEPS = 16
"""Places of a step that are tried; then those around the best of them."""


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


def confirmed(latest: Trend, before: Trend) -> Trend:
    """Growth that was there at the snapshot before too, as far as both have it; a fall counts at once.

    >>> confirmed(Trend(0.5, 20.0), LEVEL), confirmed(Trend(0.5, 20.0), Trend(0.4, 19.0)).slope
    (Trend(slope=0.0, lasted_s=0.0, error=0.0), 0.4)
    """
    if latest.slope <= 0:
        return latest
    return min(latest, before, key=lambda growth: growth.slope) if before.slope > 0 else LEVEL


def trend(arrivals: Arrivals) -> Trend:
    """The trend in slices of arrivals, which may differ in length; smaller than the line's as far as it is not sure.

    >>> from raybeam.autoscaler.kernel.estimate import Arrivals
    >>> ramp = Arrivals(tuple((1.0, 50.0 + 2.0 * second) for second in range(60)))
    >>> 1.6 < trend(ramp).slope < 2.0
    True
    >>> trend(Arrivals(((1.0, 10.0),) * 40 + ((1.0, 90.0),) * 10)).slope
    0.0
    """
    slices = arrivals.slices
    if len(slices) < SHORTEST:
        return LEVEL
    # Sums over the latest n slices: seconds, arrivals, and both times their age and the square of it.
    seconds, counts, aged, ages, squares = [0.0], [0.0], [0.0], [0.0], [0.0]
    for slice_s, arrived in reversed(slices):
        age_s = seconds[-1] + slice_s / 2.0
        seconds.append(seconds[-1] + slice_s)
        counts.append(counts[-1] + arrived)
        aged.append(aged[-1] + arrived * age_s)
        ages.append(ages[-1] + slice_s * age_s)
        squares.append(squares[-1] + slice_s * age_s * age_s)
    peaked = arrivals.peakedness()
    found, most, n = LEVEL, 0.0, SHORTEST
    while n <= len(slices):
        mean = counts[n] / seconds[n]
        noise = peaked * max(mean, 1.0 / seconds[n])
        for grown in (n // 2, n):
            # The line is at 0 up to so long ago, and then rises by 1 a second.
            lasted_s = seconds[grown]
            heights = lasted_s * seconds[grown] - ages[grown]
            spread = lasted_s * (lasted_s * seconds[grown] - 2.0 * ages[grown]) + squares[grown]
            spread -= heights * heights / seconds[n]
            slope = (lasted_s * counts[grown] - aged[grown] - heights * mean) / spread
            line = slope * slope * spread / noise
            clear = line > max(most, 2.0 * log(1.0 + FALSE_ALARM_S / lasted_s))
            if clear and line > _step(seconds, counts, n) / noise + CLEARER:
                most = line
                found = Trend(slope * (1.0 - 1.0 / line), lasted_s, sqrt(noise / spread))
        n = n * 5 // 4 + 1
    return found


def _step(seconds: Sequence[float], counts: Sequence[float], n: int) -> float:
    """The sum of squares that about the best step explains, of the rates in the latest n slices.

    Args:
        seconds: Sums of the latest 0, 1, 2 ... slices' seconds.
        counts: And of their counts.
        n: How many slices.
    """
    mean = counts[n] / seconds[n]

    def explained(m: int) -> float:
        apart = counts[m] - seconds[m] * mean
        return apart * apart * seconds[n] / (seconds[m] * (seconds[n] - seconds[m]))

    stride = max(n // STEPS, 1)
    near = max(range(stride, n, stride), key=explained)
    return max(map(explained, range(max(near - stride + 1, 1), min(near + stride, n))))


LONGEST = 360
"""Periods are looked for up to so many steps of the history."""
FORGET = 0.998
"""Weight that a step of the history keeps at the next one."""
SEEN = 2.0
"""A period must have been seen so many times."""
CLEARLY = 0.5
"""A period counts if the value a period before is off by less than this part of what the latest one is."""


@dataclass(frozen=True, slots=True)
class Season:
    """After how many steps the past resembles the present.

    Attributes:
        unlike: Sum of the differences to the value 1, 2, 3 ... steps before, older ones weighing less.
        steps: How many values there were.
    """

    unlike: tuple[float, ...] = ()
    steps: int = 0

    def observe(self, history: Sequence[float]) -> Season:
        """With the latest value, which is the last of the history."""
        latest, before = history[-1], history[-2 : -2 - min(self.steps, LONGEST) : -1]
        known = self.unlike + (0.0,) * (len(before) - len(self.unlike))
        unlike = tuple([FORGET * sum_ + abs(latest - value) for sum_, value in zip(known, before, strict=False)])
        return Season(unlike, self.steps + 1)

    def period(self, length: int, lead: int) -> int:
        """The period in steps, for a history of some length; 0: there is none.

        There is one if the value a period before tells clearly more than the one a lead time before.

        >>> season, history = Season(), [0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] * 6
        >>> for n in range(1, len(history) + 1):
        ...     season = season.observe(history[:n])
        >>> season.period(len(history), 2)
        12
        """
        # A lag of k steps has been compared steps - k times.
        most = min(int((min(length, self.steps) - 1) / SEEN), len(self.unlike))
        mean = [
            sum_ * (1 - FORGET) / (1 - FORGET ** (self.steps - lag))
            for lag, sum_ in enumerate(self.unlike[:most], start=1)
        ]
        lags = range(max(lead + 1, 3), most)
        lows = [lag for lag in lags if mean[lag - 1] <= min(mean[lag - 2], mean[lag])]
        best = min(lows, key=lambda lag: mean[lag - 1], default=0)
        return best if best and mean[best - 1] < CLEARLY * mean[lead - 1] else 0
