"""Health has three values, and the dead stay dead."""

import pytest

from raybeam.cluster.kernel.health import Health, HealthLimits, Pulse, check, heard

LIMITS = HealthLimits(beat_s=0.5, unknown_after_s=1.0, down_after_s=3.0)


@pytest.mark.parametrize(
    ("silence", "health"),
    [(0.0, Health.UP), (1.0, Health.UP), (1.1, Health.UNKNOWN), (3.0, Health.UNKNOWN), (3.1, Health.DOWN)],
)
def test_silence_makes_it_unknown_and_then_down(silence: float, health: Health) -> None:
    assert check(Pulse(10.0), LIMITS, 10.0 + silence).health is health


def test_an_answer_makes_the_unknown_up_again_but_not_the_dead() -> None:
    unknown = check(Pulse(0.0), LIMITS, 2.0)
    down = check(Pulse(0.0), LIMITS, 5.0)

    assert heard(unknown, 2.1) == Pulse(2.1, Health.UP)
    assert heard(down, 5.1).health is Health.DOWN


def test_limits_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="need 0 < beat_s < unknown_after_s < down_after_s"):
        HealthLimits(beat_s=2.0, unknown_after_s=1.0)
