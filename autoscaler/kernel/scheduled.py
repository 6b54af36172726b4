"""Numbers of replicas by the time of day, week or whatever comes back."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import isfinite
from numbers import Integral
from typing import TYPE_CHECKING

from .policy import Decision

if TYPE_CHECKING:
    from .snapshot import Snapshot

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """So many replicas from given times on, again and again.

    Attributes:
        plan: Seconds within the period and the replicas from then on, in order. Before the first, the last holds.
        period_s: After how long it begins anew, seconds. Default a day.
        offset_s: Time of the snapshots at which the first period begins. Default 0.
        lead_s: Replicas are asked for so much earlier, seconds. Default 0.

    Raises:
        ValueError: The plan is empty or not in order, or a number is out of range.

    >>> from raybeam.autoscaler.kernel.snapshot import Snapshot
    >>> office = Scheduled(((8 * 3600.0, 10), (18 * 3600.0, 2)))
    >>> [office.decide(Snapshot(hour * 3600.0), None)[0].replicas for hour in (7, 9, 19, 33)]
    [2, 10, 2, 10]
    """

    plan: tuple[tuple[float, int], ...]
    period_s: float = DAY_S
    offset_s: float = 0.0
    lead_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.plan:
            raise ValueError("plan=(): give at least one time and number")
        if not (isfinite(self.period_s) and self.period_s > 0):
            raise ValueError(f"period_s={self.period_s!r}: give a finite number above 0")
        if not (isfinite(self.offset_s) and isfinite(self.lead_s) and self.lead_s >= 0):
            raise ValueError(f"offset_s={self.offset_s!r}, lead_s={self.lead_s!r}: give finite numbers, lead 0 or more")
        before = -1.0
        for at_s, replicas in self.plan:
            if not isinstance(replicas, Integral):
                raise ValueError(f"plan at {at_s!r} s: {replicas!r} replicas: give a whole number")
            if not before < at_s < self.period_s or replicas < 0:
                raise ValueError(f"plan at {at_s!r} s: give rising times within the period, and 0 or more replicas")
            before = at_s

    def start(self) -> None:
        """There is nothing to remember."""

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        """What the plan says for this time."""
        within_s = (snapshot.time_s + self.lead_s - self.offset_s) % self.period_s
        place = bisect_right(self.plan, within_s, key=lambda entry: entry[0]) - 1
        at_s, replicas = self.plan[place]
        return Decision(replicas, None, "by the schedule", {"since_s": at_s, "within_s": within_s}), None
