"""How many calls are worked on at once: a fixed number, or one that adapts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .gradient import Estimate, Gradient, observed

if TYPE_CHECKING:
    from typing import TypeAlias

Concurrency: TypeAlias = "int | Gradient"


class Places:
    """The places for calls under way. Owned and changed by one regulator.

    Attributes:
        taken: Calls under way.
    """

    __slots__ = ("_concurrency", "_estimate", "taken")

    def __init__(self, concurrency: Concurrency | None) -> None:
        self._concurrency = concurrency
        self._estimate = Estimate(float(concurrency.initial)) if isinstance(concurrency, Gradient) else None
        self.taken = 0

    def limit(self, factor: float = 1.0) -> int | None:
        """How many calls may be under way, `None`: any number.

        Args:
            factor: What share of it the load of the machine leaves; at least one place is left.

        >>> Places(10).limit(), Places(10).limit(0.25), Places(10).limit(0.01), Places(None).limit()
        (10, 2, 1, None)
        """
        if self._estimate is not None:
            return max(1, int(self._estimate.limit * factor))
        if self._concurrency is None:
            return None
        assert isinstance(self._concurrency, int)
        return max(1, int(self._concurrency * factor))

    def free(self, factor: float = 1.0) -> bool:
        """Whether one more call may begin."""
        limit = self.limit(factor)
        return limit is None or self.taken < limit

    def take(self) -> int:
        """A call begins; how many are under way now."""
        self.taken += 1
        return self.taken

    def give_back(self) -> None:
        """A call is done."""
        self.taken -= 1

    def learn(self, took_s: float, in_flight: int, now: float) -> None:
        """What a call took, for a limit that adapts."""
        if self._estimate is not None:
            assert isinstance(self._concurrency, Gradient)
            self._estimate = observed(self._concurrency, self._estimate, took_s, in_flight, now)
