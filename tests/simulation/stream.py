"""A scenario: callers that never pause, so that a call lost to scaling is seen."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from raybeam.actors import AtLeastOnce, CallFailed, GenServer, call
from raybeam.cluster.simulation import Broken, Driver, History, Scenario
from raybeam.cluster.simulation.promises import Promise

LASTS_S = 8.0


class Desk(GenServer):
    @call(timeout_s=20.0)
    async def serve(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return self.runtime.name

    @call(retry=AtLeastOnce(budget=1.0), timeout_s=600.0)
    async def serve_in_the_end(self, seconds: float) -> str:
        return await self.serve(seconds)


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
    callers: ClassVar[int] = 8
    longest_s: ClassVar[float] = 0.05
    promises: ClassVar[Sequence[Promise]] = (every_call_is_answered,)

    async def drive(self, driver: Driver) -> None:
        desk, clock = driver.ref(Desk), asyncio.get_running_loop()
        until = clock.time() + LASTS_S

        async def caller() -> None:
            while clock.time() < until:
                await desk.serve(driver.random.uniform(0.0, self.longest_s))

        await asyncio.gather(*(caller() for _ in range(self.callers)))


class Scaled(Stream):
    """The same, where calls may fail."""

    promises: ClassVar[Sequence[Promise]] = ()


class Leisurely(Stream):
    """Each call takes its time."""

    callers = 2
    longest_s = 1.5


class Crowded(Scenario):
    """Six calls at once, of 2 s each, at two replicas of which one may drain for 1 s."""

    blueprint: ClassVar[dict[str, object]] = {
        "name": "bank",
        "families": {"desk": {"service": Desk, "replicas": 2, "scaling": {"drain_timeout_s": 1.0}}},
        "health": {"beat_s": 0.5, "unknown_after_s": 1.0, "down_after_s": 1.8},
    }
    drivers = 1

    async def drive(self, driver: Driver) -> None:
        desk = driver.ref(Desk)
        await asyncio.gather(*(desk.serve(2.0) for _ in range(6)), return_exceptions=True)


class Besieged(Stream):
    """Hundreds of callers wait long, and each call may be repeated."""

    drivers = 1
    runs_for_s = 80.0

    async def drive(self, driver: Driver) -> None:
        desk, clock = driver.ref(Desk), asyncio.get_running_loop()

        async def caller() -> None:
            while clock.time() < 40.0:
                await desk.serve_in_the_end(driver.random.uniform(0.1, 0.2))

        await asyncio.gather(*(caller() for _ in range(400)))
