"""Plays every policy on a trace, and tells the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.autoscaling.keda import Keda
from benchmarks.autoscaling.knative import Kpa
from benchmarks.autoscaling.row import IN_HINDSIGHT, OURS, Row
from benchmarks.autoscaling.scenarios import SCENARIOS, Scenario
from benchmarks.autoscaling.serve import Serve
from benchmarks.autoscaling.static import best_size
from raybeam.autoscaler import QueueDepth, TargetUtilisation
from raybeam.autoscaler.simulator import (
    Clairvoyant,
    Family,
    Run,
    Static,
    clairvoyant,
    first_fit,
    score,
    simulate,
)
from raybeam.cluster.policies import made_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybeam.autoscaler.kernel.policy import Policy
    from raybeam.autoscaler.workload import Trace


def policies() -> dict[str, Policy[Any]]:
    """All that take part, each in one configuration for all traces; the static fleet is chosen for each trace."""
    return {
        OURS: QueueDepth(),
        "utilisation 70 %": TargetUtilisation(),
        "Serve": Serve(),
        "Serve, tuned": Serve(0.8, {"upscale_delay_s": 0.0, "downscale_delay_s": 60.0, "look_back_period_s": 15.0}),
        "KPA": Kpa(),
        "KEDA": Keda(),
        "KEDA, tuned": Keda(per_slot=1.0, stabilisation_s=60.0, cooldown_s=60.0),
    }


def play(number: int, seed: int, others: Sequence[str] = (), peers: bool = True) -> list[Row]:
    """Policies on one of `SCENARIOS`.

    Args:
        number: Of the scenario.
        seed: Of its trace, its faults and its noise.
        others: Import paths of classes of further policies; each is made without arguments.
        peers: Whether those of `policies` and the static fleet take part.
    """
    scenario = SCENARIOS[number]
    trace = scenario.make(seed)
    best, packed = (bill(scenario.world, trace, scenario.slots) for bill in (clairvoyant, first_fit))
    taking_part = (policies() if peers else {}) | {path.rpartition(":")[2]: made(path) for path in others}
    rows = [
        _row(name, scenario, seed, trace.onset_s, run_of(scenario, trace, policy, seed), best, packed)
        for name, policy in taking_part.items()
    ]
    if not peers:
        return rows

    def scored(size: int) -> float:
        return score(run_of(scenario, trace, Static(size), seed, size), best)

    size = best_size(trace.offered / scenario.slots, best.peak, scored)
    static = run_of(scenario, trace, Static(size), seed, size)
    return [*rows, _row(IN_HINDSIGHT, scenario, seed, trace.onset_s, static, best, packed)]


def made(path: str) -> Policy[Any]:
    """A policy of the class behind an import path.

    Raises:
        UsageError: It cannot be imported, or is no policy.
    """
    return made_policy(path, {})


def run_of(scenario: Scenario, trace: Trace, policy: Policy[Any], seed: int, initial: int | None = None) -> Run:
    """One run."""
    first = scenario.initial(trace) if initial is None else initial
    quota = scenario.world.max_machines * scenario.world.places
    family = Family("family", trace, policy, slots=scenario.slots, initial=first, max_replicas=quota)
    runs = simulate(scenario.world, family, faults=scenario.faults, sensor=scenario.sensor, seed=seed)
    return runs["family"]


def _row(
    policy: str,
    scenario: Scenario,
    seed: int,
    onset_s: float | None,
    run: Run,
    best: Clairvoyant,
    packed: Clairvoyant,
) -> Row:
    return Row(
        policy,
        scenario.name,
        seed,
        score(run, best),
        run.cost,
        run.late(1.0),
        run.late(5.0),
        run.wait_s(0.99),
        run.replica_s / 3600,
        run.machine_s / 3600,
        run.actions,
        run.reversals_per_hour,
        None if onset_s is None else run.recovery_s(onset_s),
        run.cost / best.cost,
        score(run, packed),
        scenario.smooth,
    )
