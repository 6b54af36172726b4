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


class Deadlines:
    """Fails futures with `CallTimeout` at their deadlines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, asyncio.Future[object]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._sweep_above = SWEEP_ABOVE

    def add(self, future: asyncio.Future[object], deadline: float) -> None:
        """Fail `future` at `deadline` (loop time) if it is not done by then."""
        heapq.heappush(self._heap, (deadline, next(self._numbers), future))
        if self._timer is None or deadline < self._armed_for:
            self._arm()
        if len(self._heap) > self._sweep_above:
            self._heap = [entry for entry in self._heap if not entry[2].done()]
            heapq.heapify(self._heap)
            self._sweep_above = max(SWEEP_ABOVE, 2 * len(self._heap))

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
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].done()):
            _, _, future = heapq.heappop(self._heap)
            if not future.done():
                future.set_exception(CallTimeout())
        if self._heap:
            self._arm()
