"""What became of a family in a simulation, and its figures."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from ..kernel.snapshot import Snapshot

IDLE_SLOT_PRICE = 0.25
"""Price of an empty place on a machine, against 1 of a replica."""
CALM_S = 60.0
"""A crowd is over when nothing was late for so long."""


@dataclass(slots=True)
class Timeline:
    """One row per decision, as columns.

    Attributes:
        rows: `COLUMNS`, row by row.
    """

    rows: list[tuple[float, ...]] = field(default_factory=list)

    COLUMNS = (
        "time_s",
        "arrivals",
        "completions",
        "queue",
        "in_flight",
        "oldest_wait_s",
        "ready",
        "starting",
        "draining",
        "target",
        "machines_ready",
        "machines_pending",
    )

    def add(self, seen: Snapshot, target: int) -> None:
        """One more row."""
        self.rows.append(
            (
                seen.time_s,
                seen.arrivals,
                seen.completions,
                seen.queue,
                seen.in_flight,
                seen.oldest_wait_s,
                seen.ready,
                seen.starting,
                seen.draining,
                target,
                seen.machines_ready,
                seen.machines_pending,
            )
        )

    def column(self, name: str) -> list[float]:
        """One column."""
        place = self.COLUMNS.index(name)
        return [row[place] for row in self.rows]


@dataclass(slots=True)
class Run:
    """One family's run.

    Attributes:
        family: Its name.
        duration_s: How long it was.
        arrivals: When each request came that was started.
        waits: Seconds that each of them waited.
        pending: Seconds that those have waited so far which were not started when it ended.
        replica_s: Seconds that replicas had a place on a machine, starting and draining included.
        machine_s: Seconds of machines from asking for them, booting included.
        idle_s: Seconds of places on machines that no replica had.
        timeline: What there was at each decision.
        targets: Each change of the number of replicas that the policy wanted, and when.
        initial: Replicas at the beginning.
    """

    family: str
    duration_s: float
    arrivals: array[float]
    waits: array[float]
    pending: Sequence[float]
    replica_s: float
    machine_s: float
    idle_s: float
    timeline: Timeline
    targets: Sequence[tuple[float, int]]
    initial: int
    _sorted: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Replica-seconds and a quarter of the idle places' seconds."""
        return self.replica_s + IDLE_SLOT_PRICE * self.idle_s

    @property
    def requests(self) -> int:
        """How many came."""
        return len(self.waits) + len(self.pending)

    def late(self, bound_s: float) -> float:
        """Percent of all requests that waited longer; one that still waits counts with its wait so far."""
        waits = self._in_order()
        return 100.0 * (len(waits) - bisect_left(waits, bound_s + 1e-9)) / len(waits) if waits else 0.0

    def wait_s(self, share: float) -> float:
        """The wait in seconds that `share` (0 to 1) of the requests do not exceed; 0 when there were none."""
        waits = self._in_order()
        return waits[max(0, min(len(waits) - 1, ceil(share * len(waits)) - 1))] if waits else 0.0

    @property
    def mean_wait_s(self) -> float:
        """Mean wait, seconds."""
        return (sum(self.waits) + sum(self.pending)) / self.requests if self.requests else 0.0

    @property
    def actions(self) -> int:
        """How often the number of replicas that was wanted changed."""
        return len(self.targets)

    @property
    def reversals_per_hour(self) -> float:
        """How often a change went against the one before, per hour."""
        sizes = [self.initial, *(target for _, target in self.targets)]
        ups = [after > before for before, after in pairwise(sizes)]
        return 3600.0 / self.duration_s * sum(one != other for one, other in pairwise(ups))

    def recovery_s(self, onset_s: float, bound_s: float = 1.0) -> float:
        """Seconds from the onset of a crowd until its last late request was started; 0: none was late."""
        calm_since = onset_s
        for index in range(bisect_left(self.arrivals, onset_s), len(self.waits)):
            if self.arrivals[index] > calm_since + CALM_S:
                return calm_since - onset_s
            if self.waits[index] > bound_s:
                calm_since = self.arrivals[index] + self.waits[index]
        return self.duration_s - onset_s if any(wait > bound_s for wait in self.pending) else calm_since - onset_s

    def _in_order(self) -> list[float]:
        if not self._sorted:
            self._sorted = sorted([*self.waits, *self.pending])
        return self._sorted
