"""What is told of one policy on one trace."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

IN_HINDSIGHT = "static in hindsight"
OURS = "raybeam"
"""The default policy, with its defaults."""


@dataclass(frozen=True, slots=True)
class Row:
    """One policy on one trace."""

    policy: str
    trace: str
    seed: int
    score: float
    cost: float
    late_1s: float
    late_5s: float
    p99_wait_s: float
    replica_hours: float
    machine_hours: float
    actions: int
    reversals_per_hour: float
    recovery_s: float | None
    cost_ratio: float
    score_first_fit: float
    smooth: bool = field(default=False)

    def as_json(self) -> dict[str, object]:
        """For a file."""
        return asdict(self)
