"""OTP's `sys`: look into a living process, hold it, change its code. For people and tools, not for traffic."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .answer import await_answer
from .cell import crashed
from .errors import CallFailed, CallingSelf, Exit, NoProcess, UsageError
from .message import From, SystemCall
from .runtime import current_cell, current_runtime

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from .kernel.reason import ExitReason
    from .pid import Destination


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `statistics` tells of a process.

    Attributes:
        started_at: Loop time of the start, seconds.
        messages_handled: Messages taken from the mailbox since.
        mailbox_depth: Messages waiting.
        unanswered_calls: Calls accepted and not answered yet.
    """

    started_at: float
    messages_handled: int
    mailbox_depth: int
    unanswered_calls: int


class SystemCell(Protocol):
    """What the engine of a behaviour offers to system calls."""

    suspended: bool
    started_at: float
    messages_handled: int
    mailbox: deque[object]
    calls: dict[From, None]

    async def stop(self, reason: ExitReason) -> None:
        """End with `reason`, after `terminate`."""
        ...

    def is_ending(self) -> bool:
        """Whether a cancellation means the process, and not what the call runs."""
        ...

    def unhold(self) -> None:
        """Put back the messages that came while suspended."""
        ...

    async def serve_state_call(self, operation: str, argument: object) -> object:
        """Serve `get_state`, `replace_state` or `change_code`."""
        ...


async def system_call(
    destination: Destination, operation: str, argument: object = None, timeout_s: float | None = 5.0
) -> object:
    """Ask the engine of a process, past its callbacks.

    Raises:
        NoProcess: Nobody lives there.
        CallTimeout: It did not come to it in time.
    """
    runtime = current_runtime()
    cell = runtime.cell(destination)
    described = (destination, operation)
    if cell is None:
        raise NoProcess(described)
    caller = current_cell.get()
    if cell is caller:
        raise CallingSelf(described)
    future: asyncio.Future[object] = runtime.loop.create_future()
    sender = From(future, cell, None if caller is None else caller.pid)
    cell.calls[sender] = None
    cell.deliver(SystemCall(operation, argument, sender))
    return await await_answer(sender, timeout_s, described)


async def get_state(destination: Destination, timeout_s: float | None = 5.0) -> object:
    """The state of a process: what its `get_state()` gives."""
    return await system_call(destination, "get_state", None, timeout_s)


async def replace_state(
    destination: Destination, change: Callable[[object], object], timeout_s: float | None = 5.0
) -> object:
    """Replace the state by `change(state)`; the new state is returned. A failing `change` leaves it as it was."""
    if not callable(change):
        raise UsageError(f"replace_state(..., {change!r}): give a function from the old state to the new one")
    return await system_call(destination, "replace_state", change, timeout_s)


async def suspend(destination: Destination, timeout_s: float | None = 5.0) -> None:
    """Let the process handle nothing but system calls until `resume`; messages wait."""
    await system_call(destination, "suspend", None, timeout_s)


async def resume(destination: Destination, timeout_s: float | None = 5.0) -> None:
    """Undo `suspend`."""
    await system_call(destination, "resume", None, timeout_s)


async def statistics(destination: Destination, timeout_s: float | None = 5.0) -> Statistics:
    """Counters of a process."""
    answer = await system_call(destination, "statistics", None, timeout_s)
    assert isinstance(answer, Statistics)
    return answer


async def change_code(
    destination: Destination,
    module: type,
    old_version: object = None,
    extra: object = None,
    timeout_s: float | None = 5.0,
) -> None:
    """Run the process on with another class: its `code_change(old_version, state, extra)` gives the new state.

    Raises:
        CallFailed: `code_change` failed; the process goes on with the old class.
    """
    await system_call(destination, "change_code", (module, old_version, extra), timeout_s)


async def stop(destination: Destination, reason: ExitReason = "normal", timeout_s: float | None = None) -> None:
    """Have a process end with `reason`, after its `terminate`, and wait for it.

    Raises:
        NoProcess: Nobody lives there.
        CallFailed: It ended with another reason, or not in time (then it is left to itself).
    """
    runtime = current_runtime()
    cell = runtime.cell(destination)
    described = (destination, ("stop", reason))
    if cell is None:
        raise NoProcess(described)
    if cell is current_cell.get():
        raise UsageError("a process cannot stop() itself: return Stop(reason) from the callback")
    future: asyncio.Future[object] = runtime.loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    sender = From(future, cell, None)
    ended = runtime.ended(destination)
    cell.deliver(SystemCall("terminate", reason, sender))
    try:
        actual = await asyncio.wait_for(ended, timeout_s)
    except TimeoutError:
        raise CallFailed("timeout", described) from None
    finally:
        sender.abandon()
    if actual != reason:
        raise CallFailed(actual, described)


async def serve_system_call(cell: SystemCell, message: SystemCall) -> None:
    """Serve one system call in the engine's turn."""
    operation, argument, sender = message.operation, message.argument, message.sender
    if operation == "terminate":
        await cell.stop(argument)
        return
    try:
        if operation == "suspend":
            cell.suspended = True
            answer: object = None
        elif operation == "resume":
            cell.suspended = False
            cell.unhold()
            answer = None
        elif operation == "statistics":
            answer = Statistics(cell.started_at, cell.messages_handled, len(cell.mailbox), len(cell.calls) - 1)
        else:
            answer = await cell.serve_state_call(operation, argument)
    except Exit as exit_:
        sender.fail(CallFailed(exit_.reason))
    except asyncio.CancelledError as error:
        if cell.is_ending():
            raise
        sender.fail(CallFailed(crashed(error)))
    except Exception as error:  # noqa: BLE001 (a failing tool must not take the process along)
        sender.fail(CallFailed(crashed(error)))
    else:
        sender.reply(answer)
