"""TaskSupervisor: tasks, their outcomes, and streams of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    ChildError,
    ChildSpec,
    Completed,
    Crashed,
    CrashReport,
    Down,
    DynamicSpec,
    Exit,
    Exited,
    ExitMessage,
    GenServer,
    NotAProcessError,
    Pid,
    Runtime,
    Supervisor,
    SupervisorSpec,
    Task,
    TaskReply,
    TaskSupervisor,
    UsageError,
    call,
    gen_server,
    process,
    supervisor,
    task_supervisor,
)
from raybeam.actors.runtime import current_runtime
from raybeam.actors.testing import run, settle


async def after(delay_s: float, value: object = "done") -> object:
    await asyncio.sleep(delay_s)
    return value


async def number_after(delay_s: int) -> int:
    await asyncio.sleep(delay_s)
    return delay_s


async def leave(reason: object) -> None:
    raise Exit(reason)


async def stubborn(delay_s: float) -> str:
    """Traps exits, so that only `kill` or its own end ends it."""
    process.trap_exit(True)
    await asyncio.sleep(delay_s)
    return "had its way"


def play(body: Callable[[Pid], Awaitable[object]], spec: DynamicSpec | None = None) -> object:
    """What `body(tasks)` gives, run in a process of its own; or how that process ended."""

    async def main() -> object:
        async with Runtime(reports=lambda report: None):
            tasks = await gen_server.start(TaskSupervisor, spec)
            given: list[object] = []

            async def owner() -> None:
                given.append(await body(tasks))

            reason = await process.wait_exit(process.spawn(owner))
            return given[0] if reason == "normal" else ("owner ended", reason)

    return run(main())


def mailbox() -> list[object]:
    """What the calling process has not taken yet."""
    return list(process.own_cell().mailbox)


# -- one task --------------------------------------------------------------------------------------------------------


def test_a_task_runs_under_the_supervisor_and_gives_its_value() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, after, 1, "value")
        running = await task_supervisor.children(tasks)
        value = await task.result()
        await settle()
        return running == [task.pid], value, await task_supervisor.children(tasks), mailbox()

    assert play(body) == (True, "value", [], [])


def test_tasks_run_at_the_same_time() -> None:
    async def body(tasks: Pid) -> object:
        each = [await task_supervisor.async_(tasks, after, 3) for _ in range(100)]
        for task in each:
            await task.result()
        return current_runtime().now()

    assert play(body) == 3


def test_a_linked_task_that_crashes_takes_its_owner_along() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, leave, "boom")
        await task.result()
        return "not reached"

    assert play(body) == ("owner ended", "boom")


def test_an_owner_that_traps_exits_gets_the_failure_and_the_exit_message() -> None:
    async def body(tasks: Pid) -> object:
        process.trap_exit(True)
        task = await task_supervisor.async_(tasks, leave, "boom")
        with pytest.raises(CallFailed) as failed:
            await task.result()
        return failed.value.cause, mailbox() == [ExitMessage(task.pid, "boom")]

    assert play(body) == ("boom", True)


def test_a_linked_task_ends_with_its_owner() -> None:
    async def main() -> tuple[bool, bool]:
        async with Runtime(reports=lambda report: None):
            tasks = await gen_server.start(TaskSupervisor)

            async def owner() -> None:
                await task_supervisor.async_(tasks, after, 100)
                await process.receive()

            pid = process.spawn(owner)
            await settle()
            [task] = await task_supervisor.children(tasks)
            process.exit_process(pid, "boom")
            return process.is_alive(task), process.is_alive(tasks)

    assert run(main()) == (False, True)


def test_without_a_link_a_crash_is_an_outcome() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_nolink(tasks, leave, "boom")
        with pytest.raises(CallFailed) as failed:
            await task.result()
        return failed.value.cause, failed.value.call == (task.pid, "leave"), mailbox()

    assert play(body) == ("boom", True, [])


def test_without_a_link_a_task_survives_its_owner() -> None:
    async def main() -> bool:
        async with Runtime(reports=lambda report: None):
            tasks = await gen_server.start(TaskSupervisor)

            async def owner() -> None:
                await task_supervisor.async_nolink(tasks, after, 100)

            await process.wait_exit(process.spawn(owner))
            return len(await task_supervisor.children(tasks)) == 1

    assert run(main())


def test_an_exception_is_a_crash_with_its_error() -> None:
    async def divide(divisor: int) -> float:
        return 1 / divisor

    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_nolink(tasks, divide, 0)
        return await task.yield_()

    outcome = play(body)

    assert isinstance(outcome, Exited)
    assert isinstance(outcome.reason, Crashed)
    assert isinstance(outcome.reason.error, ZeroDivisionError)
    assert "divide" in outcome.reason.traceback


def test_a_crash_is_reported_with_function_and_arguments_and_a_normal_end_is_not() -> None:
    async def main() -> list[CrashReport]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            tasks = await gen_server.start(TaskSupervisor)
            for reason in ("boom", "shutdown", ("shutdown", "enough"), "normal"):
                await (await task_supervisor.async_nolink(tasks, leave, reason)).yield_()
        return [report for report in reports if isinstance(report, CrashReport)]

    [report] = run(main())

    assert (report.behaviour, report.reason, report.state) == ("leave", "boom", ("boom",))


def test_a_value_that_comes_too_late_is_dropped() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_nolink(tasks, after, 10)
        with pytest.raises(CallTimeout):
            await task.result(5)
        await asyncio.sleep(10)
        return mailbox(), await task_supervisor.children(tasks)

    assert play(body) == ([], [])


def test_a_linked_task_dies_with_an_owner_that_waited_in_vain() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, after, 10)
        process.send("watcher", task.pid)
        return await task.result(5)

    async def main() -> tuple[object, bool]:
        async with Runtime(reports=lambda report: None):
            tasks = await gen_server.start(TaskSupervisor)
            seen: list[object] = []

            async def watch() -> None:
                seen.append(await process.receive())
                await process.receive()

            process.register("watcher", process.spawn(watch))

            async def owner() -> None:
                await body(tasks)

            reason = await process.wait_exit(process.spawn(owner))
            [pid] = seen
            assert isinstance(pid, Pid)
            assert isinstance(reason, tuple)
            return reason[0], process.is_alive(pid)

    assert run(main()) == ("timeout", False)


def test_yield_gives_nothing_in_vain_and_the_outcome_later() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, after, 10, "value")
        return await task.yield_(4), await task.yield_(0), await task.yield_(None), mailbox()

    assert play(body) == (None, None, Completed("value"), [])


def test_an_owner_that_does_not_wait_finds_the_value_among_its_messages() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_nolink(tasks, after, 1, "value")
        crash = await task_supervisor.async_nolink(tasks, leave, "boom")
        await asyncio.sleep(2)
        return mailbox() == [
            Down(crash.ref, crash.pid, "boom"),
            TaskReply(task.ref, "value"),
            Down(task.ref, task.pid, "normal"),
        ]

    assert play(body) is True


def test_a_value_may_be_awaited_after_it_came() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, after, 1, "value")
        await asyncio.sleep(2)
        waiting = len(mailbox())
        return waiting, await task.result(0), mailbox()

    assert play(body) == (2, "value", [])


def test_only_the_owner_takes_the_result() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_nolink(tasks, after, 1)
        told: list[str] = []

        async def stranger() -> None:
            with pytest.raises(UsageError) as refused:
                await task.result()
            told.append(str(refused.value))

        await process.wait_exit(process.spawn(stranger))
        return told

    told = play(body)

    assert isinstance(told, list)
    assert "only the process that started it" in told[0]


def test_outside_any_process_a_task_cannot_be_linked() -> None:
    async def main() -> object:
        async with Runtime():
            tasks = await gen_server.start(TaskSupervisor)
            with pytest.raises(NotAProcessError):
                await task_supervisor.async_(tasks, after, 1)
            task = await task_supervisor.async_nolink(tasks, after, 1, "value")
            return await task.result()

    assert run(main()) == "value"


def test_no_more_tasks_than_may_be() -> None:
    async def body(tasks: Pid) -> object:
        await task_supervisor.async_(tasks, after, 1)
        with pytest.raises(ChildError, match="max_children"):
            await task_supervisor.async_(tasks, after, 1)
        with pytest.raises(ChildError, match="max_children"):
            await task_supervisor.start_child(tasks, after, 1)
        return mailbox()

    assert play(body, DynamicSpec(max_children=1)) == []


def test_a_caller_that_gives_up_while_the_supervisor_is_busy_leaves_no_task_behind() -> None:
    async def main() -> list[Pid]:
        async with Runtime():
            tasks = await gen_server.start(TaskSupervisor)
            await gen_server.suspend(tasks)
            starting = asyncio.ensure_future(task_supervisor.async_nolink(tasks, after, 100))
            await settle()
            starting.cancel()
            await settle()
            await gen_server.resume(tasks)
            await settle()
            return await task_supervisor.children(tasks)

    assert run(main()) == []


# -- shutdown and ignore ---------------------------------------------------------------------------------------------


def test_shutdown_ends_a_task_and_its_owner_lives_on() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, after, 100)
        return await task.shutdown(), process.is_alive(task.pid), mailbox()

    assert play(body) == (None, False, [])


@pytest.mark.parametrize(("timeout_s", "ends_at"), [(5.0, 5.0), ("brutal_kill", 0.0)])
def test_shutdown_kills_what_does_not_end_in_time(timeout_s: float | str, ends_at: float) -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, stubborn, 100)
        await settle()
        return await task.shutdown(timeout_s), current_runtime().now(), mailbox()

    assert play(body) == (None, ends_at, [])


def test_shutdown_gives_the_value_of_a_task_that_ends_by_itself_meanwhile() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, stubborn, 3)
        await settle()
        return await task.shutdown(None), mailbox()

    assert play(body) == (Completed("had its way"), [])


def test_shutdown_gives_the_outcome_of_a_task_that_has_ended() -> None:
    async def body(tasks: Pid) -> object:
        value = await task_supervisor.async_nolink(tasks, after, 0, "value")
        crash = await task_supervisor.async_nolink(tasks, leave, "boom")
        await settle()
        await asyncio.sleep(1)
        return await value.shutdown(), await crash.shutdown(), mailbox()

    assert play(body) == (Completed("value"), Exited("boom"), [])


def test_an_ignored_task_runs_on_and_is_not_heard_of() -> None:
    async def body(tasks: Pid) -> object:
        task = await task_supervisor.async_(tasks, leave_after, 5)
        at_once = task.ignore()
        await asyncio.sleep(1)
        alive = process.is_alive(task.pid)
        await asyncio.sleep(10)
        return at_once, alive, mailbox()

    async def leave_after(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        raise Exit("boom")

    assert play(body) == (None, True, [])


# -- children nobody waits for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart", "reason", "runs"),
    [
        ("temporary", "boom", 1),
        ("transient", "boom", 2),
        ("transient", "shutdown", 1),
        ("permanent", "normal", 2),
    ],
)
def test_a_child_is_restarted_as_its_restart_type_says(restart: str, reason: str, runs: int) -> None:
    ran: list[float] = []

    async def work(reason: str) -> None:
        ran.append(0.0)
        if len(ran) == 1:
            raise Exit(reason)
        await process.receive()

    async def body(tasks: Pid) -> object:
        pid = await task_supervisor.start_child(tasks, work, reason, restart=restart)
        await settle()
        return process.is_alive(pid), len(ran), mailbox()

    assert play(body) == (False, runs, [])


def test_a_wrong_restart_type_names_its_mend() -> None:
    async def body(tasks: Pid) -> object:
        with pytest.raises(UsageError, match="restart='often'"):
            await task_supervisor.start_child(tasks, after, 1, restart="often")
        return None

    assert play(body) is None


def test_a_child_is_terminated_by_pid() -> None:
    async def body(tasks: Pid) -> object:
        pid = await task_supervisor.start_child(tasks, after, 100)
        await task_supervisor.terminate_child(tasks, pid)
        with pytest.raises(ChildError, match="not_found"):
            await task_supervisor.terminate_child(tasks, pid)
        return process.is_alive(pid), (await task_supervisor.count_children(tasks)).specs

    assert play(body) == (False, 0)


@pytest.mark.parametrize(("shutdown", "ends_at"), [(2.0, 2.0), ("brutal_kill", 0.0)])
def test_the_end_of_the_supervisor_ends_its_tasks_as_their_shutdown_says(shutdown: float | str, ends_at: float) -> None:
    async def main() -> float:
        async with Runtime(reports=lambda report: None) as runtime:
            tasks = await gen_server.start(TaskSupervisor)
            await task_supervisor.start_child(tasks, stubborn, 100, shutdown=shutdown)
            await settle()
            await gen_server.stop(tasks)
            return runtime.now()

    assert run(main()) == ends_at


def test_a_task_supervisor_is_a_child_like_others() -> None:
    class Top(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec(
                [ChildSpec("tasks", (TaskSupervisor, DynamicSpec(max_children=1)), type="supervisor")]
            )

    async def main() -> object:
        async with Runtime():
            top = await gen_server.start(Top)
            [info] = await supervisor.which_children(top)
            assert isinstance(info.child, Pid)
            return await (await task_supervisor.async_nolink(info.child, after, 1, "value")).result()

    assert run(main()) == "value"


def test_a_server_goes_on_while_its_task_works() -> None:
    class Server(GenServer):
        async def init(self, tasks: Pid) -> None:
            self.answer: object = None
            self.task = await task_supervisor.async_nolink(tasks, after, 5, "value")

        async def handle_info(self, message: object) -> None:
            match message:
                case TaskReply(self.task.ref, value):
                    process.demonitor(self.task.ref)
                    self.answer = value
                case _:
                    raise AssertionError(message)

        @call
        async def now(self) -> object:
            return self.answer

    async def main() -> list[object]:
        async with Runtime():
            tasks = await gen_server.start(TaskSupervisor)
            server = gen_server.ref(Server, await gen_server.start(Server, tasks))
            before = await server.now()
            await asyncio.sleep(6)
            return [before, await server.now()]

    assert run(main()) == [None, "value"]


# -- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_gives_outcomes_in_the_order_of_the_inputs_and_leaves_nothing() -> None:
    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, [4, 3, 2, 1], number_after)
        outcomes = [outcome async for outcome in stream]
        await settle()
        links = process.own_cell().links
        return outcomes, current_runtime().now(), mailbox(), links, await task_supervisor.children(tasks)

    assert play(body) == ([Completed(4), Completed(3), Completed(2), Completed(1)], 4, [], set(), [])


def test_an_unordered_stream_gives_the_fastest_first() -> None:
    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, [4, 3, 2, 1], number_after, ordered=False)
        return [(outcome, current_runtime().now()) async for outcome in stream]

    assert play(body) == [(Completed(1), 1), (Completed(2), 2), (Completed(3), 3), (Completed(4), 4)]


def test_no_more_tasks_run_than_the_concurrency_allows() -> None:
    running, most = 0, 0

    async def work(delay_s: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(delay_s)
        running -= 1

    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, [2, 1] * 10, work, max_concurrency=3)
        count = len([outcome async for outcome in stream])
        return count, most, current_runtime().now()

    assert play(body) == (20, 3, 10)


def test_a_slow_head_holds_back_outcomes_but_no_work() -> None:
    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, [4, 1, 1, 1], number_after, max_concurrency=2)
        return [(await anext(stream), current_runtime().now()) for _ in range(4)]

    assert play(body) == [(Completed(4), 4), (Completed(1), 4), (Completed(1), 4), (Completed(1), 4)]


def test_inputs_may_be_endless_and_are_taken_as_outcomes_are_asked_for() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        while True:
            taken.append(0)
            yield 0

    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, numbers(), number_after, max_concurrency=2)
        async with contextlib.aclosing(stream):
            for _ in range(5):
                await anext(stream)
            await asyncio.sleep(100)
        return len(taken) <= 5 + 2

    assert play(body) is True


def test_the_tasks_of_a_stream_that_is_left_are_ended() -> None:
    async def body(tasks: Pid) -> object:
        seen: list[object] = []
        async for outcome in task_supervisor.async_stream(tasks, [0, 100, 100, 100], number_after, timeout_s=None):
            seen.append(outcome)
            break
        await settle()
        return seen, await task_supervisor.children(tasks), process.own_cell().links, mailbox()

    assert play(body) == ([Completed(0)], [], set(), [])


def test_the_tasks_of_a_closed_stream_have_ended_at_the_next_statement() -> None:
    async def body(tasks: Pid) -> object:
        async with contextlib.aclosing(
            task_supervisor.async_stream_nolink(tasks, [0, 100], stubborn, timeout_s=None)
        ) as stream:
            outcome = await anext(stream)
            pids = await task_supervisor.children(tasks)
        return outcome, [process.is_alive(pid) for pid in pids]

    assert play(body) == (Completed("had its way"), [False])


def test_the_tasks_of_a_stream_end_with_its_consumer() -> None:
    async def main() -> list[bool]:
        async with Runtime(reports=lambda report: None):
            tasks = await gen_server.start(TaskSupervisor)
            held: list[object] = []

            async def consumer() -> None:
                stream = task_supervisor.async_stream_nolink(tasks, [0, 100, 100], number_after, timeout_s=None)
                held.append(stream)
                await anext(stream)
                await process.receive()

            pid = process.spawn(consumer)
            await settle()
            await asyncio.sleep(1)
            await settle()
            pids = await task_supervisor.children(tasks)
            assert len(pids) == 2
            process.exit_process(pid, "boom")
            await settle()
            return [process.is_alive(task) for task in pids]

    assert run(main()) == [False, False]


def test_a_crash_in_a_linked_stream_takes_the_consumer_along() -> None:
    async def body(tasks: Pid) -> object:
        return [outcome async for outcome in task_supervisor.async_stream(tasks, ["boom"], leave)]

    assert play(body) == ("owner ended", "boom")


@pytest.mark.parametrize("linked", [True, False])
def test_a_consumer_that_traps_exits_or_is_not_linked_gets_crashes_as_outcomes(linked: bool) -> None:
    async def body(tasks: Pid) -> object:
        if linked:
            process.trap_exit(True)
        stream = task_supervisor.async_stream if linked else task_supervisor.async_stream_nolink
        outcomes = [outcome async for outcome in stream(tasks, ["one", "two"], leave)]
        await settle()
        return outcomes, mailbox()

    assert play(body) == ([Exited("one"), Exited("two")], [])


def test_the_input_of_a_failed_task_comes_with_its_outcome_on_demand() -> None:
    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream_nolink(tasks, ["one", "two"], leave, zip_input_on_exit=True)
        crashed = [outcome async for outcome in stream]
        late = task_supervisor.async_stream(
            tasks, [1, 100], number_after, zip_input_on_exit=True, on_timeout="kill_task", timeout_s=2
        )
        return crashed, [outcome async for outcome in late]

    assert play(body) == (
        [Exited("one", "one"), Exited("two", "two")],
        [Completed(1), Exited("timeout", 100)],
    )


def test_a_late_task_ends_the_stream_and_the_other_tasks() -> None:
    async def body(tasks: Pid) -> object:
        seen: list[object] = []
        stream = task_supervisor.async_stream(tasks, [1, 8, 7, 9], number_after, max_concurrency=3)
        seen.append(await anext(stream))
        with pytest.raises(CallTimeout):
            seen.append(await anext(stream))
        await settle()
        return seen, current_runtime().now(), await task_supervisor.children(tasks), process.own_cell().links, mailbox()

    assert play(body) == ([Completed(1)], 5, [], set(), [])


def test_late_tasks_are_killed_while_the_consumer_is_busy() -> None:
    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, [0, 100, 100], stubborn, on_timeout="kill_task", timeout_s=3)
        first = await anext(stream)
        await asyncio.sleep(4)
        alive = await task_supervisor.children(tasks)
        return first, alive, [outcome async for outcome in stream], current_runtime().now()

    assert play(body) == (Completed("had its way"), [], [Exited("timeout"), Exited("timeout")], 4)


def test_each_task_has_the_whole_time_from_its_own_start() -> None:
    async def body(tasks: Pid) -> object:
        stream = task_supervisor.async_stream(tasks, [4, 4, 4], number_after, max_concurrency=1, timeout_s=5)
        return [outcome async for outcome in stream]

    assert play(body) == [Completed(4)] * 3


def test_a_full_supervisor_fails_the_stream_and_ends_its_tasks() -> None:
    async def body(tasks: Pid) -> object:
        with pytest.raises(ChildError, match="max_children"):
            async for _ in task_supervisor.async_stream(tasks, [100] * 3, number_after, max_concurrency=2):
                pass
        await settle()
        return await task_supervisor.children(tasks), process.own_cell().links, mailbox()

    assert play(body, DynamicSpec(max_children=1)) == ([], set(), [])


def test_inputs_that_fail_fail_the_stream() -> None:
    def inputs() -> Iterator[int]:
        yield 100
        raise ZeroDivisionError("no more")

    async def body(tasks: Pid) -> object:
        with pytest.raises(ZeroDivisionError):
            async for _ in task_supervisor.async_stream(tasks, inputs(), number_after):
                pass
        return await task_supervisor.children(tasks)

    assert play(body) == []


def test_a_stream_may_be_consumed_by_another_process_than_the_one_that_made_it() -> None:
    async def main() -> tuple[list[object], object]:
        async with Runtime(reports=lambda report: None):
            tasks = await gen_server.start(TaskSupervisor)
            stream = task_supervisor.async_stream(tasks, [1, 2], number_after)
            seen: list[object] = []

            async def consumer() -> None:
                async for outcome in stream:
                    seen.append(outcome)

            return seen, await process.wait_exit(process.spawn(consumer))

    assert run(main()) == ([Completed(1), Completed(2)], "normal")


def test_outside_any_process_only_a_stream_without_links_can_be_consumed() -> None:
    async def main() -> list[object]:
        async with Runtime():
            tasks = await gen_server.start(TaskSupervisor)
            with pytest.raises(NotAProcessError):
                await anext(task_supervisor.async_stream(tasks, [1], number_after))
            return [outcome async for outcome in task_supervisor.async_stream_nolink(tasks, [2, 1], number_after)]

    assert run(main()) == [Completed(2), Completed(1)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_concurrency": 0}, "max_concurrency=0"),
        ({"timeout_s": -1.0}, r"timeout_s=-1\.0"),
        ({"on_timeout": "shrug"}, "on_timeout='shrug'"),
        ({"shutdown": "slowly"}, "shutdown='slowly'"),
    ],
)
def test_a_wrong_option_is_refused_at_once(options: dict[str, object], named: str) -> None:
    make: Callable[..., object] = task_supervisor.async_stream
    with pytest.raises(UsageError, match=named):
        make("tasks", [1], number_after, **options)


def test_a_task_tells_what_it_runs() -> None:
    async def body(tasks: Pid) -> object:
        task: Task[object] = await task_supervisor.async_(tasks, after, 1)
        return repr(task) == f"<task after {task.pid}>", await task.result()

    assert play(body) == (True, "done")


def test_a_task_that_a_stream_kills_for_being_late_is_not_reported() -> None:
    reports: list[object] = []

    async def late(seconds: int) -> int:
        await asyncio.sleep(seconds)
        return seconds

    async def main() -> list[object]:
        async with Runtime(reports=reports.append):
            tasks = await task_supervisor.start()
            stream = task_supervisor.async_stream_nolink(tasks, [1, 9], late, timeout_s=2, on_timeout="kill_task")
            seen = [outcome.value if isinstance(outcome, Completed) else outcome.reason async for outcome in stream]
            await settle()
            assert await task_supervisor.children(tasks) == []
            return seen

    assert run(main()) == [1, "timeout"]
    assert reports == []
