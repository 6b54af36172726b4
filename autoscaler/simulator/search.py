"""A search among parameters: many tried a little, the better ones tried more; and whether the best is really better."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, isfinite, log, sqrt
from random import Random
from statistics import mean, stdev
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEPT = 1 / 3
"""So large a part of the candidates goes on to the next rung."""
SURE = 2.0
"""A difference counts from so many standard errors on."""

Point = tuple[tuple[str, float], ...]
"""Values of parameters by their names; empty: the default."""


@dataclass(frozen=True, slots=True)
class Range:
    """What values a parameter may have.

    Attributes:
        name: Of the parameter.
        low: The smallest.
        high: The largest.
        whole: Whether it is a whole number. Default: no.

    Raises:
        UsageError: A bound is not finite, or the smallest is not below the largest.
    """

    name: str
    low: float
    high: float
    whole: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise UsageError(
                f"{self.name}: from {self.low!r} to {self.high!r}: give two finite numbers, the lower first"
            )

    def at(self, share: float) -> float:
        """The value at a share of the way, by ratios where all values are above 0.

        >>> round(Range("wait_s", 0.1, 10.0).at(0.5), 6), Range("replicas", 0, 9, whole=True).at(0.5)
        (1.0, 4)
        """
        if self.low > 0:
            value = exp(log(self.low) + share * (log(self.high) - log(self.low)))
        else:
            value = self.low + share * (self.high - self.low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(f"{value:.4g}")


def candidates(ranges: Sequence[Range], number: int, seed: int) -> list[Point]:
    """Points that cover the ranges evenly: in each of `number` slices of each range there is one (a Latin hypercube).

    >>> sorted(point[0][1] for point in candidates([Range("n", 0, 3, whole=True)], 2, seed=1))
    [1, 2]
    """
    chance = Random(f"candidates {seed}")
    columns = []
    for each in ranges:
        shares = [(place + chance.random()) / number for place in range(number)]
        chance.shuffle(shares)
        columns.append([each.at(share) for share in shares])
    names = [each.name for each in ranges]
    points = [tuple(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    return list(dict.fromkeys(points))


def rungs(number: int, seeds: int) -> list[tuple[int, range]]:
    """How many candidates are tried on which seeds, rung by rung: seeds double, and a third of the candidates goes on.

    >>> rungs(27, 4)
    [(27, range(0, 1)), (9, range(1, 2)), (3, range(2, 4))]
    """
    steps = [(number, range(1))]
    while steps[-1][1].stop < seeds:
        begin = steps[-1][1].stop
        steps.append((max(1, ceil(steps[-1][0] * KEPT)), range(begin, min(2 * begin, seeds))))
    return steps


def best_of(scores: Mapping[Point, Sequence[float]], number: int) -> list[Point]:
    """The points with the least mean score, the best first."""
    return sorted(scores, key=lambda point: mean(scores[point]))[:number]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one is better than another where neither was chosen.

    Attributes:
        gain: By how much its score is lower, on average.
        noise: A gain up to this may be luck.
    """

    gain: float
    noise: float

    @property
    def better(self) -> bool:
        """Whether it is."""
        return self.gain > self.noise


def compared(default: Sequence[float], tuned: Sequence[float]) -> Verdict:
    """The verdict over the same seeds, pair by pair.

    >>> compared([2.0, 3.0], [1.0, 2.0]), compared([2.0, 3.0], [2.5, 1.5]).better
    (Verdict(gain=1.0, noise=0.0), False)
    """
    gains = [one - other for one, other in zip(default, tuned, strict=True)]
    if len(gains) < 2:
        raise UsageError("one seed tells nothing about noise: give at least two")
    return Verdict(mean(gains), SURE * stdev(gains) / sqrt(len(gains)))
