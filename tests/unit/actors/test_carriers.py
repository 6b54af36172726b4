"""Carriers: an idle callee is served in the turn of its caller, and nobody can tell but by the time it takes."""

import asyncio
import contextvars
import gc
import traceback
from collections.abc import Awaitable, Callable

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    Exit,
    ExitMessage,
    From,
    GenServer,
    NoReply,
    Pid,
    Reply,
    Runtime,
    StartError,
    Stop,
    call,
    gen_server,
    process,
)
from raybeam.actors.carriers import LOANS_PER_TURN
from raybeam.actors.runtime import current_runtime
from raybeam.actors.testing import run, settle

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")
Work = Callable[[], Awaitable[object]]


class Doer(GenServer):
    """Does what it is asked, as itself."""

    async def handle_call(self, request: object, sender: From) -> Reply:
        assert callable(request)
        return Reply(await request())


def play(body: Callable[[Pid], Awaitable[object]]) -> object:
    """What `body(doer)` gives, run in a process, once carriers are idle; or how that process ended."""

    async def main() -> object:
        async with Runtime(reports=lambda report: None):
            doer = await gen_server.start(Doer)
            await gen_server.request(doer, nothing)
            given: list[object] = []

            async def caller() -> None:
                given.append(await body(doer))

            pid = process.spawn(caller)
            reason = await process.wait_exit(pid)
            await settle()
            return given[0] if reason == "normal" else ("caller ended", reason)

    return run(main())


async def nothing() -> None:
    return


async def idle_carriers(count: int) -> None:
    """Let there be some: as many as handlers waited at the same time."""

    async def wait() -> None:
        await asyncio.sleep(1)

    doers = [await gen_server.start(Doer) for _ in range(count)]
    await asyncio.gather(*(gen_server.request(doer, wait) for doer in doers))
    await settle()


def test_an_idle_callee_answers_before_the_loop_turns() -> None:
    async def body(doer: Pid) -> object:
        turned: list[bool] = []
        current_runtime().loop.call_soon(turned.append, True)
        await gen_server.request(doer, nothing)
        return [*turned]

    assert play(body) == []


def test_who_calls_without_end_lets_the_loop_go_on() -> None:
    async def body(doer: Pid) -> object:
        turned: list[bool] = []
        current_runtime().loop.call_soon(turned.append, True)
        calls = 0
        while not turned:
            await gen_server.request(doer, nothing)
            calls += 1
        return calls <= LOANS_PER_TURN + 1

    assert play(body) is True


def test_nobody_in_the_queue_is_passed_by() -> None:
    async def body(doer: Pid) -> object:
        order: list[str] = []

        async def note(who: str) -> None:
            order.append(who)

        class Noter(GenServer):
            async def handle_cast(self, request: object) -> None:
                order.append("first")

        await idle_carriers(3)
        noter = await gen_server.start(Noter)
        gen_server.tell(noter, "note")
        await gen_server.request(doer, lambda: note("second"))
        return order

    assert play(body) == ["first", "second"]


def test_a_callee_with_messages_handles_them_in_order() -> None:
    async def body(doer: Pid) -> object:
        class Log(GenServer):
            async def init(self) -> None:
                self.seen: list[object] = []

            async def handle_cast(self, request: object) -> None:
                self.seen.append(request)

            async def handle_call(self, request: object, sender: From) -> Reply:
                return Reply([*self.seen])

        log = await gen_server.start(Log)
        await gen_server.request(log, "warm")
        gen_server.tell(log, 1)
        gen_server.tell(log, 2)
        return await gen_server.request(log, "seen")

    assert play(body) == [1, 2]


def test_what_a_callee_sends_itself_is_handled_before_its_caller_goes_on() -> None:
    class Log(GenServer):
        seen = 0

        async def handle_cast(self, request: object) -> None:
            self.seen += 1

        async def handle_call(self, request: object, sender: From) -> Reply:
            gen_server.tell(self.pid, "self")
            return Reply(self)

    async def body(doer: Pid) -> object:
        log = await gen_server.request(await gen_server.start(Log), "self")
        assert isinstance(log, Log)
        return log.seen

    assert play(body) == 1


# -- the task of a handler -------------------------------------------------------------------------------------------


def test_a_handler_that_waits_keeps_its_task_which_is_not_the_callers() -> None:
    async def body(doer: Pid) -> object:
        async def tasks() -> list[object]:
            before = asyncio.current_task()
            await asyncio.sleep(1)
            between = asyncio.current_task()
            await asyncio.sleep(0)
            return [before, between, asyncio.current_task()]

        own = asyncio.current_task()
        seen = await gen_server.request(doer, tasks)
        assert isinstance(seen, list)
        return len(set(seen)), own in seen, asyncio.current_task() is own

    assert play(body) == (1, False, True)


def test_the_caller_waits_for_a_handler_that_waits() -> None:
    async def body(doer: Pid) -> object:
        async def wait() -> str:
            await asyncio.sleep(1)
            await asyncio.sleep(2)
            return "done"

        return await gen_server.request(doer, wait), current_runtime().now()

    assert play(body) == ("done", 3)


def test_context_variables_of_caller_and_callee_are_apart() -> None:
    async def body(doer: Pid) -> object:
        async def paint() -> str:
            seen = colour.get()
            colour.set("red")
            await asyncio.sleep(1)
            return seen + colour.get()

        colour.set("blue")
        seen = await gen_server.request(doer, paint)
        return seen in ("nonered", "redred"), colour.get()  # handlers of one carrier may see each other's

    assert play(body) == (True, "blue")


@pytest.mark.parametrize("delay_s", [0, 1])
def test_a_time_out_within_a_handler_is_the_handlers_own(delay_s: float) -> None:
    async def body(doer: Pid) -> object:
        async def limited() -> str:
            try:
                async with asyncio.timeout(delay_s):
                    await asyncio.sleep(100)
            except TimeoutError:
                await asyncio.sleep(1)
                return "too long"
            return "in time"

        return await gen_server.request(doer, limited), current_runtime().now()

    assert play(body) == ("too long", delay_s + 1)


def test_a_task_group_works_in_a_handler() -> None:
    async def body(doer: Pid) -> object:
        async def fail() -> None:
            raise ValueError("boom")

        async def grouped() -> str:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(100))
                    group.create_task(fail())
            except* ValueError:
                pass
            return "mended"

        return await gen_server.request(doer, grouped)

    assert play(body) == "mended"


def test_a_handler_that_cancels_its_own_task_is_cancelled_where_it_waits_next() -> None:
    async def body(doer: Pid) -> object:
        async def cancel() -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                task.uncancel()
                return "cancelled"
            return "slept"

        return await gen_server.request(doer, cancel), await gen_server.request(doer, nothing)

    assert play(body) == ("cancelled", None)


def test_a_blocking_handler_runs_in_a_thread() -> None:
    class Blocking(GenServer):
        @call
        def add(self, one: int, other: int) -> int:
            return one + other

    async def body(doer: Pid) -> object:
        return await gen_server.ref(Blocking, await gen_server.start(Blocking)).add(1, 2)

    assert play(body) == 3


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_crash_is_told_to_the_caller() -> None:
    async def body(doer: Pid) -> object:
        async def crash() -> None:
            raise Exit("boom")

        with pytest.raises(CallFailed) as failed:
            await gen_server.request(doer, crash)
        return failed.value.cause, process.is_alive(doer)

    assert play(body) == ("boom", False)


def test_a_caller_that_is_killed_by_its_callee_does_nothing_more() -> None:
    went_on: list[str] = []

    async def body(doer: Pid) -> object:
        me = process.self_pid()

        async def kill() -> None:
            process.exit_process(me, "kill")

        try:
            await gen_server.request(doer, kill)
        except Exception:  # noqa: BLE001 (nothing of it may be seen)
            went_on.append("error")
        went_on.append("next statement")
        return None

    assert play(body) == ("caller ended", "killed")
    assert went_on == []


@pytest.mark.parametrize("late", [False, True])
def test_a_server_that_is_killed_by_its_callee_does_nothing_more_and_frees_its_carrier(late: bool) -> None:
    went_on: list[str] = []

    class Middle(GenServer):
        async def init(self, doer: Pid) -> None:
            self.doer = doer

        async def handle_call(self, request: object, sender: From) -> Reply:
            async def kill() -> None:
                if late:
                    await asyncio.sleep(1)
                process.exit_process(self.pid, "kill")

            await gen_server.request(self.doer, kill)
            went_on.append("next statement")
            return Reply(None)

    async def body(doer: Pid) -> object:
        middle = await gen_server.start(Middle, doer)
        with pytest.raises(CallFailed) as failed:
            await gen_server.request(middle, "die")
        await settle()
        return failed.value.cause, await gen_server.request(doer, nothing)

    assert play(body) == ("killed", None)
    assert went_on == []


def test_a_linked_caller_dies_of_the_crash_of_its_callee() -> None:
    async def body(doer: Pid) -> object:
        process.link(doer)

        async def crash() -> None:
            raise Exit("boom")

        await gen_server.request(doer, crash)
        return "not reached"

    assert play(body) == ("caller ended", "boom")


def test_a_linked_caller_that_traps_exits_gets_answer_and_message() -> None:
    class Stopping(GenServer):
        async def handle_call(self, request: object, sender: From) -> Stop:
            return Stop("boom", "answer")

    async def body(doer: Pid) -> object:
        process.trap_exit(True)
        stopping = await gen_server.start_link(Stopping)
        answer = await gen_server.request(stopping, "stop")
        return answer, await process.receive() == ExitMessage(stopping, "boom")

    assert play(body) == ("answer", True)


def test_the_kill_of_a_server_by_its_callee_costs_no_carrier() -> None:
    class Middle(GenServer):
        async def init(self, doer: Pid) -> None:
            self.doer = doer

        async def handle_call(self, request: object, sender: From) -> Reply:
            async def kill() -> None:
                process.exit_process(self.pid, "kill")

            return Reply(await gen_server.request(self.doer, kill))

    async def body(doer: Pid) -> object:
        await idle_carriers(3)
        before = asyncio.all_tasks()
        for _ in range(10):
            middle = await gen_server.start(Middle, doer)
            with pytest.raises(CallFailed):
                await gen_server.request(middle, "die")
            await settle()
        return asyncio.all_tasks() == before

    assert play(body) is True


def test_a_caller_that_was_served_at_once_can_still_be_killed_where_it_waits() -> None:
    async def main() -> list[str]:
        unwound: list[str] = []
        async with Runtime():
            doer = await gen_server.start(Doer)

            async def caller() -> None:
                try:
                    await gen_server.request(doer, nothing)
                    await asyncio.sleep(100)
                finally:
                    unwound.append("unwound")

            pid = process.spawn(caller)
            await settle()
            process.exit_process(pid, "kill")
            await settle()
            return [*unwound]

    assert run(main()) == ["unwound"]


def test_an_error_that_a_dead_caller_cannot_take_is_no_complaint_of_asyncio() -> None:
    complaints: list[object] = []

    async def body(doer: Pid) -> object:
        current_runtime().loop.set_exception_handler(lambda _, context: complaints.append(context))
        process.link(doer)

        async def crash() -> None:
            raise Exit("boom")

        return await gen_server.request(doer, crash)

    assert play(body) == ("caller ended", "boom")
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("inner", ["alone", "in a task of its own"])
def test_a_callee_that_is_killed_while_it_waits_ends_there(when: str, inner: str) -> None:
    unwound: list[str] = []

    async def body(doer: Pid) -> object:
        async def sleep() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                unwound.append("unwound")

        task = asyncio.ensure_future(sleep()) if inner == "in a task of its own" else None
        await settle()

        async def wait() -> None:
            await (task or sleep())

        def kill() -> None:
            process.exit_process(doer, "kill")

        loop = current_runtime().loop
        if when == "at once":  # before the carrier that takes the handler over has its turn
            loop.call_soon(kill)
        else:
            loop.call_later(1, kill)
        with pytest.raises(CallFailed) as failed:
            await gen_server.request(doer, wait)
        await settle()
        return failed.value.cause, current_runtime().now(), [*unwound]

    assert play(body) == ("killed", 0 if when == "at once" else 1, ["unwound"])


def test_a_caller_that_gives_up_does_not_disturb_its_callee() -> None:
    done: list[float] = []

    async def body(doer: Pid) -> object:
        async def wait() -> None:
            await asyncio.sleep(10)
            done.append(current_runtime().now())

        with pytest.raises(CallTimeout):
            await gen_server.request(doer, wait, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await gen_server.request(doer, wait, None)
        await asyncio.sleep(30)
        return list(process.own_cell().mailbox)

    assert play(body) == []
    assert done == [10, 20]


def test_an_answer_may_come_later_from_elsewhere() -> None:
    class Deferring(GenServer):
        async def handle_call(self, request: object, sender: From) -> NoReply:
            self.runtime.loop.call_later(2, sender.reply, "later")
            return NoReply()

    async def body(doer: Pid) -> object:
        return await gen_server.request(await gen_server.start(Deferring), "ask"), current_runtime().now()

    assert play(body) == ("later", 2)


def test_a_long_chain_of_callers_does_not_exhaust_the_stack() -> None:
    depths: list[int] = []

    class Link(GenServer):
        async def init(self, following: Pid | None) -> None:
            self.following = following

        async def handle_call(self, request: object, sender: From) -> Reply:
            depths.append(sum(1 for _ in traceback.walk_stack(None)))
            if self.following is None:
                return Reply(1)
            length = await gen_server.request(self.following, request)
            assert isinstance(length, int)
            return Reply(length + 1)

    async def body(doer: Pid) -> object:
        await idle_carriers(60)
        following: Pid | None = None
        for _ in range(2000):
            following = await gen_server.start(Link, following)
        assert following is not None
        return [await gen_server.request(following, "length") for _ in range(3)]

    assert play(body) == [2000, 2000, 2000]
    assert max(depths) - min(depths) < 150


def test_two_that_call_each_other_end_both_by_the_shorter_time_out() -> None:
    async def body(doer: Pid) -> object:
        other = await gen_server.start(Doer)

        async def call_back() -> object:
            return await gen_server.request(doer, nothing, 1)

        async def call_other() -> object:
            return await gen_server.request(other, call_back, 2)

        with pytest.raises(CallFailed):
            await gen_server.request(doer, call_other)
        return current_runtime().now(), process.is_alive(doer), process.is_alive(other)

    assert play(body) == (1, False, False)


def test_the_runtime_closes_while_handlers_wait() -> None:
    async def main() -> list[str]:
        unwound: list[str] = []

        async def wait() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                unwound.append("unwound")

        async with Runtime():
            doer = await gen_server.start(Doer)
            await gen_server.request(doer, nothing)
            calling = asyncio.ensure_future(gen_server.request(doer, wait))
            await asyncio.sleep(0)
        with pytest.raises(CallFailed):
            await calling
        return unwound

    assert run(main()) == ["unwound"]


# -- starts ----------------------------------------------------------------------------------------------------------


class Beginning(GenServer):
    """Begins with what it is told to do."""

    async def init(self, begin: Work) -> None:
        await begin()


def test_a_start_is_done_before_the_loop_turns() -> None:
    async def body(doer: Pid) -> object:
        turned: list[bool] = []
        current_runtime().loop.call_soon(turned.append, True)
        await gen_server.start(Beginning, nothing)
        return [*turned]

    assert play(body) == []


def test_an_init_that_waits_is_waited_for() -> None:
    async def body(doer: Pid) -> object:
        async def wait() -> None:
            await asyncio.sleep(2)

        pid = await gen_server.start(Beginning, wait)
        with pytest.raises(StartError) as failed:
            await gen_server.start(Beginning, wait, timeout_s=1)
        return process.is_alive(pid), failed.value.reason, current_runtime().now()

    assert play(body) == (True, "timeout", 3)


def test_a_process_that_is_killed_in_its_init_fails_the_start() -> None:
    async def body(doer: Pid) -> object:
        async def end() -> None:
            process.exit_process(process.self_pid(), "kill")

        with pytest.raises(StartError) as failed:
            await gen_server.start(Beginning, end)
        return failed.value.reason

    assert play(body) == "killed"


def test_a_starter_that_is_killed_by_an_init_does_nothing_more() -> None:
    went_on: list[str] = []

    async def body(doer: Pid) -> object:
        me = process.self_pid()

        async def kill() -> None:
            process.exit_process(me, "kill")

        try:
            await gen_server.start(Beginning, kill)
        except Exception:  # noqa: BLE001 (nothing of it may be seen)
            went_on.append("error")
        went_on.append("next statement")
        return None

    assert play(body) == ("caller ended", "killed")
    assert went_on == []


# -- cancellations that come at the wrong time -----------------------------------------------------------------------


class Stubborn(GenServer):
    """Does not let itself be cancelled."""

    async def handle_cast(self, request: object) -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return


class Confided(GenServer):
    """Tells others the task that runs it."""

    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply(asyncio.current_task())


def test_a_handler_that_swallows_its_cancellation_leaves_none_behind_for_the_next() -> None:
    async def main() -> tuple[set[int], float]:
        async with Runtime() as runtime:
            stubborn = [await gen_server.start(Stubborn) for _ in range(5)]
            for pid in stubborn:
                gen_server.tell(pid, "sleep")
            await settle()
            for pid in stubborn:
                process.exit_process(pid, "kill")
            await settle()

            async def limited() -> int:
                task = asyncio.current_task()
                assert task is not None
                pending = task.cancelling()
                try:
                    async with asyncio.timeout(1):
                        await asyncio.sleep(10)
                except TimeoutError:
                    return pending
                return -1

            doers = [await gen_server.start(Doer) for _ in range(10)]
            seen = await asyncio.gather(*(gen_server.request(doer, limited) for doer in doers))
            return {number for number in seen if isinstance(number, int)}, runtime.now()

    assert run(main()) == ({0}, 1.0)


def test_a_handler_that_swallows_every_cancellation_does_not_keep_the_runtime_from_closing() -> None:
    ended: list[str] = []

    class Deaf(GenServer):
        async def handle_cast(self, request: object) -> None:
            for _ in range(3):
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    ended.append("swallowed")

    async def main() -> None:
        async with Runtime():
            gen_server.tell(await gen_server.start(Deaf), "sleep")
            await settle()

    run(main())

    assert "swallowed" in ended


@pytest.mark.parametrize("late", [False, True])
def test_who_cancels_the_task_of_an_idle_carrier_harms_no_later_call(late: bool) -> None:
    async def body(doer: Pid) -> object:
        async def wait() -> str:
            await asyncio.sleep(1)
            return "done"

        task = await gen_server.request(await gen_server.start(Confided), "task")
        assert isinstance(task, asyncio.Task)
        if late:
            await settle()
        task.cancel()
        return [await gen_server.request(doer, wait, 10) for _ in range(3)]

    assert play(body) == ["done", "done", "done"]


def test_who_cancels_a_carrier_that_was_just_woken_leaves_nobody_waiting_in_the_queue() -> None:
    async def main() -> object:
        async with Runtime():
            confided, doer = await gen_server.start(Confided), await gen_server.start(Doer)
            await gen_server.request(doer, nothing)
            await settle()
            task = await gen_server.request(confided, "task")
            assert isinstance(task, asyncio.Task)
            gen_server.tell(confided, "wakes the carrier")
            task.cancel()
            return await gen_server.request(doer, nothing, 10)

    assert run(main()) is None


def test_a_handler_that_cancels_its_own_task_and_returns_is_answered_and_harms_no_later_call() -> None:
    async def body(doer: Pid) -> object:
        async def cancel() -> str:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            return "cancelled"

        async def wait() -> str:
            await asyncio.sleep(1)
            return "done"

        return await gen_server.request(doer, cancel), [await gen_server.request(doer, wait, 10) for _ in range(3)]

    assert play(body) == ("cancelled", ["done", "done", "done"])
