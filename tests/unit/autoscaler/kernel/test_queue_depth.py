"""The default policy, on loads that are simple enough to say what must come out."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from raybeam.autoscaler.kernel.bounds import Bounds
from raybeam.autoscaler.kernel.erlang import later_than
from raybeam.autoscaler.kernel.policy import Decision
from raybeam.autoscaler.kernel.queue_depth import QueueDepth
from raybeam.autoscaler.kernel.snapshot import Snapshot
from raybeam.autoscaler.simulator import Family, Static, World, clairvoyant, simulate
from raybeam.autoscaler.workload import Exponential, FlashCrowd, LogNormal, Steady, draw

if TYPE_CHECKING:
    from raybeam.autoscaler.kernel.known import Known


def calm(second: int, rate: int = 20, ready: int = 8) -> Snapshot:
    return Snapshot(
        float(second), in_flight=rate // 4, arrivals=rate, completions=rate, service_s=0.25, service_cv=1.0, ready=ready
    )


def after(seconds: int, policy: QueueDepth, rate: int = 20, ready: int = 8) -> tuple[Decision, Known]:
    known = policy.start()
    decision = Decision(0)
    for second in range(seconds):
        decision, known = policy.decide(calm(second, rate, ready), known)
    return decision, known


def test_the_first_snapshots_change_nothing_for_the_worse() -> None:
    decision, _ = after(1, QueueDepth(), ready=30)

    assert decision.replicas == 30


def test_more_than_the_load_needs_is_given_back_after_a_while() -> None:
    decision, _ = after(120, QueueDepth(), ready=30)

    assert decision.replicas < 12


def test_numbers_that_are_not_fresh_change_nothing() -> None:
    policy = QueueDepth()
    _, known = after(60, policy)

    decision, same = policy.decide(Snapshot(60.0, queue=900, ready=8, starting=1, fresh=False), known)

    assert decision.replicas == 9
    assert replace(same, counted_s=known.counted_s) == known


def test_the_same_backlog_orders_nothing_twice() -> None:
    policy = QueueDepth()
    _, known = after(60, policy)
    orders = []
    queue, starting = 300, 0
    for second in range(60, 68):
        seen = Snapshot(float(second), queue, 8, 20, 32, 0.25, 1.0, oldest_wait_s=5.0, ready=8, starting=starting)
        decision, known = policy.decide(seen, known)
        starting = decision.replicas - 8
        orders.append(decision.replicas)
        queue -= 12

    assert orders[0] > 8
    assert max(orders) == orders[0]


def test_each_decision_says_why_in_numbers() -> None:
    decision, _ = after(60, QueueDepth())

    assert decision.reason
    assert decision.terms["service_s"] == pytest.approx(0.25)
    assert decision.terms["rate_per_s"] == pytest.approx(20.0)


def test_from_nothing_there_is_enough_for_the_rate_and_not_one() -> None:
    policy = QueueDepth(service_s=0.5)
    known = policy.start()
    for second in range(30):
        decision, known = policy.decide(Snapshot(float(second)), known)
    assert decision.replicas == 0

    for second in (30, 31):
        decision, known = policy.decide(Snapshot(float(second), queue=40 * (second - 29), arrivals=40), known)

    assert decision.replicas >= 20


def test_a_replica_that_has_nothing_to_do_leaves_in_the_end() -> None:
    policy = QueueDepth()
    _, known = after(60, policy, rate=4, ready=2)
    ready = 2
    for second in range(60, 1200):
        decision, known = policy.decide(Snapshot(float(second), ready=ready), known)
        ready = decision.replicas

    assert ready == 0


def test_steady_load_moves_at_most_one_replica_in_ten_minutes() -> None:
    trace = draw("steady", Steady(40.0), Exponential(0.25), 2400.0, seed=5)

    run = simulate(World(), Family("f", trace, QueueDepth(), initial=14))["f"]

    assert sum(at > 600 for at, _ in run.targets) <= 3


def test_a_crowd_of_ten_times_the_load_is_over_in_75_seconds() -> None:
    trace = draw("crowd", FlashCrowd(8.0, 10.0, 900.0), Exponential(0.2), 2400.0, seed=4, onset_s=900.0)
    world = World(start_s=10.0, boot_s=45.0)

    run = simulate(world, Family("f", trace, QueueDepth(), initial=3))["f"]

    assert run.recovery_s(900.0) <= 75.0
    assert run.cost <= 1.6 * clairvoyant(world, trace).cost


@pytest.mark.parametrize("name", ["wait_s", "lateness_price", "service_s", "start_s", "boot_s", "memory_s"])
@pytest.mark.parametrize("bad", [float("nan"), -1.0, float("inf")])
def test_parameters_that_cannot_be_are_refused(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match=name):
        QueueDepth(**{name: bad})  # type: ignore[arg-type]  # the name is one of a number


def test_a_maximum_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValueError, match="below min_replicas"):
        Bounds(3, 2)


def test_a_log_can_be_replayed() -> None:
    chance = Random(2)
    log = [calm(second, chance.randrange(10, 60)) for second in range(200)]

    def play() -> list[int]:
        policy = QueueDepth()
        known, decided = policy.start(), []
        for seen in log:
            decision, known = policy.decide(seen, known)
            decided.append(decision.replicas)
        return decided

    assert play() == play()


def test_an_answer_cannot_be_asked_for_in_less_time_than_serving_takes() -> None:
    with pytest.raises(ValueError, match="in less time than serving takes"):
        QueueDepth(answer_s=0.5, service_s=0.5)


def test_a_service_time_that_turns_out_too_long_for_the_objective_is_told() -> None:
    policy = QueueDepth(answer_s=0.2, service_s=0.1)
    decision, _ = after(60, policy)

    assert "nothing can be answered in 0.2 s" in decision.reason


def test_an_answer_in_time_leaves_less_time_to_wait() -> None:
    patient, _ = after(200, QueueDepth(wait_s=2.0), rate=40, ready=30)
    hurried, _ = after(200, QueueDepth(answer_s=0.3, service_s=0.1), rate=40, ready=30)

    assert hurried.replicas > patient.replicas


def test_with_a_machine_to_spare_its_replicas_come_on_top() -> None:
    plain, _ = after(200, QueueDepth(places=4), ready=30)
    spare, _ = after(200, QueueDepth(places=4, machines_spare=1), ready=30)

    assert spare.replicas == plain.replicas + 4


def test_a_snapshot_that_is_not_later_changes_nothing() -> None:
    policy = QueueDepth()
    _, known = after(60, policy)

    decision, same = policy.decide(calm(59, rate=900), known)

    assert decision.replicas == 8
    assert "not later" in decision.reason
    assert same == known


def test_what_was_lost_on_the_way_does_not_make_the_rate_smaller() -> None:
    policy, known = QueueDepth(), QueueDepth().start()
    for second in range(200):
        seen = calm(second) if second % 2 else replace(calm(second), arrivals=0, completions=0, fresh=False)
        decision, known = policy.decide(seen, known)

    assert decision.terms["rate_per_s"] == pytest.approx(20.0, rel=0.02)


def test_what_is_told_after_a_silence_is_no_crowd() -> None:
    policy, known = QueueDepth(), QueueDepth().start()
    for second in range(300):
        seen = calm(second)
        if 200 <= second < 260:
            seen = replace(seen, arrivals=0, completions=0, fresh=False)
        if second == 260:
            seen = replace(seen, arrivals=61 * seen.arrivals, completions=61 * seen.completions, over_s=61.0)
        decision, known = policy.decide(seen, known)

    assert decision.terms["rate_per_s"] == pytest.approx(20.0, rel=0.02)


def test_a_request_of_heavy_tailed_service_waits_about_as_long_as_was_thought() -> None:
    for cv in (2.0, 3.0):
        trace = draw("heavy", Steady(10.0), LogNormal(1.0, cv), 20_000.0, seed=3)
        world = World(interval_s=60.0, places=20)
        for replicas in (13, 15):
            late = simulate(world, Family("f", trace, Static(replicas), initial=replicas))["f"].late(1.0)
            thought = 100.0 * later_than(1.0, replicas, 10.0, 1.0, cv)

            assert 0.7 * late < thought < 3.0 * late


def test_a_dispatch_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="dispatch='random': give 'one_queue' or 'two_choices'"):
        QueueDepth(dispatch="random")
