"""Replicas so that they are busy for a share of the time: the policy that most platforms have."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import TYPE_CHECKING

from .bounds import Bounds
from .policy import Decision
from .scale_in import Hold

if TYPE_CHECKING:
    from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Watched:
    """What the policy remembers.

    Attributes:
        hold: The most that was needed of late.
        busy: Slots in use with those who wait, averaged.
        time_s: When the snapshot before was taken.
    """

    hold: Hold = field(default_factory=Hold)
    busy: float | None = None
    time_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TargetUtilisation:
    """Requests in the system over slots, held at a target.

    It knows neither lead times nor queues: simple, and slow where load jumps. Use it as one voice among several, or to
    compare with.

    Attributes:
        target: Share of the slots that should be in use. Default 0.7.
        tolerance: Nothing changes while the share is off by less than this part of the target. Default 0.1.
        average_s: Time over which the number in the system is averaged, seconds. Default 10.
        hold_s: Replicas stay for so long after they were needed, seconds. Default 60.
        bounds: Fewest and most. Default 1 to 1000 replicas.

    Raises:
        ValueError: The target is not above 0 and at most 1, or a time is negative.

    >>> from raybeam.autoscaler.kernel.snapshot import Snapshot
    >>> policy = TargetUtilisation(target=0.5)
    >>> policy.decide(Snapshot(0.0, in_flight=8, ready=8), policy.start())[0].replicas
    16
    """

    target: float = 0.7
    tolerance: float = 0.1
    average_s: float = 10.0
    hold_s: float = 60.0
    bounds: Bounds = field(default_factory=lambda: Bounds(1))

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise ValueError(f"target={self.target!r}: give a share above 0, at most 1")
        for name in ("tolerance", "average_s", "hold_s"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value!r}: give a finite number, 0 or more")

    def start(self) -> Watched:
        """Nothing is known yet."""
        return Watched()

    def decide(self, snapshot: Snapshot, state: Watched) -> tuple[Decision, Watched]:
        """As many as bring the share of busy slots to the target."""
        present = snapshot.ready + snapshot.starting
        if not snapshot.fresh:
            return Decision(self.bounds.clip(present)[0], None, "nothing new was heard: what there is stays"), state
        now = float(snapshot.queue + snapshot.in_flight)
        elapsed_s = max(snapshot.time_s - state.time_s, 0.0)
        weight = 1.0 if state.busy is None else elapsed_s / (self.average_s + elapsed_s) if elapsed_s else 0.0
        busy = now if state.busy is None else state.busy + (now - state.busy) * weight
        wanted = ceil(busy / (self.target * snapshot.slots))
        share = busy / (present * snapshot.slots) if present else (1.0 if busy else 0.0)
        if present and abs(share / self.target - 1.0) <= self.tolerance:
            wanted = present
        hold = state.hold.observe(snapshot.time_s, wanted, self.hold_s)
        replicas, met = self.bounds.clip(max(wanted, min(hold.most, present)))
        reason = met or ("utilisation is on target" if replicas == present else "utilisation is off target")
        return Decision(replicas, None, reason, {"busy": busy, "share": share}), Watched(hold, busy, snapshot.time_s)
