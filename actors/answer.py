"""Calls within a runtime: sending one, and waiting for its answer at most until its deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from .call_context import current_context
from .errors import CallFailed, CallingSelf, CallTimeout, Disconnected, NoProcess, Overloaded, ProcessKilled, UsageError
from .message import Call, From
from .pid import Pid
from .runtime import current_cell

if TYPE_CHECKING:
    from .cell import Cell
    from .pid import Destination
    from .runtime import Runtime


def send_call(
    runtime: Runtime,
    cell: Cell,
    message: object,
    timeout_s: float | None,
    drop_expired: bool,
    sender: From | None = None,
    waits: bool = False,
) -> From:
    """Put a call into a mailbox of this runtime; its answer comes to the future of the returned `From`.

    When the caller does nothing but wait (`waits`), an idle callee may serve the call at once.

    Raises:
        CallTimeout: No time is left to the call that the caller serves.
    """
    caller = current_cell.get()
    if cell is caller:
        raise CallingSelf((cell.pid, message))
    loop = runtime.loop
    if sender is None:
        sender = From(loop.create_future(), cell, None if caller is None else caller.pid)
    now = loop.time()
    if caller is not None and (caller.serving is not None or caller.beside is not None):
        timeout_s = time_left(timeout_s)
        if timeout_s is not None and timeout_s <= 0:
            raise CallTimeout((cell.pid, message))
    try:
        deadline = None if timeout_s is None else now + timeout_s
    except TypeError:
        raise UsageError(f"timeout_s={timeout_s!r}: give the seconds to wait, or None for ever") from None
    reserved = waits and runtime.carriers.reserve(cell)
    cell.deliver_call(Call(message, sender, deadline, drop_expired, now, current_context()))
    if reserved:
        try:
            runtime.carriers.lend(cell, caller)
        except ProcessKilled:
            _give_up(sender, drop_expired)
            raise
    return sender


async def fail_with_no_process(destination: Destination, message: object) -> NoReturn:
    """End a call to nobody.

    OTP tells the caller of the end of a pid by a message, for which it waits: others run first. A name is looked up.
    """
    if isinstance(destination, Pid):
        await asyncio.sleep(0)
    raise NoProcess((destination, message))


def time_left(timeout_s: float | None) -> float | None:
    """The time for a call that is made now: at most what is left to the call that its caller serves.

    Only typed calls, which are dropped when they have expired, pass their deadline on.

    Args:
        timeout_s: The time-out of the call itself, `None` for ever.
    """
    cell = current_cell.get()
    if cell is None or (cell.serving is None and cell.beside is None):
        return timeout_s
    call = cell.call_served()
    if call is None or not call.drop_expired or call.deadline is None:
        return timeout_s
    left_s = call.deadline - cell.runtime.now()
    return left_s if timeout_s is None or left_s < timeout_s else timeout_s


async def await_answer(
    sender: From, timeout_s: float | None, described: object, *, drop_expired: bool = False
) -> object:
    """The answer to a call whose message is on its way.

    Args:
        sender: What the callee answers to.
        timeout_s: Seconds to wait, `None` for ever. Then the call is abandoned: a late answer is dropped.
        described: `(destination, request)`, for the error.
        drop_expired: Whether the callee need not do it when nobody waits any more: then it is cancelled.

    Raises:
        CallTimeout: The deadline passed.
        NoProcess: The callee was not there.
        Overloaded: The callee's mailbox is full.
        Disconnected: The connection to the callee's runtime was lost.
        CallFailed: The callee ended without an answer.
    """
    future = sender.future
    deadline = None
    if timeout_s is not None and not future.done():
        runtime = sender.server.runtime
        deadline = runtime.deadlines.add(future, runtime.loop.time() + timeout_s)
    try:
        return await future
    except CallFailed as failure:
        if isinstance(failure, CallTimeout):
            _give_up(sender, drop_expired)
        if failure.call is not None:
            raise
        if isinstance(failure, NoProcess | CallTimeout | Disconnected):
            raise type(failure)(described) from None
        if isinstance(failure, Overloaded):
            raise Overloaded(described, failure.retry_after_s, failure.why) from None
        raise CallFailed(failure.cause, described) from None
    except asyncio.CancelledError:
        _give_up(sender, drop_expired)
        raise
    finally:
        if deadline is not None:
            deadline.call_off()


def _give_up(sender: From, drop_expired: bool) -> None:
    if drop_expired:
        sender.cancel()
    else:
        sender.abandon()
