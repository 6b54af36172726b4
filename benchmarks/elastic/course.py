"""What became of a load, played live or on paper: the same figures, by the same definitions."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybeam.autoscaler.history import FamilyHistory


@dataclass(frozen=True, slots=True)
class Course:
    """One course of a load.

    Attributes:
        waits: Seconds from when each request came until it was begun: in the caller, on its way, and in the replica.
        series: The controller's: a column for each number, a row for each of its ticks while the load lasted; `time_s`
            counts from its beginning.
        actions: How often the controller changed the number of replicas.
    """

    waits: Sequence[float]
    series: Mapping[str, Sequence[float]]
    actions: int

    @property
    def mean_wait_s(self) -> float:
        """Mean wait, seconds."""
        return sum(self.waits) / len(self.waits)

    def parted_s(self, other: Course, far: int, long_s: float) -> float | None:
        """When the replicas of two courses began to differ by `far` or more for `long_s` seconds; `None`: never."""
        parted: float | None = None
        for at, wanted in zip(self.series["time_s"], self.series["wanted"], strict=True):
            place = min(bisect_left(other.series["time_s"], at), len(other.series["time_s"]) - 1)
            if abs(other.series["wanted"][place] - wanted) < far:
                parted = None
            elif parted is None:
                parted = at
            elif at - parted >= long_s:
                return parted
        return None

    @property
    def replicas(self) -> list[float]:
        """At each tick, how many took a place: those that started, served or drained."""
        rows = zip(self.series["ready"], self.series["starting"], self.series["draining"], strict=True)
        return [sum(row) for row in rows]

    def seconds_of(self, counts: Sequence[float]) -> float:
        """Counts at the ticks times seconds: each holds until the next tick."""
        times = self.series["time_s"]
        return sum(count * (after - at) for count, at, after in zip(counts, times, times[1:], strict=False))

    @property
    def replica_s(self) -> float:
        """Seconds of replicas."""
        return self.seconds_of(self.replicas)


def course_of(waits: Sequence[float], history: FamilyHistory, begin_s: float, duration_s: float) -> Course:
    """The course of a load.

    Args:
        waits: See `Course`.
        history: The controller's.
        begin_s: When the load began, on the clock of the history.
        duration_s: How long it was.
    """
    times = list(history.series["time_s"])
    first, last = bisect_left(times, begin_s), bisect_left(times, begin_s + duration_s) + 1
    series = {name: list(column[first:last]) for name, column in history.series.items()}
    series["time_s"] = [at - begin_s for at in series["time_s"]]
    changes = [change for change in history.changes if begin_s <= change.time_s <= begin_s + duration_s]
    return Course(waits, series, len(changes))
