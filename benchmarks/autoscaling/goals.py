"""What the default policy has to reach, over all traces."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.autoscaling.row import IN_HINDSIGHT, OURS
from benchmarks.autoscaling.scenarios import SCENARIOS
from benchmarks.goal import Goal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.autoscaling.row import Row

STEADY = ("steady", "steady, small", "steady, 4 slots")
CROWD = "flash crowd"


def goals(rows: Sequence[Row]) -> list[Goal]:
    """The goals, against what was played; none, if not all traces were, or not against peers."""
    ours = [row for row in rows if row.policy == OURS]
    if {row.trace for row in ours} != {scenario.name for scenario in SCENARIOS}:
        return []
    crowd = [row for row in ours if row.trace == CROWD]
    steady = [row for row in ours if row.trace in STEADY]
    return [
        Goal("score, mean of all traces", [mean(row.score for row in ours)], 1.85),
        Goal("score, smooth traces", [mean(row.score for row in ours if row.smooth)], 1.15),
        Goal("traces on which a peer is cheaper and less late", [beaten(OURS, rows)], 0),
        Goal("reversals an hour, worst trace", [_worst(ours, lambda row: row.reversals_per_hour)], 30),
        Goal("actions in an hour of steady load, worst trace", [_worst(steady, lambda row: row.actions)], 6),
        Goal("flash crowd: recovered after, s", [mean(row.recovery_s or 0.0 for row in crowd)], 75),
        Goal("flash crowd: cost over a clairvoyant's", [mean(row.cost_ratio for row in crowd)], 1.6),
    ]


def beaten(policy: str, rows: Sequence[Row]) -> int:
    """On how many traces some policy without hindsight is both cheaper and less late."""
    means: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.trace, row.policy].append(row)
    for (trace, name), of in groups.items():
        if name != IN_HINDSIGHT:
            means[trace][name] = mean(row.cost for row in of), mean(row.late_1s + row.late_5s for row in of)
    return sum(
        any(cost < theirs[policy][0] and late < theirs[policy][1] for cost, late in theirs.values())
        for theirs in means.values()
    )


def _worst(rows: Sequence[Row], figure: Callable[[Row], float]) -> float:
    """The largest of the traces' means."""
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        groups[row.trace].append(figure(row))
    return max(mean(figures) for figures in groups.values())
