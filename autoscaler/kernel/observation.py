"""From what the replicas of a family have told to the snapshot that its policy sees.

Replicas count from their start, so what happened between two looks is the difference of their counters, name by name. A
replica that came between them counts from 0; of one that went, what it did since its last heartbeat is lost.

A request is counted wherever it comes: one that a replica refused and that its caller repeats at another counts twice.
It cannot be told from two requests, and refusals mean that there are too few replicas; the retry budget of the callers
bounds the share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING

from .snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..fleet import FamilyReading, ReplicaReading

MOST_SILENT = 1 / 3
"""If a larger share of the replicas that serve are silent, nothing is concluded from the others."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted; `Snapshot` and `ReplicaReading` tell what each means."""

    arrivals: int = 0
    completions: int = 0
    service_total_s: float = 0.0
    service_square_s2: float = 0.0

    def plus(self, other: Counters) -> Counters:
        """Both together."""
        return Counters(
            self.arrivals + other.arrivals,
            self.completions + other.completions,
            self.service_total_s + other.service_total_s,
            self.service_square_s2 + other.service_square_s2,
        )

    def since(self, before: Counters) -> Counters:
        """What has come on top."""
        return Counters(
            max(self.arrivals - before.arrivals, 0),
            max(self.completions - before.completions, 0),
            max(self.service_total_s - before.service_total_s, 0.0),
            max(self.service_square_s2 - before.service_square_s2, 0.0),
        )

    @property
    def mean_s(self) -> float | None:
        """Mean seconds of service; `None`: nothing was completed."""
        return self.service_total_s / self.completions if self.completions else None

    @property
    def cv(self) -> float | None:
        """Coefficient of variation of the seconds of service; `None`: too few were completed."""
        mean_s = self.mean_s
        if self.completions < 2 or not mean_s:
            return None
        return sqrt(max(self.service_square_s2 / self.completions - mean_s * mean_s, 0.0)) / mean_s


@dataclass(frozen=True, slots=True)
class Looked:
    """What is kept of a look for the next one.

    Attributes:
        time_s: The time of the latest fresh snapshot.
        counters: Of each replica that was heard, by name.
        untold: What was counted since that snapshot.
    """

    time_s: float
    counters: Mapping[str, Counters] = field(default_factory=dict)
    untold: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look gave.

    Attributes:
        snapshot: For the policy.
        looked: For the next look.
        elapsed_s: Seconds in which the arrivals and completions of the snapshot happened; 0: none are told.
        silent: Replicas that should have been heard and were not.
    """

    snapshot: Snapshot
    looked: Looked
    elapsed_s: float
    silent: int


def observe(
    family: FamilyReading,
    before: Looked | None,
    *,
    clock_s: float,
    time_s: float,
    silent_after_s: float,
    machines_ready: int = 0,
    machines_pending: int = 0,
    places: int | None = None,
) -> Observation:
    """Look at a family.

    A replica that serves or drains, or did at the look before, is silent when its latest word is older than
    `silent_after_s`. The snapshot is not fresh at the first look, when more than a third of those replicas are
    silent, when there are replicas but none of them serves, and when there was no word since the fresh snapshot
    before. What was counted meanwhile is told with the next fresh one: nothing is lost, and nothing is guessed.

    Heartbeats do not come in step with looks. So the snapshot has the mean time of the words that it is made of: counts
    over the time between two snapshots are then the rates that there were.

    Of the replicas that serve, those beyond the number wanted are about to drain; those that are missing are on
    their way. So `ready + starting` is the number wanted.

    Args:
        family: The latest readings.
        before: What was kept of the look before; `None`: there was none.
        clock_s: Time on the clock of the readings.
        time_s: The same time on the clock of the snapshots.
        silent_after_s: How old a word may be.
        machines_ready: Machines that are up.
        machines_pending: Machines that are on their way.
        places: Replicas that fit on one of them; `None`: not known.

    >>> from raybeam.autoscaler.fleet import FamilyReading, ReplicaReading
    >>> def look(arrivals, heard_s, before):
    ...     replica = ReplicaReading("shop/web/0#1", "m1", True, heard_s=heard_s, arrivals=arrivals)
    ...     seen = FamilyReading(1, replicas=(replica,))
    ...     return observe(seen, before, clock_s=heard_s + 0.2, time_s=heard_s + 0.2, silent_after_s=2.0)
    >>> first = look(70, 10.0, None)
    >>> second = look(85, 11.5, first.looked)
    >>> first.snapshot.fresh, second.snapshot.arrivals, second.elapsed_s
    (False, 15, 1.5)
    """
    known: Mapping[str, Counters] = before.counters if before else {}
    heard = [replica for replica in family.replicas if replica.heard_s and clock_s - replica.heard_s <= silent_after_s]
    heard_names = {replica.name for replica in heard}
    silent = sum(
        replica.name not in heard_names and (replica.ready or replica.draining or replica.name in known)
        for replica in family.replicas
    )
    speaking = [replica for replica in heard if replica.ready or replica.draining]
    age_s = sum(clock_s - replica.heard_s for replica in speaking) / len(speaking) if speaking else 0.0
    counted = before.untold if before else Counters()
    counters = dict(known)
    for replica in heard:
        counters[replica.name] = now = _counters(replica)
        if before is not None:
            counted = counted.plus(now.since(known.get(replica.name, Counters())))
    there = {replica.name for replica in family.replicas}
    counters = {name: each for name, each in counters.items() if name in there}
    elapsed_s = time_s - age_s - before.time_s if before else 0.0
    fresh = (
        elapsed_s > 0
        and silent <= MOST_SILENT * (silent + len(speaking))
        and (bool(speaking) or not (family.replicas or family.wanted))
    )
    told = counted if fresh else Counters()
    serving = sum(replica.ready and not replica.draining for replica in family.replicas)
    ready = min(serving, family.wanted)
    snapshot = Snapshot(
        time_s=time_s - age_s if fresh else time_s,
        queue=sum(replica.waiting for replica in family.replicas),
        in_flight=sum(replica.in_flight for replica in family.replicas),
        arrivals=told.arrivals,
        completions=told.completions,
        service_s=told.mean_s,
        service_cv=told.cv,
        oldest_wait_s=max((replica.oldest_wait_s for replica in family.replicas), default=0.0),
        ready=ready,
        starting=family.wanted - ready,
        draining=sum(replica.draining for replica in family.replicas) + serving - ready,
        slots=family.slots,
        machines_ready=machines_ready,
        machines_pending=machines_pending,
        places=places,
        fresh=fresh,
        over_s=elapsed_s if fresh else None,
    )
    since_s = time_s - age_s if fresh or before is None else before.time_s
    looked = Looked(since_s, counters, Counters() if fresh else counted)
    return Observation(snapshot, looked, elapsed_s if fresh else 0.0, silent)


def _counters(replica: ReplicaReading) -> Counters:
    return Counters(replica.arrivals, replica.completions, replica.service_total_s, replica.service_square_s2)
