"""A family is scaled up and down, by hand and amid faults, and no call is lost to it."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from raybeam.actors import CallFailed, GenServer, call
from raybeam.cluster.simulation import Broken, Driver, Fault, FaultMix, FaultSchedule, History, Scenario, simulate
from raybeam.cluster.simulation.faults import KillReplica, KillRoot, Scale
from raybeam.cluster.simulation.ledger import LedgerScenario
from raybeam.cluster.simulation.promises import Promise

LASTS_S = 8.0


class Desk(GenServer):
    @call(timeout_s=5.0)
    async def serve(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return self.runtime.name


def every_call_is_answered(history: History) -> Iterator[Broken]:
    for made in history.invocations:
        if isinstance(made.error, CallFailed):
            yield Broken("every_call_is_answered", f"{made}: {made.error!r}", made.began_at)


class Stream(Scenario):
    """Callers that never pause, of a method that may be done at most once."""

    blueprint: ClassVar[dict[str, object]] = {
        "name": "bank",
        "families": {"desk": {"service": Desk, "max_restarts": 1000}},
        "health": {"beat_s": 0.5, "unknown_after_s": 1.0, "down_after_s": 1.8},
    }
    drivers = 2
    promises: ClassVar[Sequence[Promise]] = (every_call_is_answered,)

    async def drive(self, driver: Driver) -> None:
        desk, clock = driver.ref(Desk), asyncio.get_running_loop()
        until = clock.time() + LASTS_S

        async def caller() -> None:
            while clock.time() < until:
                await desk.serve(driver.random.uniform(0.0, 0.05))

        await asyncio.gather(*(caller() for _ in range(8)))


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


def test_a_replica_that_is_lost_while_it_drains_is_not_replaced() -> None:
    steps: tuple[Fault, ...] = (
        Scale(0.5, 0.0, "desk", 4),
        Scale(3.0, 0.0, "desk", 1),
        *(KillReplica(3.1, 0.0, "desk", place) for place in range(4)),
    )

    outcome = simulate(Scaled(), FaultSchedule(3, steps))

    assert outcome.broken == ()
    assert len(outcome.history.replicas) == 5


class Scaled(Stream):
    """The same, where calls may fail."""

    promises: ClassVar[Sequence[Promise]] = ()


@pytest.mark.parametrize("down_for_s", [0.1, 1.5])
def test_a_restarted_root_goes_on_where_it_was(down_for_s: float) -> None:
    steps = (Scale(0.5, 0.0, "desk", 5), KillRoot(2.0, down_for_s), Scale(4.0, 0.0, "desk", 2), KillRoot(4.1, 0.3))

    outcome = simulate(Stream(), FaultSchedule(2, steps))

    assert outcome.broken == ()
    assert len(outcome.history.replicas) == 5


class Restless(LedgerScenario):
    """Scaled all the time."""

    mix = FaultMix(kinds=(Scale, Scale, Scale, KillReplica, KillRoot), least=3, most=9)


@pytest.mark.parametrize("part", range(4))
def test_scaling_breaks_no_promise_amid_faults(part: int) -> None:
    for seed in range(part * 10, part * 10 + 10):
        outcome = simulate(Restless(), seed)
        assert not outcome.broken, f"{outcome.schedule}\n{outcome.broken}"
