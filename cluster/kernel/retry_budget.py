"""Retry budgets: repetitions are a share of the calls, so that callers do not bury a family that is in trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ALWAYS_PER_S: Final = 10.0
MOST: Final = 100.0


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """What is left for repetitions. Each call adds its share, each second adds `ALWAYS_PER_S`; `MOST` can be saved up.

    After Finagle's retry budgets: without one, three layers that try three times each make 27 calls out of one.

    Attributes:
        tokens: Repetitions left.
        at: Time of the last repetition asked for; `None`: there was none.

    >>> budget, allowed = RetryBudget(tokens=1.0).withdraw(now=7.0)
    >>> allowed, budget.withdraw(now=7.05)[1], budget.withdraw(now=7.1)[1]
    (True, False, True)
    >>> budget.deposit(0.2).deposit(0.8).withdraw(now=7.0)[1]
    True
    """

    tokens: float = ALWAYS_PER_S
    at: float | None = None

    def deposit(self, share: float) -> RetryBudget:
        """A call is made whose strategy allows this share of repetitions."""
        return RetryBudget(min(MOST, self.tokens + share), self.at)

    def withdraw(self, now: float) -> tuple[RetryBudget, bool]:
        """Ask for one repetition: the budget afterwards, and whether it is allowed."""
        passed_s = 0.0 if self.at is None else max(0.0, now - self.at)
        tokens = min(MOST, self.tokens + ALWAYS_PER_S * passed_s)
        if tokens + 1e-9 < 1.0:
            return RetryBudget(tokens, now), False
        return RetryBudget(tokens - 1.0, now), True
