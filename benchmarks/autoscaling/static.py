"""The best size of a fleet that never changes, for this very trace: chosen in hindsight."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
