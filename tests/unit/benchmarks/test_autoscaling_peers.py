"""Peers of the autoscaling benchmark do what their sources say."""

from typing import Any

from benchmarks.autoscaling.keda import Keda
from benchmarks.autoscaling.knative import Kpa
from benchmarks.autoscaling.static import best_size
from raybeam.autoscaler.kernel.policy import Policy
from raybeam.autoscaler.kernel.snapshot import Snapshot


def decisions(policy: Policy[Any], *snapshots: Snapshot) -> list[int]:
    state = policy.start()
    decided = []
    for snapshot in snapshots:
        decision, state = policy.decide(snapshot, state)
        decided.append(decision.replicas)
    return decided


def steady(until_s: int, load: int, ready: int, since_s: int = 1) -> list[Snapshot]:
    return [Snapshot(float(at), in_flight=load, ready=ready) for at in range(since_s, until_s + 1)]


def test_knative_holds_seventy_percent_of_concurrency() -> None:
    assert decisions(Kpa(), *steady(200, 7, 10))[-1] == 10
    assert decisions(Kpa(), *steady(200, 8, 10))[-1] == 12


def test_knative_panics_when_twice_as_many_are_wanted_and_does_not_go_down_for_a_minute() -> None:
    calm, rush, after = steady(200, 7, 10), steady(210, 30, 10, 201), steady(300, 7, 43, 211)
    decided = decisions(Kpa(), *calm, *rush, *after)

    assert max(decided[200:212]) == 43
    assert decided[250] == 43
    assert decided[-1] < 43


def test_knative_goes_down_by_half_at_most() -> None:
    assert min(decisions(Kpa(), *steady(200, 0, 10))[1:150]) >= 5


def test_keda_wants_a_replica_for_five_and_no_more_than_twice_as_many_at_once() -> None:
    rush = [Snapshot(float(at), queue=500, ready=10) for at in range(1, 50)]
    decided = decisions(Keda(), *rush)

    assert decided[0] == 10
    assert (decided[15], decided[30], decided[45]) == (20, 40, 80)


def test_keda_goes_down_to_the_most_of_five_minutes() -> None:
    decided = decisions(Keda(), *steady(30, 50, 10), *steady(400, 5, 10, 31))

    assert (decided[200], decided[-1]) == (10, 1)


def test_keda_goes_to_zero_after_a_cooldown_and_comes_back_with_one() -> None:
    decided = decisions(Keda(), *steady(400, 0, 1), *steady(440, 3, 0, 401))

    assert (decided[250], decided[395], decided[-1]) == (1, 0, 1)


def test_the_best_size_is_found() -> None:
    assert best_size(3.2, 60, lambda size: abs(size - 17)) == 17
    assert best_size(3.2, 2, lambda size: size) == 4
