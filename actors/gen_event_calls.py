"""What can be asked of an event manager: OTP's functions of `gen_event`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import gen_server
from .behaviour_cell import BehaviourCell
from .errors import HandlerError, UsageError
from .event_cell import EventCell
from .event_handler import RETURNED_NOTHING, handler_class, handler_name
from .kernel import event as kernel
from .kernel.text import text_of
from .message import Cast
from .process import own_cell, send
from .runtime import current_runtime

if TYPE_CHECKING:
    from .gen_server import RequestId
    from .kernel.event import HandlerId
    from .pid import Destination


@dataclass(frozen=True, slots=True)
class WhichHandlers:
    """Request: the ids of the handlers."""


async def _ask(manager: Destination, request: kernel.Request, id: HandlerId, timeout_s: float | None = None) -> object:
    _check_manager(manager)
    return checked(await gen_server.request(manager, request, timeout_s), id, manager)


def checked(answer: object, id: HandlerId, manager: Destination) -> object:
    """The value of an answer of the kernel.

    Raises:
        HandlerError: It is a refusal.
    """
    assert isinstance(answer, kernel.Answer)
    if answer.ok:
        return answer.value
    if answer.value in ("bad_module", "module_not_found"):
        problem = f"is not installed in {manager}: add it with gen_event.add_handler()"
    elif isinstance(answer.value, tuple) and answer.value[:1] in (("EXIT",), ("error",)):
        problem = f"of {manager} failed: {text_of(answer.value)}"
    else:
        problem = f"of {manager} is removed: {RETURNED_NOTHING} (it returned {answer.value!r})"
    raise HandlerError(answer.value, f"handler {handler_name(id)} {problem}")


def _check_manager(manager: Destination) -> None:
    """Check that it is an event manager, where that can be seen: what it asks would end another server.

    Raises:
        UsageError: It is another behaviour.
    """
    cell = current_runtime().cell(manager)
    if isinstance(cell, BehaviourCell) and not isinstance(cell, EventCell):
        raise UsageError(f"{manager!r} is no event manager but {cell.description()}: use gen_event.start()")


async def add_handler(manager: Destination, handler: HandlerId, *args: object) -> None:
    """Add a handler in front of the others.

    Args:
        manager: Pid or name.
        handler: A class derived from `EventHandler`, or `(class, id)`. It may be there already: then it is there twice.
        *args: For its `init`.

    Raises:
        HandlerError: It did not start.
    """
    handler_class(handler)
    await _ask(manager, kernel.Add(handler, args), handler)


async def add_sup_handler(manager: Destination, handler: HandlerId, *args: object) -> None:
    """Like `add_handler`, and supervise it: the caller becomes its owner.

    Owner and manager are linked, even when the handler does not start. The owner gets a `HandlerExit` when the handler
    goes; when the owner ends, the handler goes, with `terminate(("stop", reason))`.

    Raises:
        NotAProcessError: The caller is not a process.
        HandlerError: It did not start.
    """
    handler_class(handler)
    await _ask(manager, kernel.Add(handler, args, own_cell().pid), handler)


async def delete_handler(manager: Destination, handler: HandlerId, argument: object = None) -> object:
    """Delete the newest handler with this id; the value of its `terminate(argument)`.

    Raises:
        HandlerError: It is not installed (`"module_not_found"`), or its `terminate` failed (it is gone all the same).
    """
    return await _ask(manager, kernel.Delete(handler, argument), handler)


async def swap_handler(manager: Destination, old: HandlerId, argument: object, new: HandlerId, *args: object) -> None:
    """Delete `old` and add `new` in front, without an event in between.

    `new` gets `init_swapped(value, *args)` with the value of `old`'s `terminate(argument)`; `"error"` when `old` is not
    installed. If `old` was supervised, so is `new`, by the same owner.

    Raises:
        HandlerError: `new` did not start; `old` is gone all the same.
    """
    handler_class(new)
    await _ask(manager, kernel.Swap(old, argument, new, args), new)


async def swap_sup_handler(
    manager: Destination, old: HandlerId, argument: object, new: HandlerId, *args: object
) -> None:
    """Like `swap_handler`, and the caller becomes the owner of `new`, as by `add_sup_handler`."""
    handler_class(new)
    await _ask(manager, kernel.Swap(old, argument, new, args, own_cell().pid), new)


async def which_handlers(manager: Destination) -> list[HandlerId]:
    """The ids of the handlers, in the order of delivery."""
    _check_manager(manager)
    handlers = await gen_server.request(manager, WhichHandlers(), None)
    assert isinstance(handlers, list)
    return handlers


def notify(manager: Destination, event: object) -> None:
    """Tell an event and go on. To a pid of the dead it vanishes.

    Raises:
        UsageError: `manager` is a name that nobody has.
    """
    _check_manager(manager)
    send(manager, Cast(kernel.Notify(event)))


async def sync_notify(manager: Destination, event: object) -> None:
    """Tell an event and return when all handlers have served it."""
    _check_manager(manager)
    await gen_server.request(manager, kernel.Notify(event), None)


async def call(
    manager: Destination, handler: HandlerId, request: object, timeout_s: float | None = gen_server.DEFAULT_TIMEOUT_S
) -> object:
    """Ask one handler, the newest with this id, and wait for its answer.

    Args:
        manager: Pid or name.
        handler: Its class, or `(class, id)`.
        request: What is asked; `handle_call` gets it.
        timeout_s: Seconds to wait, `None` for ever. Default 5.

    Raises:
        HandlerError: It is not installed (`"bad_module"`), or failed at the request and was removed.
        ServiceError: What the handler raised as an answer.
        CallFailed: The manager is not there, ended, or did not answer in time.
    """
    return await _ask(manager, kernel.Ask(handler, request), handler, timeout_s)


class HandlerRequest:
    """A call to a handler under way, from `send_request`."""

    __slots__ = ("_handler", "_manager", "_request_id")

    def __init__(self, manager: Destination, handler: HandlerId, request_id: RequestId) -> None:
        self._manager = manager
        self._handler = handler
        self._request_id = request_id


def send_request(manager: Destination, handler: HandlerId, request: object) -> HandlerRequest:
    """Ask one handler and go on; take its answer with `receive_response` or `wait_response`."""
    return HandlerRequest(manager, handler, gen_server.send_request(manager, kernel.Ask(handler, request)))


async def receive_response(request: HandlerRequest, timeout_s: float | None = None) -> object:
    """The answer to `send_request`; a request that is not answered in time is abandoned.

    Raises:
        CallTimeout: No answer in time: it will never be seen.
        HandlerError: As from `call`.
    """
    answer = await gen_server.receive_response(request._request_id, timeout_s)
    return checked(answer, request._handler, request._manager)


async def wait_response(request: HandlerRequest, timeout_s: float | None = None) -> object:
    """The answer to `send_request`; when it is not there in time, it can be waited for again.

    Raises:
        TimeoutError: No answer yet.
        HandlerError: As from `call`.
    """
    answer = await gen_server.wait_response(request._request_id, timeout_s)
    return checked(answer, request._handler, request._manager)
