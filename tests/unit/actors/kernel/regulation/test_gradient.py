"""The adaptive limit: grows while calls take what they always took, shrinks when they take longer."""

import pytest

from raybeam.actors import Gradient
from raybeam.actors.kernel.regulation.gradient import Estimate, observed, stepped

GRADIENT = Gradient(initial=20, least=5, most=100, smoothing=1.0)
SETTLED = Estimate(limit=20.0, long_s=0.1, windows=11)


def test_while_nothing_queues_it_grows_by_the_room() -> None:
    assert stepped(GRADIENT, SETTLED, 0.1, in_flight=20).limit == 24


def test_what_takes_longer_within_the_tolerance_is_borne() -> None:
    assert stepped(GRADIENT, SETTLED, 0.149, in_flight=20).limit == 24
    assert stepped(GRADIENT, SETTLED, 0.2, in_flight=20).limit < 20


def test_one_window_takes_at_most_half_of_it() -> None:
    assert stepped(GRADIENT, SETTLED, 100.0, in_flight=20).limit == 20 * 0.5 + 4


def test_it_does_not_grow_while_less_than_half_of_it_is_used() -> None:
    assert stepped(GRADIENT, SETTLED, 0.1, in_flight=9).limit == 20


def test_it_stays_within_its_bounds() -> None:
    limit = SETTLED
    for _ in range(100):
        limit = stepped(GRADIENT, limit, 0.1, in_flight=100)
    assert limit.limit == 100
    for _ in range(100):
        limit = stepped(GRADIENT, limit, 100.0, in_flight=100)
    assert limit.limit >= 5


def test_the_long_term_time_begins_as_a_plain_mean() -> None:
    estimate = Estimate(20.0)
    for short_s in (0.1, 0.2, 0.3):
        estimate = stepped(GRADIENT, estimate, short_s, in_flight=1)

    assert estimate.long_s == pytest.approx(0.2)


def test_the_long_term_time_of_worse_times_is_forgotten_sooner() -> None:
    slow = SETTLED._replace(long_s=1.0)

    assert stepped(GRADIENT, slow, 0.1, in_flight=1).long_s < 0.95
    assert stepped(GRADIENT, slow, 0.9, in_flight=1).long_s > 0.99


def test_calls_that_took_no_time_tell_nothing() -> None:
    assert stepped(GRADIENT, SETTLED, 0.0, in_flight=20) is SETTLED


def test_a_window_ends_when_it_is_long_enough_in_time_and_in_calls() -> None:
    gradient = Gradient(window_s=1.0, window_calls=3)
    estimate, limits = Estimate(20.0), []
    for now in (0.0, 0.1, 0.2, 1.0, 5.0, 9.0, 9.1):
        estimate = observed(gradient, estimate, 0.1, in_flight=20, now=now)
        limits.append(round(estimate.limit, 6))

    assert limits == [20, 20, 20, 20.8, 20.8, 20.8, 21.6]
