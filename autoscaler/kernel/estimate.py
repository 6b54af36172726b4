"""What a family is offered: how long a request is served, and how many come a second.

Both are told by counts, and counts are noisy: n events say little more than n plus or minus its square root. So a rate
is taken over the longest past that the counts do not contradict (Lepski's rule): long and calm under steady load,
a few seconds right after a change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot, log, sqrt
from typing import TYPE_CHECKING

from .forecast import LEVEL, Trend

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Service time of a request, learned from those that were completed and from those that are not yet.

    Attributes:
        mean_s: Mean seconds; the prior until something is known.
        prior_s: What was assumed before; it weighs as much as a few completions. `None`: `mean_s`.
        cv: Coefficient of variation.
        count: Completions behind it, older ones weighing less.
        total_s: Seconds of service of these.
        exposure_s: Seconds that requests spent in service, whether completed or not.
        square: Sum of the squares of these seconds, as far as the coefficient of variation tells.
    """

    mean_s: float
    cv: float = 1.0
    count: float = 0.0
    total_s: float = 0.0
    exposure_s: float = 0.0
    square: float = 0.0
    prior_s: float | None = None

    def observe(
        self, completions: int, service_s: float | None, cv: float | None, in_flight: int, elapsed_s: float
    ) -> ServiceTime:
        """With what happened since the snapshot before.

        At the start the short requests finish first, so that the mean of the completed is too short. All time spent in
        service over the number of completions is right (the estimate of a censored exponential), so the time
        that those under way have been served already counts too, until there are many more completions than those.

        >>> early = ServiceTime(1.0).observe(2, 0.1, None, 8, 5.0)  # 2 short ones came back, 8 are 5 s under way
        >>> round(early.mean_s, 1)
        6.5
        """
        if completions and not service_s:
            return self  # How long these took was not told.
        keep = 1.0 - min(0.5, completions / MEMORY)
        prior_s = self.mean_s if self.prior_s is None else self.prior_s
        measured = 0.0 if service_s is None else service_s
        spread = self.cv if cv is None else cv
        count = self.count * keep + completions
        total = self.total_s * keep + completions * measured
        exposure = self.exposure_s * keep + max(in_flight * elapsed_s, 0.0)
        square = self.square * keep + completions * measured * measured * (1.0 + spread * spread)
        if completions:
            # Counts of requests in flight are samples: only what the completions leave unexplained is of the others.
            exposure = max(exposure, total)
        if count < 1:
            # Nothing came back yet: a request takes at least as long as those under way have been served.
            served = exposure / in_flight if in_flight else 0.0
            return ServiceTime(max(self.mean_s, served), self.cv, count, total, exposure, square, prior_s)
        under_way = min(exposure - total, in_flight * exposure / count) if count < 20 * in_flight else 0.0
        weight = max(FEW - count / FADES, 0.0)
        mean = max((total + max(under_way, 0.0) + weight * prior_s) / (count + weight), SHORTEST_S)
        variance = max(square / count - (total / count) ** 2, 0.0)
        varied = min(sqrt(variance) * count / total, MOST_CV) if total > 0 and count >= FEW else self.cv
        return ServiceTime(mean, varied, count, total, exposure, square, prior_s)


FEW = 5
"""Completions from which on their variability is believed; before the first one the prior weighs as much."""
FADES = 20.0
"""The prior weighs one completion less for so many that there were: nothing after a hundred."""
SHORTEST_S = 1e-6
"""Service is not taken to be faster."""
MOST_CV = 10.0
"""Variability is not taken to be larger."""
MEMORY = 6000.0
"""Completions over which the service time is averaged: a mean of heavy tails (cv 3) is then right to 4 %."""


@dataclass(frozen=True, slots=True)
class Level:
    """An arrival rate and how well it is known.

    Attributes:
        rate: Arrivals a second.
        error: Standard error of that, from the count behind it.
        window_s: Over how long it was taken.
    """

    rate: float
    error: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Counts of arrivals in slices of time, the latest last.

    Attributes:
        slices: Seconds and arrivals of each.
        slice_s: Seconds that a slice has at least; shorter ones are joined.
        memory_s: How far back slices are kept.
    """

    slices: tuple[tuple[float, float], ...] = ()
    slice_s: float = 1.0
    memory_s: float = 300.0

    def observe(self, arrivals: float, elapsed_s: float) -> Arrivals:
        """With the arrivals since the snapshot before.

        >>> Arrivals().observe(3, 0.5).observe(4, 0.5).slices
        ((1.0, 7),)
        """
        if elapsed_s <= 0:
            return self
        slices = self.slices
        if slices and slices[-1][0] < self.slice_s * 0.999:
            slices = (*slices[:-1], (slices[-1][0] + elapsed_s, slices[-1][1] + arrivals))
        else:
            kept = max(int(self.memory_s / max(self.slice_s, elapsed_s)) - 1, 1)
            slices = (*slices[-kept:], (elapsed_s, arrivals))
        return replace(self, slices=slices)

    def level(self, growth: Trend = LEVEL, false_alarm_s: float = 600.0) -> Level:
        """The rate: that of the longest past, corrected by each shorter one as far as it contradicts.

        A window of n arrivals knows its rate to n's square root. So a shorter window moves the estimate only to the
        edge of what it can tell, and a calm load is averaged over minutes while a change shows after seconds. Once
        there was one, the longest window counts that no shorter one contradicts, if that has moved further.

        Args:
            growth: The trend; past counts are taken as if the rate had been the present one.
            false_alarm_s: How often about chance alone may look like a change, seconds.

        >>> calm = Arrivals(tuple((1.0, 10.0) for _ in range(64)))
        >>> round(calm.level().rate, 2)
        10.0
        >>> risen = Arrivals((*calm.slices, (1.0, 40.0), (1.0, 40.0)))
        >>> 20 < risen.level().rate < 40
        True
        """
        windows: list[tuple[float, float]] = []
        window_s = count = wanted = 0.0
        for slice_s, arrivals in reversed(self.slices):
            window_s += slice_s
            count += arrivals
            if window_s >= wanted:
                windows.append((window_s, count))
                wanted = window_s * 1.5
        if not windows:
            return Level(0.0, 0.0, 0.0)
        if windows[-1][0] < window_s:
            windows.append((window_s, count))
        if growth.slope:
            windows = [(window_s, max(count + growth.missed(window_s), 0.0)) for window_s, count in windows]
        longest_s, count = windows.pop()
        longest = rate = count / longest_s
        decided_s, behind = longest_s, count
        rough = sqrt(self.peakedness())
        doubts = [rough * sqrt(2.0 * log(1.0 + false_alarm_s / window_s)) / 2.0 for window_s, _ in windows]
        roots = [sqrt(count + 0.375) for _, count in windows]
        for number in range(len(windows) - 1, -1, -1):
            window_s, count = windows[number]
            doubt, apart = doubts[number], roots[number] - sqrt(rate * window_s + 0.375)
            if abs(apart) > doubt:
                rate = max((roots[number] - doubt * doubt / apart) ** 2 - 0.375, 0.0) / window_s
                decided_s, behind = window_s, count
        if decided_s < longest_s:
            # Right after a change a window over it drags the estimate; the longest one that no shorter one contradicts
            # does not, but is long when little has come: what has moved further is right.
            window_s, count = windows[_agreed(windows, roots, doubts)]
            if abs(count / window_s - longest) > abs(rate - longest):
                rate, decided_s, behind = count / window_s, window_s, count
        error = hypot(rough * sqrt(behind + 1.0) / decided_s, growth.error * min(decided_s, growth.lasted_s) / 2.0)
        return Level(rate, error, decided_s)

    def peakedness(self) -> float:
        """How much rougher the counts are than Poisson's, as variance over mean; 1 at least.

        From the median step between neighbouring slices, so that a few changes of the rate do not count.

        >>> Arrivals(tuple((1.0, 100.0 + 9.0 * (n % 2)) for n in range(60))).peakedness()
        1.0
        >>> Arrivals(tuple((1.0, 100.0 + 60.0 * (n % 2)) for n in range(60))).peakedness() > 20
        True
        """
        counts = [count for _, count in self.slices[-ROUGHNESS_OVER:]]
        steps = sorted([(a - b) * (a - b) / (a + b) for a, b in pairwise(counts) if a + b])
        if len(steps) < ROUGHNESS_OVER // 4:
            return 1.0
        return max(1.0, steps[len(steps) // 2] / MEDIAN_OF_CHI_SQUARE)


def _agreed(windows: Sequence[tuple[float, float]], roots: Sequence[float], doubts: Sequence[float]) -> int:
    """The longest window whose rate no shorter one contradicts.

    Args:
        windows: Seconds and counts, the shortest first.
        roots: Roots of the counts.
        doubts: How far a root may be off by chance.
    """
    agreed = 0
    for number in range(1, len(windows)):
        rate = windows[number][1] / windows[number][0]
        if any(
            abs(root - sqrt(rate * window_s + 0.375)) > doubt
            for (window_s, _), root, doubt in zip(windows[:number], roots, doubts, strict=False)
        ):
            break
        agreed = number
    return agreed


ROUGHNESS_OVER = 60
"""Slices over which peakedness is taken."""
MEDIAN_OF_CHI_SQUARE = 0.455
"""Of the square of a standard normal."""
