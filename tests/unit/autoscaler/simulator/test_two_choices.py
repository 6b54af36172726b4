"""Dispatch to the less loaded of two replicas, against what queueing theory knows of it."""

from __future__ import annotations

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator import Family, Faults, Run, World, simulate
from raybeam.autoscaler.workload import Constant, Exponential, Service, Steady, Trace, draw
from tests.unit.autoscaler.simulator.policies import Fixed, at_times

WORLD = World(start_s=10.0, boot_s=45.0, places=4, machine_idle_s=60.0)


def played(service: Service, replicas: int, slots: int, utilisation: float, requests: int, dispatch: str) -> Run:
    rate = utilisation * replicas * slots / service.mean_s
    trace = draw("steady", Steady(rate), service, requests / rate, 1)
    family = Family("one", trace, Fixed(replicas), slots, replicas, dispatch=dispatch)  # type: ignore[arg-type]
    return simulate(World(interval_s=20.0 * service.mean_s), family)["one"]


@pytest.mark.parametrize("slots", [1, 4])
def test_one_replica_is_one_queue(slots: int) -> None:
    one, same = (played(Exponential(0.1), 1, slots, 0.7, 20_000, dispatch) for dispatch in ("one_queue", "two_choices"))

    assert list(one.waits) == pytest.approx(list(same.waits))
    for name in one.timeline.COLUMNS:
        assert one.timeline.column(name) == pytest.approx(same.timeline.column(name))


def test_one_replica_waits_as_m_m_1_says() -> None:
    run = played(Exponential(0.1), 1, 1, 0.7, 120_000, "two_choices")

    assert run.mean_wait_s == pytest.approx(0.7 * 0.1 / (1 - 0.7), rel=0.06)


@pytest.mark.parametrize("utilisation", [0.5, 0.7, 0.9])
def test_many_replicas_wait_as_the_supermarket_model_says(utilisation: float) -> None:
    run = played(Exponential(1.0), 300, 1, utilisation, 150_000, "two_choices")

    time_there = sum(utilisation ** (2**i - 2) for i in range(1, 12))
    assert run.mean_wait_s + 1.0 == pytest.approx(time_there, rel=0.03)


def test_it_waits_longer_than_in_one_queue() -> None:
    two, one = (played(Exponential(1.0), 10, 1, 0.8, 50_000, dispatch) for dispatch in ("two_choices", "one_queue"))

    assert two.mean_wait_s > 2 * one.mean_wait_s


def test_what_is_in_the_system_is_the_rate_times_the_time_there() -> None:
    run = played(Exponential(0.1), 8, 2, 0.8, 100_000, "two_choices")

    queue, busy = run.timeline.column("queue"), run.timeline.column("in_flight")
    rate = run.requests / run.duration_s
    assert (sum(queue) + sum(busy)) / len(queue) == pytest.approx(rate * (run.mean_wait_s + 0.1), rel=0.04)


def test_a_replica_that_ends_serves_what_it_was_given_although_another_is_idle() -> None:
    trace = Trace("two", [10.0, 10.1, 10.2, 10.3, 199.0], [20.0] * 4 + [0.1], 200.0)
    policy = at_times((0.0, 2), (11.0, 1))
    run = simulate(WORLD, Family("a", trace, policy, initial=2, dispatch="two_choices"))["a"]

    assert list(run.waits) == pytest.approx([0.0, 0.0, 19.8, 19.8, 0.0])
    draining = [snapshot.time_s for snapshot in policy.seen if snapshot.draining]
    assert (draining[0], draining[-1]) == (12.0, 50.0)


def test_a_replica_that_drains_serves_again_when_more_are_wanted() -> None:
    trace = Trace("one", [10.0, 10.1, 30.0, 31.0], [40.0, 40.0, 1.0, 1.0], 200.0)
    policy = at_times((0.0, 2), (11.0, 1), (20.0, 2))
    world = World(start_s=50.0, take_back=True)
    run = simulate(world, Family("a", trace, policy, initial=2, dispatch="two_choices"))["a"]

    assert max(snapshot.starting for snapshot in policy.seen) == 0
    assert [snapshot.ready for snapshot in policy.seen if snapshot.time_s in (12.0, 21.0)] == [1, 2]
    assert run.replica_s == pytest.approx(400.0)


def test_the_place_of_a_replica_is_free_a_while_after_its_last_answer() -> None:
    trace = Trace("one", [10.0], [20.0], 200.0)
    policy = at_times((0.0, 1), (11.0, 0))
    run = simulate(World(end_s=5.0), Family("a", trace, policy, initial=1, dispatch="two_choices"))["a"]

    assert run.replica_s == pytest.approx(35.0)


def test_requests_wait_where_they_come_from_until_there_is_a_replica_and_all_go_to_it() -> None:
    trace = Trace("three", [1.0, 2.0, 3.0, 100.0], [50.0, 50.0, 50.0, 1.0], 200.0)
    policy = at_times((0.0, 1), (21.0, 2))
    run = simulate(WORLD, Family("a", trace, policy, initial=0, dispatch="two_choices"))["a"]

    assert list(run.waits) == pytest.approx([55.0, 104.0, 153.0, 0.0])


def test_what_a_dead_replica_had_goes_to_others() -> None:
    trace = Trace("t", [5.0 + 0.5 * index for index in range(200)], [0.9] * 200, 300.0)
    family = Family("a", trace, Fixed(4), initial=4, dispatch="two_choices")
    run = simulate(WORLD, family, faults=Faults(machines_lost_s=(50.5,), replica_mtbf_s=60.0), seed=3)["a"]

    assert len(run.waits) == 200
    assert not run.pending
    assert max(run.waits) >= 10.0
    assert sum(run.timeline.column("completions")) == 200


def test_what_was_given_but_not_started_when_the_trace_ends_still_waits() -> None:
    trace = Trace("two", [10.0, 20.0], [30.0, 1.0], 35.0)
    run = simulate(WORLD, Family("a", trace, Fixed(1), dispatch="two_choices"))["a"]

    assert (list(run.waits), list(run.pending)) == ([0.0], [15.0])


def test_constant_times_wait_less_than_memoryless_ones() -> None:
    constant = played(Constant(1.0), 50, 1, 0.8, 50_000, "two_choices")
    memoryless = played(Exponential(1.0), 50, 1, 0.8, 50_000, "two_choices")

    assert constant.mean_wait_s < memoryless.mean_wait_s


def test_an_unknown_dispatch_is_refused() -> None:
    with pytest.raises(UsageError, match="give one_queue or two_choices"):
        Family("a", Trace("t", [1.0], [1.0], 2.0), Fixed(1), dispatch="random")  # type: ignore[arg-type]
