"""The deadlines of many waiting calls behind one timer of the loop.

Nearly every call is answered long before its deadline. A loop timer for each costs more than the call itself, so
deadlines wait in a heap of their own; entries of answered calls are dropped when they come up, or when they are most.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from .errors import CallTimeout

if TYPE_CHECKING:
    import asyncio

SWEEP_ABOVE = 10_000


class Deadline:
    """The deadline of one future.

    Attributes:
        future: Which fails; `None` once it was called off: an answer must not stay in memory until its deadline.
    """

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[object]) -> None:
        self.future: asyncio.Future[object] | None = future

    @property
    def over(self) -> bool:
        """Whether it matters no more."""
        return self.future is None or self.future.done()

    def call_off(self) -> None:
        """The future is done: forget it."""
        self.future = None


class Deadlines:
    """Fails futures with `CallTimeout` at their deadlines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._sweep_above = SWEEP_ABOVE

    def add(self, future: asyncio.Future[object], when: float) -> Deadline:
        """Fail `future` at `when` (loop time) if it is not done by then, or called off."""
        deadline = Deadline(future)
        heapq.heappush(self._heap, (when, next(self._numbers), deadline))
        if self._timer is None or when < self._armed_for:
            self._arm()
        if len(self._heap) > self._sweep_above:
            self._heap = [entry for entry in self._heap if not entry[2].over]
            heapq.heapify(self._heap)
            self._sweep_above = max(SWEEP_ABOVE, 2 * len(self._heap))
        return deadline

    def close(self) -> None:
        """Forget everything."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = self._heap[0][0]
        self._timer = self._loop.call_at(self._armed_for, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].over):
            future = heapq.heappop(self._heap)[2].future
            if future is not None and not future.done():
                future.set_exception(CallTimeout())
        if self._heap:
            self._arm()
