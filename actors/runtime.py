"""The runtime: the processes of one OS process on an asyncio loop, their names, links and monitors.

They are run by a few tasks, see `raybeam.actors.carriers`.

The clock is the loop's: a loop with another `time()` (`raybeam.actors.testing`) gives virtual time.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import random
import uuid
from threading import get_ident
from typing import TYPE_CHECKING, NoReturn, TypeVar, TypeVarTuple, cast

from .carriers import Carriers, current_cell
from .cell import ALIVE, Cell, TaskCell
from .crash import shown
from .deadlines import Deadlines
from .errors import NotAProcessError, ProcessKilled, UsageError
from .kernel.reason import KILLED, SHUTDOWN
from .links import Links
from .message import Down
from .pid import Pid, RemoteName, Via

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from .kernel.reason import ExitReason
    from .kernel.regulation.damper import Sample
    from .pid import Destination, Name

log = logging.getLogger("raybeam")
CellT = TypeVar("CellT", bound=Cell)
Ts = TypeVarTuple("Ts")

ambient_runtime: contextvars.ContextVar[Runtime | None] = contextvars.ContextVar("raybeam_runtime", default=None)


def current_runtime() -> Runtime:
    """The runtime that the calling code runs in.

    Raises:
        NotAProcessError: Neither in a process nor inside `async with Runtime()`.
    """
    cell = current_cell.get()
    if cell is not None:
        return cell.runtime
    runtime = ambient_runtime.get()
    if runtime is None:
        raise NotAProcessError("no runtime here: run this inside `async with Runtime():` or in a process")
    return runtime


def log_report(report: object) -> None:
    """The default report sink: reports go to the logger `raybeam`."""
    log.error("%s", report)


class _NotOpen:
    """Stands for the loop of a runtime that is not open yet."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UsageError("this runtime is not open: use it as `async with Runtime() as runtime:`")


_NOT_OPEN = cast("asyncio.AbstractEventLoop", _NotOpen())


class Runtime(Links):
    """Runs light processes; one to an OS process is usual, several in one loop work too.

    Args:
        name: Part of every pid; unique in the system. Default: a random one.
        seed: Seeds `random`, the only source of randomness of the processes. Default: from the OS.
        reports: Gets each crash and supervisor report. Default: logs it. Its own failure is logged and harms nobody.

    Attributes:
        reports: The report sink.
        thread_id: Of the thread that the loop runs in; 0 while the runtime is not open.
        on_served: Called after each call: the process, seconds waited, seconds served. Default: nobody is.
        distribution: The connections to other runtimes. Default: none; processes elsewhere are `noproc`.
        load: How loaded the machine is, for the dampers of regulated processes. Default: what the OS tells.
        on_ended: Called with pid and exit reason when a process ends, before anybody else learns of it. Default: nobody
            is.

    Example:
        >>> import asyncio
        >>> from raybeam.actors import GenServer, Runtime, call, gen_server
        >>> class Counter(GenServer):
        ...     total = 0
        ...     @call
        ...     async def add(self, amount: int) -> int:
        ...         self.total += amount
        ...         return self.total
        >>> async def main() -> int:
        ...     async with Runtime():
        ...         counter = gen_server.ref(Counter, await gen_server.start(Counter))
        ...         await counter.add(1)
        ...         return await counter.add(2)
        >>> asyncio.run(main())
        3
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        seed: int | None = None,
        reports: Callable[[object], None] = log_report,
    ) -> None:
        super().__init__(name or uuid.uuid4().hex[:8])
        self.random = random.Random(seed)  # noqa: S311 (jitter, not secrets)
        self.reports = reports
        self.on_served: Callable[[Cell, float, float], None] | None = None
        self.on_ended: Callable[[Pid, ExitReason], None] | None = None
        self.load: Callable[[], Sample] | None = None
        self.loop = _NOT_OPEN
        self.thread_id = 0
        self.deadlines: Deadlines
        self._cells: dict[int, Cell] = {}
        self._names: dict[str, Cell] = {}
        self._serials = itertools.count(1)
        self.carriers = Carriers(self)
        self.make_ready = self.carriers.make_ready
        self._ambient: contextvars.Token[Runtime | None] | None = None

    # -- life --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Runtime:
        self.open()
        self._ambient = ambient_runtime.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._ambient is not None:
            ambient_runtime.reset(self._ambient)
        await self.close()

    def open(self) -> None:
        """Bind the runtime to the running loop."""
        self.loop = asyncio.get_running_loop()
        self.thread_id = get_ident()
        self.deadlines = Deadlines(self.loop)

    async def close(self) -> None:
        """Kill what still lives and end the carriers. To stop in order, stop the top supervisor first."""
        for cell in list(self._cells.values()):
            self.finish(cell, KILLED)
        await self.carriers.close()
        self.deadlines.close()

    def now(self) -> float:
        """The loop's time in seconds: monotonic, or virtual in tests."""
        return self.loop.time()

    # -- observers ---------------------------------------------------------------------------------

    def report(self, report: object) -> None:
        """Give a report to the sink; should that fail, the report goes to the logger."""
        try:
            self.reports(report)
        except Exception:
            log.exception("the report sink %r failed at this report:\n%s", self.reports, report)

    def observe(self, observer: Callable[[*Ts], object], *seen: *Ts) -> None:
        """Call one who only looks on: its failure is logged, and harms none of the processes."""
        try:
            observer(*seen)
        except Exception:
            log.exception("%r failed at %s", observer, shown(seen))

    # -- processes ---------------------------------------------------------------------------------

    def new_pid(self) -> Pid:
        """A pid that nobody had before."""
        return Pid(self.name, next(self._serials))

    def add(self, cell: CellT, *, link_to: Cell | None = None, name: Name | None = None) -> CellT:
        """Take a new cell in; it runs as soon as something is delivered.

        Raises:
            UsageError: The name is taken.
        """
        if name is not None:
            self.register(name, cell)
        self._cells[cell.pid.serial] = cell
        if link_to is not None:
            link_to.links.add(cell.pid)
            cell.links.add(link_to.pid)
        return cell

    def deliver(self, cell: Cell, message: object) -> None:
        """Put a message into a mailbox, from any thread."""
        if get_ident() == self.thread_id:
            cell.deliver(message)
        else:
            self.loop.call_soon_threadsafe(cell.deliver, message)

    def spawn(
        self, body: Callable[[], Awaitable[object]], *, link_to: Cell | None = None, parent: Pid | None = None
    ) -> Pid:
        """Start a process whose body is a coroutine; it can `receive`."""
        cell = self.add(TaskCell(self, self.new_pid(), parent, body), link_to=link_to)
        self._start_task(cell)
        return cell.pid

    def _start_task(self, cell: TaskCell) -> None:
        async def carry() -> None:
            current_cell.set(cell)
            try:
                await cell.run()
            except ProcessKilled:
                return
            except asyncio.CancelledError:
                if cell.alive:
                    self.finish(cell, KILLED)

        cell.carrier = self.carriers.start(carry(), contextvars.Context())

    def cell(self, destination: Destination) -> Cell | None:
        """The living cell behind a pid of this runtime or a name, or `None`."""
        if isinstance(destination, Pid):
            if destination[0] == self.name:
                return self._cells.get(destination[1])
        elif isinstance(destination, str):
            return self._names.get(destination)
        elif isinstance(destination, Via):
            pid = destination.resolver.whereis_name(self, destination.key)
            return None if pid is None else self.cell(pid)
        elif not isinstance(destination, RemoteName):
            raise UsageError(f"{destination!r} is no destination: give a pid, a name (str), a Via or a RemoteName")
        elif destination[0] == self.name:
            return self._names.get(destination[1])
        if self.distribution is not None:
            return self.distribution.cell(destination)
        return None

    def processes(self) -> list[Pid]:
        """All living processes, oldest first."""
        return [cell.pid for cell in self._cells.values()]

    def register(self, name: Name, cell: Cell) -> None:
        """Give a process a name, free again at its death.

        Raises:
            UsageError: The name is taken by a living process, or is no name.
        """
        _check_name(name)
        if isinstance(name, Via):
            name.resolver.register_name(self, name.key, cell)
            return
        holder = self._names.get(name)
        if holder is not None:
            raise UsageError(f"the name {name!r} is taken by {holder.pid}: choose another, or stop that process")
        self._names[name] = cell
        cell.names = (*cell.names, name)

    def unregister(self, name: str) -> None:
        """Free a name; nothing happens when nobody has it."""
        holder = self._names.pop(name, None)
        if holder is not None:
            holder.names = tuple(other for other in holder.names if other != name)

    def whereis(self, name: Name) -> Pid | None:
        """Who has the name in this runtime, or `None`."""
        _check_name(name)
        holder = self.cell(name)
        return None if holder is None else holder.pid

    # -- ends --------------------------------------------------------------------------------------

    def finish(self, cell: Cell, reason: ExitReason) -> None:
        """End a process now: free its names, tell links, monitors and callers. Does nothing to the dead."""
        if cell.exit_reason is not ALIVE:
            return
        cell.exit_reason = reason
        if self.on_ended is not None:
            self.observe(self.on_ended, cell.pid, reason)
        cell.disarm()
        self._cells.pop(cell.pid.serial, None)
        for name in cell.names:
            self._names.pop(name, None)
        for sender in cell.waiting_calls():
            sender.never_begun(reason)
        for sender in list(cell.calls):
            sender.server_ended(reason)
        cell.calls.clear()
        cell.mailbox.clear()
        if cell.beside is not None:
            cell.beside.close()
        if cell.watching:
            for ref, target in cell.watching.items():
                watched = self.cell(target)
                if watched is not None:
                    watched.unwatched_by(ref)
        for linked in sorted(cell.links):  # a set has another order each time
            self.queue_exit(cell.pid, linked, reason)
        if cell.watchers:
            for ref, watcher in list(cell.watchers.items()):
                self.tell_watcher(watcher, Down(ref, cell.pid, reason))
        cell.watchers = None
        self.released(cell)
        self.carriers.forget(cell)
        self.hand_out_signals()

    def released(self, cell: Cell) -> None:
        """Stop the code of a dead process, unless it is the code that runs just now."""
        carrier = cell.carrier
        if carrier is not None and not carrier.done() and carrier is not _current_task():
            carrier.cancel()


def _check_name(name: object) -> None:
    if not isinstance(name, str | Via):
        raise UsageError(f"{name!r} cannot name a process: give a string; `Registry` and `Global` take other terms")


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


__all__ = ["Runtime", "SHUTDOWN", "ambient_runtime", "current_cell", "current_runtime", "log_report"]
