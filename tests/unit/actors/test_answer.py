"""Calls within a runtime: given up, with deadlines and contexts that travel."""

import asyncio
import threading

import pytest

from raybeam.actors import (
    CallContext,
    CallEvent,
    CallTimeout,
    From,
    GenServer,
    GenStatem,
    KeepState,
    NextState,
    Pid,
    Reply,
    ReplyTo,
    Runtime,
    StateEvent,
    StateResult,
    call,
    calling_as,
    current_context,
    gen_server,
    gen_statem,
    process,
    query,
)
from raybeam.actors.delivery import Invoke
from raybeam.actors.kernel.once import Origin
from raybeam.actors.message import Call
from raybeam.actors.testing import run, settle


class Back(GenServer):
    """What others call in turn."""

    async def init(self) -> None:
        self.seen: list[object] = []

    @call
    async def work(self, seconds: float) -> float | None:
        self.seen.append(process.deadline())
        await asyncio.sleep(seconds)
        return process.deadline()

    @call
    async def context(self) -> tuple[str, str]:
        context = current_context()
        return ("", "") if context is None else (context.tenant, context.priority)

    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply(process.deadline())


class Front(GenServer):
    async def init(self, back: Pid) -> None:
        self.back = gen_server.ref(Back, back)
        self.pid_of_back = back
        self.noticed: list[object] = []

    @call
    async def work(self, seconds: float) -> float | None:
        return await self.back.work(seconds)

    @call
    async def work_twice(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.back.work(0.0)

    @query(concurrent=True)
    async def look(self, seconds: float) -> float | None:
        return await self.back.work(seconds)

    @call
    async def context(self) -> tuple[str, str]:
        return await self.back.context()

    @query(concurrent=True)
    async def context_beside(self) -> tuple[str, str]:
        return await self.back.context()

    @call
    def context_in_a_thread(self) -> tuple[str, str]:
        return self.back.context.sync()

    @call
    async def ask_plainly(self) -> object:
        return await gen_server.request(self.pid_of_back, "deadline", None)

    @call
    async def long(self, steps: int) -> int:
        for step in range(steps):
            if process.call_cancelled():
                self.noticed.append(step)
                return step
            await asyncio.sleep(1.0)
        return steps

    async def handle_info(self, message: object) -> None:
        self.noticed.append((process.deadline(), process.call_cancelled(), current_context()))


async def start() -> tuple[Pid, Front]:
    pid = await gen_server.start(Front, await gen_server.start(Back))
    return pid, gen_server.ref(Front, pid)


def test_a_nested_call_has_what_is_left_of_the_deadline_of_the_call_it_serves() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            _, front = await start()
            assert await front.work.within(2.0)(0.5) == pytest.approx(2.0)
            assert await front.work.within(50.0)(0.0) == pytest.approx(runtime.now() + 5.0)
            assert await front.look.within(2.0)(0.5) == pytest.approx(2.5)
            assert await front.ask_plainly.within(3.0)() == pytest.approx(runtime.now() + 3.0)

    run(main())


@pytest.mark.parametrize("method", ["work", "look"])
def test_a_handler_whose_time_is_over_in_a_nested_call_answers_so_and_lives_on(method: str) -> None:
    async def main() -> None:
        async with Runtime():
            pid, front = await start()
            with pytest.raises(CallTimeout):
                await getattr(front, method).within(0.5)(2.0)
            await settle()
            assert process.is_alive(pid)

    run(main())


def test_nothing_is_sent_when_no_time_is_left() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid, front = await start()
            cell = runtime.cell(pid)
            assert cell is not None
            with pytest.raises(CallTimeout):
                await front.work_twice.within(1.0)(2.0)
            await asyncio.sleep(5.0)
            assert process.is_alive(pid)
            state = await gen_server.get_state(cell.server.pid_of_back)  # type: ignore[attr-defined]
            assert state == {"seen": []}

    run(main())


def test_a_time_out_of_the_handlers_own_is_a_crash_as_ever() -> None:
    class Impatient(Front):
        @call
        async def work(self, seconds: float) -> float | None:
            return await self.back.work.within(0.1)(seconds)

    async def main() -> None:
        async with Runtime(reports=lambda report: None):
            pid = await gen_server.start(Impatient, await gen_server.start(Back))
            with pytest.raises(Exception, match="timeout"):
                await gen_server.ref(Impatient, pid).work(2.0)
            assert not process.is_alive(pid)

    run(main())


def test_otps_plain_requests_pass_no_deadline_on() -> None:
    class Plain(GenServer):
        async def handle_call(self, request: object, sender: From) -> Reply:
            back = await gen_server.start(Back)
            return Reply((process.deadline(), await gen_server.request(back, "deadline", None)))

    async def main() -> object:
        async with Runtime():
            return await gen_server.request(await gen_server.start(Plain), "go", 3.0)

    assert run(main()) == (3.0, None)


@pytest.mark.parametrize("method", ["context", "context_beside"])
def test_nested_calls_are_made_on_the_same_behalf_and_no_longer(method: str) -> None:
    async def main() -> list[object]:
        async with Runtime():
            _, front = await start()
            with calling_as(tenant="acme", priority="high"):
                first = await getattr(front, method)()
            second = await getattr(front, method)()
            with calling_as(tenant="other"):
                third = await getattr(front, method)()
            return [first, second, third]

    assert run(main()) == [("acme", "high"), ("", ""), ("other", "")]


def test_a_handler_in_a_thread_calls_on_the_same_behalf() -> None:
    async def main() -> object:
        async with Runtime():
            _, front = await start()
            with calling_as(tenant="acme"):
                return await front.context_in_a_thread()

    assert asyncio.run(main()) == ("acme", "")


def test_outside_of_calls_there_is_no_deadline_and_no_context() -> None:
    async def main() -> object:
        async with Runtime():
            pid, front = await start()
            with calling_as(tenant="acme"):
                await front.work(0.0)
            process.send(pid, "look")
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["noticed"]

    assert run(main()) == [(None, False, None)]


def test_a_waiting_call_whose_caller_gives_up_is_never_done() -> None:
    async def main() -> object:
        async with Runtime() as runtime:
            pid = await gen_server.start(Back)
            back = gen_server.ref(Back, pid)
            busy = asyncio.ensure_future(back.work(1.0))
            await settle()
            given_up = asyncio.ensure_future(back.work(0.0))
            await settle()
            given_up.cancel()
            await busy
            await settle()
            cell = runtime.cell(pid)
            assert cell is not None
            assert (cell.queued_calls, len(cell.calls)) == (0, 0)
            return len(cell.server.seen)  # type: ignore[attr-defined]

    assert run(main()) == 1


def test_cancelled_calls_make_room_in_a_full_mailbox() -> None:
    class Small(Back):
        mailbox_limit = 8

    async def main() -> None:
        async with Runtime():
            pid = await gen_server.start(Small)
            back = gen_server.ref(Small, pid)
            busy = asyncio.ensure_future(back.work(1.0))
            await settle()
            for _ in range(20):
                calls = [asyncio.ensure_future(back.work(0.0)) for _ in range(8)]
                await settle()
                for each in calls:
                    each.cancel()
                await settle()
            await asyncio.gather(busy, *[back.work(0.0) for _ in range(8)])
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            assert len(state["seen"]) == 9

    run(main())


def test_a_long_handler_can_ask_whether_its_caller_waits_still() -> None:
    async def main() -> object:
        async with Runtime():
            pid, front = await start()
            asked = asyncio.ensure_future(front.long(9))
            await asyncio.sleep(2.5)
            asked.cancel()
            with pytest.raises(CallTimeout):
                await front.long.within(1.5)(9)
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["noticed"]

    assert run(main()) == [3, 1]


def test_a_handler_in_a_thread_can_ask_too() -> None:
    class Press(GenServer):
        async def init(self) -> None:
            self.go_on = threading.Event()
            self.seen: list[bool] = []

        @call
        def run(self) -> None:
            self.seen.append(process.call_cancelled())
            self.go_on.wait(30.0)
            self.seen.append(process.call_cancelled())

    async def main() -> object:
        async with Runtime() as runtime:
            pid = await gen_server.start(Press)
            cell = runtime.cell(pid)
            assert cell is not None
            press = cell.server  # type: ignore[attr-defined]
            running = asyncio.ensure_future(gen_server.ref(Press, pid).run())
            while not press.seen:
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            press.go_on.set()
            await gen_server.statistics(pid)
            return press.seen

    assert asyncio.run(main()) == [False, True]


@pytest.mark.parametrize(("gives_up", "noticed"), [(False, []), (True, [2])])
def test_a_handler_of_a_call_that_is_done_once_can_ask_whether_its_caller_waits_still(
    gives_up: bool, noticed: list[int]
) -> None:
    async def main() -> object:
        async with Runtime() as runtime:
            pid, _ = await start()
            cell = runtime.cell(pid)
            assert cell is not None
            sender = From(runtime.loop.create_future(), cell, None)
            origin = Origin("client", 1, 0, pid.serial)
            request = Invoke("long", (3,), {})
            cell.deliver_call(Call(request, sender, None, True, runtime.now(), None, origin))
            await asyncio.sleep(1.5)
            if gives_up:
                sender.cancel()
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["noticed"]

    assert run(main()) == noticed


def test_otps_plain_requests_are_done_even_when_their_caller_gave_up() -> None:
    class Log(GenServer):
        async def init(self) -> None:
            self.seen: list[object] = []

        async def handle_call(self, request: object, sender: From) -> Reply:
            await asyncio.sleep(1.0)
            self.seen.append(request)
            return Reply(None)

    async def main() -> object:
        async with Runtime():
            log = await gen_server.start(Log)
            first = asyncio.ensure_future(gen_server.request(log, 1))
            await settle()
            second = asyncio.ensure_future(gen_server.request(log, 2))
            await settle()
            second.cancel()
            await first
            await asyncio.sleep(2.0)
            return await gen_server.get_state(log)

    assert run(main()) == {"seen": [1, 2]}


def test_from_elsewhere_a_call_is_cancelled_by_its_right_to_answer() -> None:
    class Told(From):
        def __init__(self, server: object) -> None:
            self.server = server  # type: ignore[assignment]
            self.caller = None
            self.abandoned = 0

        def abandon(self) -> None:
            self.server.calls.pop(self, None)
            self.abandoned += 1

    async def main() -> object:
        async with Runtime() as runtime:
            pid = await gen_server.start(Back)
            cell = runtime.cell(pid)
            assert cell is not None
            busy = asyncio.ensure_future(gen_server.ref(Back, pid).work(1.0))
            await settle()
            sender = Told(cell)
            cell.deliver_call(Call(Invoke("work", (0.0,), {}), sender, None, True, runtime.now()))
            sender.cancel()
            sender.cancel()
            await busy
            await settle()
            return len(cell.server.seen), sender.abandoned  # type: ignore[attr-defined]

    assert run(main()) == (1, 2)


class Machine(GenStatem):
    async def init(self, back: Pid) -> NextState:
        self.back = gen_server.ref(Back, back)
        return NextState("ready")

    async def ready(self, event: StateEvent) -> StateResult:
        match event:
            case CallEvent("context", sender):
                return KeepState(ReplyTo(sender, await self.back.context()))
            case CallEvent(float(seconds), sender):
                return KeepState(ReplyTo(sender, await self.back.work(seconds)))
        return KeepState()


def test_deadlines_and_contexts_travel_through_state_machines_too() -> None:
    async def main() -> None:
        async with Runtime():
            machine = await gen_statem.start(Machine, await gen_server.start(Back))
            with calling_as(tenant="acme"):
                assert await gen_server.request(machine, "context") == ("acme", "")
            assert await gen_server.request(machine, "context") == ("", "")
            assert await gen_server.request(machine, 0.5, 2.0, drop_expired=True) == pytest.approx(2.0)
            with pytest.raises(CallTimeout):
                await gen_server.request(machine, 3.0, 2.0, drop_expired=True)
            await settle()
            assert process.is_alive(machine)

    run(main())


def test_a_context_is_plain_data() -> None:
    assert CallContext("acme") == CallContext(tenant="acme", priority="", trace=())
