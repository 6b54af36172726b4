"""What a rate does while replicas start, besides trend, bursts and chance."""

from __future__ import annotations

from math import cos, pi
from random import Random
from typing import TYPE_CHECKING

import pytest

from raybeam.autoscaler.kernel.swing import Swing
from tests.unit.autoscaler.kernel.counts import poisson

if TYPE_CHECKING:
    from collections.abc import Callable


def seen(rate: Callable[[int], float], seconds: int = 3600, seed: int = 1, memory_s: float = 3600.0) -> Swing:
    chance, swing = Random(seed), Swing()
    for second in range(seconds):
        swing = swing.observe(poisson(rate(second), chance), 1.0, 10.0, 1.0, memory_s)
    return swing


def test_chance_is_no_swing() -> None:
    found = [seen(lambda _: 40.0, seed=seed).beyond(40.0) for seed in range(10)]

    assert sum(found) / len(found) < 0.02 * 40.0


def test_a_rate_that_waves_faster_than_replicas_start_swings() -> None:
    # Half a wave in the time of a start: the differences are of up to 20, with a root of the mean square of 14.
    assert seen(lambda second: 40.0 + 10.0 * cos(pi * second / 10.0)).beyond(40.0) == pytest.approx(10.0, rel=0.5)


def test_bursts_are_not_counted() -> None:
    bursts = seen(lambda second: 100.0 if second // 30 % 4 == 0 else 20.0)

    assert bursts.beyond(20.0) < 2.0
    assert bursts.beyond(100.0) < 10.0


def test_what_swings_at_one_rate_says_nothing_of_another() -> None:
    swing = seen(lambda second: 10.0 if second < 1800 else 160.0 + 50.0 * cos(pi * second / 10.0))

    assert swing.beyond(10.0) < 1.0
    assert swing.beyond(160.0) > 20.0


def test_nothing_is_said_while_little_is_known_or_nothing_comes() -> None:
    assert seen(lambda second: 40.0 + 30.0 * cos(pi * second / 10.0), seconds=60).beyond(40.0) == 0.0
    assert seen(lambda _: 0.0, seconds=600).beyond(40.0) == 0.0


def test_what_moves_slowly_does_not_swing_though_snapshots_are_far_apart() -> None:
    swing = Swing()
    for minute in range(600):
        swing = swing.observe(60.0 * (100.0 + 30.0 * cos(pi * minute / 5.0)), 60.0, 10.0, 1.0, 3600.0)

    assert swing.beyond(100.0) == 0.0


def test_swings_are_known_too_where_replicas_start_for_minutes() -> None:
    swing = Swing()
    for minute in range(3000):
        swing = swing.observe(60.0 * (100.0 + 20.0 * (minute // 10 % 2)), 60.0, 600.0, 1.0, 3600.0)

    assert swing.beyond(100.0) > 10.0


def test_old_swings_are_forgotten() -> None:
    restless = seen(lambda second: 40.0 + 10.0 * cos(pi * second / 10.0), memory_s=300.0)
    calm, chance = restless, Random(5)
    for _ in range(3000):
        calm = calm.observe(poisson(40.0, chance), 1.0, 10.0, 1.0, 300.0)

    assert calm.beyond(40.0) < restless.beyond(40.0) / 4
