"""One figure that has to reach a goal by itself, without a peer to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Goal:
    """Figures of the rounds, against a goal.

    Attributes:
        what: What was measured, with its unit.
        figures: One a round.
        goal: The figure that the median may reach at most, or must reach at least.
        more_is_better: Whether it must be reached at least. Default: at most.
    """

    what: str
    figures: Sequence[float]
    goal: float
    more_is_better: bool = False

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return median(self.figures) >= self.goal if self.more_is_better else median(self.figures) <= self.goal

    def row(self) -> tuple[str, ...]:
        """For a table: the columns of a `Ratio`, those of the peer empty."""
        figure, goal = f"{median(self.figures):,.3g}", f"{'>=' if self.more_is_better else '<='} {self.goal:g}"
        return (self.what, figure, "", "", "", goal, "reached" if self.reached else "missed")
