"""What lies in a mailbox, besides the user's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from threading import get_ident
from typing import TYPE_CHECKING, TypeVar

from .errors import CallFailed, NoProcess

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .call_context import CallContext
    from .cell import Cell
    from .kernel.once import Origin
    from .kernel.reason import ExitReason
    from .pid import Destination, Pid, Ref

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExitMessage:
    """A linked process ended, or somebody sent an exit signal; only processes that trap exits see it."""

    pid: Pid
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class Down:
    """A monitored process ended (`noproc`: it was not there)."""

    ref: Ref
    target: Destination
    reason: ExitReason


class From:
    """The right to answer one call, once, from any thread; later answers are dropped.

    Attributes:
        caller: The calling process, `None` when the call came from outside any process.
    """

    __slots__ = ("__weakref__", "caller", "future", "server")

    def __init__(self, future: asyncio.Future[object], server: Cell, caller: Pid | None) -> None:
        self.future = future
        self.server = server
        self.caller = caller

    def reply(self, value: object) -> None:
        """Answer with `value`."""
        if get_ident() != self.server.runtime.thread_id:  # for each answer: `handed_over` without its call
            self.handed_over(self.reply, value)
            return
        self.server.calls.pop(self, None)
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Answer by raising `error` at the caller."""
        if self.handed_over(self.fail, error):
            return
        self.server.calls.pop(self, None)
        if not self.future.done():
            self.future.set_exception(error)

    def abandon(self) -> None:
        """The caller waits no longer."""
        self.server.calls.pop(self, None)
        if not self.future.cancel() and not self.future.cancelled():
            self.future.exception()  # taken, as asyncio complains of errors that nobody takes

    def wanted(self) -> bool:
        """Whether anybody waits for the answer still."""
        return self in self.server.calls

    def handed_over(self, act: Callable[[T], None], argument: T) -> bool:
        """Whether this is another thread than that of the callee's loop; then the loop does `act(argument)`."""
        runtime = self.server.runtime
        if get_ident() == runtime.thread_id:
            return False
        runtime.loop.call_soon_threadsafe(act, argument)
        return True

    def cancel(self) -> None:
        """The caller wants it no longer, and it need not be done.

        A call that waits and may be dropped (`drop_expired`: all typed calls) is never begun, a `concurrent` query is
        cancelled, and any other handler goes on but can ask `process.call_cancelled()`. Nothing happens when it is
        answered already. Whoever carries calls from elsewhere calls this when their caller gives up.
        """
        self.server.cancel_call(self)
        self.abandon()

    def never_begun(self, reason: ExitReason) -> None:
        """The callee died while the call waited in its mailbox."""
        self.server_ended(reason)

    def server_ended(self, reason: ExitReason) -> None:
        """The callee died before it answered."""
        if not self.future.done():
            self.future.set_exception(NoProcess() if reason == "noproc" else CallFailed(reason))


class Call:
    """A request that wants an answer.

    Attributes:
        request: What is asked.
        sender: Whom to answer.
        deadline: Loop time after which nobody waits for the answer; `None` for ever.
        drop_expired: Whether the work may be dropped, undone, when the deadline has passed.
        enqueued_at: Loop time of arrival in the mailbox.
        context: On whose behalf it is made, `None` when its caller did not say.
        origin: Which call it is, when it must be done exactly once.
    """

    __slots__ = ("context", "deadline", "drop_expired", "enqueued_at", "origin", "request", "sender")

    def __init__(
        self,
        request: object,
        sender: From,
        deadline: float | None,
        drop_expired: bool,
        enqueued_at: float,
        context: CallContext | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.request = request
        self.sender = sender
        self.deadline = deadline
        self.drop_expired = drop_expired
        self.enqueued_at = enqueued_at
        self.context = context
        self.origin = origin


class Cast:
    """A request that wants no answer."""

    __slots__ = ("request",)

    def __init__(self, request: object) -> None:
        self.request = request


class SystemCall:
    """OTP's `sys`: `get_state`, `replace_state`, `suspend`, `resume`, `statistics`, `terminate`, ..."""

    __slots__ = ("argument", "operation", "sender")

    def __init__(self, operation: str, argument: object, sender: From) -> None:
        self.operation = operation
        self.argument = argument
        self.sender = sender


@dataclass(frozen=True, slots=True)
class Timeout:
    """The time-out that the last callback asked for has passed without a message."""


TIMEOUT_MESSAGE = Timeout()
