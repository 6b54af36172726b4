"""GenStage: events go where they are asked for, and no faster."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import pytest

from raybeam.actors import (
    BroadcastDispatcher,
    CallFailed,
    ChildSpec,
    Consumer,
    Crashed,
    Dispatcher,
    DynamicSpec,
    DynamicSupervisor,
    Emit,
    Exit,
    From,
    GenStage,
    Manual,
    NoReply,
    Ok,
    PartitionDispatcher,
    Pid,
    Producer,
    ProducerConsumer,
    Reply,
    Runtime,
    StageResult,
    StartError,
    Stop,
    SubscribeTo,
    Subscription,
    Supervisor,
    SupervisorSpec,
    UsageError,
    call,
    dynamic_supervisor,
    gen_server,
    gen_stage,
    process,
    supervisor,
)
from raybeam.actors.gen_stage import Delivery, Dispatched
from raybeam.actors.message import Timeout
from raybeam.actors.runtime import current_runtime
from raybeam.actors.stage_cell import StageCell
from raybeam.actors.testing import run, settle

T = TypeVar("T")
ENDS: dict[Pid, object] = {}


def played(main: Callable[[], Awaitable[T]], reports: list[object] | None = None) -> T:
    async def body() -> T:
        async with Runtime(reports=(lambda report: None) if reports is None else reports.append) as runtime:
            runtime.on_ended = ENDS.__setitem__
            return await main()

    return run(body())


class Numbers(GenStage):
    """Counts up as far as it is asked to; emits what it is cast; tells what was asked."""

    async def init(self, dispatcher: Dispatcher | None = None, **options: object) -> Producer:
        self.next = 0
        self.asked: list[int] = []
        self.gone: list[tuple[str, object]] = []
        if dispatcher is not None:
            options["dispatcher"] = dispatcher
        return Producer(**options)  # type: ignore[arg-type]

    async def handle_demand(self, demand: int) -> Emit:
        self.asked.append(demand)
        self.next += demand
        return Emit(range(self.next - demand, self.next))

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> None:
        self.gone.append((kind, reason))

    async def handle_cast(self, request: object) -> StageResult:
        if isinstance(request, tuple) and request[0] == "stop":
            return Stop(request[1])
        raise RuntimeError("boom")


class Pushed(GenStage):
    """Emits what it is given, whether somebody asked or not."""

    async def init(self, **options: object) -> Producer:
        self.asked: list[int] = []
        return Producer(**options)  # type: ignore[arg-type]

    async def handle_demand(self, demand: int) -> None:
        self.asked.append(demand)

    async def handle_call(self, request: object, sender: From) -> Emit:
        assert isinstance(request, list)
        return Emit(request, reply=len(request))

    async def handle_cast(self, request: object) -> Emit:
        assert isinstance(request, list)
        return Emit(request)

    async def handle_info(self, message: object) -> StageResult:
        match message:
            case Timeout():
                return Emit(["late"])
            case list():
                return Emit(message, timeout_s=5.0)
        return Emit(["continued"], continue_with="more")

    async def handle_continue(self, term: object) -> Emit:
        return Emit([term])

    @call
    async def push(self, events: list[int], last: bool = False) -> str:
        self.emit(events, last=last)
        return "pushed"


class Sink(GenStage):
    """Keeps the batches it gets, each for a while."""

    async def init(self, *producers: SubscribeTo | Pid, delay_s: float = 0.0) -> Consumer:
        self.batches: list[list[object]] = []
        self.delay_s = delay_s
        self.gone: list[tuple[str, object]] = []
        return Consumer(subscribe_to=producers)

    async def handle_events(self, events: list[object], subscription: Subscription) -> None:
        self.batches.append(events)
        await asyncio.sleep(self.delay_s)
        if "poison" in events:
            raise Exit("poisoned")

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> None:
        self.gone.append((kind, reason))


class Twice(GenStage):
    """Emits each event twice."""

    async def init(self, *producers: SubscribeTo | Pid) -> ProducerConsumer:
        self.handled = 0
        return ProducerConsumer(subscribe_to=producers)

    async def handle_events(self, events: list[object], subscription: Subscription) -> Emit:
        self.handled += len(events)
        return Emit(event for event in events for _ in range(2))


class ByHand(GenStage):
    """Asks only when told to."""

    async def init(self) -> Consumer:
        self.batches: list[list[object]] = []
        return Consumer()

    async def handle_subscribe(self, to: str, options: SubscribeTo, subscription: Subscription) -> Manual | Stop:
        return Stop("not this one") if options.extra == "refuse" else Manual()

    async def handle_events(self, events: list[object], subscription: Subscription) -> None:
        self.batches.append(events)


def peek(stage: Pid, name: str) -> object:
    """An attribute of a living stage, which may be busy."""
    cell = current_runtime().cell(stage)
    assert isinstance(cell, StageCell)
    return copy.copy(getattr(cell.server, name))


async def state(stage: Pid, name: str) -> object:
    """An attribute of a stage, when all has settled."""
    await settle()
    return peek(stage, name)


def batches(stage: Pid) -> list[list[object]]:
    """What a sink has got so far, as it came."""
    got = peek(stage, "batches")
    assert isinstance(got, list)
    return got


async def seen(stage: Pid) -> list[object]:
    """All events that a sink has got, when all has settled."""
    await settle()
    return [event for batch in batches(stage) for event in batch]


async def end_of(stage: Pid) -> object:
    """The exit reason of a stage that ends, or has ended already."""
    await settle()
    return ENDS[stage] if stage in ENDS else await process.wait_exit(stage)


# -- demand ----------------------------------------------------------------------------------------------------------


def test_a_consumer_asks_for_max_demand_and_again_when_no_more_than_min_demand_is_outstanding() -> None:
    async def main() -> tuple[object, object]:
        numbers = await gen_stage.start(Numbers)
        sink = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=10, min_demand=4), delay_s=1.0)
        await asyncio.sleep(2.5)
        return await state(numbers, "asked"), batches(sink)

    asked, got = played(main)

    assert asked == [10, 6]  # 4 are outstanding after the first 6
    assert got == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9], [10, 11, 12, 13, 14, 15]]


def test_a_producer_is_told_the_demand_of_all_consumers_as_it_comes() -> None:
    async def main() -> object:
        pushed = await gen_stage.start(Pushed)
        await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=10))
        await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=3))
        await settle()
        return await state(pushed, "asked")

    assert played(main) == [10, 3]


def test_events_beyond_the_demand_wait_in_order_and_are_asked_for_no_more() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        gen_stage.tell(pushed, [0, 1, 2, 3])
        await settle()
        waiting: list[object] = [await gen_stage.estimate_buffered_count(pushed)]
        sink = await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=3, min_demand=2))
        await settle()
        gen_stage.tell(pushed, [4])
        return [*waiting, await seen(sink), await state(pushed, "asked")]

    assert played(main) == [4, [0, 1, 2, 3, 4], [1, 1, 1, 1]]


def test_the_demand_of_a_consumer_that_went_is_not_asked_for_a_second_time() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        first = await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=10))
        await settle()
        await gen_stage.stop(first)
        await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=12))
        await settle()
        return [await state(pushed, "asked")]

    assert played(main) == [[10, 2]]


def test_a_stage_in_the_middle_takes_only_what_its_consumers_want() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers)
        twice = await gen_stage.start(Twice, SubscribeTo(numbers, max_demand=10, min_demand=8))
        await settle()
        alone: list[object] = [await state(twice, "handled")]
        sink = await gen_stage.start(Sink, SubscribeTo(twice, max_demand=3), delay_s=1.0)
        await asyncio.sleep(3.5)
        handled = await state(twice, "handled")
        return [*alone, await seen(sink), handled, await gen_stage.estimate_buffered_count(twice)]

    alone, got, handled, buffered = played(main)

    assert alone == 0
    assert got == [0, 0, 1, 1, 2]
    assert handled == 4  # emits 8: 5 are handled or under way, 2 wait at the consumer
    assert buffered == 1


def test_demand_can_accumulate_until_all_consumers_are_there() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers, demand="accumulate")
        for _ in range(2):
            await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=2, min_demand=0), delay_s=9.0)
        before = [await gen_stage.demand_mode(numbers), await state(numbers, "asked")]
        gen_stage.demand(numbers, "forward")
        return [*before, await gen_stage.demand_mode(numbers), await state(numbers, "asked")]

    assert played(main) == ["accumulate", [], "forward", [4]]


def test_only_a_producer_accumulates() -> None:
    async def main() -> object:
        sink = await gen_stage.start(Sink)
        gen_stage.demand(sink, "accumulate")
        await settle()
        with pytest.raises(UsageError, match="'forward' or 'accumulate'"):
            gen_stage.demand(sink, "sideways")
        return process.is_alive(sink)

    assert played(main) is True


def test_a_consumer_may_ask_by_hand() -> None:
    async def main() -> list[list[object]]:
        numbers = await gen_stage.start(Numbers)
        consumer = await gen_stage.start(ByHand)
        subscription = await gen_stage.sync_subscribe(consumer, numbers, max_demand=100)
        await settle()
        gen_stage.ask(subscription, 2)
        await settle()
        gen_stage.ask(subscription, 1)
        await settle()
        with pytest.raises(UsageError):
            gen_stage.ask(subscription, 0)
        return batches(consumer)

    assert played(main) == [[0, 1], [2]]


# -- the buffer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep", "kept"), [("last", [2, 3, 4]), ("first", [0, 1, 2])])
def test_a_full_buffer_keeps_the_last_or_the_first_and_counts_its_losses(keep: str, kept: list[int]) -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed, buffer_size=3, buffer_keep=keep)
        gen_stage.tell(pushed, [0, 1])
        gen_stage.tell(pushed, [2, 3, 4])
        await settle()
        lost = await gen_stage.discarded_count(pushed)
        sink = await gen_stage.start(Sink, pushed)
        return [lost, await seen(sink)]

    assert played(main) == [2, kept]


def test_without_a_buffer_what_nobody_asked_for_is_lost() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed, buffer_size=0)
        gen_stage.tell(pushed, [0, 1])
        await settle()
        return [await gen_stage.estimate_buffered_count(pushed), await gen_stage.discarded_count(pushed)]

    assert played(main) == [0, 2]


def test_a_stage_can_judge_losses_itself() -> None:
    class Counting(Pushed):
        lost = 0

        def handle_discarded(self, count: int) -> None:
            self.lost += count

    async def main() -> object:
        pushed = await gen_stage.start(Counting, buffer_size=1)
        gen_stage.tell(pushed, [1, 2, 3])
        await settle()
        return await state(pushed, "lost")

    assert played(main) == 2


# -- emitting --------------------------------------------------------------------------------------------------------


def test_any_callback_can_emit() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        sink = await gen_stage.start(Sink, pushed)
        answer = await gen_stage.request(pushed, [1, 2])
        gen_stage.tell(pushed, [3])
        process.send(pushed, "go on")
        pushing = await gen_server.ref(Pushed, pushed).push([4])
        process.send(pushed, [5])
        at_once = await seen(sink)
        await asyncio.sleep(6.0)
        return [answer, pushing, at_once, await seen(sink)]

    assert played(main) == [
        2,
        "pushed",
        [1, 2, 3, "continued", "more", 4, 5],
        [1, 2, 3, "continued", "more", 4, 5, "late"],
    ]


def test_the_last_events_end_the_producer_once_they_are_taken() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        await gen_server.ref(Pushed, pushed).push([1, 2, 3], last=True)
        await settle()
        waits = process.is_alive(pushed)
        sink = await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=2, cancel="temporary"))
        return [waits, await seen(sink), process.is_alive(pushed), await state(sink, "gone")]

    assert played(main) == [True, [1, 2, 3], False, [("down", "normal")]]


def test_a_consumer_that_emits_crashes() -> None:
    class Confused(Sink):
        async def handle_events(self, events: list[object], subscription: Subscription) -> Emit:  # type: ignore[override]
            return Emit(events)

    async def main() -> object:
        numbers = await gen_stage.start(Numbers)
        confused = await gen_stage.start(Confused, numbers)
        return await end_of(confused)

    reason = played(main)
    assert isinstance(reason, Crashed)
    assert "emits nothing" in str(reason)


def test_a_reply_with_events_is_only_for_calls() -> None:
    class Confused(Pushed):
        async def handle_cast(self, request: object) -> Emit:
            return Emit([], reply="nobody asked")

    async def main() -> object:
        pushed = await gen_stage.start(Confused)
        gen_stage.tell(pushed, [])
        return await end_of(pushed)

    assert played(main) == ("bad_return_value", Reply("nobody asked"))


def test_init_says_which_kind_of_stage_it_is() -> None:
    class Undecided(GenStage):
        async def init(self, result: object = None) -> object:
            return result

    async def main() -> list[str]:
        seen = []
        for result in (None, Ok(), Reply(1), Stop("no")):
            with pytest.raises(StartError) as failed:
                await gen_stage.start(Undecided, result)
            seen.append(str(failed.value.reason))
        return seen

    undecided, ok, reply, stop = played(main)
    assert "which kind of stage" in undecided
    assert undecided == ok
    assert reply == str(("bad_return_value", Reply(1)))
    assert stop == "no"


def test_a_stage_cannot_emit_before_it_is_up() -> None:
    class Hasty(GenStage):
        async def init(self) -> Producer:
            self.emit([1])
            return Producer()

    async def main() -> str:
        with pytest.raises(StartError) as failed:
            await gen_stage.start(Hasty)
        return str(failed.value.reason)

    assert "continue_with" in played(main)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Producer(buffer_size=-1), "buffer_size=-1"),
        (lambda: Producer(buffer_keep="middle"), "'last' or 'first'|'first' or 'last'"),
        (lambda: Producer(demand="backward"), "'forward' or 'accumulate'"),
        (lambda: ProducerConsumer(subscribe_to="numbers"), "give a list"),
        (lambda: Consumer(subscribe_to="numbers"), "give a list"),
        (lambda: SubscribeTo("numbers", max_demand=0), "max_demand=0"),
        (lambda: SubscribeTo("numbers", max_demand=5, min_demand=5), "min_demand=5"),
        (lambda: SubscribeTo("numbers", cancel="never"), "'permanent', 'transient' or 'temporary'"),
        (lambda: PartitionDispatcher(0), "partitions=0"),
    ],
)
def test_a_wrong_option_is_refused_at_once(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()


# -- subscriptions ---------------------------------------------------------------------------------------------------


def test_subscriptions_are_made_and_ended_at_run_time_and_both_sides_are_told() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers, name="numbers")
        sink = await gen_stage.start(Sink, delay_s=1.0)
        subscription = await gen_stage.sync_subscribe(sink, "numbers", max_demand=2, min_demand=0, cancel="temporary")
        assert subscription.producer == numbers
        assert subscription.consumer == sink
        got = len(await seen(sink)) > 0
        gen_stage.cancel(subscription, "enough")
        await asyncio.sleep(2.0)
        return [got, await state(sink, "gone"), await state(numbers, "gone")]

    assert played(main) == [True, [("cancel", "enough")], [("cancel", "enough")]]


def test_async_subscribe_does_the_same_later() -> None:
    async def main() -> int:
        numbers = await gen_stage.start(Numbers)
        sink = await gen_stage.start(Sink, delay_s=1.0)
        gen_stage.async_subscribe(sink, numbers, max_demand=2, min_demand=0)
        return len(await seen(sink))

    assert played(main) == 2


def test_wrong_subscriptions_are_refused() -> None:
    async def main() -> list[bool]:
        numbers, sink = await gen_stage.start(Numbers), await gen_stage.start(Sink)
        with pytest.raises(UsageError, match="is a producer"):
            await gen_stage.sync_subscribe(numbers, sink)
        with pytest.raises(UsageError, match="max_demand"):
            await gen_stage.sync_subscribe(sink, numbers, max_demand=-1)
        gen_stage.async_subscribe(numbers, sink)
        await settle()
        other = await gen_stage.start(Sink)
        await gen_stage.sync_subscribe(other, sink, cancel="temporary")
        await settle()
        return [process.is_alive(numbers), process.is_alive(sink), await state(other, "gone") != []]

    assert played(main) == [True, True, True]


@pytest.mark.parametrize(("cancel", "outcome"), [("permanent", "noproc"), ("transient", "noproc"), ("temporary", None)])
def test_a_producer_that_is_not_there_ends_a_consumer_that_needs_it(cancel: str, outcome: str | None) -> None:
    async def main() -> list[object]:
        reasons: list[object] = []
        try:
            await gen_stage.start(Sink, SubscribeTo("nobody", cancel=cancel))
        except StartError as error:
            reasons.append(error.reason)
        sink = await gen_stage.start(Sink)
        await gen_stage.sync_subscribe(sink, "nobody", cancel=cancel)
        await settle()
        return [*reasons, ENDS.get(sink)]

    assert played(main) == ([outcome, outcome] if outcome else [None])


@pytest.mark.parametrize(
    ("cancel", "reason", "outcome"),
    [
        ("permanent", "normal", "normal"),
        ("permanent", ("shutdown", 1), ("shutdown", 1)),
        ("permanent", "bad", "bad"),
        ("transient", "normal", None),
        ("transient", "shutdown", None),
        ("transient", "bad", "bad"),
        ("temporary", "bad", None),
    ],
)
def test_the_end_of_a_producer_means_what_the_cancel_mode_says(cancel: str, reason: object, outcome: object) -> None:
    async def main() -> object:
        numbers = await gen_stage.start(Numbers)
        sink = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=1, cancel=cancel), delay_s=0.1)
        gen_stage.tell(numbers, ("stop", reason))
        await asyncio.sleep(1.0)
        return ENDS[sink] if sink in ENDS else await state(sink, "gone")

    assert played(main) == ([("down", reason)] if outcome is None else outcome)


def test_a_consumer_that_crashes_loses_what_it_had_and_the_others_get_the_rest() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        poor = await gen_stage.start(Sink, SubscribeTo(pushed, max_demand=4, min_demand=2))
        await settle()
        gen_stage.tell(pushed, ["poison", 1, 2])
        reason = await end_of(poor)
        gen_stage.tell(pushed, [3, 4])
        other = await gen_stage.start(Sink, pushed)
        return [reason, await seen(other), process.is_alive(pushed)]

    assert played(main) == ["poisoned", [3, 4], True]


def test_events_that_came_before_the_end_of_a_producer_are_handled_first() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        twice = await gen_stage.start(Twice, SubscribeTo(pushed, max_demand=10))
        await settle()
        await gen_server.ref(Pushed, pushed).push([1, 2, 3], last=True)
        await settle()
        alive = [process.is_alive(pushed), process.is_alive(twice)]
        sink = await gen_stage.start(Sink, SubscribeTo(twice, max_demand=2, min_demand=1, cancel="temporary"))
        return [alive, await seen(sink), process.is_alive(twice)]

    assert played(main) == [[False, True], [1, 1, 2, 2, 3, 3], False]


def test_resubscribing_changes_the_options_and_stops_nobody() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers)
        sink = await gen_stage.start(Sink, delay_s=1.0)
        first = await gen_stage.sync_subscribe(sink, numbers, max_demand=2, min_demand=0)
        await asyncio.sleep(0.5)
        second = await gen_stage.sync_resubscribe(sink, first, "slower", max_demand=1, timeout_s=None)
        gen_stage.async_resubscribe(sink, second, "slowest", max_demand=1)
        await asyncio.sleep(3.0)
        got = batches(sink)
        return [
            await state(sink, "gone"),
            await state(numbers, "gone"),
            {len(batch) for batch in got[2:]},
        ]

    told = [("cancel", "slower"), ("cancel", "slowest")]
    assert played(main) == [told, told, {1}]


def test_a_callback_can_refuse_a_subscription_by_stopping() -> None:
    class Picky(ByHand):
        async def init(self, *producers: SubscribeTo) -> Consumer:
            return Consumer(subscribe_to=producers)

    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers)
        with pytest.raises(StartError) as failed:
            await gen_stage.start(Picky, SubscribeTo(numbers, extra="refuse"))
        consumer = await gen_stage.start(ByHand)
        with pytest.raises(CallFailed):
            await gen_stage.sync_subscribe(consumer, numbers, extra="refuse")
        return [failed.value.reason, process.is_alive(consumer)]

    assert played(main) == ["not this one", False]


def test_a_suspended_stage_takes_up_later_what_came_meanwhile() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers)
        await gen_stage.suspend(numbers)
        sink = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=2), delay_s=1.0)
        before = await seen(sink)
        await gen_stage.resume(numbers)
        return [before, len(await seen(sink)) > 0]

    assert played(main) == [[], True]


# -- dispatchers -----------------------------------------------------------------------------------------------------


def test_work_is_shared_by_demand() -> None:
    async def main() -> tuple[list[object], list[object]]:
        numbers = await gen_stage.start(Numbers, demand="accumulate")
        quick = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=2, min_demand=1), delay_s=1.0)
        slow = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=2, min_demand=1), delay_s=4.0)
        gen_stage.demand(numbers, "forward")
        await asyncio.sleep(8.5)
        return await seen(quick), await seen(slow)

    quick, slow = played(main)
    assert (len(quick), len(slow)) == (9, 3)
    assert {*quick, *slow} <= set(range(14))
    assert len({*quick, *slow}) == 12


def test_a_broadcast_reaches_all_at_the_pace_of_the_slowest_and_a_selector_picks() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers, BroadcastDispatcher(), demand="accumulate")
        quick = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=4))
        slow = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=2, min_demand=1), delay_s=1.0)
        odd = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=4, selector=lambda number: number % 2))
        gen_stage.demand(numbers, "forward")
        await asyncio.sleep(2.5)
        return [await seen(quick), await seen(slow), await seen(odd)]

    assert played(main) == [[0, 1, 2, 3], [0, 1, 2], [1, 3]]


def test_when_no_selector_wants_anything_others_have_their_turn() -> None:
    async def main() -> list[object]:
        numbers = await gen_stage.start(Numbers, BroadcastDispatcher())
        sink = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=10, selector=lambda number: number >= 1000))
        while not batches(sink):
            await asyncio.sleep(0)
        await gen_stage.stop(sink)
        return [process.is_alive(numbers)]

    assert played(main) == [True]


def test_a_process_gets_a_broadcast_only_once() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed, dispatcher=BroadcastDispatcher())
        sink = await gen_stage.start(Sink, pushed, pushed)
        await settle()
        gen_stage.tell(pushed, [1])
        return [await seen(sink), await state(sink, "gone")]

    assert played(main) == [[1], [("cancel", "already_subscribed")]]


def test_partitions_get_their_own_and_keep_it_until_somebody_takes_it() -> None:
    async def main() -> list[object]:
        by_kind = PartitionDispatcher(("odd", "even"), by=lambda number: ("even", "odd", "none")[number % 3])
        pushed = await gen_stage.start(Pushed, dispatcher=by_kind)
        even = await gen_stage.start(Sink, SubscribeTo(pushed, partition="even"))
        await settle()
        gen_stage.tell(pushed, [0, 1, 2, 3, 4])
        first = await seen(even)
        waiting = await gen_stage.estimate_buffered_count(pushed)
        odd = await gen_stage.start(Sink, SubscribeTo(pushed, partition="odd"))
        return [first, waiting, await seen(odd), await gen_stage.discarded_count(pushed)]

    assert played(main) == [[0, 3], 2, [1, 4], 1]


@pytest.mark.parametrize(("partition", "problem"), [(0, "partition_taken"), (7, "unknown_partition")])
def test_a_partition_has_one_consumer(partition: int, problem: str) -> None:
    async def main() -> object:
        pushed = await gen_stage.start(Pushed, dispatcher=PartitionDispatcher(2))
        await gen_stage.start(Sink, SubscribeTo(pushed, partition=0))
        second = await gen_stage.start(Sink, SubscribeTo(pushed, partition=partition))
        return [await end_of(second), process.is_alive(pushed)]

    assert played(main) == [(problem, partition), True]


def test_a_partition_that_stands_still_stops_the_others_before_memory_grows() -> None:
    async def main() -> list[int]:
        numbers = await gen_stage.start(Numbers, PartitionDispatcher(2, by=lambda number: number % 2))
        await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=10, partition=0), delay_s=1e9)
        quick = await gen_stage.start(Sink, SubscribeTo(numbers, max_demand=10, partition=1))
        await settle()
        return [len(await seen(quick)), await gen_stage.estimate_buffered_count(numbers)]

    got, waiting = played(main)
    assert got >= 10
    assert waiting <= 20


@dataclass(frozen=True)
class NewestFirst:
    """Somebody's own dispatcher: all events go to who subscribed last."""

    demands: tuple[tuple[Hashable, int], ...] = ()

    @property
    def room(self) -> int:
        return self.demands[-1][1] if self.demands else 0

    @property
    def held(self) -> int:
        return 0

    def subscribe(self, subscription: Subscription, options: SubscribeTo) -> Dispatcher:
        return NewestFirst((*self.demands, (subscription.tag, 0)))

    def cancel(self, tag: Hashable) -> Dispatcher:
        return NewestFirst(tuple(demand for demand in self.demands if demand[0] != tag))

    def ask(self, tag: Hashable, count: int) -> tuple[Dispatcher, tuple[Delivery, ...]]:
        asked = tuple((other, demand + count if other == tag else demand) for other, demand in self.demands)
        return NewestFirst(asked), ()

    def dispatch(self, events: tuple[object, ...]) -> Dispatched:
        tag, demand = self.demands[-1]
        now, later = events[:demand], events[demand:]
        return Dispatched(NewestFirst((*self.demands[:-1], (tag, demand - len(now)))), (Delivery(tag, now),), later)


def test_a_dispatcher_may_be_somebodys_own() -> None:
    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed, dispatcher=NewestFirst())
        old = await gen_stage.start(Sink, pushed)
        new = await gen_stage.start(Sink, pushed)
        await settle()
        gen_stage.tell(pushed, [1, 2])
        await settle()
        got = await seen(new)
        await gen_stage.stop(new)
        gen_stage.tell(pushed, [3])
        return [got, await seen(old)]

    assert played(main) == [[1, 2], [3]]


# -- crashes ---------------------------------------------------------------------------------------------------------


def test_a_failing_callback_ends_the_stage_with_a_report() -> None:
    class Broken(Numbers):
        async def handle_demand(self, demand: int) -> Emit:
            raise RuntimeError("no numbers left")

    reports: list[object] = []

    async def main() -> object:
        broken = await gen_stage.start(Broken)
        await gen_stage.start(Sink, SubscribeTo(broken, cancel="temporary"))
        return await end_of(broken)

    assert str(played(main, reports)) == "RuntimeError: no numbers left"
    assert len(reports) == 1


def test_a_selector_that_fails_ends_the_producer() -> None:
    async def main() -> object:
        pushed = await gen_stage.start(Pushed, dispatcher=BroadcastDispatcher())
        await gen_stage.start(Sink, SubscribeTo(pushed, selector=lambda event: event.size, cancel="temporary"))
        await settle()
        gen_stage.tell(pushed, [1])
        return str(await end_of(pushed))

    assert "has no attribute 'size'" in str(played(main))


def test_missing_callbacks_are_told() -> None:
    class Empty(GenStage):
        async def init(self, result: object) -> object:
            return result

    async def main() -> list[str]:
        producer = await gen_stage.start(Empty, Producer())
        await gen_stage.start(Sink, SubscribeTo(producer, cancel="temporary"))
        numbers = await gen_stage.start(Numbers)
        consumer = await gen_stage.start(Empty, Consumer(subscribe_to=[numbers]))
        return [str(await end_of(pid)) for pid in (producer, consumer)]

    demand, events = played(main)
    assert "needs handle_demand()" in demand
    assert "needs handle_events()" in events


def test_the_code_of_a_living_stage_can_change() -> None:
    class Louder(Sink):
        async def handle_events(self, events: list[object], subscription: Subscription) -> None:
            self.batches.append([f"{event}!" for event in events])

    async def main() -> list[object]:
        pushed = await gen_stage.start(Pushed)
        sink = await gen_stage.start(Sink, pushed)
        await settle()
        await gen_stage.change_code(sink, Louder)
        gen_stage.tell(pushed, [1])
        return await seen(sink)

    assert played(main) == ["1!"]


def test_a_no_reply_is_a_result_too() -> None:
    class Quiet(Pushed):
        async def handle_cast(self, request: object) -> NoReply:  # type: ignore[override]
            return NoReply()

    async def main() -> bool:
        quiet = await gen_stage.start(Quiet)
        gen_stage.tell(quiet, [1])
        await settle()
        return process.is_alive(quiet)

    assert played(main) is True


# -- at least once ---------------------------------------------------------------------------------------------------


class Remembering(GenStage):
    """A source that gives an event again when a consumer goes before it was told done."""

    async def init(self, count: int) -> Producer:
        self.fresh = iter(range(count))
        self.again: list[int] = []
        self.undone: set[int] = set()
        self.owed = 0
        return Producer()

    async def handle_demand(self, demand: int) -> Emit:
        self.owed += demand
        return self.given()

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> Emit:
        self.again = sorted(self.undone)
        return self.given()

    async def handle_cast(self, request: object) -> None:
        assert isinstance(request, tuple)
        self.undone -= set(request)

    def given(self) -> Emit:
        events = self.again[: self.owed]
        self.again = self.again[len(events) :]
        events += islice(self.fresh, self.owed - len(events))
        self.owed -= len(events)
        self.undone |= set(events)
        return Emit(events)


class Telling(GenStage):
    """Tells the source what is done; fails sometimes."""

    async def init(self, source: Pid, done: list[int], fails_at: set[int]) -> Consumer:
        self.source, self.done, self.fails_at = source, done, fails_at
        return Consumer(subscribe_to=[SubscribeTo(source, max_demand=4)])

    async def handle_events(self, events: list[int], subscription: Subscription) -> None:
        for event in events:
            if event in self.fails_at:
                self.fails_at.discard(event)
                raise Exit("failed once")
            self.done.append(event)
        gen_stage.tell(self.source, tuple(events))


def test_at_least_once_is_built_on_a_source_that_remembers() -> None:
    async def main() -> tuple[list[int], object]:
        done: list[int] = []
        source = await gen_stage.start(Remembering, 40)
        spec = ChildSpec("telling", (Telling, source, done, {3, 17, 18, 31}))
        await gen_stage.start(DynamicSupervisor, DynamicSpec(intensity=10), name="top")
        await dynamic_supervisor.start_child("top", spec)
        await settle()
        return done, await state(source, "undone")

    done, undone = played(main)
    assert set(done) == set(range(40))
    assert undone == set()
    assert len(done) < 60  # what was done twice is what was under way


# -- under a supervisor ----------------------------------------------------------------------------------------------


def test_a_pipeline_under_a_supervisor_is_put_together_again_after_a_crash() -> None:
    class Pipeline(Supervisor):
        async def init(self) -> SupervisorSpec:
            source = ChildSpec("source", partial(gen_stage.start_link, Pushed, name="source"))
            middle = ChildSpec("middle", partial(gen_stage.start_link, Twice, SubscribeTo("source"), name="middle"))
            sink = ChildSpec("sink", partial(gen_stage.start_link, Sink, SubscribeTo("middle"), name="sink"))
            return SupervisorSpec([source, middle, sink], strategy="rest_for_one", intensity=1)

    async def main() -> list[object]:
        top = await gen_stage.start(Pipeline)
        await settle()
        gen_stage.tell("source", [1])
        await settle()
        source, middle, sink = (process.whereis(name) for name in ("source", "middle", "sink"))
        assert source is not None
        assert middle is not None
        assert sink is not None
        before = await seen(sink)
        process.exit_process(middle, "bad")
        await settle()
        gen_stage.tell("source", [2])
        await settle()
        again = process.whereis("sink")
        assert again is not None
        assert again != sink
        counted = await supervisor.restarts(top)
        return [before, await seen(again), process.whereis("source") == source, counted.counted]

    assert played(main) == [[1, 1], [2, 2], True, 1]
