"""What a client remembers of its calls to one family, between the calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from raybeam.actors import Outcome

from .kernel.breaker import BreakerState
from .kernel.latency import RecentLatency
from .kernel.retry_budget import WINDOW_S, RetryBudget

if TYPE_CHECKING:
    from .breakers import BreakerSwitch


class FamilyState:
    """Retry budget, breaker and latencies of the calls to one family.

    Args:
        breaker: Of the family; `None`: it has none.
    """

    def __init__(self, breaker: BreakerSwitch | None) -> None:
        self.breaker = breaker
        self._earned = 0.0  # in the present window of the budget, and not put into it yet: that would cost each call
        self._budget = RetryBudget()
        self._latencies: dict[str, RecentLatency] = {}
        self._settled = asyncio.Event()

    def earns(self, share: float, now: float) -> None:
        """A call is made whose strategy allows so many repetitions."""
        if now - self._budget.since >= WINDOW_S:
            self._budget = self._budget.deposit(self._earned).turned(now)
            self._earned = 0.0
        self._earned += share

    def repetition_allowed(self, now: float, made_at: float | None = None, share: float = 0.0) -> bool:
        """Take one repetition from the budget, if it has one left; see `RetryBudget.withdraw`."""
        self._budget, allowed = self._budget.deposit(self._earned).withdraw(now, made_at, share)
        self._earned = 0.0
        return allowed

    @property
    def refuses(self) -> bool:
        """Whether the breaker is open."""
        return self.breaker is not None and self.breaker.state is not BreakerState.OK

    def failed(self, outcome: Outcome) -> None:
        """An attempt has failed so: the breaker counts those that the callee had begun with, or may have."""
        if self.breaker is not None and (outcome is Outcome.UNKNOWN or outcome is Outcome.FAILED):
            self.breaker.melt()

    def latency_of(self, method: str) -> RecentLatency:
        """How long the latest calls of a method took."""
        latency = self._latencies.get(method)
        if latency is None:
            latency = self._latencies[method] = RecentLatency()
        return latency

    def settled(self) -> None:
        """A call that must be done once has ended: one that waits for its place may go on."""
        self._settled.set()

    async def wait_for_settled(self) -> None:
        """Wait until one has."""
        self._settled.clear()
        await self._settled.wait()
