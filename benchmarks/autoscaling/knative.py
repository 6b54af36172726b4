"""Knative's pod autoscaler (KPA) as published: stable and panic windows over concurrency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TYPE_CHECKING

from raybeam.autoscaler.kernel.policy import Decision

if TYPE_CHECKING:
    from raybeam.autoscaler.kernel.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class KpaState:
    """What it remembers: concurrency as it was seen, the panic, and since when it wants none."""

    seen: tuple[tuple[float, float], ...] = ()
    decided_s: float | None = None
    target: int = 0
    panic_s: float | None = None
    panic_most: int = 0
    zero_s: float | None = None


@dataclass(frozen=True, slots=True)
class Kpa:
    """Defaults of Knative Serving.

    Attributes:
        utilisation: Share of a replica's slots to be in use.
        stable_s: Window of the average.
        panic_share: The panic window's share of it.
        panic_at: It panics when this many times what is ready is wanted.
        max_up: Most times what is ready to want at once.
        max_down: Most times fewer.
        tick_s: How often it decides.
        grace_s: It goes to zero after wanting so for so long.
        down_delay_s: It goes down to the most it wanted within so long.
    """

    utilisation: float = 0.7
    stable_s: float = 60.0
    panic_share: float = 0.1
    panic_at: float = 2.0
    max_up: float = 1000.0
    max_down: float = 2.0
    tick_s: float = 2.0
    grace_s: float = 30.0

    def start(self) -> KpaState:
        return KpaState()

    def decide(self, snapshot: Snapshot, state: KpaState) -> tuple[Decision, KpaState]:
        now = snapshot.time_s
        kept = tuple(point for point in state.seen if point[0] > now - self.stable_s)
        state = replace(state, seen=(*kept, (now, float(snapshot.queue + snapshot.in_flight))))
        if state.decided_s is None:
            current = snapshot.ready + snapshot.starting
            state = replace(state, target=current, panic_s=now, panic_most=current)
        elif now - state.decided_s < self.tick_s - 1e-9:
            return Decision(state.target), state
        ready = max(1, snapshot.ready)
        per_replica = self.utilisation * snapshot.slots
        stable = _average(state.seen, now - self.stable_s)
        panic = _average(state.seen, now - self.stable_s * self.panic_share)
        most, least = ceil(self.max_up * ready), floor(snapshot.ready / self.max_down)
        want = min(max(ceil(stable / per_replica), least), most)
        want_now = min(max(ceil(panic / per_replica), least), most)
        panic_s, panic_most = state.panic_s, state.panic_most
        if ceil(panic / per_replica) / ready >= self.panic_at:
            panic_s = now
        elif panic_s is not None and now - panic_s > self.stable_s:
            panic_s, panic_most = None, 0
        if panic_s is not None:
            want = panic_most = max(panic_most, want, want_now)
        zero_s = state.zero_s
        if want > 0:
            zero_s = None
        else:
            zero_s = now if zero_s is None else zero_s
            want = 0 if now - zero_s >= self.grace_s else min(1, state.target)
        return Decision(want), replace(
            state, decided_s=now, target=want, panic_s=panic_s, panic_most=panic_most, zero_s=zero_s
        )


def _average(points: tuple[tuple[float, float], ...], since: float) -> float:
    values = [value for at, value in points if at > since]
    return sum(values) / len(values) if values else 0.0
