"""Insurance: what is kept ready against bursts that may come back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raybeam.autoscaler.kernel.bursts import Burst, Prices, Step, bursts, loss
from raybeam.autoscaler.kernel.insurance import Cover, Insurance

PRICES = Prices(step_s=2.0, start_s=10.0, boot_s=45.0, places=4, wait_s=1.0, late=10.0, linger_s=60.0)
CALM, BUSY = (4.0, 2.0), (20.0, 15.0)
BURST = Burst(at_s=0.0, below=4.0, soon=20.0, need=20.0, load=15.0, length=12)


def after(*spells: tuple[float, tuple[float, float]], prices: Prices = PRICES) -> Insurance:
    """What was learned from spells of some seconds with a need and a load."""
    insurance, now_s = Insurance(), 0.0
    for seconds, (need, load) in spells:
        for _ in range(int(seconds / 2)):
            now_s += 2.0
            insurance = insurance.step(now_s, need, load, prices, 2.0, 1.0, 3600.0)
    return insurance


def test_a_calm_load_is_not_insured() -> None:
    assert after((1200.0, CALM)).levels == Cover()


def test_bursts_that_come_often_are_kept_ready_for() -> None:
    learned = after(*[(150.0, CALM), (50.0, BUSY), (90.0, CALM), (50.0, BUSY)] * 4, (60.0, CALM))
    assert learned.levels.replicas == 20.0
    assert learned.levels.places == 20.0


def test_a_lone_burst_of_long_ago_keeps_no_replicas_and_in_the_end_no_places() -> None:
    soon = after((600.0, CALM), (60.0, BUSY), (120.0, CALM))
    late = after((600.0, CALM), (60.0, BUSY), (2800.0, CALM))
    assert soon.levels.places == 20.0
    assert late.levels == Cover()


def test_what_comes_at_even_intervals_is_ready_when_it_is_due_and_not_before() -> None:
    every_5_min = [(280.0, CALM), (20.0, BUSY)] * 5
    assert after(*every_5_min, (150.0, CALM)).levels.replicas == 0.0
    assert after(*every_5_min, (276.0, CALM)).levels.replicas == 20.0


def test_while_the_burst_is_on_nothing_more_is_kept() -> None:
    learned = after(*[(150.0, CALM), (50.0, BUSY)] * 4, (120.0, CALM), (20.0, BUSY))
    assert learned.levels == Cover()


def test_a_service_time_that_turns_out_shorter_makes_past_bursts_smaller() -> None:
    learned = after(*[(150.0, CALM), (50.0, BUSY)] * 4)
    shorter = learned
    for round_ in range(3):
        shorter = shorter.step(900.0 + 2 * round_, 1.0, 0.5, PRICES, 2.0, 0.25, 3600.0)
    assert max(step.need for step in shorter.history) == pytest.approx(5.0)


@pytest.mark.parametrize("replicas", [0.0, 4.0, 10.0, 15.0, 18.0])
def test_a_burst_costs_less_the_more_is_ready(replicas: float) -> None:
    assert loss(BURST, replicas + 2.0, 20.0, PRICES) <= loss(BURST, replicas, 20.0, PRICES)
    assert loss(BURST, replicas, 20.0, PRICES) <= loss(BURST, replicas, max(replicas, 4.0), PRICES)


def test_a_short_burst_costs_no_more_than_a_long_one() -> None:
    assert loss(replace(BURST, length=2), 4.0, 4.0, PRICES) < loss(BURST, 4.0, 4.0, PRICES)


def test_a_slow_rise_is_one_for_machines_and_not_for_replicas() -> None:
    ramp = [Step(4.0 + step, 3.0 + step, 5.0 * step) for step in range(12)]
    (rise,) = bursts(ramp, start=2, boot=9)
    assert rise.soon == 6.0
    assert rise.need == 15.0


def test_a_rise_that_chance_makes_is_no_burst() -> None:
    def rises_to(need: float) -> list[Step]:
        return [Step(need if at % 10 == 9 else 16.0, 16.0, 5.0 * at) for at in range(40)]

    assert bursts(rises_to(24.0), 2, 3) == []
    assert bursts(rises_to(25.0), 2, 3)[0].need == 25.0


def test_where_machines_boot_for_minutes_places_are_kept_for_a_load_that_doubles() -> None:
    slow = replace(PRICES, start_s=60.0, boot_s=180.0)

    assert after((600.0, CALM), prices=slow).levels.places >= 2 * CALM[0]
    assert after((600.0, CALM), prices=slow).levels.replicas == 0.0
    assert after((600.0, CALM)).levels == Cover()


def test_what_was_needed_a_period_ago_is_ready_now() -> None:
    # Too slow for bursts: a replica more each minute.
    wave = [(60.0, (float(need), need - 2.0)) for need in (4, 5, 6, 7, 8, 9, 10, 9, 8, 7, 6, 5)]

    assert after(*wave * 3, *wave[:4], (58.0, (8.0, 6.0))).levels == Cover(replicas=9.0, places=9.0)
    assert after(*wave, *wave[:4], (58.0, (8.0, 6.0))).levels == Cover()
