"""How long requests take: distributions by mean and coefficient of variation."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isfinite, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Protocol

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from random import Random


class Service(Protocol):
    """A distribution of service times."""

    @property
    def mean_s(self) -> float:
        """Its mean, seconds."""
        ...

    @property
    def cv(self) -> float:
        """Its coefficient of variation."""
        ...

    def quantile(self, share: float) -> float:
        """The time that a share (above 0, below 1) of the requests does not exceed, seconds."""
        ...

    def draw(self, chance: Random) -> float:
        """One service time, seconds."""
        ...


def _positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise UsageError(f"{name}={value!r}: give a finite number above 0")


@dataclass(frozen=True, slots=True)
class Constant:
    """Every request takes the same time.

    Attributes:
        mean_s: That time, seconds.
    """

    mean_s: float

    def __post_init__(self) -> None:
        _positive("mean_s", self.mean_s)

    @property
    def cv(self) -> float:
        """Its coefficient of variation."""
        return 0.0

    def quantile(self, share: float) -> float:
        """The time that a share of the requests does not exceed, seconds."""
        return self.mean_s

    def draw(self, chance: Random) -> float:
        """One service time, seconds."""
        return self.mean_s


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless times: coefficient of variation 1.

    Attributes:
        mean_s: Their mean, seconds.
    """

    mean_s: float

    def __post_init__(self) -> None:
        _positive("mean_s", self.mean_s)

    @property
    def cv(self) -> float:
        """Its coefficient of variation."""
        return 1.0

    def quantile(self, share: float) -> float:
        """The time that a share of the requests does not exceed, seconds."""
        return -self.mean_s * log(1 - share)

    def draw(self, chance: Random) -> float:
        """One service time, seconds."""
        return chance.expovariate(1 / self.mean_s)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Lognormal times, as handlers' mostly are; with a large `cv` a heavy tail.

    Attributes:
        mean_s: Their mean, seconds.
        cv: Their coefficient of variation.
    """

    mean_s: float
    cv: float

    def __post_init__(self) -> None:
        _positive("mean_s", self.mean_s)
        _positive("cv", self.cv)

    def quantile(self, share: float) -> float:
        """The time that a share of the requests does not exceed, seconds."""
        variance = log(1 + self.cv * self.cv)
        return exp(NormalDist(log(self.mean_s) - variance / 2, sqrt(variance)).inv_cdf(share))

    def draw(self, chance: Random) -> float:
        """One service time, seconds."""
        variance = log(1 + self.cv * self.cv)
        return chance.lognormvariate(log(self.mean_s) - variance / 2, sqrt(variance))


@dataclass(frozen=True, slots=True)
class Pareto:
    """Times with a power-law tail; at `shape` 2 or below their variance is infinite.

    Attributes:
        mean_s: Their mean, seconds.
        shape: Exponent of the tail, above 1. Default 2.5.
    """

    mean_s: float
    shape: float = 2.5

    def __post_init__(self) -> None:
        _positive("mean_s", self.mean_s)
        if not (isfinite(self.shape) and self.shape > 1):
            raise UsageError(f"shape={self.shape!r}: give a finite number above 1, or there is no mean")

    @property
    def cv(self) -> float:
        """Its coefficient of variation; infinite at `shape` 2 or below."""
        return inf if self.shape <= 2 else 1 / sqrt(self.shape * (self.shape - 2))

    def quantile(self, share: float) -> float:
        """The time that a share of the requests does not exceed, seconds."""
        return self.mean_s * (self.shape - 1) / self.shape * exp(-log(1 - share) / self.shape)

    def draw(self, chance: Random) -> float:
        """One service time, seconds."""
        return self.mean_s * (self.shape - 1) / self.shape * chance.paretovariate(self.shape)
