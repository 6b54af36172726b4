"""Lead times, told by how many are on their way."""

import pytest

from raybeam.autoscaler.kernel.lead_time import LeadTime


def test_a_start_is_measured_from_the_order_to_the_arrival() -> None:
    lead = LeadTime(10.0).observe(0.0, 2, 0).observe(5.0, 4, 0).observe(20.0, 2, 2).observe(25.0, 0, 2)

    assert lead.mean_s == pytest.approx(20.0)


def test_the_latest_orders_are_those_that_were_given_up() -> None:
    lead = LeadTime(10.0).observe(0.0, 2, 0).observe(5.0, 4, 0).observe(6.0, 2, 0)

    assert lead.remaining_s(6.0) == ((4.0, 2),)


def test_what_is_late_already_makes_the_lead_time_longer_before_it_comes() -> None:
    assert LeadTime(10.0).observe(0.0, 1, 0).observe(40.0, 1, 0).mean_s == 40.0


def test_replicas_that_waited_for_a_machine_say_nothing_of_how_long_they_start() -> None:
    lead = LeadTime(10.0).observe(0.0, 2, 0, held_up=True).observe(60.0, 0, 2)

    assert lead.mean_s == 10.0


def test_what_was_ordered_before_a_gap_is_not_taken_for_ordered_now() -> None:
    lead = LeadTime(10.0).observe(107.0, 4, 0, since_s=101.0)

    assert lead.remaining_s(107.0) == ((4.0, 4),)
    assert LeadTime(10.0).observe(500.0, 4, 0, since_s=101.0).remaining_s(500.0) == ((0.0, 4),)
