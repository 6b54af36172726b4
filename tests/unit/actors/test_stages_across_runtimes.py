"""Stages of different runtimes: the same demand, and a stalled or unreachable consumer costs its producer little."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from raybeam.actors import (
    BroadcastDispatcher,
    Consumer,
    Crashed,
    Emit,
    GenStage,
    PartitionDispatcher,
    Pid,
    Producer,
    ProducerConsumer,
    RemoteName,
    Runtime,
    SubscribeTo,
    Subscription,
    gen_stage,
    process,
)
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.stage_cell import StageCell
from raybeam.actors.testing import Network, run

T = TypeVar("T")
World = tuple[Network, Runtime, Runtime]


def in_two_runtimes(main: Callable[[World], Awaitable[T]]) -> T:
    """Play `main` with two connected runtimes, as somebody outside of both processes of the first."""

    async def body() -> T:
        network = Network()
        reports: Callable[[object], None] = lambda report: None  # noqa: E731 (two runtimes share it)
        async with Runtime("one", reports=reports) as one, Runtime("two", reports=reports) as two:
            network.join(one)
            network.join(two)
            ambient_runtime.set(one)
            return await main((network, one, two))

    return run(body())


async def start_in(runtime: Runtime, stage: type[GenStage], *args: object, name: str | None = None) -> Pid:
    before = ambient_runtime.get()
    ambient_runtime.set(runtime)
    try:
        return await gen_stage.start(stage, *args, name=name)
    finally:
        ambient_runtime.set(before)


def peek(runtime: Runtime, stage: Pid) -> object:
    """The instance of a living stage."""
    cell = runtime.cell(stage)
    assert isinstance(cell, StageCell)
    return cell.server


class Numbers(GenStage):
    """Counts up as far as it is asked to, and emits what it is cast besides."""

    async def init(self, dispatcher: object = None) -> Producer:
        self.next = 0
        self.gone: list[object] = []
        if dispatcher is None:
            return Producer(buffer_size=50)
        return Producer(dispatcher=dispatcher, buffer_size=50)  # type: ignore[arg-type]

    async def handle_demand(self, demand: int) -> Emit:
        self.next += demand
        return Emit(range(self.next - demand, self.next))

    async def handle_cast(self, request: object) -> Emit:
        return Emit([request])

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> None:
        self.gone.append(reason)


class Sink(GenStage):
    async def init(self, to: SubscribeTo, delay_s: float) -> Consumer:
        self.got: list[object] = []
        self.delay_s = delay_s
        return Consumer(subscribe_to=[to])

    async def handle_events(self, events: list[object], subscription: Subscription) -> None:
        self.got += events
        await asyncio.sleep(self.delay_s)


class PassOn(GenStage):
    async def init(self, to: SubscribeTo) -> ProducerConsumer:
        return ProducerConsumer(subscribe_to=[to])

    async def handle_events(self, events: list[object], subscription: Subscription) -> Emit:
        return Emit(events)


def got(runtime: Runtime, sink: Pid) -> list[object]:
    server = peek(runtime, sink)
    assert isinstance(server, Sink)
    return list(server.got)


def counted(runtime: Runtime, numbers: Pid) -> int:
    server = peek(runtime, numbers)
    assert isinstance(server, Numbers)
    return server.next


def is_third(number: int) -> bool:
    return number % 3 == 0


def test_a_pipeline_may_change_runtimes_at_every_stage() -> None:
    async def main(world: World) -> list[object]:
        _, one, two = world
        numbers = await start_in(one, Numbers, None, name="numbers")
        middle = await start_in(two, PassOn, SubscribeTo(RemoteName("one", "numbers"), max_demand=8))
        sink = await start_in(one, Sink, SubscribeTo(middle, max_demand=4), 1.0)
        await asyncio.sleep(10.0)
        ahead = counted(one, numbers) - len(got(one, sink))
        assert ahead <= 8 + 8 + 4
        return got(one, sink)

    numbers = in_two_runtimes(main)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 18


def test_memory_stays_bounded_when_a_consumer_elsewhere_stalls() -> None:
    async def main(world: World) -> list[object]:
        _, one, two = world
        numbers = await start_in(one, Numbers)
        await start_in(two, Sink, SubscribeTo(numbers, max_demand=10), 1e9)
        await asyncio.sleep(1.0)
        for event in range(1000):
            gen_stage.tell(numbers, event)
        await asyncio.sleep(60.0)
        waiting = await gen_stage.estimate_buffered_count(numbers)
        return [counted(one, numbers), waiting, await gen_stage.discarded_count(numbers)]

    assert in_two_runtimes(main) == [10, 50, 950]


def test_a_lost_connection_ends_the_subscription_on_both_sides_and_the_rest_goes_to_others() -> None:
    async def main(world: World) -> list[object]:
        network, one, two = world
        numbers = await start_in(one, Numbers)
        far = await start_in(two, Sink, SubscribeTo(numbers, max_demand=10), 1.0)
        await asyncio.sleep(5.0)
        network.cut("one", "two")
        await asyncio.sleep(60.0)
        server = peek(one, numbers)
        assert isinstance(server, Numbers)
        near = await start_in(one, Sink, SubscribeTo(numbers, max_demand=4, min_demand=2), 1.0)
        await asyncio.sleep(3.5)
        lost = (await gen_stage.estimate_buffered_count(numbers)) == 0
        return [two.cell(far) is None, server.gone, len(got(one, near)), lost]

    assert in_two_runtimes(main) == [True, ["noconnection"], 8, True]


def test_a_consumer_that_outlives_the_connection_can_subscribe_again() -> None:
    async def main(world: World) -> list[object]:
        network, one, two = world
        numbers = await start_in(one, Numbers)
        far = await start_in(two, Sink, SubscribeTo(numbers, max_demand=2, min_demand=1, cancel="temporary"), 1.0)
        await asyncio.sleep(3.0)
        network.cut("one", "two")
        await asyncio.sleep(10.0)
        before = got(two, far)
        network.heal("one", "two")
        await asyncio.sleep(1.0)
        await gen_stage.sync_subscribe(far, numbers, max_demand=2, min_demand=1, cancel="temporary", timeout_s=60.0)
        await asyncio.sleep(10.0)
        return [before, got(two, far)]

    before, after = in_two_runtimes(main)
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert after[: len(before)] == before
    assert len(after) >= len(before) + 8
    assert after == sorted(set(after))  # what was under way when the connection was lost is lost


def test_a_crashed_runtime_stops_its_consumers_demand() -> None:
    async def main(world: World) -> list[object]:
        network, one, _ = world
        numbers = await start_in(one, Numbers, BroadcastDispatcher())
        near = await start_in(one, Sink, SubscribeTo(numbers, max_demand=2, min_demand=1), 1.0)
        await start_in(world[2], Sink, SubscribeTo(numbers, max_demand=2, min_demand=1), 1e9)
        await asyncio.sleep(20.0)
        held_up = len(got(one, near))
        await network.crash("two")
        await asyncio.sleep(20.0)
        return [held_up <= 4, len(got(one, near)) > 15]

    assert in_two_runtimes(main) == [True, True]


def test_selectors_and_partitions_travel() -> None:
    async def main(world: World) -> list[object]:
        _, one, two = world
        broadcast = await start_in(one, Numbers, BroadcastDispatcher())
        thirds = await start_in(two, Sink, SubscribeTo(broadcast, max_demand=3, selector=is_third), 1.0)
        parted = await start_in(one, Numbers, PartitionDispatcher(2, by=lambda number: number % 2))
        odd = await start_in(two, Sink, SubscribeTo(parted, max_demand=3, partition=1), 1.0)
        await start_in(two, Sink, SubscribeTo(parted, max_demand=3, partition=0), 1.0)
        await asyncio.sleep(5.0)
        return [got(two, thirds)[:3], got(two, odd)[:3]]

    assert in_two_runtimes(main) == [[0, 3, 6], [1, 3, 5]]


def test_what_cannot_be_sent_ends_the_producer_with_the_reason() -> None:
    async def main(world: World) -> object:
        _, one, two = world
        numbers = await start_in(one, Numbers, BroadcastDispatcher())
        await start_in(two, Sink, SubscribeTo(numbers, max_demand=3, cancel="temporary"), 0.0)
        ended = one.ended(numbers)
        gen_stage.tell(numbers, lambda: "not picklable")
        gen_stage.tell(numbers, lambda: "not picklable")
        return await ended

    reason = in_two_runtimes(main)
    assert isinstance(reason, Crashed)
    assert "cannot be sent" in str(reason)


def test_a_producer_that_is_not_there_is_found_out_by_its_monitor() -> None:
    async def main(world: World) -> list[object]:
        _, _, two = world
        needs = await start_in(two, Sink, SubscribeTo(Pid("one", 999)), 0.0)
        reason = await two.ended(needs)
        copes = await start_in(two, Sink, SubscribeTo(RemoteName("one", "nobody"), cancel="temporary"), 0.0)
        await asyncio.sleep(1.0)
        return [reason, two.cell(copes) is not None]

    assert in_two_runtimes(main) == ["noproc", True]


def test_subscribing_asking_and_cancelling_work_from_anywhere() -> None:
    async def main(world: World) -> list[object]:
        _, one, two = world
        numbers = await start_in(one, Numbers)
        sink = await start_in(two, Sink, SubscribeTo(numbers, max_demand=1, cancel="temporary"), 1.0)
        other = await start_in(one, Numbers)
        subscription = await gen_stage.sync_subscribe(sink, other, max_demand=1, cancel="temporary")
        await asyncio.sleep(5.0)
        gen_stage.cancel(subscription, "enough")
        await asyncio.sleep(5.0)
        server = peek(one, other)
        assert isinstance(server, Numbers)
        return [server.gone, await process.locate(sink) == sink]

    assert in_two_runtimes(main) == [["enough"], True]
