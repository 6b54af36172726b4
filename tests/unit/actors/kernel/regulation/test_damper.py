"""The damper: levels with hysteresis."""

import pytest

from raybeam.actors import Damper, Sample
from raybeam.actors.kernel.regulation.damper import NO_DAMPING, Damping, Gauge, factor, sampled

DAMPER = Damper(cpu=(0.8, 0.9), memory=(0.9,), margin=0.1, calm_s=2.0)


def levels(*cpu: float) -> list[int]:
    """The level after samples that come once a second."""
    damping, seen = NO_DAMPING, []
    for now, share in enumerate(cpu):
        damping = sampled(DAMPER, damping, Sample(share, 0.0), float(now))
        seen.append(damping.level)
    return seen


def test_a_step_that_is_just_reached_counts() -> None:
    assert levels(0.79, 0.8, 0.9) == [0, 1, 2]


def test_a_level_stays_while_samples_are_within_the_margin() -> None:
    assert levels(0.8, 0.71, 0.71, 0.71, 0.71) == [1, 1, 1, 1, 1]


def test_it_falls_when_samples_have_been_calm_for_long_enough() -> None:
    assert levels(0.8, 0.69, 0.69, 0.69) == [1, 1, 1, 0]


def test_one_sample_that_is_not_calm_begins_the_wait_anew() -> None:
    assert levels(0.8, 0.6, 0.6, 0.75, 0.6, 0.6, 0.6) == [1, 1, 1, 1, 1, 1, 0]


def test_it_falls_one_step_at_a_time_and_only_calm_for_the_next_step_counts_for_it() -> None:
    assert levels(0.95, 0.75, 0.75, 0.75, 0.6, 0.6, 0.6) == [2, 2, 2, 1, 1, 1, 0]


def test_cpu_and_memory_add_up() -> None:
    damping = sampled(DAMPER, NO_DAMPING, Sample(0.95, 0.95), 0.0)

    assert damping.level == 3
    assert factor(DAMPER, damping) == pytest.approx(0.7)


def test_a_tenth_is_always_left() -> None:
    assert factor(Damper(cut=1.0), Damping(Gauge(3), Gauge(3))) == pytest.approx(0.1)
