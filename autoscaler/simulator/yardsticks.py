"""A plain policy to compare others with."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

from ..kernel.policy import Decision
from .world import check

if TYPE_CHECKING:
    from ..kernel.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Utilisation:
    """By Little's law: what is in the system on average, with some slots to spare.

    It counts a queue as load, as most products do: after a wait without capacity it wants far more than is needed.

    Attributes:
        target: The share of slots that is to be busy. Default 0.7.
        window_s: What is in the system is averaged over so long. Default 60.
    """

    target: float = 0.7
    window_s: float = 60.0

    def __post_init__(self) -> None:
        check(self, ["target", "window_s"], above=True)
        if self.target > 1:
            raise UsageError(f"target={self.target!r}: give a share, 1 at most")

    def start(self) -> tuple[tuple[float, int], ...]:
        """It remembers what was in the system, and when."""
        return ()

    def decide(
        self, snapshot: Snapshot, state: tuple[tuple[float, int], ...]
    ) -> tuple[Decision, tuple[tuple[float, int], ...]]:
        """As many as the mean needs."""
        kept = tuple(point for point in state if point[0] > snapshot.time_s - self.window_s)
        state = (*kept, (snapshot.time_s, snapshot.queue + snapshot.in_flight))
        mean = sum(load for _, load in state) / len(state)
        wanted = ceil(mean / self.target / snapshot.slots)
        return Decision(wanted, reason="utilisation", terms={"in_system": mean}), state
