"""One event loop for many simulated OS processes: each of its callbacks belongs to one, which may be killed or stopped.

What a callback sets going (callbacks, timers, tasks) belongs to the process that it belongs to itself. The callbacks of
a process that is dead or stopped are put aside: so a killed process does nothing more, not even what stands in
`finally`, as after SIGKILL; and a stopped one goes on where it stood, as after SIGSTOP and SIGCONT.

Nothing is waited for in real time and nothing comes from outside: a blocking handler runs at once, in the turn of the
loop. So what happens is the same each time.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from typing import TYPE_CHECKING, Any, TypeVar

from raybeam.actors.testing.virtual_time import DeadlockError, VirtualTimeLoop

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

R = TypeVar("R")


class OsProcess:
    """A simulated process of the operating system.

    Attributes:
        name: What it is, for traces.
        machine: Where it runs.
        alive: Whether it has not been killed.
        halted: Whether its callbacks are put aside: it is dead or stopped.
        held: Those callbacks.
    """

    __slots__ = ("alive", "halted", "held", "machine", "name", "stops")

    def __init__(self, name: str, machine: str) -> None:
        self.name = name
        self.machine = machine
        self.alive = True
        self.halted = False
        self.held: list[_Handle] = []
        self.stops = 0

    def __repr__(self) -> str:
        return f"<{self.name} on {self.machine}>"


class _Handle:
    """A callback of a process; stands for `asyncio.Handle` and `asyncio.TimerHandle`."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when", "process")

    def __init__(
        self,
        process: OsProcess,
        callback: Callable[..., object],
        args: tuple[object, ...],
        context: contextvars.Context | None,
        when: float = 0.0,
    ) -> None:
        self.process = process
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context
        self._when = when
        self._cancelled = False

    def cancel(self) -> None:
        """See `asyncio.Handle`."""
        self._cancelled = True
        self._args = ()

    def cancelled(self) -> bool:
        """See `asyncio.Handle`."""
        return self._cancelled

    def when(self) -> float:
        """See `asyncio.TimerHandle`."""
        return self._when


class SimulationLoop(VirtualTimeLoop):
    """The loop of a simulation.

    Attributes:
        process: Whose callback runs at the moment.
        turns: Callbacks run so far.
        tasks: All tasks ever made.
        recorder: Who writes the history.
        unhandled: What asyncio said of exceptions that nobody caught.
    """

    _ready: deque[_Handle]  # asyncio's own
    _stopping: bool

    def __init__(self) -> None:
        self.process = self.outside = OsProcess("outside", "")
        self.turns = 0
        self.tasks: list[asyncio.Task[Any]] = []
        self.recorder: object | None = None
        self._timers: list[tuple[float, int, _Handle]] = []
        self._order = 0
        super().__init__()
        self.set_exception_handler(lambda loop, context: self.unhandled.append(context))
        self.unhandled: list[dict[str, Any]] = []

    # -- processes ---------------------------------------------------------------------------------

    def within(self, process: OsProcess, function: Callable[..., R], *args: object) -> R:
        """Run a function as a callback of `process`."""
        before, self.process = self.process, process
        try:
            return function(*args)
        finally:
            self.process = before

    def at(self, process: OsProcess, delay_s: float, callback: Callable[..., object], *args: object) -> None:
        """Let `process` run a callback later."""
        self._set(_Handle(process, callback, args, contextvars.Context(), self._virtual_now + delay_s))

    def kill(self, process: OsProcess) -> None:
        """End a process at once."""
        process.alive = False
        process.halted = True

    def stop_process(self, process: OsProcess) -> None:
        """Let a process stand still until as many `continue_process` have come."""
        process.stops += 1
        process.halted = True

    def continue_process(self, process: OsProcess) -> None:
        """Undo one `stop_process`."""
        process.stops -= 1
        if process.alive and not process.stops:
            self._release(process)

    def bury(self, processes: list[OsProcess]) -> None:
        """Let all processes run again, so that what they have left can be cancelled: the simulation is over."""
        for process in processes:
            self._release(process)

    def _release(self, process: OsProcess) -> None:
        process.halted = False
        self._ready.extend(process.held)
        process.held = []

    # -- what asyncio calls ------------------------------------------------------------------------

    def call_soon(  # type: ignore[override]  # the types of the callback's arguments are not followed
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        """See `asyncio.AbstractEventLoop`."""
        handle = _Handle(self.process, callback, args, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no threads

    def call_at(  # type: ignore[override]  # see above
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        """See `asyncio.AbstractEventLoop`."""
        handle = _Handle(self.process, callback, args, context, when)
        self._set(handle)
        return handle

    def call_later(  # type: ignore[override]  # see above
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        """See `asyncio.AbstractEventLoop`."""
        handle = _Handle(self.process, callback, args, context, self._virtual_now + delay)
        self._set(handle)
        return handle

    def create_task(  # type: ignore[override]  # as above
        self, coro: Coroutine[Any, Any, R], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[R]:
        """See `asyncio.AbstractEventLoop`."""
        task: asyncio.Task[R] = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # those of the dead end unfinished, as they should
        self.tasks.append(task)
        return task

    def run_in_executor(self, executor: Executor | None, func: Callable[..., R], *args: object) -> asyncio.Future[R]:
        """Run at once, in the turn of the caller."""
        future: asyncio.Future[R] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (whatever the function raises is its caller's)
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self) -> None:
        """There is none."""

    def _set(self, handle: _Handle) -> None:
        self._order += 1
        heapq.heappush(self._timers, (handle._when, self._order, handle))

    def _run_once(self) -> None:
        """Run what is ready until nothing is, or the loop is to stop; if nothing was, let time pass first."""
        ready, timers = self._ready, self._timers
        if not ready and not self._stopping and not self.wake_settled():
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise DeadlockError("nothing can happen any more: every task waits and no timer is set")
            self._virtual_now = max(self._virtual_now, timers[0][0])
        now = self._virtual_now
        while timers and timers[0][0] <= now:
            ready.append(heapq.heappop(timers)[2])
        while ready:
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle.process
            if process.halted:
                process.held.append(handle)
                continue
            self.process = process
            self.turns += 1
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 (as asyncio does)
                self.call_exception_handler({"message": f"exception in {handle._callback}", "exception": error})
            if self._stopping:
                break
        self.process = self.outside
