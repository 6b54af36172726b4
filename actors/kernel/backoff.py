"""Backoff between restarts: a child that fails again and again is restarted later and later."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError
from .options import check_numbers


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a child is restarted. OTP does not wait.

    Attributes:
        first_delay_s: Seconds before the first restart. Default 0.1.
        factor: Each further failure multiplies the delay by this. Default 2.
        max_delay_s: The longest delay, seconds. Default 30.
        jitter: Share of each delay, 0 to 1, that is taken off at random, so that children that failed together do not
            come back together. Default 0.5.
        reset_after_s: A child that has run for so many seconds has recovered: its next failure is a first one.
            Default 60.
    """

    first_delay_s: float = 0.1
    factor: float = 2.0
    max_delay_s: float = 30.0
    jitter: float = 0.5
    reset_after_s: float = 60.0

    def __post_init__(self) -> None:
        check_numbers(self, "first_delay_s", "factor", "max_delay_s", "jitter", "reset_after_s")
        if not 0 < self.first_delay_s <= self.max_delay_s:
            raise OptionError(
                f"first_delay_s={self.first_delay_s!r}, max_delay_s={self.max_delay_s!r}: "
                "need 0 < first_delay_s <= max_delay_s"
            )
        if not self.factor >= 1:
            raise OptionError(f"factor={self.factor!r}: give 1 or more, or delays would shrink")
        if not 0 <= self.jitter <= 1:
            raise OptionError(f"jitter={self.jitter!r}: give a share from 0 to 1")
        if not self.reset_after_s >= 0:
            raise OptionError(f"reset_after_s={self.reset_after_s!r}: give seconds, 0 or more")

    def delay_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures in a row, counted from 1.

        Args:
            failures: How often the child failed without recovering in between.
            chance: A random number from 0 to 1.

        >>> [Backoff(jitter=0.0).delay_s(failures, 0.3) for failures in (1, 2, 3, 99)]
        [0.1, 0.2, 0.4, 30.0]
        >>> Backoff(jitter=0.5).delay_s(1, 1.0)
        0.05
        """
        growth = self.factor ** min(failures - 1, 60)
        return min(self.max_delay_s, self.first_delay_s * growth) * (1 - self.jitter * chance)


def next_failure(backoff: Backoff | None, failures: int, ran_s: float, chance: float) -> tuple[int, float]:
    """A child failed after having run for a while: how many failures in a row that makes, and how long to wait.

    Args:
        backoff: How to wait; `None`: not at all.
        failures: Failures in a row before.
        ran_s: How long it ran, seconds; 0 when it did not start.
        chance: A random number from 0 to 1.

    >>> next_failure(Backoff(jitter=0.0), 2, 5.0, 0.0), next_failure(Backoff(jitter=0.0), 2, 60.0, 0.0)
    ((3, 0.4), (1, 0.1))
    >>> next_failure(None, 2, 5.0, 0.0)
    (3, 0.0)
    """
    recovered = backoff is not None and ran_s >= backoff.reset_after_s > 0
    count = 1 if recovered else failures + 1
    return count, 0.0 if backoff is None else backoff.delay_s(count, chance)
