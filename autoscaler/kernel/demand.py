"""What a family is to carry, and how well so many servers would carry it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, isfinite, log, sqrt
from statistics import NormalDist
from typing import Literal

from raybeam.actors.errors import OptionError

from .erlang import erlang_c, mean_wait_s, tail

MOST_REPLICAS = 100_000
"""Plans are made up to here."""
MOST_CV = 100.0
"""Of times that vary more no formula tells the waits."""
POINTS = 2000
"""So many service times, equally likely, stand for their distribution."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a family is to carry.

    Attributes:
        rate: Requests a second.
        service_s: Mean seconds that one is served.
        slo_s: Within so many seconds a request is to be answered, or to be begun; see `of`.
        share: So large a share of them is to be. Default 0.99.
        of: What `slo_s` is of: `"answer"`, the wait and the service together, or `"wait"` alone. Default `"answer"`.
        slots: Requests that a replica serves at once. Default 1.
        cv: Coefficient of variation of the service times. Default 1.
        sizes: Service times that are equally likely, seconds. Default: lognormal times of `service_s` and `cv`.
        replica: What one replica needs. Default one CPU.

    Raises:
        OptionError: A number is out of range, or no number of replicas could hold the objective.
    """

    rate: float
    service_s: float
    slo_s: float
    share: float = 0.99
    of: Literal["answer", "wait"] = "answer"
    slots: int = 1
    cv: float = 1.0
    sizes: tuple[float, ...] = ()
    replica: tuple[tuple[str, float], ...] = (("CPU", 1.0),)

    def __post_init__(self) -> None:
        for name in ("rate", "service_s", "slo_s", "cv"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise OptionError(f"{name}={value!r}: give a finite number, 0 or more")
        if self.service_s == 0:
            raise OptionError("service_s=0: give a number above 0")
        if self.cv > MOST_CV:
            raise OptionError(f"cv={self.cv!r}: at most {MOST_CV:g}; of wilder times no formula tells the waits")
        if self.slots < 1:
            raise OptionError(f"slots={self.slots!r}: a replica serves at least one request at once")
        if not 0 < self.share < 1:
            raise OptionError(f"share={self.share!r}: give a share between 0 and 1")
        if self.of not in ("answer", "wait"):
            raise OptionError(f"of={self.of!r}: give 'answer' or 'wait'")
        if self.rate * self.service_s / self.slots > MOST_REPLICAS:
            raise OptionError(
                f"{self.rate:g} requests a second of {self.service_s:g} s keep more than {MOST_REPLICAS:,} replicas "
                "busy: plans are made up to there"
            )
        if self.of == "answer":
            self._check_that_it_can_be_answered()

    def _check_that_it_can_be_answered(self) -> None:
        if self.slo_s <= self.service_s:
            raise OptionError(
                f"an answer within {self.slo_s:g} s is asked for, and a request takes {self.service_s:g} s: no number "
                "of replicas answers sooner than that"
            )
        slow = sum(size >= self.slo_s for size in self.times()) / len(self.times())
        if slow >= 1.0 - self.share:
            raise OptionError(
                f"{100 * slow:.3g} % of the requests take {self.slo_s:g} s or longer by themselves, and only "
                f"{100 * (1 - self.share):.3g} % may: no number of replicas helps; allow more time, or a smaller share"
            )

    def times(self) -> tuple[float, ...]:
        """Service times that are equally likely, seconds."""
        return self.sizes or lognormal(self.service_s, self.cv)

    @property
    def load(self) -> float:
        """Slots that it keeps busy, in erlangs."""
        return self.rate * self.service_s

    def late(self, replicas: int, *, times: float = 1.0, stretch: float = 1.0) -> float:
        """The share of the requests that so many replicas do not serve in time.

        Args:
            replicas: How many there are.
            times: The rate is so many times what it is. Default 1.
            stretch: And so are the service times. Default 1.
        """
        servers, service_s = replicas * self.slots, self.service_s * stretch
        load = self.rate * times * service_s
        if load == 0:
            return 0.0
        if servers <= load:
            return 1.0
        waits, spare = _waits(servers, load), servers - load
        if self.of == "wait":
            return tail(waits, spare, self.slo_s, service_s, self.cv)
        decay = spare / (service_s * (1.0 + self.cv * self.cv) / 2.0)
        late = 0.0
        for size in self.times():
            left_s = self.slo_s - size * stretch
            late += waits * exp(-decay * left_s) if left_s > 0 else 1.0
        return late / len(self.times())

    def holds(self, replicas: int, *, times: float = 1.0, stretch: float = 1.0) -> bool:
        """Whether so many replicas meet the objective."""
        return self.late(replicas, times=times, stretch=stretch) <= 1.0 - self.share

    def least(self, times: float = 1.0) -> int:
        """The fewest replicas that meet the objective.

        Raises:
            OptionError: They are more than plans are made for.

        >>> Demand(rate=50.0, service_s=0.2, slo_s=1.2).least()
        12
        """
        load = self.load * times
        if load == 0:
            return 0
        low = int(load / self.slots)
        step = 1
        while not self.holds(low + step, times=times):
            low += step
            step *= 2
            if low > MOST_REPLICAS:
                raise OptionError(f"more than {MOST_REPLICAS:,} replicas are needed: plans are made up to there")
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            if self.holds(middle, times=times):
                high = middle
            else:
                low = middle
        return high

    def mean_wait_s(self, replicas: int) -> float:
        """The expected wait, seconds; infinite if the queue grows without end."""
        return mean_wait_s(replicas * self.slots, self.load, self.service_s, self.cv)

    def wait_s(self, share: float, replicas: int) -> float:
        """The wait that a share of the requests does not exceed, seconds; infinite if the queue grows without end.

        >>> round(Demand(rate=5.0, service_s=0.1, slo_s=1.0).wait_s(0.99, 1), 3)
        0.782
        """
        servers = replicas * self.slots
        if self.load == 0:
            return 0.0
        if servers <= self.load:
            return inf
        waits = _waits(servers, self.load)
        if waits <= 1.0 - share:
            return 0.0
        return log(waits / (1.0 - share)) * self.service_s * (1.0 + self.cv * self.cv) / 2.0 / (servers - self.load)


def _waits(servers: int, load: float) -> float:
    """`erlang_c`, without the work where nobody waits."""
    return 0.0 if servers > load + 40.0 * sqrt(load) + 50.0 else erlang_c(servers, load)


@lru_cache(maxsize=64)
def lognormal(mean_s: float, cv: float) -> tuple[float, ...]:
    """Lognormal times that are equally likely, seconds; all the same where `cv` is 0."""
    if cv == 0:
        return (mean_s,)
    variance = log(1.0 + cv * cv)
    draw = NormalDist(log(mean_s) - variance / 2.0, sqrt(variance)).inv_cdf
    return tuple(exp(draw((point + 0.5) / POINTS)) for point in range(POINTS))
