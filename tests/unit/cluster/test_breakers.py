"""The breakers of a handle, which several threads use."""

from raybeam.cluster.breakers import BreakerSwitch
from raybeam.cluster.kernel.breaker import BreakerSpec, BreakerState


def test_a_failure_of_one_thread_does_not_undo_what_an_operator_does_meanwhile_in_another() -> None:
    def clock() -> float:
        if operator_acts:
            operator_acts.pop()
            switch.disable()
        return 1.0

    operator_acts: list[bool] = []
    switch = BreakerSwitch(BreakerSpec(), clock)
    operator_acts.append(True)

    switch.melt()

    assert switch.state is BreakerState.DISABLED
