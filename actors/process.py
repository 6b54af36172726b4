"""What any process can do: send, link, monitor, exit, receive. OTP's built-in functions.

Functions that act on the caller need to run inside a process; the others only need a runtime. All but the `async` ones
may be called from the threads that blocking handlers run in. What a process began before its end (a task of asyncio, a
`finally`) cannot act for it any more: there they raise `ProcessKilled`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .answer import await_answer
from .cell import TaskCell
from .delivery import is_time
from .errors import NotAProcessError, ProcessKilled, UsageError
from .message import From, SystemCall
from .pid import Pid, Via
from .remote_cell import LOCATE, RemoteCell
from .runtime import current_cell, current_runtime
from .threads import from_any_thread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from .cell import Cell
    from .kernel.reason import ExitReason
    from .pid import Destination, Name, Ref


def own_cell() -> Cell:
    """The cell of the calling process, to act in its name.

    Raises:
        NotAProcessError: The caller is not a process.
        ProcessKilled: It is one that has ended.
    """
    cell = own_cell_dead_or_alive()
    if not cell.alive:
        raise ProcessKilled
    return cell


def own_cell_dead_or_alive() -> Cell:
    """The cell of the calling process, for what does no harm when it has ended: to look, to undo.

    Raises:
        NotAProcessError: The caller is not a process.
    """
    cell = current_cell.get()
    if cell is None:
        raise NotAProcessError("only a process can do this: call it from a behaviour or a spawned function")
    return cell


def _check_pid(pid: object, function: str) -> None:
    if not isinstance(pid, Pid):
        raise UsageError(f"{function}({pid!r}): give a pid; process.whereis(name) has the one behind a name")


def _body(function: object, args: tuple[object, ...]) -> Callable[[], Awaitable[object]]:
    if not callable(function):
        mend = "give an async function and then its arguments, spawn(f, x) rather than spawn(f(x))"
        raise UsageError(f"cannot spawn {function!r}: {mend}")
    return partial(function, *args)


def check_alive() -> None:
    """Unwind the caller if it has just died of what it did."""
    cell = current_cell.get()
    if cell is not None and not cell.alive:
        raise ProcessKilled


def self_pid() -> Pid:
    """The pid of the calling process."""
    return own_cell_dead_or_alive().pid


def send(destination: Destination, message: object) -> None:
    """Send a plain message. To a pid of the dead it vanishes.

    Raises:
        UsageError: `destination` is a name that nobody has.
    """
    runtime = current_runtime()
    cell = runtime.cell(destination)
    if cell is not None:
        runtime.deliver(cell, message)
    elif not isinstance(destination, Pid):
        raise UsageError(f"nobody has the name {destination!r}: register a process first")


@from_any_thread
def send_after(delay_s: float, destination: Destination, message: object) -> asyncio.TimerHandle:
    """Send a message `delay_s` seconds from now; the handle's `cancel()` calls it off (in the loop's thread)."""
    runtime = current_runtime()

    def fire() -> None:
        cell = runtime.cell(destination)
        if cell is not None:
            cell.deliver(message)

    return runtime.loop.call_later(delay_s, fire)


@from_any_thread
def spawn(function: Callable[..., Awaitable[object]], *args: object) -> Pid:
    """Start a process that runs `await function(*args)` and ends with it."""
    return current_runtime().spawn(_body(function, args))


@from_any_thread
def spawn_link(function: Callable[..., Awaitable[object]], *args: object) -> Pid:
    """Like `spawn`, linked to the caller from the start."""
    cell = own_cell()
    return cell.runtime.spawn(_body(function, args), link_to=cell, parent=cell.pid)


@from_any_thread
def spawn_monitor(function: Callable[..., Awaitable[object]], *args: object) -> tuple[Pid, Ref]:
    """Like `spawn`, monitored by the caller from the start."""
    cell = own_cell()
    pid = cell.runtime.spawn(_body(function, args))
    return pid, cell.runtime.monitor(cell, pid)


@from_any_thread
def link(pid: Pid) -> None:
    """Link the caller with `pid`: the end of one is an exit signal to the other."""
    cell = own_cell()
    _check_pid(pid, "link")
    cell.runtime.link(cell, pid)
    check_alive()


@from_any_thread
def unlink(pid: Pid) -> None:
    """Undo `link`."""
    cell = own_cell_dead_or_alive()
    _check_pid(pid, "unlink")
    cell.runtime.unlink(cell, pid)


@from_any_thread
def monitor(destination: Destination) -> Ref:
    """Get one `Down` message when the process ends."""
    cell = own_cell()
    return cell.runtime.monitor(cell, destination)


@from_any_thread
def demonitor(ref: Ref, *, flush: bool = True) -> None:
    """Undo `monitor`; by default a `Down` that has come already is removed too."""
    cell = own_cell_dead_or_alive()
    cell.runtime.demonitor(cell, ref, flush=flush)


def trap_exit(trap: bool) -> bool:
    """Whether exit signals come as `ExitMessage`s from now on; returns the old setting."""
    cell = own_cell()
    old, cell.trap_exit = cell.trap_exit, trap
    return old


@from_any_thread
def exit_process(pid: Pid, reason: ExitReason) -> None:
    """Send an exit signal to `pid` (Erlang's `exit/2`); `"kill"` cannot be trapped."""
    runtime = current_runtime()
    sender = current_cell.get()
    _check_pid(pid, "exit_process")
    runtime.exit(None if sender is None else sender.pid, pid, reason)
    check_alive()


def is_alive(pid: Pid) -> bool:
    """Whether a process of this runtime lives.

    Raises:
        UsageError: It lives in another runtime, which has to be asked: `await locate(pid)`.
    """
    return _here(pid) is not None


async def locate(destination: Destination, timeout_s: float | None = 5.0) -> Pid | None:
    """The pid of the living process at a destination in whatever runtime, `None` when there is none.

        if await process.locate(RemoteName("tower", "radar")) is None: ...

    Args:
        destination: A pid, or a name here or in another runtime.
        timeout_s: Seconds to wait for another runtime, `None` for ever. Default 5.

    Raises:
        CallTimeout: The other runtime did not answer in time.
        Disconnected: The connection to it was lost.
    """
    runtime = current_runtime()
    cell = runtime.cell(destination)
    if not isinstance(cell, RemoteCell):
        return None if cell is None else cell.pid
    sender = From(runtime.loop.create_future(), cell, None)
    cell.deliver(SystemCall(LOCATE, None, sender))
    pid = await await_answer(sender, timeout_s, (destination, LOCATE))
    assert pid is None or isinstance(pid, Pid)
    return pid


def _here(destination: Destination) -> Cell | None:
    """The living cell at a destination of this runtime."""
    cell = current_runtime().cell(destination)
    if isinstance(cell, RemoteCell):
        raise UsageError(
            f"{destination!r} is in another runtime, which has to be asked: await process.locate({destination!r})"
        )
    return cell


@from_any_thread
def register(name: Name, pid: Pid) -> None:
    """Give a process a name.

    Raises:
        UsageError: The name is taken, or the process is not alive.
    """
    runtime = current_runtime()
    cell = runtime.cell(pid)
    if cell is None:
        raise UsageError(f"cannot register {name!r}: {pid} is not alive")
    runtime.register(name, cell)


@from_any_thread
def unregister(name: str) -> None:
    """Free a local name.

    Raises:
        UsageError: It is one of a registry or of the system.
    """
    if not isinstance(name, str):
        raise UsageError(
            f"{name!r} is no local name: take it back where it is kept, by registry.unregister or "
            "global_names.unregister_name"
        )
    current_runtime().unregister(name)


def whereis(name: Name) -> Pid | None:
    """Who has the name in this runtime, or `None`.

    Raises:
        UsageError: The name is in another runtime, which has to be asked: `await locate(name)`.
    """
    if isinstance(name, Via):  # what a resolver keeps it knows, wherever the process lives
        return current_runtime().whereis(name)
    holder = _here(name)
    return None if holder is None else holder.pid


def deadline() -> float | None:
    """When the caller of the call that is served here gives up, as loop time; `None`: it never does, or none is served.

    Calls made on behalf of a typed call get at most what is left until then, whatever their own time-out.
    """
    call = own_cell().call_served()
    return None if call is None else call.deadline


def call_cancelled() -> bool:
    """Whether nobody waits any more for the answer to the call that is served here: a long handler may ask, and stop.

    Its caller has cancelled it, its time is over, or it is answered already.
    """
    cell = own_cell()
    call = cell.call_served()
    if call is None:
        return False
    expired = call.drop_expired and call.deadline is not None and cell.runtime.now() > call.deadline
    return expired or not call.sender.wanted()


async def wait_exit(destination: Destination) -> ExitReason:
    """Wait until a process has ended; its exit reason, `"noproc"` if it was not there."""
    return await current_runtime().ended(destination)


async def receive(match: Callable[[object], bool] | None = None, timeout_s: float | None = None) -> object:
    """Take the first message that matches out of the mailbox, waiting for it.

    Only for spawned functions: a behaviour gets its messages by callbacks.

    Args:
        match: Which messages to take. Default: any.
        timeout_s: Seconds to wait. Default: for ever. With 0 only what is there already.

    Raises:
        TimeoutError: No such message came in time.
        NotAProcessError: The caller has no mailbox of its own.
        UsageError: Another task of the same process waits for a message; or `match` or `timeout_s` are none.
    """
    if match is not None and not callable(match):
        raise UsageError(f"receive({match!r}): give a function that says which messages to take, or None for any")
    if timeout_s is not None and not is_time(timeout_s):
        raise UsageError(f"receive(timeout_s={timeout_s!r}): give the seconds to wait, or None for ever")
    cell = own_cell()
    if not isinstance(cell, TaskCell):
        raise NotAProcessError("receive() is for spawned functions; a behaviour gets its messages by handle_info")
    if cell.waiting is not None:
        raise UsageError(
            "two tasks of one process wait in receive(): let one of them take the messages, or spawn another"
        )
    loop = cell.runtime.loop
    deadline = None if timeout_s is None else loop.time() + timeout_s
    while True:
        found, message = cell.take(match)
        if found:
            return message
        remaining = None if deadline is None else deadline - loop.time()
        if remaining is not None and remaining <= 0:
            raise TimeoutError(f"no matching message within {timeout_s} s")
        cell.waiting = loop.create_future()
        handle = None if remaining is None else loop.call_later(remaining, _wake, cell.waiting)
        try:
            await cell.waiting
        finally:
            cell.waiting = None
            if handle is not None:
                handle.cancel()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
