"""A simulated system whose controller scales it: under load, without load, and when its root dies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import CallFailed, GenServer, call
from raybeam.cluster.simulation import Broken, Driver, FaultSchedule, History, Scenario, simulate
from raybeam.cluster.simulation.faults import KillRoot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybeam.cluster.simulation.promises import Promise

CROWD_S = 25.0
LASTS_S = 90.0


class Desk(GenServer):
    @call(timeout_s=30.0)
    async def serve(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return self.runtime.name


def every_call_is_answered(history: History) -> Iterator[Broken]:
    for made in history.invocations:
        if isinstance(made.error, CallFailed):
            yield Broken("every_call_is_answered", f"{made}: {made.error!r}", made.began_at)


class Crowd(Scenario):
    """Six callers at once for a while, then one now and then."""

    blueprint: ClassVar[dict[str, object]] = {
        "name": "office",
        "families": {
            "desk": {
                "service": Desk,
                "max_restarts": 1000,
                "scaling": {"max_replicas": 12, "options": {"start_s": 1.0, "wait_s": 0.2}},
            }
        },
        "health": {"beat_s": 0.5, "unknown_after_s": 1.0, "down_after_s": 1.8},
    }
    drivers = 1
    runs_for_s = 100.0
    promises: ClassVar[Sequence[Promise]] = (every_call_is_answered,)

    async def drive(self, driver: Driver) -> None:
        desk, clock = driver.ref(Desk), asyncio.get_running_loop()

        async def caller() -> None:
            while clock.time() < CROWD_S:
                await desk.serve(driver.random.expovariate(10.0))

        await asyncio.gather(*(caller() for _ in range(6)))
        while clock.time() < LASTS_S:
            await desk.serve(0.01)
            await asyncio.sleep(0.5)


def served_between(history: History, begin_s: float, end_s: float) -> set[str]:
    return {each.replica for each in history.executions if begin_s <= each.began_at < end_s}


def test_a_family_grows_with_its_load_and_shrinks_without_losing_a_call() -> None:
    outcome = simulate(Crowd(), FaultSchedule(1, ()))

    assert outcome.broken == ()
    assert len(served_between(outcome.history, CROWD_S - 5.0, CROWD_S)) >= 5
    assert len(served_between(outcome.history, LASTS_S - 10.0, LASTS_S)) <= 2


def test_a_restart_of_the_root_amid_the_crowd_ends_no_replica() -> None:
    outcome = simulate(Crowd(), FaultSchedule(1, (KillRoot(15.0, 1.5),)))
    before, after = (served_between(outcome.history, at_s, at_s + 4.0) for at_s in (11.0, 20.0))

    assert outcome.broken == ()
    assert len(after) >= len(before) - 1
    assert len(served_between(outcome.history, LASTS_S - 10.0, LASTS_S)) <= 2
