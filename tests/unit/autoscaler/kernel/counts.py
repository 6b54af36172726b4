"""Counts of requests that come by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


def poisson(rate: float, chance: Random) -> int:
    """How many come in a second."""
    if rate <= 0:
        return 0
    at, number = chance.expovariate(rate), 0
    while at < 1.0:
        number, at = number + 1, at + chance.expovariate(rate)
    return number
