"""The pace: what a waiting time is expected from."""

import pytest

from raybeam.actors.kernel.regulation.pace import UNKNOWN, done


def test_while_calls_wait_it_is_the_time_from_one_answer_to_the_next() -> None:
    pace = UNKNOWN
    for now in (0.5, 1.0, 1.5, 2.0):  # four at once, 2 s each
        pace = done(pace, 2.0, in_flight=4, waiting=9, now=now)

    assert pace.call_s == pytest.approx(0.5)


def test_idle_time_does_not_count() -> None:
    busy = done(UNKNOWN, 0.1, in_flight=1, waiting=0, now=1.0)
    later = done(busy, 0.1, in_flight=1, waiting=0, now=100.0)

    assert later.call_s == pytest.approx(0.1)


def test_it_follows_a_service_that_becomes_slower() -> None:
    pace = done(UNKNOWN, 0.1, in_flight=1, waiting=5, now=0.0)
    for number in range(1, 51):
        pace = done(pace, 0.2, in_flight=1, waiting=5, now=number * 0.2)

    assert pace.call_s == pytest.approx(0.2, rel=0.02)
