"""Carriers: the few tasks that run the cells of a runtime.

A cell with something in its mailbox waits in a queue; a carrier takes it and runs it. A handler that waits keeps its
carrier, and another one goes on with the queue. So an idle process costs no task, and a handler still sees a real task
of its own (`asyncio.timeout`, `TaskGroup`, context variables work).

A caller whose callee is idle would only wait for a carrier to come by. So when no cell waits in the queue, an idle
carrier is *lent*: the callee runs at once, in the turn of the caller, but as the lent carrier (its task, its context).
If it comes to wait, the carrier takes over the rest by itself; usually the answer is there before.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task  # documented, for who runs code in the name of a task
from collections import deque
from typing import TYPE_CHECKING

from .cell import ALIVE, crashed
from .crash import CrashReport
from .errors import ProcessKilled
from .kernel.reason import KILLED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator

    from .cell import Cell
    from .runtime import Runtime

CELLS_PER_TURN = 4
IDLE_CARRIERS = 64
LOANS_PER_TURN = 64
LOANS_AT_ONCE = 8

current_cell: contextvars.ContextVar[Cell | None] = contextvars.ContextVar("raybeam_cell", default=None)


class Carrier:
    """One task, and what it needs to wait for work.

    Attributes:
        context: What the task runs in.
        task: The task itself.
        wake: What it waits for while idle.
        rest: What it was woken to go on with: begun while it was lent.
    """

    __slots__ = ("context", "rest", "task", "wake")

    task: asyncio.Task[None]
    wake: asyncio.Future[None]

    def __init__(self) -> None:
        self.context = contextvars.Context()
        self.rest: Rest | None = None


class Rest:
    """The rest of a cell's run that somebody else began, for the task to go on with that it was begun for.

    Attributes:
        cell: Whose run it is.
        running: The run.
        waits_for: What it waits for, as the task would have seen it: a future, or `None` for its next turn.
        cancelled: Whether the task was cancelled before it came to go on.
    """

    __slots__ = ("cancelled", "cell", "running", "waits_for")

    def __init__(
        self, cell: Cell, running: Coroutine[object, None, None], waits_for: asyncio.Future[object] | None
    ) -> None:
        self.cell = cell
        self.running = running
        self.waits_for = waits_for
        self.cancelled = False

    def __await__(self) -> Generator[object, None, None]:
        waits_for: object = self.waits_for
        try:
            if self.cancelled and (self.waits_for is None or not self.waits_for.cancel()):
                waits_for = self.running.throw(asyncio.CancelledError())
            while True:
                try:
                    yield waits_for
                except BaseException as error:  # noqa: BLE001 (the run's own, whatever it is)
                    waits_for = self.running.throw(error)
                else:
                    break
        except StopIteration:
            return
        yield from self.running.__await__()


class Carriers:
    """The carriers of one runtime, and the queue of cells that wait for one."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ready: deque[Cell] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[Carrier] = []
        self._waking = False
        self._loans = 0
        self._loans_open = 0
        self._closing = False

    async def close(self) -> None:
        """End all tasks."""
        self._closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._idle.clear()

    def start(self, work: Coroutine[object, None, None], context: contextvars.Context) -> asyncio.Task[None]:
        """Start a task that ends with the runtime at the latest."""
        task = self._runtime.loop.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forget(self, cell: Cell) -> None:
        """A process has ended: no idle carrier that was lent to it keeps it in memory."""
        for carrier in self._idle:
            if carrier.context.get(current_cell) is cell:
                _leave(carrier)

    def make_ready(self, cell: Cell) -> None:
        """Queue a cell for a carrier."""
        self._ready.append(cell)
        if not self._waking:
            self._wake()

    def reserve(self, cell: Cell) -> bool:
        """Keep an idle cell out of the queue, to be lent a carrier by the next statement but one.

            reserved = carriers.reserve(cell)
            cell.deliver(message)
            if reserved:
                carriers.lend(cell, caller)

        Not while others wait in the queue, so nobody is passed by; not in ever deeper calls; and now and then not at
        all, so that one who calls without end lets the loop go on.
        """
        idle = self._idle
        if cell.scheduled or self._ready or not idle or self._loans_open >= LOANS_AT_ONCE:
            return False
        if idle[-1].wake.done():  # cancelled by whom a handler gave its task to: it ends by itself
            idle.pop()
            return False
        self._loans += 1
        if self._loans > LOANS_PER_TURN:
            self._loans = 0
            return False
        cell.scheduled = True
        return True

    def lend(self, cell: Cell, lender: Cell | None) -> None:
        """Run a reserved cell at once, as far as it comes without waiting.

        Args:
            cell: Whom to run.
            lender: The process that calls, `None` outside any.

        Raises:
            ProcessKilled: The lender died of it.
        """
        loop, carrier = self._runtime.loop, self._idle.pop()
        task, lent = asyncio.current_task(loop), carrier.task
        own = lender if lender is not None and lender.carrier is task else None
        if own is not None:  # its code is under way and cannot be cancelled: should it die of this, it is unwound after
            own.carrier = None
        cell.carrier = lent
        running = cell.run()
        rest = None
        if task is not None:
            _leave_task(loop, task)
        _enter_task(loop, lent)
        self._loans_open += 1
        try:
            rest = Rest(cell, running, carrier.context.run(_begin, cell, running))
        except StopIteration:
            pass
        except ProcessKilled as error:
            self._runtime.finish(cell, crashed(error))  # unless it was its own end
        except asyncio.CancelledError:
            self._runtime.finish(cell, KILLED)
        except BaseException as error:  # noqa: BLE001 (must not take the caller along)
            self._fail(cell, error)
        finally:
            self._loans_open -= 1
            _leave_task(loop, lent)
            if task is not None:
                _enter_task(loop, task)
            if own is not None:
                own.carrier = task
            carrier.rest = rest
            if rest is None:
                cell.carrier = None
                if cell.exit_reason is not ALIVE:
                    _leave(carrier)
        if not carrier.wake.done():  # else it was cancelled by what it ran, and wakes by itself
            if rest is None:
                self._idle.append(carrier)
            else:
                carrier.wake.set_result(None)
        if lender is not None and lender.exit_reason is not ALIVE:
            raise ProcessKilled

    def _fail(self, cell: Cell, error: BaseException) -> None:
        """The engine of a cell has failed, which nothing of its user's should make it do: it ends, and that is told."""
        reason = crashed(error)
        self._runtime.report(CrashReport(cell.pid, cell.description(), reason, None, None, cell.names))
        self._runtime.finish(cell, reason)

    def _wake(self) -> None:
        self._waking = True
        while self._idle:
            carrier = self._idle.pop()
            if not carrier.wake.done():
                carrier.wake.set_result(None)
                return
        carrier = Carrier()
        carrier.task = self.start(self._carry(carrier), carrier.context)

    async def _carry(self, carrier: Carrier) -> None:
        """What a carrier does all its life."""
        try:
            while await self._serve(carrier) and len(self._idle) < IDLE_CARRIERS and not self._closing:
                carrier.wake = self._runtime.loop.create_future()
                self._idle.append(carrier)
                try:
                    await carrier.wake
                except asyncio.CancelledError:
                    if carrier.rest is None:
                        raise
                    carrier.rest.cancelled = True
        finally:
            self._waking = False
            if self._ready and not self._closing:  # nobody in the queue may wait for a carrier that has ended
                self._wake()

    async def _serve(self, carrier: Carrier) -> bool:
        """Run what it was woken to go on with, and cells, until none waits any more; whether it may go on so."""
        ready, task = self._ready, carrier.task
        self._waking = False
        turns = 0
        while ready or carrier.rest is not None:
            running: Awaitable[None]
            if carrier.rest is not None:
                cell, running, carrier.rest = carrier.rest.cell, carrier.rest, None
            else:
                cell = ready.popleft()
                if cell.exit_reason is not ALIVE:
                    continue
                current_cell.set(cell)
                cell.carrier = task
                running = cell.run()
            if ready and not self._waking:  # this carrier may come to wait in a handler: another goes on
                self._wake()
            try:
                await running
            except ProcessKilled as error:
                self._runtime.finish(cell, crashed(error))  # unless it was its own end
            except asyncio.CancelledError:
                if cell.alive or task.uncancel() > 0:  # the carrier itself is cancelled: the runtime closes
                    self._runtime.finish(cell, KILLED)
                    raise
            except BaseException as error:
                if cell.unwinds(error):
                    raise
                self._fail(cell, error)
            finally:
                cell.carrier = None
            if task.cancelling():  # a handler has swallowed a cancellation, which must not meet another one
                return False
            turns += 1
            if turns % CELLS_PER_TURN == 0:
                await asyncio.sleep(0)
        current_cell.set(None)  # an idle carrier keeps nobody in memory
        return True


def _leave(carrier: Carrier) -> None:
    carrier.context.run(current_cell.set, None)


def _begin(cell: Cell, running: Coroutine[object, None, None]) -> asyncio.Future[object] | None:
    current_cell.set(cell)
    return running.send(None)  # type: ignore[return-value]  # the future that it waits for
