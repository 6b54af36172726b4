"""What numbers of replicas cost, and which is the cheapest."""

from dataclasses import replace

import pytest

from raybeam.autoscaler.kernel.staffing import Staff, Staffing


def test_two_choices_need_more_replicas_than_one_queue() -> None:
    one_queue = Staffing(wait_s=1.0, price=10.0, service_s=1.0)
    two_choices = replace(one_queue, two_choices=True)

    assert two_choices.best(10.0) > one_queue.best(10.0)
    assert two_choices.best(10.0) == min(range(11, 60), key=lambda replicas: two_choices.cost(replicas, 10.0))


def test_with_one_replica_there_is_no_choice() -> None:
    one_queue = Staffing(wait_s=1.0, price=10.0, service_s=0.5)

    assert replace(one_queue, two_choices=True).cost(1, 0.5) == pytest.approx(one_queue.cost(1, 0.5), rel=0.05)


def test_more_than_there_may_be_is_not_looked_for() -> None:
    staffing = Staffing(wait_s=1.0, price=10.0, service_s=1e6, most=100)

    assert staffing.best(1e12, error=1e6) == 101
    assert Staff(100).observe(staffing, 1e12, 1e6, 1.0, 10.0).number == 101


def test_a_few_percent_are_no_reason_to_have_fewer() -> None:
    staffing = Staffing(wait_s=1.0, price=10.0, service_s=0.5)
    costs = {replicas: staffing.cost(replicas, 10.0) for replicas in (12, 13, 14)}
    assert costs[12] < costs[13] < 1.05 * costs[12] < costs[14]

    assert Staff(13).observe(staffing, 10.0, 0.0, 3600.0, 10.0).number == 13
    assert Staff(14).observe(staffing, 10.0, 0.0, 3600.0, 10.0).number == 12
