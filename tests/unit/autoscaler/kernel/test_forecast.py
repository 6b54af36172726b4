"""Trends are of ramps and never of steps; periods are those of what has come back."""

from __future__ import annotations

from random import Random

import pytest

from raybeam.autoscaler.kernel.estimate import Arrivals
from raybeam.autoscaler.kernel.forecast import LEVEL, Season, Trend, confirmed, trend
from tests.unit.autoscaler.kernel.counts import poisson


def drawn(rates: list[float], seed: int) -> Arrivals:
    chance, arrivals = Random(seed), Arrivals()
    for rate in rates:
        arrivals = arrivals.observe(poisson(rate, chance), 1.0)
    return arrivals


def slopes(rates: list[float], seeds: int = 20) -> list[float]:
    return [trend(drawn(rates, seed)).slope for seed in range(seeds)]


@pytest.mark.parametrize("seconds", [3, 5, 8, 13, 21, 34, 55])
@pytest.mark.parametrize(("low", "high"), [(2.0, 15.0), (30.0, 240.0)])
def test_a_step_has_no_trend_however_long_ago_it_was(low: float, high: float, seconds: int) -> None:
    assert sum(slope > 0 for slope in slopes([low] * 100 + [high] * seconds)) <= 1


def test_a_crowd_that_gathers_within_a_minute_is_extrapolated_after_twenty_seconds() -> None:
    found = slopes([10.0] * 100 + [10.0 + 70.0 * second / 60.0 for second in range(20)])

    assert sorted(found)[len(found) // 2] == pytest.approx(70.0 / 60.0, rel=0.3)


def test_a_slow_ramp_is_found_in_minutes() -> None:
    found = slopes([15.0] * 100 + [15.0 + second / 16.0 for second in range(200)])

    assert sum(slope > 0 for slope in found) >= 18
    assert sorted(found)[len(found) // 2] == pytest.approx(1.0 / 16.0, rel=0.3)


def test_steady_load_has_no_trend() -> None:
    assert slopes([50.0] * 300, seeds=40) == [0.0] * 40


def test_growth_counts_once_it_was_there_twice_and_a_fall_at_once() -> None:
    assert confirmed(Trend(1.0, 10.0), LEVEL) == LEVEL
    assert confirmed(Trend(1.0, 10.0), Trend(2.0, 9.0)) == Trend(1.0, 10.0)
    assert confirmed(Trend(-1.0, 10.0), LEVEL) == Trend(-1.0, 10.0)
    assert confirmed(Trend(1.0, 10.0), Trend(-1.0, 9.0)) == LEVEL


def test_a_trend_is_the_same_however_far_apart_the_snapshots_are() -> None:
    ramp = [(1.0, 100.0)] * 60 + [(10.0, 10.0 * (105.0 + 20.0 * number)) for number in range(12)]

    found = trend(Arrivals(tuple(ramp)))

    assert found.slope == pytest.approx(2.0, rel=0.2)
    assert found.lasted_s == pytest.approx(120.0, rel=0.3)


def test_a_period_is_found_though_only_the_latest_steps_are_kept() -> None:
    wave, season = ([4.0] * 20 + [20.0] * 10) * 30, Season()
    for n in range(1, len(wave) + 1):
        season = season.observe(wave[max(n - 90, 0) : n])

    assert season.period(90, 4) == 30


def season_of(history: list[float]) -> Season:
    season = Season()
    for n in range(1, len(history) + 1):
        season = season.observe(history[:n])
    return season


def test_what_came_twice_after_the_same_time_has_a_period() -> None:
    wave = [4.0] * 20 + [20.0] * 10
    history = wave * 3

    assert season_of(history).period(len(history), 4) == 30


def test_what_came_once_has_no_period_and_neither_has_chance() -> None:
    once = [4.0] * 60 + [20.0] * 10 + [4.0] * 200
    chance = Random(3)
    noise = [chance.gauss(10.0, 3.0) for _ in range(200)]

    assert season_of(once).period(len(once), 4) == 0
    assert season_of(noise).period(len(noise), 4) == 0
