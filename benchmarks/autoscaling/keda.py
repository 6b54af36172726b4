"""KEDA on Kubernetes' horizontal pod autoscaler (HPA) as published: an average value of a queue's length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from raybeam.autoscaler.kernel.policy import Decision

if TYPE_CHECKING:
    from raybeam.autoscaler.kernel.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class KedaState:
    """What it remembers: what it recommended, and how many pods there were when."""

    recommended: tuple[tuple[float, int], ...] = ()
    synced_s: float | None = None
    polled_s: float = 0.0
    active_s: float = 0.0
    target: int = 0


@dataclass(frozen=True, slots=True)
class Keda:
    """Defaults of KEDA's queue scalers and of the HPA behind them.

    Attributes:
        per_replica: Requests, waiting and in service, that one replica is to have. Default 5.
        per_slot: The same for each slot; instead of `per_replica`.
        sync_s: How often the HPA decides.
        poll_s: How often KEDA looks whether to go from 0 to 1.
        cooldown_s: From 1 to 0 after nothing was there for so long.
        stabilisation_s: It goes down to the most that it recommended within so long.
        tolerance: No change for deviations up to this share.
    """

    per_replica: float = 5.0
    per_slot: float | None = None
    sync_s: float = 15.0
    poll_s: float = 30.0
    cooldown_s: float = 300.0
    stabilisation_s: float = 300.0
    tolerance: float = 0.1

    def start(self) -> KedaState:
        return KedaState()

    def decide(self, snapshot: Snapshot, state: KedaState) -> tuple[Decision, KedaState]:
        now, load = snapshot.time_s, snapshot.queue + snapshot.in_flight
        if state.synced_s is None:
            initial = snapshot.ready + snapshot.starting
            return Decision(initial), KedaState(((now, initial),), now, now, now, initial)
        since_sync_s = now - state.synced_s
        if now - state.polled_s >= self.poll_s - 1e-9:
            state = self._poll(state, now, load)
        if state.target > 0 and since_sync_s >= self.sync_s - 1e-9:
            state = self._sync(state, now, load, snapshot.slots)
        return Decision(state.target), state

    def _poll(self, state: KedaState, now: float, load: int) -> KedaState:
        active_s = now if load > 0 else state.active_s
        target = state.target
        if load > 0 and target == 0:
            target = 1
        elif now - active_s >= self.cooldown_s:
            target = 0
        return replace(state, polled_s=now, active_s=active_s, target=target)

    def _sync(self, state: KedaState, now: float, load: int, slots: int) -> KedaState:
        current = state.target
        per_replica = self.per_replica if self.per_slot is None else self.per_slot * slots
        ratio = load / (per_replica * current)
        wanted = max(1, current if abs(ratio - 1) <= self.tolerance else ceil(load / per_replica))
        kept = tuple(point for point in state.recommended if point[0] > now - self.stabilisation_s)
        recommended = (*kept, (now, wanted))
        if wanted >= current:
            target = min(wanted, max(2 * current, current + 4))
        else:
            target = min(current, max(value for _, value in recommended))
        return replace(state, recommended=recommended, synced_s=now, target=target)
