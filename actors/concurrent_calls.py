"""Queries that are served beside the turn of their process: each in a task of its own, bounded in number."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

from .call_context import enter_context
from .carriers import current_cell
from .cell import ALIVE, call_beside, crashed
from .errors import CallTimeout, Exit, InvalidArgumentsError, ProcessKilled
from .message import Call

if TYPE_CHECKING:
    from .delivery import Invoke
    from .kernel.reason import ExitReason
    from .message import From
    from .method import Method
    from .server_cell import ServerCell

CONCURRENT_LIMIT = 1000
CONCURRENT_THREADS = 32


class Failed:
    """A message: a concurrent query has crashed, and its process with it."""

    __slots__ = ("reason", "request")

    def __init__(self, reason: ExitReason, request: object) -> None:
        self.reason = reason
        self.request = request


class ConcurrentCalls:
    """The concurrent queries of one process.

    Args:
        cell: The process.
        limit: How many may be under way.

    Attributes:
        backlog: Calls whose turn has come while as many were under way as may be.
    """

    __slots__ = ("_cell", "_limit", "_tasks", "_threads", "backlog")

    def __init__(self, cell: ServerCell, limit: int) -> None:
        self._cell = cell
        self._limit = limit
        self._tasks: dict[From, asyncio.Task[None]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self.backlog: deque[object] = deque()

    def begin(self, call: Call, method: Method[object, ..., object]) -> None:
        """Serve a call in a task of its own; it waits if too many are under way."""
        if len(self._tasks) >= self._limit:
            self.backlog.append(call)
            self._cell.queued_calls += 1  # it waits still
            return
        task = self._cell.runtime.carriers.start(self._serve(call, method), contextvars.Context())
        self._tasks[call.sender] = task
        task.add_done_callback(lambda _: self._ended(call.sender))

    def cancel(self, sender: From) -> None:
        """Cancel the query that answers to `sender`, if it is under way."""
        task = self._tasks.get(sender)
        if task is not None:
            task.cancel()

    def threads(self) -> ThreadPoolExecutor:
        """Threads for blocking ones; those of serial handlers are others, so that they do not wait for these."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(CONCURRENT_THREADS, thread_name_prefix=self._cell.description())
        return self._threads

    def close(self) -> None:
        """The process has ended: cancel them. A thread cannot be; it may ask `process.call_cancelled()`."""
        current = asyncio.current_task(self._cell.runtime.loop)
        for task in list(self._tasks.values()):
            if task is not current:
                task.cancel()
        self.backlog.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, call: Call, method: Method[object, ..., object]) -> None:
        cell, sender = self._cell, call.sender
        loop = cell.runtime.loop
        current_cell.set(cell)
        call_beside.set(call)
        enter_context(call.context)
        started = loop.time()
        try:
            running = method.serve(cell.server, cast("Invoke", call.request))
        except InvalidArgumentsError as error:
            sender.fail(error)
            return
        except Exception as error:  # noqa: BLE001 (let it crash)
            self._crashed(crashed(error), call)
            return
        try:
            value = await running
        except (asyncio.CancelledError, ProcessKilled) as error:
            if cell.is_ending():
                raise
            self._crashed(crashed(error), call)
        except Exit as exit_:
            if cell.gave_up(exit_, call):
                sender.fail(CallTimeout())
            else:
                self._crashed(exit_.reason, call)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 (an answer, or let it crash)
            if isinstance(error, Exception) and cell.server.is_answer(error):
                sender.fail(error)
            else:
                self._crashed(crashed(error), call)
        else:
            sender.reply(value)
        on_served = cell.runtime.on_served
        if on_served is not None:
            cell.runtime.observe(on_served, cell, started - call.enqueued_at, loop.time() - started)

    def _crashed(self, reason: ExitReason, call: Call) -> None:
        """Have the process end with that reason, in its own turn, before it handles anything else."""
        cell = self._cell
        if cell.exit_reason is ALIVE:
            cell.mailbox.appendleft(Failed(reason, call.request))
            if not cell.scheduled:
                cell.scheduled = True
                cell.runtime.make_ready(cell)

    def _ended(self, sender: From) -> None:
        """A task is done: begin what waits for its place, if its caller does still."""
        del self._tasks[sender]
        cell = self._cell
        while self.backlog and cell.exit_reason is ALIVE and len(self._tasks) < self._limit:
            call = self.backlog.popleft()
            assert type(call) is Call
            cell.queued_calls -= 1
            if cell.nobody_waits(call):
                continue
            if call.drop_expired and call.deadline is not None and cell.runtime.now() > call.deadline:
                call.sender.fail(CallTimeout())
                continue
            self.begin(call, cell.server.interface[cast("Invoke", call.request).method])
