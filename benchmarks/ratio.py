"""One comparison: our figure against a peer's, both medians of rounds that took turns."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Ratio:
    """Figures of the rounds, ours and the peer's.

    Attributes:
        what: What was measured, with its unit.
        peer: With whom we compare.
        ours: One figure a round.
        theirs: One figure a round, taken in turns with ours.
        goal: The ratio ours/theirs to reach.
        more_is_better: Whether the ratio should be at least the goal, else at most.
    """

    what: str
    peer: str
    ours: Sequence[float]
    theirs: Sequence[float]
    goal: float
    more_is_better: bool = True

    @property
    def ratio(self) -> float:
        """Median of ours by median of theirs."""
        return median(self.ours) / median(self.theirs)

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal

    def row(self) -> tuple[str, ...]:
        """For a table."""
        sign = ">=" if self.more_is_better else "<="
        return (
            self.what,
            f"{median(self.ours):,.3g}",
            self.peer,
            f"{median(self.theirs):,.3g}",
            f"{self.ratio:,.2f}",
            f"{sign} {self.goal:g}",
            "reached" if self.reached else "missed",
        )
