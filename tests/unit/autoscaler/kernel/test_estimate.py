"""Service times and arrival rates, from counts."""

from random import Random

import pytest

from raybeam.autoscaler.kernel.estimate import Arrivals, ServiceTime
from raybeam.autoscaler.kernel.forecast import trend
from tests.unit.autoscaler.kernel.counts import poisson


def test_short_requests_that_come_back_first_do_not_make_the_service_time_short() -> None:
    service = ServiceTime(1.0)
    for _ in range(10):
        service = service.observe(1, 0.2, None, 30, 1.0)

    assert service.mean_s > 10.0


def test_many_completions_say_what_the_service_time_is() -> None:
    service = ServiceTime(1.0)
    for _ in range(100):
        service = service.observe(40, 0.25, 1.5, 10, 1.0)

    assert service.mean_s == pytest.approx(0.25, rel=0.01)
    assert service.cv == pytest.approx(1.5, rel=0.01)


def test_before_anything_came_back_the_time_under_way_counts() -> None:
    service = ServiceTime(1.0)
    for _ in range(30):
        service = service.observe(0, None, None, 5, 1.0)

    assert service.mean_s == pytest.approx(30.0)


def test_chance_hardly_moves_the_rate_of_a_steady_load() -> None:
    chance, arrivals, rates = Random(3), Arrivals(), []
    for second in range(900):
        arrivals = arrivals.observe(poisson(30.0, chance), 1.0)
        if second >= 300:
            rates.append(arrivals.level().rate)

    assert max(rates) < 34.0
    assert min(rates) > 26.0


@pytest.mark.parametrize("factor", [3.0, 10.0])
def test_a_jump_is_seen_within_three_seconds(factor: float) -> None:
    chance, arrivals = Random(1), Arrivals()
    for _ in range(200):
        arrivals = arrivals.observe(poisson(20.0, chance), 1.0)
    for _ in range(3):
        arrivals = arrivals.observe(poisson(20.0 * factor, chance), 1.0)

    assert arrivals.level().rate > 0.8 * 20.0 * factor


def test_a_jump_has_no_trend_and_a_ramp_has() -> None:
    jump = Arrivals(((1.0, 10.0),) * 60 + ((1.0, 100.0),) * 20)
    ramp = Arrivals(tuple((1.0, 10.0 + second) for second in range(120)))

    assert trend(jump).slope == 0.0
    assert trend(ramp).slope == pytest.approx(1.0, rel=0.1)


def test_a_trend_is_believed_as_long_as_it_has_lasted() -> None:
    ramp = Arrivals(tuple((1.0, 100.0 + 10.0 * second) for second in range(16)))

    found = trend(ramp)

    assert 8.0 <= found.lasted_s <= 16.0
    assert found.ahead(1000.0) == pytest.approx(found.slope * found.lasted_s)


def test_what_comes_more_often_than_once_a_second_is_joined() -> None:
    arrivals = Arrivals()
    for _ in range(100):
        arrivals = arrivals.observe(1, 0.1)

    assert len(arrivals.slices) == 10
    assert arrivals.level().rate == pytest.approx(10.0)


def test_completions_whose_times_nobody_told_leave_what_was_assumed() -> None:
    service = ServiceTime(0.5)
    for _ in range(10):
        service = service.observe(1000, None, None, 8, 1.0)

    assert service.mean_s == 0.5


def test_service_is_never_taken_to_last_no_time_at_all() -> None:
    service = ServiceTime(0.5)
    for _ in range(10):
        service = service.observe(1000, 5e-324, None, 0, 1.0)

    assert service.mean_s >= 1e-6
