"""What a regulator has done, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

from .refusal import Refusal


def no_refusals() -> dict[Refusal, int]:
    """A count for each reason."""
    return dict.fromkeys(Refusal, 0)


@dataclass(frozen=True, slots=True)
class RegulationCounters:
    """A snapshot. The first five only grow; the rest is how things stand.

    Attributes:
        accepted: Calls that were taken in, to be begun at once or to wait.
        delayed: Those of them that found others waiting, all places taken, or no token.
        rejected: Calls that were refused when they came, by reason.
        dropped: Calls that had been taken in and were not begun, by reason.
        casts: Casts that came; they are counted, never refused.
        begun: Calls that were begun.
        depth: Calls that wait.
        under_way: Calls begun and not answered.
        limit: How many may be under way, `None`: any number.
        level: By how many levels the load of the machine cuts the limits.
    """

    accepted: int = 0
    delayed: int = 0
    rejected: dict[Refusal, int] = field(default_factory=no_refusals)
    dropped: dict[Refusal, int] = field(default_factory=no_refusals)
    casts: int = 0
    begun: int = 0
    depth: int = 0
    under_way: int = 0
    limit: int | None = None
    level: int = 0

    def __add__(self, other: RegulationCounters) -> RegulationCounters:
        """Those of two processes together: limits add up, the level is the higher one.

        >>> both = RegulationCounters(accepted=2, limit=5, level=1) + RegulationCounters(accepted=1, limit=3)
        >>> both.accepted, both.limit, both.level
        (3, 8, 1)
        """
        return RegulationCounters(
            self.accepted + other.accepted,
            self.delayed + other.delayed,
            {reason: self.rejected[reason] + other.rejected[reason] for reason in Refusal},
            {reason: self.dropped[reason] + other.dropped[reason] for reason in Refusal},
            self.casts + other.casts,
            self.begun + other.begun,
            self.depth + other.depth,
            self.under_way + other.under_way,
            None if self.limit is None or other.limit is None else self.limit + other.limit,
            max(self.level, other.level),
        )

    def past(self) -> RegulationCounters:
        """What stays of them when the process has ended: nothing waits, nothing is under way.

        >>> RegulationCounters(accepted=2, depth=1, limit=5).past() == RegulationCounters(accepted=2, limit=0)
        True
        """
        return RegulationCounters(
            self.accepted,
            self.delayed,
            self.rejected,
            self.dropped,
            self.casts,
            self.begun,
            limit=None if self.limit is None else 0,
        )

    @property
    def refused(self) -> int:
        """Calls that were not done, for whatever reason but that their caller wanted it."""
        asked_for = self.rejected[Refusal.CANCELLED] + self.dropped[Refusal.CANCELLED]
        return sum(self.rejected.values()) + sum(self.dropped.values()) - asked_for
