"""Priority classes with reserved shares: the urgent first, but nobody starves.

Each class that waits gets at least its share of the turns. What is left over goes to the most urgent class that waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

ALMOST = 1e-9


@dataclass(frozen=True, slots=True)
class Priorities:
    """The classes.

    Attributes:
        shares: The share of the turns that is reserved for each class while it waits, above 0, together at most 1; the
            most urgent class first. Required.
        default: The class of calls that name none, or none of these. Default `""`: the last one.
    """

    shares: dict[str, float]
    default: str = ""

    def __post_init__(self) -> None:
        shares: object = self.shares
        if not isinstance(shares, Mapping):
            raise OptionError(f"shares={shares!r}: give a dict: each class with its share, the most urgent first")
        if not shares:
            raise OptionError("shares={}: name the classes, the most urgent first, each with its share")
        for name, share in shares.items():
            if not isinstance(share, int | float) or not 0 < share <= 1:
                raise OptionError(f"shares[{name!r}]={share!r}: give a share above 0, up to 1: no class may starve")
        total = sum(self.shares.values())
        if total > 1 + ALMOST:
            raise OptionError(f"shares={self.shares!r}: together they are {total:g}; reserve at most 1")
        if self.default and self.default not in self.shares:
            raise OptionError(f"default={self.default!r}: no such class; there are: {', '.join(self.shares)}")

    def index(self, name: str) -> int:
        """The place of a class in the order of urgency, 0 is first.

        >>> priorities = Priorities({"high": 0.5, "normal": 0.3, "low": 0.1}, default="normal")
        >>> [priorities.index(name) for name in ("high", "low", "", "odd")]
        [0, 2, 1, 1]
        """
        names = list(self.shares)
        if name in self.shares:
            return names.index(name)
        return names.index(self.default) if self.default else len(names) - 1


def pick(shares: Sequence[float], credits_: Sequence[float], waiting: Sequence[int]) -> int:
    """Which class is served next; some class must wait.

    Args:
        shares: The reserved shares, the most urgent class first.
        credits_: What each class has been owed so far, in turns.
        waiting: How many calls of each class wait.

    >>> pick((0.5, 0.1), (0.0, 0.0), (3, 3)), pick((0.5, 0.1), (0.4, 0.9), (3, 3)), pick((0.5, 0.1), (0.4, 0.9), (3, 0))
    (0, 1, 0)
    """
    owed = [
        (credit + share, -index)
        for index, (share, credit) in enumerate(zip(shares, credits_, strict=True))
        if waiting[index] and credit + share >= 1 - ALMOST
    ]
    if owed:
        return -max(owed)[1]
    return next(index for index, count in enumerate(waiting) if count)


def charged(
    shares: Sequence[float], credits_: Sequence[float], waiting: Sequence[int], served: int
) -> tuple[float, ...]:
    """What each class is owed after a turn of one of them; who does not wait is owed nothing.

    Args:
        shares: The reserved shares.
        credits_: What each class was owed.
        waiting: How many calls of each class waited, the served one included.
        served: Whose turn it was.

    >>> charged((0.5, 0.25), (0.0, 0.75), (1, 1), 1)
    (0.5, 0.0)
    >>> charged((0.5, 0.25), (0.0, 0.5), (1, 0), 0)
    (0.5, 0.0)
    """
    owed = [credit + share if count else 0.0 for share, credit, count in zip(shares, credits_, waiting, strict=True)]
    if owed[served] >= 1 - ALMOST:
        owed[served] = max(0.0, owed[served] - 1)
    return tuple(owed)
