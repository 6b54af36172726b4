"""Where calls wait: a fair queue for each priority class, with one bound for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ..mailbox import Overflow
from .fair_queue import Fair, FairQueue
from .priority import Priorities, charged, pick

if TYPE_CHECKING:
    from .line import Line, Waiter

T = TypeVar("T")


class WaitingRoom(Generic[T]):
    """The calls that wait. Owned and changed by one regulator.

    Args:
        priorities: The classes; `None`: there is one.
        fair: How tenants share; `None`: they are not told apart.

    Attributes:
        depth: How many wait.
    """

    __slots__ = ("_credits", "_priorities", "_queues", "_shares", "depth")

    def __init__(self, priorities: Priorities | None, fair: Fair | None) -> None:
        self._priorities = priorities
        self._shares = (1.0,) if priorities is None else tuple(priorities.shares.values())
        self._credits: tuple[float, ...] = (0.0,) * len(self._shares)
        self._queues: list[FairQueue[T]] = [FairQueue(fair, index) for index in range(len(self._shares))]
        self.depth = 0

    def line(self, tenant: str, priority: str) -> Line[T]:
        """Where a call of that tenant and class would wait."""
        return self._queues[0 if self._priorities is None else self._priorities.index(priority)].line(tenant)

    def append(self, waiter: Waiter[T]) -> None:
        """A call comes to its line."""
        self._queues[waiter.line.priority].append(waiter)
        self.depth += 1

    def next_line(self) -> Line[T]:
        """Whose turn it is; somebody must wait."""
        if len(self._queues) == 1:
            return self._queues[0].next_line()
        return self._queues[pick(self._shares, self._credits, [queue.depth for queue in self._queues])].next_line()

    def oldest(self, line: Line[T]) -> Waiter[T]:
        """The oldest call of a line leaves."""
        self.depth -= 1
        return self._queues[line.priority].oldest(line)

    def charge(self, line: Line[T]) -> None:
        """A turn was taken, by a call that left this line just before."""
        self._queues[line.priority].charge(line)
        if len(self._queues) > 1:
            waiting = [queue.depth for queue in self._queues]
            waiting[line.priority] += 1
            self._credits = charged(self._shares, self._credits, waiting, line.priority)

    def leave(self, waiter: Waiter[T]) -> None:
        """A call leaves from wherever it waits."""
        self.depth -= 1
        self._queues[waiter.line.priority].leave(waiter)

    def ahead(self, line: Line[T]) -> float:
        """How many calls, about, are served before one that comes to this line now."""
        queue = self._queues[line.priority]
        waiting_tenants = queue.tenants + (line.depth == 0)
        in_class = min(float(queue.depth), float(line.depth * waiting_tenants + waiting_tenants - 1))
        if len(self._queues) == 1:
            return in_class
        shares = [share if other.depth else 0.0 for share, other in zip(self._shares, self._queues, strict=True)]
        shares[line.priority] = 0.0
        most_urgent = not any(shares[: line.priority])  # then it has all that is not reserved for others
        share = 1.0 - sum(shares) if most_urgent else self._shares[line.priority]
        others = self.depth - queue.depth
        return min(in_class + others, (in_class + 1) / share - 1)

    def make_room(self, line: Line[T], overflow: Overflow, limit: int) -> Waiter[T] | None:
        """Who leaves a full room for a call that would come to `line`; `None`: it must go itself.

        A class within its share of the room takes a place from one beyond its share, the least urgent first, and a more
        urgent class from a less urgent one beyond its share. Within a class the longest line gives its newest call up;
        who has the longest line himself is treated as `overflow` says.
        """
        other = self._class_to_yield(line.priority, limit)
        if other is not None:
            self.depth -= 1
            return other.newest(other.longest_line())
        queue = self._queues[line.priority]
        if queue.depth == 0:
            return None
        longest = queue.longest_line()
        if longest.depth > line.depth + 1:
            self.depth -= 1
            return queue.newest(longest)
        if overflow is Overflow.REJECT or line.depth == 0:
            return None
        self.depth -= 1
        return queue.oldest(line) if overflow is Overflow.DROP_OLDEST else queue.newest(line)

    def _class_to_yield(self, priority: int, limit: int) -> FairQueue[T] | None:
        within = self._queues[priority].depth < self._shares[priority] * limit
        for index in range(len(self._queues) - 1, -1, -1):
            beyond = self._queues[index].depth > self._shares[index] * limit
            if index != priority and beyond and (within or index > priority):
                return self._queues[index]
        return None
