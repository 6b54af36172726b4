"""Traces that are drawn at random follow their shape."""

from itertools import pairwise
from random import Random
from statistics import fmean, pstdev

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.workload import (
    Constant,
    Diurnal,
    Exponential,
    FlashCrowd,
    LogNormal,
    Pareto,
    Ramp,
    Rate,
    Service,
    Spikes,
    Steady,
    draw,
    on_off,
    poisson_times,
)


def count(times: list[float], begin: float, end: float) -> int:
    return sum(begin <= at < end for at in times)


def test_gaps_of_a_steady_load_are_exponential() -> None:
    times = poisson_times(Steady(50.0), 1000.0, Random(1))
    gaps = [after - before for before, after in pairwise(times)]

    assert fmean(gaps) == pytest.approx(0.02, rel=0.02)
    assert pstdev(gaps) == pytest.approx(0.02, rel=0.03)


@pytest.mark.parametrize(
    ("rate", "at", "expected"),
    [
        (Diurnal(2.0, 10.0, 100.0), 0.0, 2.0),
        (Diurnal(2.0, 10.0, 100.0), 50.0, 10.0),
        (Ramp(1.0, 5.0, 10.0, 20.0), 5.0, 1.0),
        (Ramp(1.0, 5.0, 10.0, 20.0), 20.0, 3.0),
        (Ramp(1.0, 5.0, 10.0, 20.0), 99.0, 5.0),
        (Ramp(1.0, 5.0, 10.0), 10.0, 5.0),
        (FlashCrowd(2.0, 10.0, 100.0, 10.0, 50.0, 20.0), 99.0, 2.0),
        (FlashCrowd(2.0, 10.0, 100.0, 10.0, 50.0, 20.0), 105.0, 11.0),
        (FlashCrowd(2.0, 10.0, 100.0, 10.0, 50.0, 20.0), 159.0, 20.0),
        (FlashCrowd(2.0, 10.0, 100.0, 10.0, 50.0, 20.0), 170.0, 11.0),
        (FlashCrowd(2.0, 10.0, 100.0, 10.0, 50.0, 20.0), 180.0, 2.0),
        (Spikes(1.0, 8.0, 300.0, 20.0), 10.0, 1.0),
        (Spikes(1.0, 8.0, 300.0, 20.0), 310.0, 8.0),
        (Spikes(1.0, 8.0, 300.0, 20.0), 320.0, 1.0),
    ],
)
def test_shapes_are_what_they_say(rate: Rate, at: float, expected: float) -> None:
    assert rate(at) == pytest.approx(expected)


def test_arrivals_follow_the_rate() -> None:
    times = poisson_times(Ramp(10.0, 100.0, 100.0), 200.0, Random(1))

    assert count(times, 0.0, 100.0) == pytest.approx(1000, abs=120)
    assert count(times, 100.0, 200.0) == pytest.approx(10_000, abs=400)


def test_nothing_comes_while_the_rate_is_zero() -> None:
    assert poisson_times(Ramp(0.0, 100.0, 100.5), 101.0, Random(1))[0] >= 100.0


def test_bursts_take_their_share_of_the_time() -> None:
    rate = on_off(1.0, 9.0, 30.0, 10.0, 100_000.0, Random(1))

    assert fmean(rate(at) for at in range(100_000)) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(
    ("service", "cv"),
    [(Constant(0.2), 0.0), (Exponential(0.2), 1.0), (LogNormal(0.2, 2.0), 2.0), (Pareto(0.2, 6.0), 1 / 24**0.5)],
)
def test_service_times_have_their_mean_and_spread(service: Service, cv: float) -> None:
    chance = Random(1)
    drawn = [service.draw(chance) for _ in range(100_000)]

    assert fmean(drawn) == pytest.approx(service.mean_s, rel=0.03)
    assert pstdev(drawn) / fmean(drawn) == pytest.approx(cv, rel=0.1, abs=1e-9)


def test_the_same_seed_gives_the_same_trace_and_another_one_another() -> None:
    one, same, other = (draw("x", Steady(5.0), Exponential(1.0), 100.0, seed) for seed in (1, 1, 2))

    assert (one.times, one.sizes) == (same.times, same.sizes)
    assert one.times != other.times


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Steady(-1.0),
        lambda: Diurnal(1.0, float("nan")),
        lambda: Constant(0.0),
        lambda: Exponential(-1.0),
        lambda: LogNormal(1.0, 0.0),
        lambda: Pareto(1.0, 1.0),
        lambda: on_off(1.0, 2.0, 0.0, 1.0, 10.0, Random(1)),
        lambda: draw("x", Steady(1.0), Constant(1.0), 0.0, 1),
        lambda: draw("x", Steady(0.0), Constant(1.0), 10.0, 1),
        lambda: poisson_times(lambda at: float("inf"), 10.0, Random(1)),
    ],
)
def test_impossible_values_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(UsageError):
        wrong()
