"""The small policies, and policies in company."""

from typing import Any

import pytest

from raybeam.autoscaler.kernel.bounds import Bounds
from raybeam.autoscaler.kernel.combine import Most, Unless
from raybeam.autoscaler.kernel.queue_depth import QueueDepth
from raybeam.autoscaler.kernel.scheduled import Scheduled
from raybeam.autoscaler.kernel.snapshot import Snapshot
from raybeam.autoscaler.kernel.static import Static
from raybeam.autoscaler.kernel.target_utilisation import TargetUtilisation
from raybeam.autoscaler.kernel.zero import Idle


def test_a_schedule_begins_anew_and_asks_early() -> None:
    plan = Scheduled(((10.0, 1), (20.0, 5)), period_s=100.0, lead_s=5.0)

    decided = [plan.decide(Snapshot(at_s), None)[0].replicas for at_s in (0.0, 6.0, 15.0, 104.0, 106.0)]

    assert decided == [5, 1, 5, 5, 1]


@pytest.mark.parametrize("plan", [(), ((5.0, 1), (5.0, 2)), ((200.0, 1),), ((1.0, -1),)])
def test_a_schedule_that_cannot_be_is_refused(plan: tuple[tuple[float, int], ...]) -> None:
    with pytest.raises(ValueError, match="plan"):
        Scheduled(plan, period_s=100.0)


def test_utilisation_within_the_tolerance_changes_nothing() -> None:
    policy = TargetUtilisation(target=0.7)

    decision, _ = policy.decide(Snapshot(0.0, in_flight=72, ready=100), policy.start())

    assert decision.replicas == 100


def test_utilisation_is_lowered_only_after_the_hold() -> None:
    policy = TargetUtilisation(target=0.5, average_s=0.0, hold_s=60.0)
    _, known = policy.decide(Snapshot(0.0, in_flight=10, ready=20), policy.start())

    early, known = policy.decide(Snapshot(30.0, in_flight=2, ready=20), known)
    late, _ = policy.decide(Snapshot(61.0, in_flight=2, ready=20), known)

    assert (early.replicas, late.replicas) == (20, 4)


def test_the_larger_of_two_wins_with_its_reason() -> None:
    both = Most(Static(3, machines=4), Static(5))

    decision, _ = both.decide(Snapshot(0.0), both.start())

    assert (decision.replicas, decision.machines) == (5, 4)


def test_another_policy_decides_while_nothing_is_heard() -> None:
    careful = Unless(TargetUtilisation(bounds=Bounds(1, 50)), Static(7))

    decided = [
        careful.decide(Snapshot(0.0, ready=2, fresh=fresh), careful.start())[0].replicas for fresh in (True, False)
    ]

    assert decided == [1, 7]


def test_pauses_that_are_too_long_to_wait_for_are_not_waited_for() -> None:
    idle = Idle()
    now = 0.0
    for _ in range(5):
        idle = idle.observe(now, True).observe(now + 1, False)
        now += 500.0

    assert idle.keep_s(100.0) == 0.0
    assert idle.keep_s(2000.0) == pytest.approx(499.0)


def test_a_budget_is_a_maximum() -> None:
    assert Bounds(1, 50, budget=10.0, replica_price=0.5).clip(40) == (20, "the budget")
    with pytest.raises(ValueError, match="does not pay"):
        Bounds(5, 50, budget=1.0, replica_price=0.5)


@pytest.mark.parametrize("bad", [float("nan"), -1.0])
def test_targets_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="target"):
        TargetUtilisation(target=bad)
    with pytest.raises(ValueError, match="average_s"):
        TargetUtilisation(average_s=bad)


@pytest.mark.parametrize(
    ("policy", "options", "told"),
    [
        (QueueDepth, {"machines_spare": -1}, "machines_spare=-1: give a finite number, 0 or more"),
        (QueueDepth, {"machines_spare": 1.5}, "machines_spare=1.5: give a whole number"),
        (QueueDepth, {"places": 1.5}, "places=1.5: give a whole number"),
        (QueueDepth, {"answer_s": float("nan")}, "answer_s=nan: give a finite number, 0 or more"),
        (Bounds, {"min_replicas": 1.5}, "min_replicas=1.5: give a whole number"),
        (Bounds, {"max_replicas": None}, "max_replicas=None: give a whole number"),
        (Static, {"replicas": float("nan")}, "replicas=nan: give a whole number"),
        (Static, {"replicas": "3"}, "replicas='3': give a whole number"),
        (Scheduled, {"plan": ((0.0, 1.5),)}, "plan at 0.0 s: 1.5 replicas: give a whole number"),
        (Snapshot, {"time_s": 0.0, "queue": "3"}, "queue='3': give a finite number, 0 or more"),
        (Snapshot, {"time_s": 0.0, "queue": None}, "queue=None: give a finite number, 0 or more"),
        (Snapshot, {"time_s": 0.0, "slots": None}, "slots=None: give a finite number, 0 or more"),
        (
            Snapshot,
            {"time_s": 0.0, "arrivals": 10**400},
            "arrivals=.very many digits.: give a finite number, 0 or more",
        ),
    ],
)
def test_a_number_that_is_none_or_not_whole_is_refused_by_name(policy: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        policy(**options)
