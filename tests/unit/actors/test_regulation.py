"""Regulated processes: what is refused and how, what passes, in which order, and what is counted."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import ClassVar

import pytest

from raybeam.actors import (
    CallEvent,
    CallTimeout,
    CoDel,
    Damper,
    Fair,
    From,
    GenEvent,
    GenServer,
    GenStage,
    GenStatem,
    KeepState,
    NextState,
    NoReply,
    Overflow,
    Overloaded,
    Pid,
    Postpone,
    Priorities,
    Rate,
    Refusal,
    Regulation,
    RegulationCounters,
    Reply,
    ReplyTo,
    Runtime,
    Sample,
    StateEvent,
    StateResult,
    UsageError,
    call,
    calling_as,
    cast,
    gen_event,
    gen_server,
    gen_statem,
    process,
    query,
)
from raybeam.actors.testing import run, settle


class Desk(GenServer):
    """Serves one after another; remembers in which order."""

    async def init(self) -> None:
        self.seen: list[str] = []

    @call
    async def serve(self, name: str, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        self.seen.append(name)
        return name

    @cast
    async def note(self, name: str) -> None:
        self.seen.append(name)

    @query(concurrent=True)
    async def look(self, seconds: float) -> list[str]:
        await asyncio.sleep(seconds)
        return self.seen

    async def handle_call(self, request: object, sender: From) -> NoReply:
        self.deferred = sender
        return NoReply()

    async def handle_info(self, message: object) -> None:
        if message == "answer":
            self.deferred.reply("at last")
        else:
            self.seen.append(str(message))


def counters(pid: Pid) -> RegulationCounters:
    found = gen_server.regulation_counters(pid)
    assert found is not None
    return found


async def outcome(asked: Awaitable[object]) -> object:
    try:
        return await asked
    except Overloaded as error:
        return error.why


def tasks(*asked: Awaitable[object]) -> list[asyncio.Task[object]]:
    return [asyncio.ensure_future(outcome(each)) for each in asked]


def test_a_class_or_its_start_says_how_it_is_regulated() -> None:
    class Small(Desk):
        regulation: ClassVar[Regulation | None] = Regulation(queue_limit=1)

    async def main() -> list[object]:
        async with Runtime():
            small = await gen_server.start(Small)
            plain = await gen_server.start(Desk)
            other = await gen_server.start(Small, regulation=Regulation(concurrency=7))
            return [counters(small).limit, gen_server.regulation_counters(plain), counters(other).limit]

    assert run(main()) == [None, None, 7]


@pytest.mark.parametrize("behaviour", [GenEvent, GenStage])
def test_what_cannot_be_regulated_is_told(behaviour: type[GenServer]) -> None:
    async def main() -> None:
        async with Runtime():
            await gen_server.start(behaviour, regulation=Regulation())

    with pytest.raises(UsageError, match=f"{behaviour.__name__} cannot be regulated: it takes what comes in an order"):
        run(main())


def test_what_is_no_regulation_is_told_where_the_class_is_made() -> None:
    with pytest.raises(UsageError, match=r"Odd\.regulation=5: give a Regulation, or None for none"):
        type("Odd", (GenServer,), {"regulation": 5})


def test_who_is_refused_hears_it_at_once_with_the_reason_and_when_to_come_again() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid = await gen_server.start(Desk, regulation=Regulation(queue_limit=2))
            desk = gen_server.ref(Desk, pid)
            await desk.serve("first", 0.5)
            waiting = tasks(*[desk.serve(str(number), 1.0) for number in range(3)])
            await settle()
            before = runtime.now()
            with pytest.raises(Overloaded) as refused:
                await desk.serve("too many")

            assert runtime.now() == before
            assert refused.value.why == "queue_full"
            assert refused.value.retry_after_s == pytest.approx(2 * 0.5)
            assert await asyncio.gather(*waiting) == ["0", "1", "2"]
            assert counters(pid).rejected[Refusal.QUEUE_FULL] == 1

    run(main())


def test_calls_and_casts_and_messages_of_one_sender_keep_their_order() -> None:
    async def main() -> object:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation(codel=CoDel(), concurrency=5))
            desk = gen_server.ref(Desk, pid)
            busy = asyncio.ensure_future(desk.serve("busy", 0.1))
            await settle()
            calls = []
            for number in range(3):
                calls.append(asyncio.ensure_future(desk.serve(f"call {number}")))
                await asyncio.sleep(0)
                await desk.note(f"cast {number}")
                process.send(pid, f"info {number}")
            await asyncio.gather(busy, *calls)
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["seen"]

    assert run(main()) == [
        "busy",
        *[f"{kind} {number}" for number in range(3) for kind in ("call", "cast", "info")],
    ]


def test_casts_always_pass_and_are_counted() -> None:
    async def main() -> tuple[int, int]:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation(queue_limit=1, rate=Rate(per_s=0.1)))
            desk = gen_server.ref(Desk, pid)
            for number in range(100):
                await desk.note(str(number))
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return len(state["seen"]), counters(pid).casts

    assert run(main()) == (100, 100)


def test_urgent_calls_go_first_and_tenants_take_turns() -> None:
    async def main() -> object:
        async with Runtime():
            priorities = Priorities({"high": 0.5, "low": 0.1})
            pid = await gen_server.start(Desk, regulation=Regulation(priorities=priorities, fair=Fair()))
            desk = gen_server.ref(Desk, pid)
            busy = asyncio.ensure_future(desk.serve("busy", 0.1))
            await settle()
            calls = []
            for tenant, priority, names in (("a", "low", "a1 a2 a3"), ("b", "low", "b1"), ("b", "high", "B1")):
                with calling_as(tenant=tenant, priority=priority):
                    calls += [asyncio.ensure_future(desk.serve(name)) for name in names.split()]
            await asyncio.gather(busy, *calls)
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["seen"]

    assert run(main()) == ["busy", "B1", "a1", "b1", "a2", "a3"]


def test_no_more_calls_are_under_way_than_there_are_places() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid = await gen_server.start(Desk, regulation=Regulation(concurrency=2))
            desk = gen_server.ref(Desk, pid)
            looks = tasks(*[desk.look(1.0) for _ in range(5)])
            await settle()
            assert (counters(pid).under_way, counters(pid).depth, counters(pid).delayed) == (2, 3, 3)
            await asyncio.gather(*looks)
            assert runtime.now() == pytest.approx(3.0)

    run(main())


def test_a_call_with_a_deferred_answer_keeps_its_place_until_it_is_answered() -> None:
    async def main() -> list[object]:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation(concurrency=1))
            first = asyncio.ensure_future(gen_server.request(pid, "later"))
            await settle()
            second = asyncio.ensure_future(gen_server.ref(Desk, pid).serve("second"))
            await settle()
            assert (counters(pid).under_way, counters(pid).depth) == (1, 1)
            process.send(pid, "answer")
            return [await first, await second]

    assert run(main()) == ["at last", "second"]


def test_calls_are_begun_at_the_rate_and_wait_for_their_tokens() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            rate = Rate(per_s=10.0, burst=2, max_wait_s=0.35)
            pid = await gen_server.start(Desk, regulation=Regulation(rate=rate))
            desk = gen_server.ref(Desk, pid)
            done = await asyncio.gather(*tasks(*[desk.serve(str(number)) for number in range(7)]))
            assert done == ["0", "1", "2", "3", "4", "rate", "rate"]
            assert runtime.now() == pytest.approx(0.3)

    run(main())


def test_a_cancelled_call_is_never_done_and_frees_its_place() -> None:
    async def main() -> object:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation(queue_limit=2))
            desk = gen_server.ref(Desk, pid)
            busy = asyncio.ensure_future(desk.serve("busy", 0.1))
            await settle()
            given_up, stays = asyncio.ensure_future(desk.serve("given up")), asyncio.ensure_future(desk.serve("stays"))
            await settle()
            given_up.cancel()
            await settle()
            assert counters(pid).depth == 1
            await desk.serve("new")
            await asyncio.gather(busy, stays)
            assert counters(pid).dropped[Refusal.CANCELLED] == 1
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["seen"]

    assert run(main()) == ["busy", "stays", "new"]


@pytest.mark.parametrize("overflow", [Overflow.DROP_OLDEST, Overflow.DROP_NEWEST])
def test_a_stuck_process_does_not_collect_what_it_will_never_serve(overflow: Overflow) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid = await gen_server.start(Desk, regulation=Regulation(queue_limit=50, overflow=overflow))
            desk = gen_server.ref(Desk, pid)
            calls = tasks(desk.serve("stuck", 4.0))
            await settle()
            cell = runtime.cell(pid)
            assert cell is not None
            for _ in range(20):
                calls += tasks(*[desk.serve("more") for _ in range(100)])
                await settle()
                assert len(cell.mailbox) <= 50 + 65
                assert len(cell.calls) <= 51
            done = await asyncio.gather(*calls)
            assert done.count("more") == 50
            assert done.count("displaced") == 20 * 100 - 50

    run(main())


def test_a_suspended_process_does_not_collect_it_either() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            regulation = Regulation(queue_limit=50, overflow=Overflow.DROP_OLDEST)
            pid = await gen_server.start(Desk, regulation=regulation)
            desk = gen_server.ref(Desk, pid)
            await gen_server.suspend(pid)
            cell = runtime.cell(pid)
            assert cell is not None
            calls = []
            for _ in range(20):
                calls += tasks(*[desk.serve("more") for _ in range(100)])
                await settle()
                held = cell.held  # type: ignore[attr-defined]
                assert len(held) + len(cell.mailbox) <= 2 * (50 + 65)
            await gen_server.resume(pid)
            done = await asyncio.gather(*calls)
            assert done.count("more") == 50

    run(main())


def test_calls_that_are_cancelled_while_a_process_is_stuck_take_no_room() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid = await gen_server.start(Desk, regulation=Regulation(queue_limit=50))
            desk = gen_server.ref(Desk, pid)
            (stuck,) = tasks(desk.serve("stuck", 4.0))
            await settle()
            cell = runtime.cell(pid)
            assert cell is not None
            for _ in range(50):
                calls = tasks(*[desk.serve("never") for _ in range(40)])
                await settle()
                for each in calls:
                    each.cancel()
                await settle()
            assert len(cell.mailbox) <= 65
            assert await stuck == "stuck"
            assert counters(pid).dropped[Refusal.CANCELLED] == 2000

    run(main())


def test_a_suspended_process_begins_nothing_and_goes_on_where_it_was() -> None:
    async def main() -> list[object]:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation(concurrency=1))
            desk = gen_server.ref(Desk, pid)
            await gen_server.suspend(pid)
            calls = tasks(desk.serve("a"), desk.serve("b"), desk.look(0.1))
            await settle()
            assert (counters(pid).begun, counters(pid).depth) == (0, 3)
            await gen_server.resume(pid)
            return await asyncio.gather(*calls)

    assert run(main()) == ["a", "b", ["a", "b"]]


def test_load_of_the_machine_cuts_the_places_and_calm_gives_them_back() -> None:
    loads = [Sample(0.5, 0.1)] + [Sample(1.0, 1.0)] * 3 + [Sample(0.1, 0.1)] * 100

    async def main() -> None:
        async with Runtime() as runtime:
            runtime.load = lambda: loads.pop(0)
            damper = Damper(cut=0.1, calm_s=2.0, sample_s=1.0)
            pid = await gen_server.start(Desk, regulation=Regulation(concurrency=10, damper=damper))
            seen = []
            for _ in range(12):
                await asyncio.sleep(1.0)
                await settle()
                seen.append((counters(pid).level, counters(pid).limit))
            assert seen[0] == (0, 10)
            assert seen[1] == (6, 4)
            assert seen[-1] == (0, 10)
            assert [level for level, _ in seen] == [0, 6, 6, 6, 6, 6, 4, 4, 2, 2, 0, 0]

    run(main())


def test_a_failing_sampler_is_reported_and_asked_no_more() -> None:
    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append) as runtime:

            def fail() -> Sample:
                raise OSError("no /proc here")

            runtime.load = fail
            pid = await gen_server.start(Desk, regulation=Regulation(damper=Damper()))
            await asyncio.sleep(10.0)
            assert await gen_server.ref(Desk, pid).serve("a") == "a"

    run(main())
    assert len(reports) == 1
    assert "no /proc here" in str(reports[0])


def test_the_machine_tells_its_load() -> None:
    from raybeam.actors.machine_load import machine_load

    sample = machine_load()

    assert 0 <= sample.cpu <= 1
    assert 0 < sample.memory <= 1


class Door(GenStatem):
    async def init(self) -> NextState:
        return NextState("closed")

    async def closed(self, event: StateEvent) -> StateResult:
        match event:
            case CallEvent("knock", sender):
                return NextState("opened", ReplyTo(sender, "come in"))
            case CallEvent():
                return KeepState(Postpone())
        return KeepState()

    async def opened(self, event: StateEvent) -> StateResult:
        match event:
            case CallEvent(request, sender):
                return KeepState(ReplyTo(sender, request))
        return KeepState()


def test_a_state_machine_is_regulated_and_its_postponed_calls_are_under_way() -> None:
    async def main() -> list[object]:
        async with Runtime():
            pid = await gen_statem.start(Door, regulation=Regulation(queue_limit=1))
            early = asyncio.ensure_future(gen_server.request(pid, "early"))
            await settle()
            assert (counters(pid).under_way, counters(pid).depth) == (1, 0)
            return [await gen_server.request(pid, "knock"), await early, counters(pid).under_way]

    assert run(main()) == ["come in", "early", 0]


def test_callers_of_a_regulated_process_that_ends_are_told() -> None:
    async def main() -> None:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation(concurrency=1))
            desk = gen_server.ref(Desk, pid)
            calls = [asyncio.ensure_future(desk.look(9.0)) for _ in range(3)]
            await settle()
            process.exit_process(pid, "kill")
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [str(answer).split()[0] for answer in answers] == ["killed"] * 3

    run(main())


def test_what_expires_while_it_waits_is_dropped_and_counted() -> None:
    async def main() -> None:
        async with Runtime():
            pid = await gen_server.start(Desk, regulation=Regulation())
            desk = gen_server.ref(Desk, pid)
            busy = asyncio.ensure_future(desk.serve("busy", 2.0))
            await settle()
            with pytest.raises(CallTimeout):
                await desk.serve.within(1.0)("late")
            await busy
            dropped = counters(pid).dropped
            assert dropped[Refusal.CANCELLED] + dropped[Refusal.DEADLINE] == 1
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            assert state["seen"] == ["busy"]

    run(main())


def test_a_turn_that_nobody_uses_does_not_keep_a_time_out_from_passing() -> None:
    class Waits(Desk):
        async def handle_call(self, request: object, sender: From) -> Reply:  # type: ignore[override]
            await asyncio.sleep(1.0)
            return Reply(request, timeout_s=2.0)

        async def handle_timeout(self) -> None:
            self.seen.append("time is over")

    async def main() -> object:
        async with Runtime():
            pid = await gen_server.start(Waits, regulation=Regulation())
            served = asyncio.ensure_future(gen_server.request(pid, "a"))
            await settle()
            given_up = asyncio.ensure_future(gen_server.request(pid, "b"))
            await settle()
            given_up.cancel()
            await served
            await asyncio.sleep(5.0)
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["seen"]

    assert run(main()) == ["time is over"]


def test_an_event_manager_serves_as_ever() -> None:
    async def main() -> None:
        async with Runtime():
            manager = await gen_event.start()
            gen_event.notify(manager, "news")
            assert gen_server.regulation_counters(manager) is None
            with contextlib.suppress(Overloaded):
                await gen_event.which_handlers(manager)

    run(main())
