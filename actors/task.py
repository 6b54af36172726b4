"""Task: one computation in a process of its own, whose result its owner takes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from .cell import crashed
from .crash import CrashReport
from .errors import CallFailed, CallTimeout, Exit, ProcessKilled, UsageError
from .kernel.childspec import BRUTAL_KILL
from .kernel.reason import KILL, KILLED, SHUTDOWN, ExitReason, is_normal_end
from .kernel.server import ABSENT
from .process import own_cell, own_cell_dead_or_alive
from .runtime import current_cell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .cell import Cell
    from .pid import Pid, Ref
    from .runtime import Runtime

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Completed(Generic[R_co]):
    """A task ended with a value: what its function returned."""

    value: R_co


@dataclass(frozen=True, slots=True)
class Exited:
    """A task ended without a value.

    Attributes:
        reason: Its exit reason; of one that was killed by a stream for being late: `"timeout"`.
        input: From a stream with `zip_input_on_exit`: the input it worked on.
    """

    reason: ExitReason
    input: object = ABSENT


@dataclass(frozen=True, slots=True)
class TaskReply(Generic[R_co]):
    """What the owner of a task that awaits nothing finds in its mailbox: `ref` is the task's, `value` its result."""

    ref: Ref
    value: R_co


class TaskBody(Generic[R]):
    """Runs the function of a task, tells its value or exit reason, and reports a crash."""

    def __init__(
        self,
        function: Callable[..., Awaitable[R]],
        args: tuple[object, ...],
        tell: Callable[[Completed[R] | Exited], None] | None = None,
    ) -> None:
        if not callable(function):
            mend = "give an async function and then its arguments, (f, x) rather than (f(x))"
            raise UsageError(f"{function!r} cannot be a task: {mend}")
        self.function = function
        self.args = args
        self.tell = tell
        self.__qualname__ = function_name(function)

    async def __call__(self) -> None:
        """Run to the end; an abnormal end is an exit of the process."""
        reason: ExitReason
        try:
            running = self.function(*self.args)
            if not hasattr(running, "__await__"):
                how = f"{self.__qualname__}() must be an async def; it is a plain def that returned {running!r}"
                raise UsageError(how)
            value = await running
        except Exit as exit_:
            reason = exit_.reason
        except (asyncio.CancelledError, ProcessKilled) as error:
            if own_cell_dead_or_alive().is_ending():
                raise
            reason = crashed(error)
        except Exception as error:  # noqa: BLE001 (let it crash: the reason carries the error)
            reason = crashed(error)
        else:
            if self.tell is not None:
                self.tell(Completed(value))
            return
        if not is_normal_end(reason):
            cell = own_cell()
            cell.runtime.report(CrashReport(cell.pid, self.__qualname__, reason, None, self.args, cell.names))
        if self.tell is not None:
            self.tell(Exited(reason))
        raise Exit(reason)


def function_name(function: Callable[..., object]) -> str:
    """How reports and views name a function."""
    return getattr(function, "__qualname__", None) or repr(function)


async def spawn_body(body: TaskBody[R]) -> Pid:
    """Start a process for a body, linked to the calling process, which becomes the parent."""
    cell = own_cell()
    return cell.runtime.spawn(body, link_to=cell, parent=cell.pid)


class Task(Generic[R]):
    """A task that was started by `task_supervisor.async_` or `async_nolink`, in the hands of its owner.

    The owner is the process that started it. It either takes the outcome with one of the methods here, once, or it
    finds the outcome among its messages: a `GenServer` gets `TaskReply(ref, value)` and then
    `Down(ref, pid, "normal")`, or only `Down(ref, pid, reason)`, in `handle_info`. The methods take these messages
    out of the mailbox.

    Attributes:
        pid: The process that runs it.
        ref: Identifies it in messages; the owner's monitor.
        name: The function's, for reports.
    """

    __slots__ = ("_forgotten", "_linked", "_on_outcome", "_outcome", "_owner", "_runtime", "body", "name", "pid", "ref")

    pid: Pid
    ref: Ref

    def __init__(
        self,
        runtime: Runtime,
        function: Callable[..., Awaitable[R]],
        args: tuple[object, ...],
        owner: Cell | None,
        *,
        linked: bool,
        on_outcome: Callable[[], None] | None = None,
    ) -> None:
        self.name = function_name(function)
        self.body: TaskBody[R] = TaskBody(function, args, self._told)
        self._runtime = runtime
        self._owner = owner
        self._linked = linked
        self._on_outcome = on_outcome
        self._forgotten = on_outcome is not None
        self._outcome: asyncio.Future[Completed[R] | Exited] = runtime.loop.create_future()

    def __repr__(self) -> str:
        return f"<task {self.name} {getattr(self, 'pid', '')}>"

    # -- for supervisors and streams ---------------------------------------------------------------

    async def start(self) -> Pid:
        """Start the process: the start function of a child, run by the supervisor.

        The owner is linked and watches from the start: the body runs later, so it cannot miss anything.
        """
        owner, runtime = self._owner, self._runtime
        if self._outcome.done() or (owner is not None and not owner.alive):
            raise Exit((SHUTDOWN, "noproc"))  # nobody waits for it any more
        self.pid = await spawn_body(self.body)
        if owner is not None and self._linked:
            runtime.link(owner, self.pid)
        if owner is not None and not self._forgotten:
            self.ref = runtime.monitor(owner, self.pid)
        else:
            self.ref = runtime.new_ref()
        runtime.ended(self.pid).add_done_callback(lambda ended: self._settle(Exited(ended.result())))
        return self.pid

    @property
    def outcome(self) -> Completed[R] | Exited | None:
        """How it ended; `None` while it runs."""
        return self._outcome.result() if self._outcome.done() else None

    def end(self, told: ExitReason, signal: ExitReason = SHUTDOWN) -> None:
        """End it now if it has not ended, by `signal`, and by `kill` if it traps exits.

        Its outcome is `Exited(told)`, and its owner gets no exit signal.
        """
        self._settle(Exited(told))
        if hasattr(self, "pid"):
            self._unlink()
            self._runtime.exit(None, self.pid, signal)
            self._runtime.exit(None, self.pid, KILL)

    def _told(self, outcome: Completed[R] | Exited) -> None:
        owner = self._owner
        if isinstance(outcome, Completed) and owner is not None and owner.alive and not self._forgotten:
            owner.deliver(TaskReply(self.ref, outcome.value))
        self._settle(outcome)

    def _settle(self, outcome: Completed[R] | Exited) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
            if self._on_outcome is not None:
                self._on_outcome()

    # -- for the owner -----------------------------------------------------------------------------

    async def result(self, timeout_s: float | None = 5.0) -> R:
        """Wait for the value: Elixir's `Task.await`.

        Args:
            timeout_s: Seconds to wait, `None` for ever. A task that is linked dies with an owner that does not catch
                the time-out; one that is not goes on, and its value is dropped.

        Raises:
            CallFailed: It ended without a value; `cause` is its exit reason.
            CallTimeout: No value in time.
            UsageError: The caller is not the owner.
        """
        outcome = await self._wait(timeout_s)
        self._forget()
        if outcome is None:
            raise CallTimeout((self.pid, self.name))
        if isinstance(outcome, Exited):
            raise CallFailed(outcome.reason, (self.pid, self.name))
        return outcome.value

    async def yield_(self, timeout_s: float | None = 5.0) -> Completed[R] | Exited | None:
        """Wait for the outcome; `None` when it is not there in time, and it can be waited for again.

        Args:
            timeout_s: Seconds to wait, `None` for ever. With 0 only what is there already.
        """
        outcome = await self._wait(timeout_s)
        if outcome is not None:
            self._forget()
        return outcome

    async def shutdown(self, timeout_s: float | str | None = 5.0) -> Completed[R] | Exited | None:
        """End it, and wait for its end.

        Args:
            timeout_s: Seconds it may take to end after the exit signal `shutdown` before it is killed (only one that
                traps exits takes any); `None` for as long as it takes; `"brutal_kill"` kills it at once.

        Returns:
            The outcome if it had one of its own, `None` if it ended because of this call.
        """
        self._check_owner()
        self._unlink()
        sender = None if self._owner is None else self._owner.pid
        killed = timeout_s == BRUTAL_KILL
        self._runtime.exit(sender, self.pid, KILL if killed else SHUTDOWN)
        outcome = await self._wait(None if isinstance(timeout_s, str) else timeout_s)
        if outcome is None:
            killed = True
            self._runtime.exit(sender, self.pid, KILL)
            outcome = await self._wait(None)
        self._forget()
        return None if isinstance(outcome, Exited) and outcome.reason == (KILLED if killed else SHUTDOWN) else outcome

    def ignore(self) -> Completed[R] | Exited | None:
        """Let it run on, unlinked, and hear no more of it; its outcome if there is one already."""
        self._check_owner()
        self._unlink()
        self._forget()
        return self.outcome

    async def _wait(self, timeout_s: float | None) -> Completed[R] | Exited | None:
        self._check_owner()
        if not self._outcome.done():
            await asyncio.wait({self._outcome}, timeout=timeout_s)
        return self.outcome

    def _check_owner(self) -> None:
        if self._owner is not None and current_cell.get() is not self._owner:
            raise UsageError(
                f"{self!r} belongs to {self._owner.pid}: only the process that started it takes its result"
            )

    def _unlink(self) -> None:
        if self._owner is not None and self._linked:
            self._runtime.unlink(self._owner, self.pid)

    def _forget(self) -> None:
        """Take its messages out of the owner's mailbox; none comes any more."""
        owner = self._owner
        if owner is None or self._forgotten:
            return
        self._forgotten = True
        self._runtime.demonitor(owner, self.ref)
        for message in owner.mailbox:
            if isinstance(message, TaskReply) and message.ref == self.ref:
                owner.mailbox.remove(message)
                break
