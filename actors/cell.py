"""The cell of a process: mailbox, links, monitors, and how it is run; what it does is its subclass's."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from .crash import CrashReport
from .errors import Exit, ProcessKilled, UsageError
from .kernel.reason import NORMAL, Crashed
from .kernel.text import repr_of
from .message import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .concurrent_calls import ConcurrentCalls
    from .kernel.reason import ExitReason
    from .message import From
    from .pid import Pid, Ref, RemoteName
    from .runtime import Runtime

ALIVE = object()
MESSAGES_PER_TURN = 64

call_beside: contextvars.ContextVar[Call | None] = contextvars.ContextVar("raybeam_call_beside", default=None)
"""The call that this task serves beside the turn of its process: a concurrent query."""


class Cell:
    """One process. An idle cell holds no task: it is run by a carrier when its mailbox is not empty.

    Attributes:
        parent: The process that started this one by `start_link`.
        trap_exit: Whether exit signals become messages.
        exit_reason: `ALIVE` while it lives.
        scheduled: Whether the cell is queued for a carrier or is being run by one.
        carrier: The task that runs the cell at the moment.
        calls: Calls accepted and not answered yet, in the mailbox or deferred, in the order of arrival.
        serving: The call that is served in the process' turn just now.
        beside: The queries that are served beside its turn; `None` before the first.
        watchers: Who monitors this process: a pid, or a function for the runtime's own use.
        watching: Monitors that this process holds.
    """

    __slots__ = (
        "__weakref__",
        "beside",
        "calls",
        "carrier",
        "exit_reason",
        "links",
        "mailbox",
        "names",
        "parent",
        "pid",
        "queued_calls",
        "runtime",
        "scheduled",
        "serving",
        "trap_exit",
        "watchers",
        "watching",
    )

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None) -> None:
        self.runtime = runtime
        self.pid = pid
        self.parent = parent
        self.mailbox: deque[object] = deque()
        self.links: set[Pid] = set()
        self.watchers: dict[Ref, Pid | Callable[[ExitReason], object]] | None = None
        self.watching: dict[Ref, Pid | RemoteName] | None = None
        self.calls: dict[From, None] = {}
        self.queued_calls = 0
        self.serving: Call | None = None
        self.beside: ConcurrentCalls | None = None
        self.names: tuple[str, ...] = ()
        self.trap_exit = False
        self.exit_reason: ExitReason = ALIVE
        self.scheduled = False
        self.carrier: asyncio.Task[None] | None = None

    def linked_by(self, pid: Pid) -> None:
        """Another process links itself to this one."""
        self.links.add(pid)

    def unlinked_by(self, pid: Pid) -> None:
        """Another process undoes its link."""
        self.links.discard(pid)

    def watched_by(self, ref: Ref, watcher: Pid | Callable[[ExitReason], object]) -> None:
        """Somebody monitors this process."""
        if self.watchers is None:
            self.watchers = {}
        self.watchers[ref] = watcher

    def unwatched_by(self, ref: Ref) -> None:
        """Somebody undoes a monitor."""
        if self.watchers is not None:
            self.watchers.pop(ref, None)
            if not self.watchers:
                self.watchers = None  # an emptied dict keeps its room; most processes are watched at their start only

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self.exit_reason is ALIVE

    def deliver(self, message: object) -> None:
        """Put a message into the mailbox; system messages and signals always pass."""
        self.mailbox.append(message)
        if not self.scheduled:
            self.scheduled = True
            self.runtime.make_ready(self)

    def deliver_call(self, call: Call) -> None:
        """Put a call into the mailbox; subclasses bound how many may wait."""
        self.calls[call.sender] = None
        self.queued_calls += 1
        self.deliver(call)

    def cancel_call(self, sender: From) -> None:
        """A caller gives its call up; `From.cancel` tells what comes of it."""

    def call_served(self) -> Call | None:
        """The call that the running code serves."""
        if self.beside is not None and (call := call_beside.get()) is not None:
            return call
        return self.serving

    def is_ending(self) -> bool:
        """Whether a cancellation means the process or its carrier, and is not an error of its code's own."""
        task = asyncio.current_task()
        return self.exit_reason is not ALIVE or (task is not None and task.cancelling() > 0)

    def unwinds(self, error: BaseException) -> bool:
        """Whether an exception of the process' code is how that code is ended from outside, and no crash of its own."""
        if isinstance(error, asyncio.CancelledError | ProcessKilled):
            return self.is_ending()
        return isinstance(error, GeneratorExit) and _no_task_runs()  # a coroutine that is thrown away

    def disarm(self) -> None:
        """Call off the timers that would wake it; it has ended."""

    def waiting_calls(self) -> list[From]:
        """The calls that the process has not begun with."""
        if not self.queued_calls:
            return []
        return [message.sender for message in self.mailbox if type(message) is Call]

    def oldest_waiting(self) -> Call | None:
        """The call that has waited longest, if one waits near the front of the mailbox."""
        front = islice(self.mailbox, MESSAGES_PER_TURN)
        return next((message for message in front if type(message) is Call), None) if self.queued_calls else None

    async def run(self) -> None:
        """Handle messages until the mailbox is empty, the turn is over, or the process has ended."""
        mailbox = self.mailbox
        for _ in range(MESSAGES_PER_TURN):
            if not mailbox:
                self.scheduled = False
                return
            message = mailbox.popleft()
            if type(message) is Call:
                self.queued_calls -= 1
            await self.handle(message)
            if self.exit_reason is not ALIVE:
                return
        self.runtime.make_ready(self)

    async def handle(self, message: object) -> None:
        """Do what one message asks for."""
        raise NotImplementedError

    def description(self) -> str:
        """What runs in this process, for reports and views."""
        raise NotImplementedError


class TaskCell(Cell):
    """A process whose body is one coroutine with a task of its own; it takes messages by `receive`."""

    __slots__ = ("body", "waiting")

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None, body: Callable[[], Awaitable[object]]) -> None:
        super().__init__(runtime, pid, parent)
        self.scheduled = True  # its own task runs it, no carrier ever
        self.body = body
        self.waiting: asyncio.Future[None] | None = None

    def deliver(self, message: object) -> None:
        """Put a message into the mailbox and wake the body if it waits for one."""
        self.mailbox.append(message)
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    async def run(self) -> None:
        """Run the body to its end, which is the end of the process."""
        reason: ExitReason = NORMAL
        try:
            running = self.body()
            if not hasattr(running, "__await__"):
                how = f"{self.description()}() must be an async def; it is a plain def that returned {running!r}"
                raise UsageError(how)
            await running
        except Exit as exit_:
            reason = exit_.reason
        except BaseException as error:
            if self.unwinds(error):
                raise
            reason = crashed(error)
            self.runtime.report(CrashReport(self.pid, self.description(), reason, None, None, self.names))
        self.runtime.finish(self, reason)

    def description(self) -> str:
        """The name of the body's function."""
        function = self.body.func if isinstance(self.body, functools.partial) else self.body
        return getattr(function, "__qualname__", None) or repr_of(function)

    def take(self, match: Callable[[object], bool] | None) -> tuple[bool, object]:
        """Remove the first message that matches: `(True, message)`, or `(False, None)`."""
        for index, message in enumerate(self.mailbox):
            if match is None or match(message):
                del self.mailbox[index]
                return True, message
        return False, None


def _no_task_runs() -> bool:
    try:
        return asyncio.current_task() is None
    except RuntimeError:
        return True


def crashed(error: BaseException) -> Crashed:
    """The exit reason for an exception that nobody caught."""
    import traceback

    return Crashed(error, "".join(traceback.format_exception(error)))
