"""Calls in two steps: send the request, go on, and take the answer later. OTP's `gen_server:send_request`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .answer import await_answer, send_call
from .errors import CallFailed, NoProcess, UsageError
from .kernel.options import check_seconds
from .message import From
from .pid import Pid, RemoteName, Via
from .process import own_cell
from .runtime import current_runtime
from .threads import from_any_thread

if TYPE_CHECKING:
    from .cell import Cell
    from .kernel.reason import ExitReason
    from .pid import Destination


class RequestId:
    """A call under way, from `send_request`.

    Attributes:
        destination: Who was asked.
        message: What was asked.
    """

    __slots__ = ("_over", "_sender", "destination", "message")

    def __init__(self, destination: Destination, message: object) -> None:
        self.destination = destination
        self.message = message
        self._sender: From | None = None
        self._over = False

    @from_any_thread
    def abandon(self) -> None:
        """Want the answer no longer: it will never be seen."""
        self._over = True
        if self._sender is not None:
            self._sender.abandon()

    async def _answer(self, timeout_s: float | None) -> object:
        described = (self.destination, self.message)
        if self._sender is None:
            raise NoProcess(described)
        return await await_answer(self._sender, timeout_s, described)


class Response:
    """In the mailbox: a request sent with `deliver=True` has its answer.

    A callee that answers more than once is seen to, as in OTP, until `answer()` is called: that ends the request.

    Attributes:
        request: Which request.
        error: Why there is no answer, or the error that is the answer; `None` when all is well.
    """

    __slots__ = ("_value", "error", "request")

    def __init__(self, request: RequestId, value: object, error: BaseException | None = None) -> None:
        self.request = request
        self._value = value
        self.error = error

    def answer(self) -> object:
        """The answer; the request is over with it.

        Raises:
            CallFailed: There is none; `cause` says why.
            Exception: The answer is an error of the service.
        """
        self.request._over = True
        if self.error is not None:
            raise self.error
        return self._value


class _DeliveredFrom(From):
    """Answers into the mailbox of the caller."""

    __slots__ = ("_request", "_to")

    def __init__(self, future: asyncio.Future[object], server: Cell, to: Cell, request: RequestId) -> None:
        super().__init__(future, server, to.pid)
        self._to = to
        self._request = request

    def reply(self, value: object) -> None:
        if self.handed_over(self.reply, value):
            return
        if not self._request._over:
            self._deliver(value)
        super().reply(value)

    def fail(self, error: BaseException) -> None:
        if self.handed_over(self.fail, error):
            return
        if not self.future.done():
            self._deliver(None, error)
        super().fail(error)

    def server_ended(self, reason: ExitReason) -> None:
        if not self.future.done():
            self._deliver(None, CallFailed(reason, (self._request.destination, self._request.message)))
        super().server_ended(reason)

    def _deliver(self, value: object, error: BaseException | None = None) -> None:
        if self._to.alive:
            self._to.deliver(Response(self._request, value, error))


@from_any_thread
def send_request(destination: Destination, message: object, *, deliver: bool = False) -> RequestId:
    """Send a call and go on.

    Args:
        destination: A pid, or a name of this runtime.
        message: What is asked.
        deliver: Whether the answer comes as a `Response` into the mailbox of the calling process, which serves other
            messages meanwhile. Default no: take it with `receive_response` or `wait_response`.

    Raises:
        NotAProcessError: `deliver` outside a process.
    """
    runtime = current_runtime()
    cell = runtime.cell(destination)
    request = RequestId(destination, message)
    if deliver:
        caller = own_cell()
        if cell is None:
            caller.deliver(Response(request, None, NoProcess((destination, message))))
            return request
        sender: From = _DeliveredFrom(runtime.loop.create_future(), cell, caller, request)
        request._sender = send_call(runtime, cell, message, None, drop_expired=False, sender=sender)
    elif cell is not None:
        request._sender = send_call(runtime, cell, message, None, drop_expired=False)
    if request._sender is not None:
        request._sender.future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return request


async def receive_response(request_id: RequestId, timeout_s: float | None = None) -> object:
    """The answer to `send_request`; a request that is not answered in time is abandoned.

    Raises:
        CallTimeout: No answer in time: it will never be seen.
        CallFailed: As from `request`.
    """
    check_seconds(timeout_s)
    return await request_id._answer(timeout_s)


async def wait_response(request_id: RequestId, timeout_s: float | None = None) -> object:
    """The answer to `send_request`; when it is not there in time, it can be waited for again.

    Raises:
        TimeoutError: No answer yet.
        CallFailed: As from `request`.
    """
    check_seconds(timeout_s)
    if request_id._sender is not None and not request_id._sender.future.done():
        await asyncio.wait([request_id._sender.future], timeout=timeout_s)
        if not request_id._sender.future.done():
            raise TimeoutError(f"no answer within {timeout_s} s; it may still come")
    return await request_id._answer(None)


async def multi_call(
    destinations: Iterable[Destination], message: object, timeout_s: float | None = None
) -> tuple[dict[Destination, object], dict[Destination, Exception]]:
    """Ask several processes at once and wait for all of them.

    Args:
        destinations: Pids and names; one that is named twice is asked once.
        message: What is asked.
        timeout_s: Seconds to wait, `None` for ever.

    Returns:
        The answers, and for those that gave none why: a `CallFailed` (nobody there, ended, too late, ...), or the error
        that is the answer, such as a `ServiceError`.
    """
    check_seconds(timeout_s)
    given: object = destinations
    if isinstance(given, str | Pid | RemoteName | Via) or not isinstance(given, Iterable):
        raise UsageError(f"multi_call({given!r}): give a list of pids and names")
    requests = {destination: send_request(destination, message) for destination in dict.fromkeys(destinations)}
    answers = await asyncio.gather(
        *(receive_response(request_id, timeout_s) for request_id in requests.values()), return_exceptions=True
    )
    replies: dict[Destination, object] = {}
    failures: dict[Destination, Exception] = {}
    for destination, answer in zip(requests, answers, strict=True):
        if isinstance(answer, Exception):
            failures[destination] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            replies[destination] = answer
    return replies, failures
