"""GenServer: calls and answers, crashes, time-outs, bounds, the typed face."""

import asyncio
import threading
from typing import ClassVar

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    Crashed,
    CrashReport,
    Error,
    Exit,
    From,
    GenServer,
    Ignore,
    InvalidArgumentsError,
    NoProcess,
    NoReply,
    Ok,
    Overflow,
    Overloaded,
    Pid,
    Reply,
    Runtime,
    ServiceError,
    StartError,
    StartIgnored,
    Stop,
    UsageError,
    Via,
    call,
    cast,
    gen_server,
    process,
    query,
)
from raybeam.actors.cell import Cell
from raybeam.actors.testing import VirtualTimeLoop, run, settle


class Empty(ServiceError):
    """Nothing left."""


class Stack(GenServer):
    async def init(self, *items: int) -> None:
        self.items = list(items)

    @call
    async def pop(self) -> int:
        if not self.items:
            raise Empty("nothing left")
        return self.items.pop()

    @cast
    async def push(self, item: int) -> None:
        self.items.append(item)

    @query
    async def size(self) -> int:
        return len(self.items)

    @call
    async def divide(self, by: int) -> float:
        return 1 / by

    @call(timeout_s=1.0)
    async def slow(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        self.items.append(0)
        return "done"

    @call
    def blocking(self) -> bool:
        return threading.current_thread() is threading.main_thread()

    @call
    async def wrong(self) -> int:
        return "no number"  # type: ignore[return-value]


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


def test_a_service_error_is_an_answer_and_the_process_lives_on() -> None:
    async def main() -> tuple[int, int]:
        async with quiet():
            stack = gen_server.ref(Stack, await gen_server.start(Stack, 7))
            popped = await stack.pop()
            with pytest.raises(Empty, match="nothing left"):
                await stack.pop()
            await stack.push(1)
            return popped, await stack.size()

    assert run(main()) == (7, 1)


def test_any_other_exception_is_a_crash_that_the_caller_and_the_report_tell() -> None:
    async def main() -> tuple[object, list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            stack = gen_server.ref(Stack, await gen_server.start(Stack, 7))
            with pytest.raises(CallFailed) as caught:
                await stack.divide(0)
            with pytest.raises(NoProcess):
                await stack.size()
            return caught.value.cause, reports

    cause, reports = run(main())

    assert isinstance(cause, Crashed)
    assert isinstance(cause.error, ZeroDivisionError)
    [report] = reports
    assert isinstance(report, CrashReport)
    assert report.state == {"items": [7]}
    assert "divide" in str(report)


def test_wrong_arguments_are_refused_and_nothing_is_done() -> None:
    async def main() -> int:
        async with quiet():
            stack = gen_server.ref(Stack, await gen_server.start(Stack))
            with pytest.raises(InvalidArgumentsError, match="by"):
                await stack.divide("many")  # type: ignore[arg-type]
            with pytest.raises(InvalidArgumentsError):
                await stack.divide()  # type: ignore[call-arg]
            return await stack.size()

    assert run(main()) == 0


def test_a_result_that_does_not_fit_its_annotation_is_a_crash() -> None:
    async def main() -> None:
        async with quiet():
            stack = gen_server.ref(Stack, await gen_server.start(Stack))
            with pytest.raises(
                CallFailed,
                match="returned 'no number', which is not what its annotation says: Input should be a valid integer",
            ):
                await stack.wrong()

    run(main())


def test_a_blocking_handler_runs_in_a_thread() -> None:
    async def main() -> bool:
        async with quiet():
            return await gen_server.ref(Stack, await gen_server.start(Stack)).blocking()

    assert run(main()) is False


def test_a_call_that_expired_behind_a_handler_that_blocked_the_loop_is_a_time_out_too() -> None:
    """No timer could fire in between: it is the callee that finds the deadline passed."""

    class Blocking(GenServer):
        @cast
        async def block(self) -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            loop.jump(2)

        @call(timeout_s=1)
        async def work(self) -> str:
            raise AssertionError("nobody waits for this")

    async def main() -> bool:
        async with quiet():
            pid = await gen_server.start(Blocking)
            blocking = gen_server.ref(Blocking, pid)
            await blocking.block()
            with pytest.raises(CallTimeout):
                await blocking.work()
            return process.is_alive(pid)

    assert run(main())


def test_a_call_fails_at_its_deadline_and_expired_work_is_not_done() -> None:
    async def main() -> int:
        async with quiet():
            stack = gen_server.ref(Stack, await gen_server.start(Stack))
            first = asyncio.ensure_future(stack.slow(3))
            second = asyncio.ensure_future(stack.slow(3))  # still waits in the mailbox at its deadline
            for attempt in (first, second):
                with pytest.raises(CallTimeout):
                    await attempt
            await asyncio.sleep(10)
            return await stack.size()

    assert run(main()) == 1


def test_handlers_that_wait_do_not_hold_each_other_back() -> None:
    async def main() -> float:
        async with quiet() as runtime:
            stacks = [gen_server.ref(Stack, await gen_server.start(Stack)) for _ in range(100)]
            await asyncio.gather(*(stack.slow(0.5) for stack in stacks))
            return runtime.now()

    assert run(main()) == pytest.approx(0.5)


def test_a_reference_offers_the_marked_methods_only() -> None:
    async def main() -> None:
        async with quiet():
            stack = gen_server.ref(Stack, await gen_server.start(Stack))
            with pytest.raises(AttributeError, match="offers no method 'items'"):
                _ = stack.items
            with pytest.raises(UsageError, match="await size"):
                stack.size.sync()

    run(main())


def test_the_synchronous_face_works_from_another_thread() -> None:
    async def main() -> int:
        async with quiet():
            stack = gen_server.ref(Stack, await gen_server.start(Stack, 1, 2))
            return await asyncio.to_thread(stack.size.sync)

    assert asyncio.run(main()) == 2


def test_more_calls_than_may_wait_are_refused_at_once() -> None:
    class Narrow(Stack):
        mailbox_limit: ClassVar[int] = 2

    class Patient(Narrow):
        mailbox_overflow: ClassVar[Overflow] = Overflow.DROP_OLDEST

    async def main(server: type[Stack]) -> list[object]:
        async with quiet():
            stack = gen_server.ref(server, await gen_server.start(server))
            calls = []
            for _ in range(4):
                calls.append(asyncio.ensure_future(stack.slow(0.1)))
                await settle()
            return [type(answer) for answer in await asyncio.gather(*calls, return_exceptions=True)]

    assert run(main(Narrow)) == [str, str, str, Overloaded]
    assert run(main(Patient)) == [str, Overloaded, str, str]


class Odd(GenServer):
    """Does what it is told by functions."""

    async def init(self, result: object = None) -> object:
        self.seen: list[object] = []
        if isinstance(result, Exception):
            raise result
        return result

    async def handle_call(self, request: object, sender: From) -> object:  # type: ignore[override]
        match request:
            case "later":
                self.later = sender
                return NoReply()
            case "seen":
                return Reply(self.seen)
            case ("stop", reason):
                return Stop(reason, "bye")
            case ("return", value):
                return value
            case ("call", Pid() as other):
                return Reply(await gen_server.request(other, "seen"))
            case _:
                raise Exit(request)

    async def handle_cast(self, request: object) -> None:
        if request == "answer":
            self.later.reply("late answer")
            self.later.reply("second answer")
        self.seen.append(("cast", request))

    async def handle_info(self, message: object) -> object:  # type: ignore[override]
        self.seen.append(("info", message))
        return message if isinstance(message, NoReply | Stop) else None

    async def handle_continue(self, term: object) -> object:  # type: ignore[override]
        self.seen.append(("continue", term))
        return None

    async def handle_timeout(self) -> None:
        self.seen.append("timeout")

    async def terminate(self, reason: object) -> None:
        self.seen.append(("terminate", reason))
        if reason == "fail":
            raise Exit("failed to terminate")


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (Stop("no"), StartError("no")),
        (Error("no"), StartError("no")),
        (Ignore(), StartIgnored()),
        (Exit("boom"), StartError("boom")),
        (42, StartError(("bad_return_value", 42))),
    ],
)
def test_a_start_that_fails_tells_why_and_frees_the_name(result: object, error: Exception) -> None:
    async def main() -> object:
        async with quiet():
            with pytest.raises(type(error)) as caught:
                await gen_server.start(Odd, result, name="odd")
            assert caught.value.args == error.args
            return process.whereis("odd")

    assert run(main()) is None


def test_an_init_that_takes_too_long_is_killed() -> None:
    class Slow(GenServer):
        async def init(self) -> None:
            await asyncio.sleep(100)

    async def main() -> float:
        async with quiet() as runtime:
            with pytest.raises(StartError, match="timeout"):
                await gen_server.start(Slow, timeout_s=2)
            assert runtime.processes() == []
            return runtime.now()

    assert run(main()) == pytest.approx(2)


def test_a_taken_name_is_told_with_its_holder() -> None:
    async def main() -> bool:
        async with quiet():
            pid = await gen_server.start(Odd, name="odd")
            with pytest.raises(StartError) as caught:
                await gen_server.start(Odd, name="odd")
            return caught.value.reason == ("already_started", pid)

    assert run(main())


def test_an_answer_may_come_later_and_only_the_first_counts() -> None:
    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Odd)
            waiting = asyncio.ensure_future(gen_server.request(pid, "later"))
            await settle()
            gen_server.tell(pid, "answer")
            return await waiting

    assert run(main()) == "late answer"


def test_stop_with_a_reply_terminates_first_and_answers_even_so() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            pid = await gen_server.start(Odd)
            ended = asyncio.ensure_future(process.wait_exit(pid))
            await settle()
            return await gen_server.request(pid, ("stop", "fail")), await ended

    assert run(main()) == ("bye", "failed to terminate")


def test_continue_comes_before_what_waits_in_the_mailbox() -> None:
    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Odd, Ok(continue_with="first"))
            process.send(pid, "second")
            return await gen_server.request(pid, "seen")

    assert run(main()) == [("continue", "first"), ("info", "second")]


def test_a_message_cancels_the_time_out() -> None:
    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Odd, Ok(timeout_s=5))
            await asyncio.sleep(4)
            process.send(pid, "hello")
            await asyncio.sleep(10)
            process.send(pid, NoReply(timeout_s=5))
            await asyncio.sleep(10)
            return await gen_server.request(pid, "seen")

    seen = run(main())

    assert isinstance(seen, list)
    assert seen.count("timeout") == 1
    assert seen[-1] == "timeout"


def test_a_time_out_of_zero_passes_before_what_others_have_under_way() -> None:
    async def ends() -> None:
        return None

    class Spawning(Odd):
        async def handle_cast(self, request: object) -> NoReply:  # type: ignore[override]
            process.spawn_monitor(ends)
            return NoReply(timeout_s=0)

        async def handle_info(self, message: object) -> None:
            self.seen.append(type(message).__name__)

    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Spawning)
            gen_server.tell(pid, "go")
            await settle()
            return await gen_server.request(pid, "seen")

    assert run(main()) == ["timeout", "Down"]


@pytest.mark.parametrize(
    ("hibernate", "seen"),
    [(True, ["first", "Down", "second"]), (False, ["first", "second", "Down"])],
    ids=["hibernating", "going on"],
)
def test_a_server_that_hibernates_lets_others_run_before_its_next_message(hibernate: bool, seen: list[object]) -> None:
    async def ends() -> None:
        return None

    class Spawning(Odd):
        async def handle_call(self, request: object, sender: From) -> Reply:
            if request == "seen":
                return Reply(self.seen)
            process.spawn_monitor(ends)
            return Reply("done", hibernate=hibernate)

        async def handle_cast(self, request: object) -> None:
            self.seen.append(request)
            if request == "first":
                gen_server.tell(self.pid, "second")

        async def handle_info(self, message: object) -> None:
            self.seen.append(type(message).__name__)

    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Spawning)
            await gen_server.suspend(pid)
            asked = gen_server.send_request(pid, "go")
            gen_server.tell(pid, "first")
            await gen_server.resume(pid)
            await gen_server.receive_response(asked)
            await settle()
            return await gen_server.request(pid, "seen")

    assert run(main()) == seen


def test_a_system_call_lets_the_time_out_begin_anew_and_does_not_cancel_it() -> None:
    async def main() -> list[object]:
        async with quiet() as runtime:
            pid = await gen_server.start(Odd, Ok(timeout_s=5))
            await asyncio.sleep(4)
            await gen_server.get_state(pid)
            await asyncio.sleep(4)
            await gen_server.suspend(pid)
            await asyncio.sleep(10)
            await gen_server.resume(pid)
            await asyncio.sleep(4.9)
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            early = list(state["seen"])
            await asyncio.sleep(5.1)
            assert runtime.now() == pytest.approx(28)
            return [early, await gen_server.request(pid, "seen")]

    assert run(main()) == [[], ["timeout"]]


@pytest.mark.parametrize("value", [None, 42, Ok()])
def test_a_wrong_return_is_a_crash_that_names_the_value(value: object) -> None:
    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Odd)
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(pid, ("return", value))
            return caught.value.cause

    assert run(main()) == ("bad_return_value", value)


def test_a_monitored_start_that_is_given_up_leaves_no_down() -> None:
    class Slow(GenServer):
        async def init(self) -> None:
            await asyncio.sleep(60)

    async def main() -> list[object]:
        async with quiet():
            seen: list[object] = []

            async def starter() -> None:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await gen_server.start_monitor(Slow)
                process.send(process.self_pid(), "mine")
                seen.append(await process.receive())

            await process.wait_exit(process.spawn(starter))
            return seen

    assert run(main()) == ["mine"]


@pytest.mark.parametrize(("by", "first"), [("pid", "Down"), ("name", "str")])
def test_after_a_call_to_a_dead_pid_others_have_run_as_in_otp_after_one_to_a_name_they_have_not(
    by: str, first: str
) -> None:
    async def main() -> list[str]:
        async with quiet():
            seen: list[str] = []
            dead = await gen_server.start(Stack)
            await gen_server.stop(dead)

            async def caller() -> None:
                process.spawn_monitor(ends)
                with pytest.raises(NoProcess):
                    await gen_server.request(dead if by == "pid" else "nobody", "pop")
                process.send(process.self_pid(), "mine")
                seen.extend([type(await process.receive()).__name__ for _ in range(2)])

            async def ends() -> None:
                return

            await process.wait_exit(process.spawn(caller))
            return seen

    assert run(main())[0] == first


def test_a_failed_nested_call_ends_the_caller_with_the_reason_and_the_call() -> None:
    async def main() -> tuple[object, Pid]:
        async with quiet():
            outer, inner = await gen_server.start(Odd), await gen_server.start(Odd)
            await gen_server.stop(inner)
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(outer, ("call", inner))
            return caught.value.cause, inner

    cause, inner = run(main())

    assert cause == ("noproc", (inner, "seen"))


def test_a_call_to_oneself_is_named_rather_than_waited_for() -> None:
    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Odd)
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(pid, ("call", pid))
            return caught.value.cause

    assert run(main())[0] == "calling_self"  # type: ignore[index]


def test_the_parents_exit_ends_a_trapping_server_after_terminate() -> None:
    class Trapping(Odd):
        async def init(self, log: list[object]) -> None:  # type: ignore[override]
            process.trap_exit(True)
            self.seen = log

    async def main() -> list[object]:
        async with quiet():
            log: list[object] = []

            async def parent() -> None:
                await gen_server.start_link(Trapping, log)
                raise Exit("parent gone")

            await process.wait_exit(process.spawn(parent))
            await settle()
            return log

    assert run(main()) == [("terminate", "parent gone")]


def test_a_suspended_server_handles_nothing_until_it_is_resumed() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            pid = await gen_server.start(Odd)
            await gen_server.suspend(pid)
            gen_server.tell(pid, 1)
            process.send(pid, 2)
            await settle()
            held = await gen_server.get_state(pid)
            assert isinstance(held, dict)
            seen = list(held["seen"])
            await gen_server.resume(pid)
            return seen, await gen_server.request(pid, "seen")

    assert run(main()) == ([], [("cast", 1), ("info", 2)])


def test_code_changes_under_a_living_process() -> None:
    class Newer(Stack):
        async def code_change(self, old_version: object, state: object, extra: object) -> object:
            assert isinstance(state, dict)
            return {"items": [extra, *state["items"]]}

    async def main() -> object:
        async with quiet():
            pid = await gen_server.start(Stack, 1)
            await gen_server.change_code(pid, Newer, 1, extra=9)
            assert await gen_server.replace_state(pid, lambda state: {"items": [*state["items"], 5]})  # type: ignore[index]
            return await gen_server.get_state(pid)

    assert run(main()) == {"items": [9, 1, 5]}


def test_requests_can_be_sent_first_and_answered_later() -> None:
    async def main() -> object:
        async with quiet():
            pids = [await gen_server.start(Odd), await gen_server.start(Odd)]
            request = gen_server.send_request(pids[0], "later")
            with pytest.raises(TimeoutError):
                await gen_server.wait_response(request, 1)
            gen_server.tell(pids[0], "answer")
            late = await gen_server.wait_response(request, 1)
            replies, failures = await gen_server.multi_call([pids[1], "nobody"], "seen")
            return late, replies == {pids[1]: []}, list(failures)

    assert run(main()) == ("late answer", True, ["nobody"])


def test_a_marked_method_may_not_take_a_name_of_otps() -> None:
    with pytest.raises(UsageError, match="terminate"):

        class Wrong(GenServer):
            @call
            async def terminate(self, reason: object) -> None: ...


def test_a_code_change_may_ask_who_it_is_done_for() -> None:
    class Newer(Stack):
        async def code_change(self, old_version: object, state: object, extra: object) -> object:
            return {"items": [], "known": (self.pid, self.runtime.name)}

    async def main() -> bool:
        async with quiet() as runtime:
            pid = await gen_server.start(Stack, 1)
            await gen_server.change_code(pid, Newer)
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return bool(state["known"] == (pid, runtime.name))

    assert run(main())


# -- errors that teach -----------------------------------------------------------------------------------------------


class Wrong(GenServer):
    """Returns what it may not, in many ways."""

    async def init(self, result: object = None) -> object:
        return result

    def handle_call(self, request: object, sender: From) -> object:  # type: ignore[override]
        match request:
            case "plain def":
                return Reply(1)
            case "plain def that fails":
                raise ValueError("boom")
        return self.answer(request)

    async def answer(self, request: object) -> object:
        return request

    async def handle_cast(self, request: object) -> object:  # type: ignore[override]
        return request


def told(act: object, ask: bool = True) -> tuple[str, list[object]]:
    """What is told of a request, and what terminate was told."""
    ends: list[object] = []

    class Ending(Wrong):
        async def terminate(self, reason: object) -> None:
            ends.append(reason)

    async def main() -> str:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            pid = await gen_server.start(Ending)
            if ask:
                with pytest.raises(CallFailed):
                    await gen_server.request(pid, act)
            else:
                gen_server.tell(pid, act)
                await settle()
            [report] = reports
            return str(report)

    return run(main()), ends


@pytest.mark.parametrize(
    ("act", "ask", "mend"),
    [
        (7, True, "Ending.handle_call() returned 7: return Reply(value), NoReply() to answer later with sender.reply"),
        (None, True, "Ending.handle_call() returned None: return Reply(value)"),
        (Reply(1), False, "handle_cast() returned Reply(timeout_s=None"),
        (Reply(1), False, "return None, NoReply(...) or Stop(reason)"),
        (Stop("tired", "bye"), False, "only handle_call() can give a reply; return Stop(reason)"),
        ("plain def", True, "Ending.handle_call() must be an async def; it is a plain def that returned Reply("),
    ],
)
def test_a_wrong_return_is_reported_with_what_to_return_instead(act: object, ask: bool, mend: str) -> None:
    report, ends = told(act, ask)

    assert mend in report
    assert len(ends) == 1


def test_a_plain_def_that_fails_is_a_crash_like_any_other() -> None:
    report, ends = told("plain def that fails")

    assert "ValueError: boom" in report
    assert len(ends) == 1


def test_a_callback_with_wrong_parameters_is_a_crash_like_any_other() -> None:
    class Narrow(GenServer):
        async def handle_cast(self) -> None: ...  # type: ignore[override]

    async def main() -> str:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            gen_server.tell(await gen_server.start(Narrow), "message")
            await settle()
            [report] = reports
            return str(report)

    assert "handle_cast() takes 1 positional argument but 2 were given" in run(main())


def test_a_wrong_return_of_init_is_told_to_the_starter_with_what_to_return_instead() -> None:
    async def main() -> tuple[str, object]:
        async with quiet():
            with pytest.raises(StartError) as failed:
                await gen_server.start(Wrong, 42)
            return str(failed.value), failed.value.reason

    text, reason = run(main())

    assert text.startswith("Wrong.init() returned 42: return None or Ok(...), or Ignore(), Stop(reason)")
    assert reason == ("bad_return_value", 42)


def test_a_call_to_oneself_is_told_with_the_mend() -> None:
    class Selfish(GenServer):
        @call
        async def outer(self) -> str:
            try:
                await gen_server.ref(Selfish, self.pid).inner()
            except CallFailed as failed:
                return str(failed)
            return ""

        @call
        async def inner(self) -> None: ...

    async def main() -> tuple[str, Pid]:
        async with quiet():
            pid = await gen_server.start(Selfish)
            return await gen_server.ref(Selfish, pid).outer(), pid

    text, pid = run(main())

    assert f"{pid} called itself and would wait for ever" in text
    assert "call the method directly" in text


@pytest.mark.parametrize("linked", [False, True])
def test_a_start_that_is_given_up_leaves_no_process_behind(linked: bool) -> None:
    class Slow(GenServer):
        async def init(self) -> None:
            await asyncio.sleep(100)

    async def main() -> tuple[list[Pid], object]:
        async with quiet() as runtime:

            async def starter() -> None:
                start = gen_server.start_link if linked else gen_server.start
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await start(Slow, name="slow")

            reason = await process.wait_exit(process.spawn(starter))
            return runtime.processes(), reason

    assert run(main()) == ([], "normal")


class Office:
    """Gives names in its own time; see `AwaitedResolver`."""

    def __init__(self, holder: Pid | None = None, error: Exception | None = None) -> None:
        self.holder = holder
        self.error = error

    def whereis_name(self, runtime: Runtime, key: object) -> Pid | None:
        return self.holder

    def register_name(self, runtime: Runtime, key: object, cell: Cell) -> None:
        raise AssertionError("never asked at once")

    async def claim_name(self, runtime: Runtime, key: object, cell: Cell) -> Pid | None:
        cell.deliver(key)
        await asyncio.sleep(1.0)
        if self.error is not None:
            raise self.error
        return self.holder


class Diary(GenServer):
    async def init(self) -> None:
        self.seen: list[object] = ["init"]

    async def handle_info(self, message: object) -> None:
        self.seen.append(message)


def test_a_process_whose_name_takes_time_runs_only_when_it_has_it() -> None:
    async def main() -> object:
        async with Runtime():
            pid = await gen_server.start(Diary, name=Via(Office(), "sent to the name"))
            state = await gen_server.get_state(pid)
            assert isinstance(state, dict)
            return state["seen"], asyncio.get_running_loop().time()

    assert run(main()) == (["init", "sent to the name"], 1.0)


def test_a_process_that_does_not_get_its_name_is_not_started() -> None:
    async def main() -> list[object]:
        async with Runtime() as runtime:
            seen: list[object] = []
            for office in (Office(Pid("far", 1)), Office(error=UsageError("closed"))):
                with pytest.raises(StartError) as failed:
                    await gen_server.start(Diary, name=Via(office, "n"))
                seen.append(failed.value.reason)

            async def parent() -> None:
                process.trap_exit(True)
                with pytest.raises(StartError):
                    await gen_server.start_link(Diary, name=Via(Office(Pid("far", 1)), "n"))
                with pytest.raises(TimeoutError):
                    seen.append(await process.receive(timeout_s=1.0))

            await runtime.ended(runtime.spawn(parent))
            return [*seen, runtime.processes()]

    assert run(main()) == [("already_started", Pid("far", 1)), ("name_not_registered", "closed"), []]


def test_a_process_that_is_killed_while_it_waits_for_its_name_is_not_started() -> None:
    async def main() -> object:
        async with Runtime() as runtime:
            starting = asyncio.ensure_future(gen_server.start(Diary, name=Via(Office(), "n"), timeout_s=5.0))
            await asyncio.sleep(0.5)
            [pid] = runtime.processes()
            runtime.exit(None, pid, "kill")
            with pytest.raises(StartError) as failed:
                await starting
            return failed.value.reason

    assert run(main()) == "killed"
