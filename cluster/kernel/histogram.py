"""Waiting times as a histogram of fixed exponential buckets: small, mergeable, percentiles within 5 %."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

_FIRST_S: Final = 1e-5
_GROWTH: Final = 1.1
_COUNT: Final = 180
BOUNDS_S: Final = tuple(_FIRST_S * _GROWTH**index for index in range(_COUNT))
"""Upper bounds of the buckets in seconds: from 10 us to about 250 s."""
_MIDDLES_S: Final = tuple(bound / _GROWTH**0.5 for bound in (*BOUNDS_S, BOUNDS_S[-1] * _GROWTH))


@dataclass(slots=True)
class Histogram:
    """Counts of durations per bucket. Not frozen: it is counted into on every call.

    >>> histogram = Histogram()
    >>> for wait_s in (0.001, 0.002, 0.1):
    ...     histogram.add(wait_s)
    >>> round(histogram.quantile(0.5), 4), histogram.total
    (0.0021, 3)
    """

    counts: list[int] = field(default_factory=lambda: [0] * (_COUNT + 1))
    total: int = 0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total += 1

    def merge(self, other: Histogram) -> None:
        """Count all of another histogram's durations too."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def since(self, earlier: Histogram) -> Histogram:
        """What was counted after `earlier`, a copy of this one's past."""
        counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=True)]
        return Histogram(counts, self.total - earlier.total)

    def copy(self) -> Histogram:
        """A copy that goes on counting apart."""
        return Histogram(list(self.counts), self.total)

    def sample(self, most: int) -> list[float]:
        """At most so many durations, in ascending order, that are spread as those counted are.

        >>> histogram = Histogram()
        >>> for wait_s in (0.001, 0.002, 0.002, 0.1):
        ...     histogram.add(wait_s)
        >>> [round(wait_s, 4) for wait_s in histogram.sample(10)], [round(wait_s, 4) for wait_s in histogram.sample(2)]
        ([0.001, 0.002, 0.002, 0.0987], [0.002, 0.0987])
        """
        durations: list[float] = []
        wanted, seen = 0, 0
        most = min(most, self.total)
        for value, count in zip(_MIDDLES_S, self.counts, strict=True):
            seen += count
            while wanted < most and (wanted + 0.5) * self.total < seen * most:
                durations.append(value)
                wanted += 1
        return durations

    def quantile(self, share: float) -> float:
        """The duration in seconds that `share` (0 to 1) of all do not exceed; 0 when there are none."""
        if self.total == 0:
            return 0.0
        rank = max(1, -(-int(share * self.total * 1_000_000) // 1_000_000))
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return BOUNDS_S[min(index, _COUNT - 1)]
        return BOUNDS_S[-1]
