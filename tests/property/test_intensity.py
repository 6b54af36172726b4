"""Restart intensity against a naive model."""

from hypothesis import given
from hypothesis import strategies as st

from raybeam.actors.kernel.intensity import Limit, Restart, add_restart


@given(
    gaps=st.lists(st.floats(0, 10, allow_nan=False), max_size=50),
    intensity=st.integers(0, 5),
    period_s=st.floats(0.1, 20),
)
def test_a_restart_is_borne_when_no_more_than_the_intensity_lie_within_the_period(
    gaps: list[float], intensity: int, period_s: float
) -> None:
    restarts: tuple[Restart, ...] = ()
    history: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        history.append(now)
        restarts, borne = add_restart(restarts, Restart(now), Limit(intensity, period_s))

        assert borne == (sum(1 for at in history if now - at <= period_s) <= intensity)
