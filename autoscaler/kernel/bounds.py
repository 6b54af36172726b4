"""What a fleet may be at all: fewest, most, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isfinite
from numbers import Integral


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on the number of replicas.

    Attributes:
        min_replicas: Never fewer. Default 0.
        max_replicas: Never more. Default 1000.
        budget: What the replicas may cost at most at any time, in the currency of `replica_price`; `None`: no bound.
        replica_price: What one replica costs. Default 1, so that the budget is in replicas.

    Raises:
        ValueError: A number is negative or not finite, the maximum is below the minimum, or the budget does not pay
            for the minimum.
    """

    min_replicas: int = 0
    max_replicas: int = 1000
    budget: float | None = None
    replica_price: float = 1.0

    def __post_init__(self) -> None:
        for name in ("min_replicas", "max_replicas", "budget", "replica_price"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value!r}: give a finite number, 0 or more")
        for name in ("min_replicas", "max_replicas"):
            value = getattr(self, name)
            if not isinstance(value, Integral):
                raise ValueError(f"{name}={value!r}: give a whole number")
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas={self.max_replicas} is below min_replicas={self.min_replicas}")
        if self.budget is not None and self.budget < self.min_replicas * self.replica_price:
            raise ValueError(f"budget={self.budget!r} does not pay for min_replicas={self.min_replicas}")

    @property
    def most(self) -> int:
        """The most that maximum and budget allow."""
        if self.budget is None or self.replica_price == 0:
            return self.max_replicas
        return min(self.max_replicas, floor(self.budget / self.replica_price))

    def clip(self, wanted: int) -> tuple[int, str]:
        """A number within the bounds, and which bound it met; empty: none.

        >>> Bounds(1, 10).clip(99), Bounds(1, 10).clip(5), Bounds(1, 10, budget=6.0, replica_price=2.0).clip(5)
        ((10, 'the maximum'), (5, ''), (3, 'the budget'))
        """
        if wanted < self.min_replicas:
            return self.min_replicas, "the minimum"
        if wanted > self.most:
            return self.most, "the budget" if self.most < self.max_replicas else "the maximum"
        return wanted, ""
