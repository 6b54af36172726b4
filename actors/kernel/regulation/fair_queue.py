"""A fair queue: tenants take turns (deficit round robin), so one who floods waits behind himself.

Each step costs the same however many tenants and calls there are. A tenant is remembered only while it has calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ...errors import OptionError
from ..options import check_numbers
from .line import Line, Waiter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fair:
    """How tenants share.

    Attributes:
        weights: Turns of a tenant for one of another with weight 1. Default none: all have the same.
        weight: Of tenants that are not named, and of calls that name none. Default 1.
    """

    weights: dict[str, float] = field(default_factory=dict)
    weight: float = 1.0

    def __post_init__(self) -> None:
        weights: object = self.weights
        if not isinstance(weights, Mapping):
            raise OptionError(f"weights={weights!r}: give a dict: tenants with their weights")
        check_numbers(self, "weight")
        for name, weight in weights.items():
            if not isinstance(weight, int | float) or not weight > 0:
                raise OptionError(f"weights[{name!r}]={weight!r}: give a weight above 0")
        if not self.weight > 0:
            raise OptionError(f"weight={self.weight!r}: give a weight above 0")

    @property
    def least(self) -> float:
        """The smallest weight: who has it takes one turn a round."""
        return min(self.weight, *self.weights.values()) if self.weights else self.weight

    def turns(self, tenant: str) -> float:
        """Turns a round: the weight, by the smallest of all.

        >>> fair = Fair({"acme": 2.0, "tiny": 0.5})
        >>> fair.turns("acme"), fair.turns("other"), fair.turns("tiny")
        (4.0, 2.0, 1.0)
        """
        return self.weights.get(tenant, self.weight) / self.least


class FairQueue(Generic[T]):
    """The calls of one class, in a line for each tenant. Owned and changed by one regulator.

    Args:
        fair: How tenants share; `None`: all calls stand in one line.
        priority: Index of the class.

    Attributes:
        depth: How many calls wait.
    """

    __slots__ = ("_by_depth", "_fair", "_greatest", "_lines", "_only", "_priority", "depth")

    def __init__(self, fair: Fair | None, priority: int = 0) -> None:
        self._fair = fair
        self._priority = priority
        self._lines: OrderedDict[str, Line[T]] = OrderedDict()  # in the order of their turns
        self._by_depth: dict[int, dict[str, None]] = {}
        self._greatest = 0
        self._only: Line[T] | None = Line("", priority) if fair is None else None
        self.depth = 0

    def line(self, tenant: str) -> Line[T]:
        """The line of a tenant, a new one if none of its calls waits."""
        if self._only is not None:
            return self._only
        return self._lines.get(tenant) or Line(tenant, self._priority)

    @property
    def tenants(self) -> int:
        """How many tenants wait."""
        return len(self._lines) if self._only is None else min(1, self.depth)

    def append(self, waiter: Waiter[T]) -> None:
        """A call comes to its line."""
        line = waiter.line
        self.depth += 1
        if self._only is not None:
            line.append(waiter)
            return
        if line.depth == 0:
            self._lines[line.tenant] = line
        line.append(waiter)
        self._moved(line, line.depth - 1)

    def next_line(self) -> Line[T]:
        """Whose turn it is; somebody must wait."""
        if self._only is not None:
            return self._only
        assert self._fair is not None
        while True:
            line = next(iter(self._lines.values()))
            if line.deficit >= 1:
                return line
            line.deficit += self._fair.turns(line.tenant)
            if line.deficit >= 1:
                return line
            self._lines.move_to_end(line.tenant)  # never with weights by the smallest, but for rounding

    def charge(self, line: Line[T]) -> None:
        """The turn was taken: by a call that left this line just before."""
        if self._only is not None:
            return
        line.deficit -= 1
        if line.deficit < 1 and line.depth:
            self._lines.move_to_end(line.tenant)

    def oldest(self, line: Line[T]) -> Waiter[T]:
        """The oldest call of a line leaves."""
        waiter = line.oldest()
        self._left(line)
        return waiter

    def newest(self, line: Line[T]) -> Waiter[T]:
        """The newest call of a line leaves."""
        waiter = line.newest()
        self._left(line)
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """A call leaves from wherever it waits."""
        waiter.line.leave(waiter)
        self._left(waiter.line)

    def longest_line(self) -> Line[T]:
        """The longest line; somebody must wait."""
        return self._only or self._lines[next(iter(self._by_depth[self._greatest]))]

    def _left(self, line: Line[T]) -> None:
        self.depth -= 1
        if self._only is not None:
            return
        if line.depth == 0:
            del self._lines[line.tenant]
            line.deficit = 0.0
        self._moved(line, line.depth + 1)

    def _moved(self, line: Line[T], former: int) -> None:
        """Keep the lines by their length, so that the longest is found at once."""
        if former:
            lines = self._by_depth[former]
            del lines[line.tenant]
            if not lines:
                del self._by_depth[former]
        if line.depth:
            self._by_depth.setdefault(line.depth, {})[line.tenant] = None
        if line.depth > self._greatest:
            self._greatest = line.depth
        elif former == self._greatest and former not in self._by_depth:
            self._greatest -= 1
