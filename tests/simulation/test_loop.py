"""Processes of a simulation are killed and stopped as those of an operating system are."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random

import pytest

from raybeam.actors.testing.virtual_time import DeadlockError
from raybeam.cluster.lane import LinkDown, LinkLost
from raybeam.cluster.simulation.loop import OsProcess, SimulationLoop
from raybeam.cluster.simulation.network import LOSS_NOTICED_S, Network


def played(main: Callable[[SimulationLoop], Coroutine[object, object, None]]) -> None:
    loop = SimulationLoop()
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.close()


def start(loop: SimulationLoop, process: OsProcess, running: Coroutine[object, object, None]) -> "asyncio.Task[None]":
    return loop.within(process, loop.create_task, running)


def test_of_a_killed_process_not_even_finally_runs() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1.0)
            seen.append("worked")
        finally:
            seen.append("cleaned up")

    async def main(loop: SimulationLoop) -> None:
        killed, lives = OsProcess("killed", "m0"), OsProcess("lives", "m0")
        task = start(loop, killed, work())
        start(loop, lives, work())
        await asyncio.sleep(0.5)
        loop.kill(killed)
        loop.within(killed, task.cancel)
        await asyncio.sleep(10.0)
        assert seen == ["worked", "cleaned up"]
        loop.bury([killed])
        await asyncio.sleep(0)

    played(main)


def test_a_stopped_process_goes_on_where_it_stood_with_late_timers() -> None:
    seen: list[float] = []

    async def main(loop: SimulationLoop) -> None:
        process = OsProcess("stopped", "m0")

        async def tick() -> None:
            for _ in range(3):
                await asyncio.sleep(1.0)
                seen.append(loop.time())

        start(loop, process, tick())
        await asyncio.sleep(1.5)
        loop.stop_process(process)
        loop.stop_process(process)
        await asyncio.sleep(3.0)
        loop.continue_process(process)
        await asyncio.sleep(1.0)
        loop.continue_process(process)
        await asyncio.sleep(5.0)

    played(main)

    assert seen == [1.0, 5.5, 6.5]


def test_what_a_process_sets_going_is_its_own() -> None:
    async def main(loop: SimulationLoop) -> None:
        process = OsProcess("parent", "m0")
        seen: list[str] = []

        async def child() -> None:
            await asyncio.sleep(1.0)
            seen.append(loop.process.name)

        async def parent() -> None:
            await asyncio.gather(child(), asyncio.create_task(child()))
            loop.call_later(1.0, lambda: seen.append(loop.process.name))

        start(loop, process, parent())
        await asyncio.sleep(5.0)
        assert seen == ["parent"] * 3
        assert loop.process is loop.outside

    played(main)


def test_blocking_work_runs_at_once() -> None:
    async def main(loop: SimulationLoop) -> None:
        assert await asyncio.to_thread(lambda: 42) == 42
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        assert loop.time() == 0.0

    played(main)


def test_a_simulation_in_which_nothing_can_happen_any_more_says_so() -> None:
    async def main(loop: SimulationLoop) -> None:
        await loop.create_future()

    with pytest.raises(DeadlockError, match="every task waits and no timer is set"):
        played(main)


class Ends:
    """Two processes and the network between them."""

    def __init__(self, loop: SimulationLoop) -> None:
        self.loop = loop
        self.network = Network(loop, Random(1))
        self.one, self.two = OsProcess("one", "m0"), OsProcess("two", "m1")
        self.served = 0

    async def serve(self) -> int:
        self.served += 1
        await asyncio.sleep(1.0)
        return self.served

    async def ask(self, **options: bool) -> object:
        """What comes of a request: the answer, or the kind of error and when it was told."""
        began = self.loop.time()
        asked = self.loop.within(
            self.one, self.loop.create_task, self.network.request(self.one, self.two, self.serve, **options)
        )
        while not asked.done():
            await asyncio.sleep(0.01)
        error = asked.exception()
        return asked.result() if error is None else (type(error), self.loop.time() - began < 1.0 + LOSS_NOTICED_S[1])


def test_requests_and_replies_are_lost_and_doubled_and_the_dead_are_told() -> None:
    async def main(loop: SimulationLoop) -> None:
        ends = Ends(loop)
        network = ends.network
        assert await ends.ask() == 1
        network.noise.duplicates = 1.0
        assert await ends.ask(repeatable=True) in (2, 3)
        await asyncio.sleep(5.0)
        assert ends.served == 3
        assert await ends.ask() == 4
        network.partition("m0", "m1", 1)
        assert (await ends.ask(), ends.served) == ((LinkLost, True), 4)
        network.partition("m0", "m1", -1)
        network.partition("m1", "m0", 1)
        assert (await ends.ask(), ends.served) == ((LinkLost, True), 5)
        network.partition("m1", "m0", -1)
        loop.call_later(0.5, loop.kill, ends.two)
        loop.call_later(0.5, network.died, ends.two)
        assert (await ends.ask(), ends.served) == ((LinkDown, True), 6)
        assert (await ends.ask(), ends.served) == ((LinkDown, True), 6)

    played(main)
