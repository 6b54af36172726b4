"""What the default policy remembers from one snapshot to the next, and what a snapshot tells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .estimate import Arrivals, ServiceTime
from .forecast import Trend
from .insurance import Insurance
from .lead_time import LeadTime, Order
from .scale_in import Hold, Turns
from .staffing import Staff
from .swing import Swing
from .zero import Idle

if TYPE_CHECKING:
    from .snapshot import Snapshot

STUCK = 2.5
"""Starts after which a replica that does not serve has no place."""
SHORTEST_LEAD_S = 0.5
"""Starts are not taken to be faster."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered.

    Attributes:
        service: Service time.
        start: How long replicas take to start.
        boot: How long machines take to boot.
        arrivals: How many requests came of late.
        growth: The trend at the latest snapshot.
        swing: How far the rate moves while replicas start.
        insurance: Bursts of the past.
        hold: What was needed of late.
        order: What was wanted of late, backlogs included.
        turns: Changes of direction that may be made.
        idle: Pauses without any request.
        last: The latest snapshot.
        staff: The number for the load.
        elapsed_s: Seconds between the latest two snapshots.
        places: Replicas that fit on a machine; 0: not known yet.
        filled: Most that was seen on one.
        places_hold: Places that were wanted of late.
        round_s: Seconds since the latest round of the insurance.
        counted_s: Time up to which arrivals and completions were counted.
    """

    service: ServiceTime
    start: LeadTime
    boot: LeadTime
    arrivals: Arrivals = field(default_factory=Arrivals)
    growth: Trend = field(default_factory=Trend)
    swing: Swing = field(default_factory=Swing)
    insurance: Insurance = field(default_factory=Insurance)
    hold: Hold = field(default_factory=Hold)
    order: Hold = field(default_factory=Hold)
    turns: Turns = field(default_factory=Turns)
    idle: Idle = field(default_factory=Idle)
    last: Snapshot | None = None
    staff: Staff = field(default_factory=Staff)
    elapsed_s: float = 0.0
    places: int = 0
    filled: int = 0
    places_hold: Hold = field(default_factory=Hold)
    round_s: float = 0.0
    counted_s: float = 0.0

    @property
    def start_s(self) -> float:
        """Seconds that a replica takes to start."""
        return max(self.start.mean_s, SHORTEST_LEAD_S)


def learn(seen: Snapshot, state: Known, per_machine: int | None, memory_s: float) -> Known:
    """What a snapshot tells of service, arrivals and lead times.

    Args:
        seen: The snapshot.
        state: What was known before.
        per_machine: Replicas that fit on a machine, if that was told.
        memory_s: How far back swings count, seconds.
    """
    last = state.last
    elapsed_s = seen.time_s - max(last.time_s, state.counted_s) if last else 0.0
    if last and seen.over_s:
        elapsed_s = seen.over_s
    if seen.machines_ready:
        # So many are on the fullest machine at least.
        state = replace(state, filled=max(state.filled, -(-(seen.ready + seen.draining) // seen.machines_ready)))
    places = _places(seen, state, per_machine)
    came = max(seen.ready - last.ready, 0) if last else 0
    booted = max(seen.machines_ready - last.machines_ready, 0) if last else 0
    free = places * seen.machines_ready - seen.ready - seen.draining
    held_up = seen.starting > free if places else seen.machines_pending > 0
    # What is new on its way was ordered by the decision before, and would have been seen at the next look but for a
    # gap, be that a crash or silence.
    ordered_s = last.time_s + state.elapsed_s if last else None
    arrivals = state.arrivals.observe(seen.arrivals, elapsed_s)
    return replace(
        state,
        service=state.service.observe(seen.completions, seen.service_s, seen.service_cv, seen.in_flight, elapsed_s),
        start=state.start.observe(seen.time_s, seen.starting, came, held_up=held_up, since_s=ordered_s),
        boot=state.boot.observe(seen.time_s, seen.machines_pending, booted),
        arrivals=arrivals,
        swing=state.swing.observe(seen.arrivals, elapsed_s, state.start_s, arrivals.peakedness(), memory_s),
        idle=state.idle.observe(seen.time_s, bool(seen.arrivals or seen.queue or seen.in_flight)),
        last=seen,
        counted_s=seen.time_s,
        places=places,
        elapsed_s=elapsed_s,
        round_s=state.round_s + elapsed_s,
    )


def _places(seen: Snapshot, state: Known, per_machine: int | None) -> int:
    """Replicas that fit on a machine, as far as it can be seen; 0: it cannot."""
    placed, machines = seen.ready + seen.draining, seen.machines_ready
    if per_machine is not None:
        return state.places
    if seen.places:
        return seen.places
    if not machines + seen.machines_pending:
        return state.places
    if not state.places:
        return -(-(placed + seen.starting) // (machines + seen.machines_pending))
    oldest = state.start.orders[0] if state.start.orders else Order(seen.time_s, 0)
    due_s = STUCK * state.start.mean_s + (state.boot.mean_s if oldest.held_up else 0.0)
    if machines and placed and not seen.machines_pending and seen.time_s - oldest.at_s > due_s:
        # They would serve by now if there were places.
        return max(state.filled, 1, min(state.places, placed // machines))
    return max(state.places, state.filled)
