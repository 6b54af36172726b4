"""One number for how well a policy did on a trace: 1 is a clairvoyant's, less is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clairvoyant import Clairvoyant
    from .run import Run

LATE_PRICE = 0.1
"""What one percent of requests that wait over 1 s adds, and once more those over 5 s."""


def score(run: Run, best: Clairvoyant) -> float:
    """The cost against a clairvoyant's, and a tenth for each percent that waited over 1 s and over 5 s."""
    return run.cost / best.cost + LATE_PRICE * (run.late(1.0) + run.late(5.0))
