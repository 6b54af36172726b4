"""Calls that wait in one line, oldest first; one that leaves from the middle is marked and skipped later."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, Generic, TypeVar

from .codel import CALM

T = TypeVar("T")
SWEEP_ABOVE: Final = 32


class Phase(Enum):
    """Where a call is."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    GONE = "gone"


class Waiter(Generic[T]):
    """One call, as its regulator sees it. Owned and changed by the regulator.

    Attributes:
        item: The call itself.
        arrived_at: When it came.
        deadline: When nobody waits for its answer any more; `None`: never, or it is to be done even so.
        phase: Where it is.
        line: Where it waits or waited.
        began_at: When it was begun.
        in_flight: Calls under way when it was begun, itself included.
    """

    __slots__ = ("arrived_at", "began_at", "deadline", "in_flight", "item", "line", "phase")

    def __init__(self, item: T, arrived_at: float, deadline: float | None, line: Line[T]) -> None:
        self.item = item
        self.arrived_at = arrived_at
        self.deadline = deadline
        self.line = line
        self.phase = Phase.WAITING
        self.began_at = 0.0
        self.in_flight = 0


class Line(Generic[T]):
    """One tenant's calls of one class.

    Attributes:
        tenant: Whose.
        priority: Index of the class.
        depth: How many wait.
        deficit: Turns that the tenant may still take in this round.
        episode: What CoDel remembers of this line.
    """

    __slots__ = ("_gone", "_waiters", "deficit", "depth", "episode", "priority", "tenant")

    def __init__(self, tenant: str, priority: int) -> None:
        self.tenant = tenant
        self.priority = priority
        self.depth = 0
        self.deficit = 0.0
        self.episode = CALM
        self._waiters: deque[Waiter[T]] = deque()
        self._gone = 0

    def append(self, waiter: Waiter[T]) -> None:
        """A call comes."""
        self._waiters.append(waiter)
        self.depth += 1

    def oldest(self) -> Waiter[T]:
        """The call that has waited longest leaves; there must be one."""
        while True:
            waiter = self._waiters.popleft()
            if waiter.phase is Phase.WAITING:
                self.depth -= 1
                return waiter
            self._gone -= 1

    def newest(self) -> Waiter[T]:
        """The call that came last leaves; there must be one."""
        while True:
            waiter = self._waiters.pop()
            if waiter.phase is Phase.WAITING:
                self.depth -= 1
                return waiter
            self._gone -= 1

    def leave(self, waiter: Waiter[T]) -> None:
        """A call that waits leaves from wherever it is."""
        waiter.phase = Phase.GONE
        self.depth -= 1
        self._gone += 1
        if self._gone > SWEEP_ABOVE and self._gone > self.depth:
            self._waiters = deque(other for other in self._waiters if other.phase is Phase.WAITING)
            self._gone = 0
