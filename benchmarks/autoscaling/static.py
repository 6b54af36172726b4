"""A fleet that never changes, of the size that is the best for this very trace: chosen in hindsight."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from raybeam.autoscaler.kernel.policy import Decision

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.autoscaler.kernel.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Static:
    """Always the same number."""

    replicas: int

    def start(self) -> None:
        return None

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        return Decision(self.replicas), None


def best_size(least: float, most: int, score: Callable[[int], float]) -> int:
    """The number of replicas with the least score, which falls and then rises with it."""
    low, high = max(1, ceil(least)), max(1, ceil(least), most)
    known: dict[int, float] = {}

    def scored(size: int) -> float:
        if size not in known:
            known[size] = score(size)
        return known[size]

    while high - low > 2:
        left, right = low + (high - low) // 3, high - (high - low) // 3
        if scored(left) <= scored(right):
            high = right
        else:
            low = left
    return min(range(low, high + 1), key=scored)
