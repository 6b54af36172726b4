"""TaskSupervisor: supervises one-off computations, whose results their callers may wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from . import dynamic_supervisor, gen_server
from .dynamic_supervisor import DynamicSupervisor
from .errors import UsageError
from .kernel import stream
from .kernel.childspec import ChildSpec, InvalidSpecError, check_spec
from .kernel.options import check_count, check_seconds
from .pid import Destination, Pid
from .process import own_cell
from .runtime import current_cell, current_runtime
from .task import Completed, Exited, Task, TaskBody, spawn_body
from .task_stream import TaskStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from .pid import Name

T = TypeVar("T")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")
DEFAULT_MAX_CONCURRENCY = 8


class TaskSupervisor(DynamicSupervisor):
    """A supervisor of tasks: processes that compute one thing and end.

    **What it is.** Elixir's `Task.Supervisor`. Start one in your tree, usually under a name, and give it work; each
    task runs in a process of its own, and the supervisor's end ends them all. A task runs an `async` function; wrap
    one that blocks: `async_(tasks, asyncio.to_thread, blocking, 1)`.

        >>> import asyncio
        >>> from raybeam.actors import Completed, Exited, GenServer, Runtime, TaskSupervisor, call, gen_server
        >>> from raybeam.actors import task_supervisor
        >>> from raybeam.actors.testing import run
        >>> async def square(number: int) -> int:
        ...     await asyncio.sleep(1)
        ...     return number * number
        >>> class Squares(GenServer):
        ...     @call
        ...     async def both(self, one: int, other: int) -> int:
        ...         first = await task_supervisor.async_("tasks", square, one)
        ...         second = await task_supervisor.async_("tasks", square, other)
        ...         return await first.result() + await second.result()
        >>> async def main() -> tuple[int, float]:
        ...     async with Runtime() as runtime:
        ...         await gen_server.start(TaskSupervisor, name="tasks")
        ...         squares = gen_server.ref(Squares, await gen_server.start(Squares))
        ...         return await squares.both(3, 4), runtime.now()
        >>> run(main())
        (25, 1.0)

    **Which function to use.** `async_` for work that the caller cannot do without: task and caller are linked, so
    each dies with the other. `async_nolink` where the work may fail: a crash is an outcome. `start_child` where
    nobody waits for the result. `async_stream` and `async_stream_nolink` for many inputs, a bounded number at a time.

    **A failure and its outcome.** A task that crashes tells its reason to whoever waits, and the caller of `async_`
    gets an exit signal besides. Here one of three inputs crashes, and one takes too long:

        >>> async def divide(divisor: float) -> float:
        ...     await asyncio.sleep(divisor)
        ...     return 6 / divisor
        >>> async def crash() -> list[object]:
        ...     async with Runtime(reports=lambda report: None):
        ...         tasks = await gen_server.start(TaskSupervisor)
        ...         results = task_supervisor.async_stream_nolink(
        ...             tasks, [2, 0, 60], divide, timeout_s=30, on_timeout="kill_task")
        ...         return [result async for result in results]
        >>> done, crashed, late = run(crash())
        >>> done, crashed.reason.error, late
        (Completed(value=3.0), ZeroDivisionError('division by zero'), Exited(reason='timeout', input=ABSENT))

    **In a `GenServer`**, awaiting a task keeps the server from its mailbox. To stay responsive start the task, return,
    and take its outcome in `handle_info`: `TaskReply(ref, value)` and then `Down(ref, pid, "normal")`, or, when it
    crashed, only `Down(ref, pid, reason)`; `process.demonitor(ref)` takes the `Down` away. `ref` is the task's.

        >>> from raybeam.actors import Down, TaskReply
        >>> class Reporter(GenServer):
        ...     async def init(self) -> None:
        ...         self.seen: list[object] = []
        ...         self.task = await task_supervisor.async_nolink("tasks", square, 5)
        ...     async def handle_info(self, message: object) -> None:
        ...         match message:
        ...             case TaskReply(self.task.ref, value):
        ...                 self.seen.append(value)
        ...             case Down(self.task.ref, _, reason):
        ...                 self.seen.append(reason)
        ...     @call
        ...     async def told(self) -> list[object]:
        ...         return self.seen
        >>> async def report() -> list[object]:
        ...     async with Runtime():
        ...         await gen_server.start(TaskSupervisor, name="tasks")
        ...         reporter = gen_server.ref(Reporter, await gen_server.start(Reporter))
        ...         at_once = await reporter.told()
        ...         await asyncio.sleep(2)
        ...         return [at_once, await reporter.told()]
        >>> run(report())
        [[], [25, 'normal']]

    **Options** are those of `DynamicSpec`: `max_children` bounds the tasks (default: no bound), `intensity` and
    `period_s` concern only tasks of `start_child` that are restarted.

    **When not to use it.** For work within one handler that may die with it, `asyncio.TaskGroup` is enough. For
    processes that keep state use a `GenServer` under a `DynamicSupervisor`.
    """


async def start(
    supervisor: type[TaskSupervisor] = TaskSupervisor,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> Pid:
    """Start a supervisor of tasks that nobody is linked to.

    Args:
        supervisor: Its class. Default: `TaskSupervisor` itself.
        *args: For its `init`: a `DynamicSpec`, unless a subclass says otherwise. Default: all options as they are.
        name: A name to register. Default: none.
        timeout_s: Seconds that `init` may take. Default: for ever.

    Raises:
        StartError: An option is wrong, or the name is taken (reason `("already_started", pid)`).
    """
    return await gen_server.start(supervisor, *args, name=name, timeout_s=timeout_s)


async def start_link(
    supervisor: type[TaskSupervisor] = TaskSupervisor,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> Pid:
    """Like `start`, linked to the calling process, which becomes the parent."""
    return await gen_server.start_link(supervisor, *args, name=name, timeout_s=timeout_s)


async def async_(
    supervisor: Destination,
    function: Callable[[*Ts], Awaitable[R]],
    *args: *Ts,
    shutdown: float | str = 5.0,
) -> Task[R]:
    """Start a task that is linked to the caller; take its value with `await task.result()`.

    Args:
        supervisor: Pid or name of a `TaskSupervisor`.
        function: The work: an `async` function.
        *args: For it.
        shutdown: How it is ended when its supervisor ends: seconds after the exit signal, or `"brutal_kill"`.

    Raises:
        NotAProcessError: The caller is not a process; use `async_nolink`.
        ChildError: `"max_children"`: as many tasks run as may.
    """
    return await _started(supervisor, Task(current_runtime(), function, args, own_cell(), linked=True), shutdown)


async def async_nolink(
    supervisor: Destination,
    function: Callable[[*Ts], Awaitable[R]],
    *args: *Ts,
    shutdown: float | str = 5.0,
) -> Task[R]:
    """Like `async_`, not linked: a crash is an outcome. May be called outside any process too.

    Raises:
        ChildError: `"max_children"`: as many tasks run as may.
    """
    return await _started(
        supervisor, Task(current_runtime(), function, args, current_cell.get(), linked=False), shutdown
    )


async def start_child(
    supervisor: Destination,
    function: Callable[[*Ts], Awaitable[object]],
    *args: *Ts,
    restart: str = "temporary",
    shutdown: float | str = 5.0,
) -> Pid:
    """Start a task whose result nobody waits for.

    Args:
        supervisor: Pid or name of a `TaskSupervisor`.
        function: The work: an `async` function.
        *args: For it.
        restart: `"temporary"` (never restarted), `"transient"` (after abnormal ends) or `"permanent"` (always).
        shutdown: How it is ended when its supervisor ends: seconds after the exit signal, or `"brutal_kill"`.

    Raises:
        ChildError: `"max_children"`: as many tasks run as may.
        UsageError: Another `restart` or `shutdown`.
    """
    body = TaskBody(function, args)
    spec = ChildSpec(body.__qualname__, (spawn_body, body), restart=restart, shutdown=shutdown)
    started = await dynamic_supervisor.start_child(supervisor, spec)
    assert started.pid is not None
    return started.pid


def async_stream(
    supervisor: Destination,
    inputs: Iterable[T],
    function: Callable[[T], Awaitable[R]],
    *,
    max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
    ordered: bool = True,
    timeout_s: float | None = 5.0,
    on_timeout: str = stream.EXIT,
    zip_input_on_exit: bool = False,
    shutdown: float | str = 5.0,
) -> AsyncGenerator[Completed[R] | Exited, None]:
    """Run `function` on each input in a task of its own, some at a time, and give the outcomes.

        async for outcome in task_supervisor.async_stream("tasks", urls, fetch, max_concurrency=20):
            match outcome:
                case Completed(page): ...
                case Exited(reason): ...

    Inputs are taken, and tasks started, only while the consumer asks for outcomes. When it stops asking (`break`, an
    error, its death) the tasks under way are ended; wrap the stream in `contextlib.aclosing` to have that done before
    the next statement.

    The tasks are linked to the consumer, the process that iterates: a crash is an exit signal to it, unless it traps
    exits; then the crash is an outcome. `async_stream_nolink` has it always so.

    Args:
        supervisor: Pid or name of a `TaskSupervisor`.
        inputs: What to work on; may be endless.
        function: The work on one input: an `async` function.
        max_concurrency: How many tasks may run at once. Default 8.
        ordered: Whether outcomes come in the order of the inputs, else in the order of the ends. Default: in order; a
            slow task then holds back the outcomes, not the work, of those after it.
        timeout_s: Seconds that each task may take, then it is killed; `None` for any. Default 5.
        on_timeout: What follows: `"exit"`, the stream raises `CallTimeout` and ends (the default), or `"kill_task"`,
            the outcome is `Exited("timeout")` and the stream goes on.
        zip_input_on_exit: Whether `Exited` carries the input. Default: not.
        shutdown: As for `async_`.

    Raises:
        UsageError: An option is wrong; raised at once.
        CallTimeout: While iterating: a task took too long.
        ChildError: While iterating: `"max_children"`; let `max_concurrency` stay below it.
        NotAProcessError: While iterating: the consumer is not a process; use `async_stream_nolink`.
    """
    options = _options(max_concurrency, ordered, timeout_s, on_timeout)
    return _stream(supervisor, inputs, function, options, shutdown, linked=True, zip_input=zip_input_on_exit)


def async_stream_nolink(
    supervisor: Destination,
    inputs: Iterable[T],
    function: Callable[[T], Awaitable[R]],
    *,
    max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
    ordered: bool = True,
    timeout_s: float | None = 5.0,
    on_timeout: str = stream.EXIT,
    zip_input_on_exit: bool = False,
    shutdown: float | str = 5.0,
) -> AsyncGenerator[Completed[R] | Exited, None]:
    """Like `async_stream`, the tasks not linked to the consumer: a crash is always an outcome.

    May be consumed outside any process too.
    """
    options = _options(max_concurrency, ordered, timeout_s, on_timeout)
    return _stream(supervisor, inputs, function, options, shutdown, linked=False, zip_input=zip_input_on_exit)


async def children(supervisor: Destination) -> list[Pid]:
    """The tasks that run, oldest first."""
    return [info.child for info in await dynamic_supervisor.which_children(supervisor) if isinstance(info.child, Pid)]


terminate_child = dynamic_supervisor.terminate_child
count_children = dynamic_supervisor.count_children


def _options(max_concurrency: int, ordered: bool, timeout_s: float | None, on_timeout: str) -> stream.Options:
    check_count("max_concurrency", max_concurrency, "at least 1 task must run at a time")
    check_seconds(timeout_s)
    if on_timeout not in (stream.EXIT, stream.KILL_TASK):
        raise UsageError(f"on_timeout={on_timeout!r}: use 'exit' or 'kill_task'")
    return stream.Options(max_concurrency, ordered, timeout_s, on_timeout)


def _stream(
    supervisor: Destination,
    inputs: Iterable[T],
    function: Callable[[T], Awaitable[R]],
    options: stream.Options,
    shutdown: float | str,
    *,
    linked: bool,
    zip_input: bool,
) -> AsyncGenerator[Completed[R] | Exited, None]:
    try:
        check_spec(ChildSpec("async_stream", function, restart="temporary", shutdown=shutdown))
    except InvalidSpecError as error:
        raise UsageError(str(error)) from None

    async def start(task: Task[R]) -> None:
        await _started(supervisor, task, shutdown)

    return TaskStream(start, inputs, function, options, linked=linked, zip_input=zip_input).outcomes()


async def _started(supervisor: Destination, task: Task[R], shutdown: float | str) -> Task[R]:
    spec = ChildSpec(task.name, task.start, restart="temporary", shutdown=shutdown)
    try:
        await dynamic_supervisor.start_child(supervisor, spec)
    except BaseException:
        task.end("shutdown")  # nobody takes its result: whether it started or not, it ends
        raise
    return task


__all__ = [
    "TaskSupervisor",
    "async_",
    "async_nolink",
    "async_stream",
    "async_stream_nolink",
    "children",
    "count_children",
    "start",
    "start_child",
    "start_link",
    "terminate_child",
]
