"""Runtime: observers harm nobody, and nothing keeps the dead in memory."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable

import pytest

from raybeam.actors import (
    CallFailed,
    ChildError,
    ChildSpec,
    Exit,
    Exited,
    From,
    GenServer,
    GenStatem,
    KeepState,
    NextState,
    NoReply,
    Reply,
    Runtime,
    StartError,
    StateEvent,
    StateTimeout,
    Supervisor,
    SupervisorSpec,
    TaskSupervisor,
    gen_server,
    process,
    supervisor,
    task_supervisor,
)
from raybeam.actors.errors import ProcessKilled
from raybeam.actors.testing import run, settle


class Fragile(GenServer):
    async def handle_call(self, request: object, sender: From) -> Reply:
        if request == "crash":
            raise ValueError("boom")
        return Reply(request)


class Tree(Supervisor):
    async def init(self) -> SupervisorSpec:
        return SupervisorSpec([ChildSpec("fragile", Fragile)])


def failing(*_: object) -> None:
    raise RuntimeError("the sink is broken")


def test_a_report_sink_that_fails_is_logged_and_harms_neither_child_nor_supervisor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> tuple[object, object]:
        async with Runtime(reports=failing):
            tree = await gen_server.start(Tree)
            [first] = await supervisor.which_children(tree)
            assert isinstance(first.child, tuple)
            with pytest.raises(CallFailed) as failed:
                await gen_server.request(first.child, "crash")
            await settle()
            [second] = await supervisor.which_children(tree)
            assert isinstance(second.child, tuple)
            return getattr(failed.value.cause, "error", None), await gen_server.request(second.child, "again")

    with caplog.at_level(logging.ERROR, "raybeam"):
        error, answer = run(main())

    assert isinstance(error, ValueError)
    assert answer == "again"
    assert caplog.text.count("RuntimeError: the sink is broken") == 2  # the crash report and the supervisor's
    assert "ValueError: boom" in caplog.text  # what could not be reported is in the log


@pytest.mark.parametrize("hook", ["on_served", "on_ended"])
def test_a_hook_that_fails_harms_nobody(hook: str) -> None:
    async def main() -> tuple[object, object, object]:
        async with Runtime() as runtime:
            setattr(runtime, hook, failing)
            watched = await gen_server.start(Fragile, name="fragile")
            seen = await gen_server.request(watched, "ask"), await gen_server.request(watched, "again")
            await gen_server.stop(watched)
            return seen, process.is_alive(watched), process.whereis("fragile")

    assert run(main()) == (("ask", "again"), False, None)


class Idle(GenServer):
    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply(weakref.ref(self), timeout_s=3600)


class Waiting(GenStatem):
    async def init(self, tell: Callable[[object], None]) -> NextState:
        tell(weakref.ref(self))
        return NextState("waiting", [StateTimeout(3600)])

    async def waiting(self, event: StateEvent) -> KeepState:
        return KeepState()


class Sleeping(GenServer):
    async def handle_call(self, request: object, sender: From) -> NoReply:
        assert callable(request)
        request(weakref.ref(self))
        await asyncio.sleep(3600)
        return NoReply()


@pytest.mark.parametrize("kind", ["server", "state machine", "in its handler"])
def test_a_killed_process_with_a_long_time_out_is_not_kept_in_memory(kind: str) -> None:
    async def main() -> tuple[object, float]:
        async with Runtime() as runtime:
            given: list[object] = []
            if kind == "server":
                pid = await gen_server.start(Idle)
                given.append(await gen_server.request(pid, "ref"))
            elif kind == "state machine":
                pid = await gen_server.start(Waiting, given.append)
            else:
                pid = await gen_server.start(Sleeping)
                gen_server.send_request(pid, given.append)
                await asyncio.sleep(1)
            process.exit_process(pid, "kill")
            await asyncio.sleep(1)
            gc.collect()
            [reference] = given
            assert isinstance(reference, weakref.ref)
            return reference(), runtime.now()

    kept, now = run(main())

    assert kept is None
    assert now < 60


# -- cancellations that are the code's own ---------------------------------------------------------------------------


async def cancelled_inside() -> None:
    """Wait for something that is cancelled: an error of the code's own, nobody cancels the process."""
    inner = asyncio.ensure_future(asyncio.sleep(100))
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner


def reason_of(error: object) -> type:
    return type(getattr(error, "error", error))


def test_a_cancellation_of_its_own_is_a_crash_of_a_spawned_function() -> None:
    async def main() -> object:
        async with Runtime():
            return await process.wait_exit(process.spawn(cancelled_inside))

    assert reason_of(run(main())) is asyncio.CancelledError


@pytest.mark.parametrize("where", ["init", "terminate", "handle_call", "system call"])
def test_a_cancellation_of_its_own_is_a_crash_of_a_server(where: str) -> None:
    class Server(GenServer):
        async def init(self) -> None:
            if where == "init":
                await cancelled_inside()

        async def handle_call(self, request: object, sender: From) -> Reply:
            if where == "terminate":
                raise Exit("shutdown")
            await cancelled_inside()
            return Reply(None)

        async def code_change(self, old_version: object, state: object, extra: object) -> object:
            await cancelled_inside()
            return state

        async def terminate(self, reason: object) -> None:
            if where == "terminate":
                await cancelled_inside()

    async def main() -> object:
        async with Runtime(reports=lambda report: None):
            before = len(asyncio.all_tasks())
            try:
                pid = await gen_server.start(Server)
                if where == "system call":
                    await gen_server.change_code(pid, Server)
                else:
                    await gen_server.request(pid, "ask")
            except CallFailed as failed:
                assert process.is_alive(pid) is (where == "system call")
                return failed.cause
            except Exception as failed:  # noqa: BLE001 (seen below)
                return getattr(failed, "reason", failed)
            return before

    assert reason_of(run(main())) is asyncio.CancelledError


def test_a_cancellation_of_its_own_is_a_crash_of_a_task() -> None:
    async def main() -> tuple[object, list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            await gen_server.start(TaskSupervisor, name="tasks")
            task = await task_supervisor.async_nolink("tasks", cancelled_inside)
            return await task.yield_(), reports

    outcome, reports = run(main())

    assert isinstance(outcome, Exited)
    assert reason_of(outcome.reason) is asyncio.CancelledError
    assert "cancelled_inside" in str(reports)


@pytest.mark.parametrize("where", ["init", "terminate", "state", "code_change"])
def test_a_cancellation_of_its_own_is_a_crash_of_a_state_machine(where: str) -> None:
    class Machine(GenStatem):
        async def init(self) -> NextState:
            if where == "init":
                await cancelled_inside()
            return NextState("waiting")

        async def waiting(self, event: StateEvent) -> KeepState:
            if where == "terminate":
                raise Exit("shutdown")
            await cancelled_inside()
            return KeepState()

        async def code_change(self, *_: object) -> tuple[object, object]:
            assert self.pid.serial > 0  # it knows who it is
            await cancelled_inside()
            return "", {}

        async def terminate(self, reason: object) -> None:
            if where == "terminate":
                await cancelled_inside()

    async def main() -> object:
        async with Runtime(reports=lambda report: None):
            try:
                pid = await gen_server.start(Machine)
                if where == "code_change":
                    await gen_server.change_code(pid, Machine)
                await gen_server.request(pid, "ask")
            except StartError as failed:
                return failed.reason
            except CallFailed as failed:
                assert process.is_alive(pid) is (where == "code_change")
                return failed.cause
            return None

    assert reason_of(run(main())) is asyncio.CancelledError


def test_a_start_function_that_is_cancelled_inside_is_a_failed_start_and_the_supervisor_lives_on() -> None:
    async def main() -> tuple[object, bool]:
        async with Runtime(reports=lambda report: None):
            tree = await gen_server.start(Tree)
            with pytest.raises(ChildError) as failed:
                await supervisor.start_child(tree, ChildSpec("wrong", cancelled_inside))
            return failed.value.reason, process.is_alive(tree)

    reason, alive = run(main())

    assert alive
    assert "CancelledError" in str(reason)


# -- ends that are not one's own -------------------------------------------------------------------------------------


async def last_act_of_the_dead() -> asyncio.Task[None]:
    """A task that a process has left behind, which will act in the name of that process."""
    left: list[asyncio.Task[None]] = []

    async def act() -> None:
        await asyncio.sleep(1)
        process.trap_exit(True)

    async def body() -> None:
        left.append(asyncio.ensure_future(act()))

    await process.wait_exit(process.spawn(body))
    return left[0]


@pytest.mark.parametrize("kind", ["server", "spawned"])
def test_who_waits_for_a_task_that_another_process_left_behind_ends_rather_than_hangs(kind: str) -> None:
    class Waiter(GenServer):
        async def handle_call(self, request: object, sender: From) -> Reply:
            assert isinstance(request, asyncio.Task)
            return Reply(await request)

    async def main() -> tuple[object, bool]:
        async with Runtime(reports=lambda report: None):
            task = await last_act_of_the_dead()
            if kind == "server":
                pid = await gen_server.start(Waiter)
                with pytest.raises(CallFailed) as failed:
                    await gen_server.request(pid, task, 10)
                return failed.value.cause, process.is_alive(pid)

            async def body() -> None:
                await task

            pid = process.spawn(body)
            return await process.wait_exit(pid), process.is_alive(pid)

    reason, alive = run(main())

    assert reason_of(reason) is ProcessKilled
    assert not alive


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_spawned_function_that_wants_to_leave_the_program_ends_its_process_alone(error: BaseException) -> None:
    async def main() -> tuple[object, object]:
        async with Runtime():

            async def leave() -> None:
                raise error

            async def parent() -> None:
                process.spawn_link(leave)
                await process.receive()

            return await process.wait_exit(process.spawn(parent)), await process.wait_exit(process.spawn(leave))

    linked, own = run(main())

    assert reason_of(linked) is type(error)
    assert reason_of(own) is type(error)


def test_the_answer_to_a_call_is_not_kept_in_memory_until_its_deadline() -> None:
    class Answer:
        pass

    class Slow(GenServer):
        async def handle_call(self, request: object, sender: From) -> Reply:
            await asyncio.sleep(1)
            return Reply(Answer())

    async def main() -> object:
        async with Runtime():
            answer = await gen_server.request(await gen_server.start(Slow), "ask", 3600)
            reference = weakref.ref(answer)
            del answer
            await settle()
            gc.collect()
            return reference()

    assert run(main()) is None
