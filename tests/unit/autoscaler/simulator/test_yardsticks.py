"""Plain policies, as the protocol asks for them."""

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.kernel.snapshot import Snapshot
from raybeam.autoscaler.simulator import Static, Utilisation


def test_utilisation_asks_for_what_is_there_on_average_and_some_more() -> None:
    policy = Utilisation(target=0.5, window_s=10.0)
    state = policy.start()
    for at, busy in ((1.0, 2), (2.0, 4), (12.0, 6)):
        decision, state = policy.decide(Snapshot(at, in_flight=busy, slots=2), state)

    assert decision.replicas == 6
    assert decision.terms == {"in_system": 6.0}


def test_static_stays() -> None:
    assert Static(3).decide(Snapshot(1.0, queue=1000), None)[0].replicas == 3


@pytest.mark.parametrize("wrong", [lambda: Static(-1), lambda: Utilisation(0.0), lambda: Utilisation(1.5)])
def test_impossible_values_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(UsageError):
        wrong()
