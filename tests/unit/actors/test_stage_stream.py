"""The events of producers as an asynchronous iterator."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest

from raybeam.actors import (
    CallFailed,
    Disconnected,
    Emit,
    Exit,
    GenStage,
    NoProcess,
    Pid,
    Producer,
    Runtime,
    Stop,
    SubscribeTo,
    UsageError,
    gen_stage,
    process,
)
from raybeam.actors.runtime import ambient_runtime, current_runtime
from raybeam.actors.testing import Network, run, settle

T = TypeVar("T")


def played(main: Callable[[], Awaitable[T]]) -> T:
    async def body() -> T:
        async with Runtime(reports=lambda report: None):
            return await main()

    return run(body())


class Counting(GenStage):
    """Counts up, and stops for a reason at some number."""

    async def init(self, end: int = 1000, reason: object = "normal", demand: str = "forward") -> Producer:
        self.next, self.end, self.reason = 0, end, reason
        return Producer(demand=demand)

    async def handle_demand(self, demand: int) -> Emit | Stop:
        if self.next >= self.end:
            return Stop(self.reason)
        first, self.next = self.next, min(self.next + demand, self.end)
        return Emit(range(first, self.next), last=self.next == self.end and self.reason == "normal")


def test_a_stream_gives_all_events_in_order_until_the_producer_ends() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Counting, 10)
        return [number async for number in gen_stage.stream(numbers, max_demand=4)]

    assert played(main) == list(range(10))


def test_a_stream_asks_for_no_more_than_is_iterated_over() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.from_iterable(iter(range(1000)))
        async with contextlib.aclosing(gen_stage.stream(numbers, max_demand=4, min_demand=2)) as stream:
            taken = [await anext(stream) for _ in range(3)]
            await asyncio.sleep(10.0)
        await settle()
        rest = [number async for number in gen_stage.stream(numbers, max_demand=4)]
        return [taken, rest[0]]

    assert played(main) == [[0, 1, 2], 6]  # 3, 4 and 5 were under way


def test_several_producers_are_read_until_none_is_left() -> None:
    async def main() -> list[int]:
        short, long = await gen_stage.start(Counting, 3), await gen_stage.start(Counting, 20)
        return sorted([number async for number in gen_stage.stream(short, SubscribeTo(long, 6, cancel="transient"))])

    assert played(main) == sorted([*range(3), *range(20)])


@pytest.mark.parametrize(
    ("cancel", "reason", "outcome"),
    [
        ("transient", "bad", "bad"),
        ("transient", "normal", None),
        ("permanent", "normal", None),
        ("permanent", "bad", "bad"),
        ("temporary", "bad", None),
    ],
)
def test_the_end_of_a_producer_ends_the_stream_or_is_raised(cancel: str, reason: str, outcome: str | None) -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Counting, 5, reason)
        seen: list[object] = []
        try:
            async for number in gen_stage.stream(numbers, max_demand=2, cancel=cancel):
                seen.append(number)
        except CallFailed as failed:
            return [seen, failed.cause]
        return [seen, None]

    assert played(main) == [list(range(5)), outcome]


def test_a_permanent_end_leaves_the_others_unread() -> None:
    async def main() -> list[object]:
        short, long = await gen_stage.start(Counting, 3), await gen_stage.start(Counting)
        return [n async for n in gen_stage.stream(SubscribeTo(short, 10), SubscribeTo(long, 2, cancel="temporary"))]

    assert len(played(main)) < 1000


def test_producers_that_are_not_there() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Counting, 3)
        with pytest.raises(NoProcess):
            await anext(gen_stage.stream("nobody"))
        with pytest.raises(NoProcess):
            await anext(gen_stage.stream(numbers, "nobody"))
        alone = [number async for number in gen_stage.stream("nobody", cancel="temporary")]
        rest = [number async for number in gen_stage.stream(numbers, SubscribeTo("nobody", cancel="temporary"))]
        return [alone, rest]

    assert played(main) == [[], [0, 1, 2]]


def test_wrong_options_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="at least one"):
        gen_stage.stream()
    with pytest.raises(UsageError, match="max_demand=0"):
        gen_stage.stream("numbers", max_demand=0)


def test_accumulated_demand_is_let_go_when_all_are_subscribed_to_unless_the_mode_is_left() -> None:
    async def main() -> list[object]:
        first, second = [await gen_stage.start(Counting, 2, demand="accumulate") for _ in range(2)]
        got = [number async for number in gen_stage.stream(first)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0), contextlib.aclosing(gen_stage.stream(second, demand=None)) as stream:
                await anext(stream)
        return [got, await gen_stage.demand_mode(second)]

    assert played(main) == [[0, 1], "accumulate"]


def test_leaving_the_loop_or_the_end_of_its_process_ends_the_subscriptions() -> None:
    async def main() -> list[int]:
        numbers = await gen_stage.start(Counting)

        async def iterate() -> None:
            async for number in gen_stage.stream(numbers, max_demand=2):
                if number == 5:
                    await process.receive()

        counts = [len(current_runtime().processes())]
        iterating = process.spawn(iterate)
        await settle()
        counts.append(len(current_runtime().processes()))
        process.exit_process(iterating, "kill")
        await settle()
        counts.append(len(current_runtime().processes()))
        async with contextlib.aclosing(gen_stage.stream(numbers, max_demand=2)) as stream:
            await anext(stream)
        await settle()
        return [*counts, len(current_runtime().processes())]

    assert played(main) == [1, 3, 1, 1]


def test_the_end_of_the_consuming_process_is_raised() -> None:
    async def main() -> str:
        numbers = await gen_stage.start(Counting)
        stream = gen_stage.stream(numbers, max_demand=2)
        await anext(stream)
        process.exit_process(current_runtime().processes()[-1], "kill")
        with pytest.raises(CallFailed) as failed:
            _ = [number async for number in stream]
        return str(failed.value.cause)

    assert played(main) == "killed"


def test_an_uncaught_failure_ends_a_process_with_its_reason() -> None:
    async def main() -> bool:
        numbers = await gen_stage.start(Counting, 1, "bad")

        async def iterate() -> None:
            async for _ in gen_stage.stream(numbers, max_demand=1):
                pass

        return await process.wait_exit(process.spawn(iterate)) == ("bad", (numbers, "stream"))

    assert played(main)


def test_a_stream_reads_from_another_runtime_and_a_lost_connection_is_raised() -> None:
    async def main() -> list[object]:
        network = Network()
        async with Runtime("here") as here, Runtime("there") as there:
            network.join(here)
            network.join(there)
            ambient_runtime.set(there)
            numbers = await gen_stage.start(Counting, 5)
            endless = await gen_stage.start(Counting, 10**9)
            ambient_runtime.set(here)
            got = [number async for number in gen_stage.stream(numbers, max_demand=3)]
            with pytest.raises(NoProcess):
                await anext(gen_stage.stream(Pid("there", 999)))

            async def read_on() -> None:
                async for number in gen_stage.stream(endless, max_demand=4):
                    if number == 10:
                        network.cut("here", "there")

            with pytest.raises(Disconnected):
                await read_on()
            return got

    assert run(main()) == [0, 1, 2, 3, 4]


# -- producers of iterables ------------------------------------------------------------------------------------------


def test_an_iterable_is_read_as_it_is_asked_for_and_its_end_ends_the_producer() -> None:
    read: list[int] = []

    def items() -> object:
        for item in range(100):
            read.append(item)
            yield item

    async def main() -> list[object]:
        numbers = await gen_stage.from_iterable(items(), name="numbers")  # type: ignore[arg-type]
        async with contextlib.aclosing(gen_stage.stream("numbers", max_demand=10)) as stream:
            await anext(stream)
        before = list(read)
        rest = [number async for number in gen_stage.stream("numbers", max_demand=10)]
        return [len(before), rest, process.is_alive(numbers)]

    assert played(main) == [10, list(range(10, 100)), False]


def test_an_asynchronous_iterable_is_read_item_by_item() -> None:
    async def items() -> AsyncIterator[int]:
        for item in range(5):
            await asyncio.sleep(1.0)
            yield item

    async def main() -> list[tuple[int, float]]:
        numbers = await gen_stage.from_iterable(items())
        return [(number, current_runtime().now()) async for number in gen_stage.stream(numbers)]

    assert played(main) == [(item, item + 1.0) for item in range(5)]


def test_what_an_iterable_raises_ends_the_producer() -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        raise Exit("no more")

    def plain() -> object:
        yield 1
        raise Exit("no more")

    async def main() -> list[object]:
        causes = []
        for iterable in (failing(), plain()):
            numbers = await gen_stage.from_iterable(iterable)  # type: ignore[arg-type]
            with pytest.raises(CallFailed) as failed:
                _ = [number async for number in gen_stage.stream(numbers)]
            causes.append(failed.value.cause)
        return causes

    assert played(main) == ["no more", "no more"]


def test_a_producer_of_an_iterable_can_end_with_its_last_consumer() -> None:
    async def main() -> list[bool]:
        alive = []
        for stops in (False, True):
            numbers = await gen_stage.from_iterable(range(1000), stop_without_consumers=stops)
            async with contextlib.aclosing(gen_stage.stream(numbers, max_demand=2)) as stream:
                await anext(stream)
            await settle()
            alive.append(process.is_alive(numbers))
        return alive

    assert played(main) == [True, False]


@pytest.mark.parametrize("waits", [True, False])
def test_the_end_of_a_producer_closes_its_asynchronous_iterable(waits: bool) -> None:
    closed: list[bool] = []

    async def items() -> AsyncIterator[int]:
        try:
            for number in range(1000):
                if waits and number == 2:
                    await asyncio.sleep(1e9)
                yield number
        finally:
            closed.append(True)

    async def main() -> list[object]:
        numbers = await gen_stage.from_iterable(items())
        async with contextlib.aclosing(gen_stage.stream(numbers, max_demand=4)) as stream:
            await anext(stream)
        await settle()
        before = list(closed)
        await gen_stage.stop(numbers)
        await settle()
        return [before, closed, current_runtime().processes()]

    assert played(main) == [[], [True], []]


def test_a_producer_started_in_a_process_is_linked_to_it() -> None:
    async def main() -> list[bool]:
        started: list[Pid] = []

        async def owner() -> None:
            started.append(await gen_stage.from_iterable([1]))
            await process.receive()

        pid = process.spawn(owner)
        await settle()
        process.exit_process(pid, "kill")
        await settle()
        return [process.is_alive(started[0])]

    assert played(main) == [False]
