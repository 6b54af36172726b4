"""Retry budgets: repetitions are a share of the calls, so that callers do not bury a family that is in trouble."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

WINDOW_S: Final = 10.0
ALWAYS_PER_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Repetitions earned and spent in the last ten to twenty seconds.

    Each call earns the share that its strategy allows, and `ALWAYS_PER_S` are allowed besides. After Finagle's retry
    budgets: without one, three layers that try three times each make 27 calls out of one.

    Attributes:
        since: When the present window began.
        earned: Repetitions earned in it.
        spent: Repetitions made in it.
        earned_before: Earned in the window before.
        spent_before: Made in the window before.
        remembers_since: When the window before began: shares that were earned earlier are forgotten.

    >>> def spend(budget, now):
    ...     allowed = 0
    ...     while (budget := budget.withdraw(now))[1]:
    ...         budget, allowed = budget[0], allowed + 1
    ...     return budget[0], allowed
    >>> budget, at_once = spend(RetryBudget().deposit(50.0), now=0.0)
    >>> at_once, spend(budget, now=5.0)[1], spend(budget.deposit(30.0), now=5.0)[1], spend(budget, now=60.0)[1]
    (150, 0, 30, 100)
    """

    since: float = 0.0
    earned: float = 0.0
    spent: int = 0
    earned_before: float = 0.0
    spent_before: int = 0
    remembers_since: float = 0.0

    def deposit(self, share: float) -> RetryBudget:
        """Calls are made in the present window whose strategies allow so many repetitions altogether."""
        return replace(self, earned=self.earned + share)

    def withdraw(self, now: float, made_at: float | None = None, share: float = 0.0) -> tuple[RetryBudget, bool]:
        """Ask for one repetition: the budget afterwards, and whether it is allowed.

        Args:
            now: The time.
            made_at: When the call was made that is to be repeated. Default: lately.
            share: What it has earned and not used. A call that lasts keeps it, though it is forgotten here.

        >>> RetryBudget(spent=100).withdraw(5.0)[1], RetryBudget(spent=100).withdraw(5.0, made_at=-30.0, share=1.0)[1]
        (False, True)
        """
        budget = self.turned(now)
        if made_at is not None and made_at < budget.remembers_since:
            budget = budget.deposit(share)
        spent, earned = budget.spent + budget.spent_before, budget.earned + budget.earned_before
        if spent + 1 > earned + ALWAYS_PER_S * WINDOW_S:
            return budget, False
        return replace(budget, spent=budget.spent + 1), True

    def turned(self, now: float) -> RetryBudget:
        """The budget at a time: with a new window, if the present one is over."""
        passed_s = now - self.since
        if passed_s < WINDOW_S:
            return self
        if passed_s < 2 * WINDOW_S:
            return RetryBudget(now, 0.0, 0, self.earned, self.spent, self.since)
        return RetryBudget(now, remembers_since=now)
