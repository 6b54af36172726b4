"""A family is scaled up and down, by hand and amid faults, and no call is lost to it."""

from collections.abc import Sequence

import pytest

from raybeam.actors import Interrupted
from raybeam.cluster.host import HostError
from raybeam.cluster.simulation import Fault, FaultMix, FaultSchedule, History, simulate
from raybeam.cluster.simulation.faults import KillReplica, KillRoot, Scale
from raybeam.cluster.simulation.ledger import LedgerScenario
from raybeam.cluster.simulation.world import SimulatedRootHost

from .stream import Besieged, Crowded, Scaled, Stream


def replicas_that_served(history: History) -> set[str]:
    return {execution.replica for execution in history.executions}


@pytest.mark.parametrize("seed", range(4))
def test_no_call_fails_while_a_family_is_scaled_up_and_down(seed: int) -> None:
    steps = (Scale(0.5, 0.0, "desk", 6), Scale(3.0, 0.0, "desk", 1), Scale(6.0, 0.0, "desk", 4))

    outcome = simulate(Stream(), FaultSchedule(seed, steps))

    assert outcome.broken == ()
    assert len(replicas_that_served(outcome.history)) > 6


def test_growing_again_takes_back_those_that_drain() -> None:
    steps = (Scale(0.5, 0.0, "desk", 4), Scale(3.0, 0.0, "desk", 1), Scale(3.05, 0.0, "desk", 4))

    outcome = simulate(Stream(), FaultSchedule(1, steps))

    assert outcome.broken == ()
    assert sorted(outcome.history.replicas) == [f"bank/desk/{place}#1" for place in range(4)]


def test_a_replica_ends_when_its_time_to_drain_is_over_and_what_it_had_not_begun_goes_elsewhere() -> None:
    outcome = simulate(Crowded(), FaultSchedule(1, (Scale(0.5, 0.0, "desk", 1),)))

    calls = [made for made in outcome.history.invocations if made.method == "serve"]
    assert outcome.broken == ()
    assert [type(made.error) for made in calls if not made.ok] == [Interrupted]
    assert sum(made.ok for made in calls) == 5


def test_a_replica_that_is_lost_while_it_drains_is_not_replaced() -> None:
    steps: tuple[Fault, ...] = (
        Scale(0.5, 0.0, "desk", 4),
        Scale(3.0, 0.0, "desk", 1),
        *(KillReplica(3.1, 0.0, "desk", place) for place in range(4)),
    )

    outcome = simulate(Scaled(), FaultSchedule(3, steps))

    assert outcome.broken == ()
    assert len(outcome.history.replicas) == 5


@pytest.mark.parametrize("down_for_s", [0.1, 1.5])
def test_a_restarted_root_goes_on_where_it_was(down_for_s: float) -> None:
    steps = (Scale(0.5, 0.0, "desk", 5), KillRoot(2.0, down_for_s), Scale(4.0, 0.0, "desk", 2), KillRoot(4.1, 0.3))

    outcome = simulate(Stream(), FaultSchedule(2, steps))

    assert outcome.broken == ()
    assert len(outcome.history.replicas) == 5


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "scaled",
    [(), (Scale(25.5, 0.0, "desk", 1),), (Scale(25.0, 0.0, "desk", 1), Scale(25.5, 0.0, "desk", 2))],
    ids=["serves", "drains", "was_taken_back"],
)
def test_hundreds_of_calls_are_made_again_when_their_replica_is_lost(scaled: tuple[Fault, ...], place: int) -> None:
    steps = (Scale(0.5, 0.0, "desk", 2), *scaled, KillReplica(26.0, 0.0, "desk", place))

    outcome = simulate(Besieged(), FaultSchedule(1, steps))

    assert outcome.broken == ()


def test_replicas_come_and_go_while_nobody_can_say_which_machines_live(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(host: SimulatedRootHost) -> Sequence[str]:
        raise HostError("the head is away")

    monkeypatch.setattr(SimulatedRootHost, "living_machines", away)
    steps: tuple[Fault, ...] = (Scale(0.5, 0.0, "desk", 3), KillReplica(3.0, 0.0, "desk", 2))

    outcome = simulate(Scaled(), FaultSchedule(1, steps))

    assert outcome.broken == ()
    assert sorted(outcome.history.replicas) == ["bank/desk/0#1", "bank/desk/1#1", "bank/desk/2#1", "bank/desk/2#2"]


class Restless(LedgerScenario):
    """Scaled all the time."""

    mix = FaultMix(kinds=(Scale, Scale, Scale, KillReplica, KillRoot), least=3, most=9)


@pytest.mark.parametrize("part", range(4))
def test_scaling_breaks_no_promise_amid_faults(part: int) -> None:
    for seed in range(part * 10, part * 10 + 10):
        outcome = simulate(Restless(), seed)
        assert not outcome.broken, f"{outcome.schedule}\n{outcome.broken}"
