"""What the event manager's kernel is told and what it says: returns of handlers, events, and effects to carry out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from .server import ABSENT

if TYPE_CHECKING:
    from ..pid import Pid
    from .event_table import Handler
    from .reason import ExitReason

HandlerId: TypeAlias = object
"""A handler class, or `(class, id)` to tell several of one class apart."""

HANDLE_EVENT: Final = "handle_event"
HANDLE_CALL: Final = "handle_call"
HANDLE_INFO: Final = "handle_info"


# -- what callbacks return -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoveHandler:
    """From a handler's callback: remove me, after `terminate("remove_handler")`; from `handle_call` with a `reply`."""

    reply: object = ABSENT


@dataclass(frozen=True, slots=True)
class SwapHandler:
    """From a handler's callback: put another handler in my place.

    Attributes:
        argument: For my own `terminate`, whose value is handed over to the new one.
        new: The class of the new handler, or `(class, id)`.
        args: For its `init`.
        reply: The answer, from `handle_call` only (and required there).
    """

    argument: object
    new: HandlerId
    args: tuple[object, ...] = ()
    reply: object = ABSENT


# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notify:
    """An event (`handle_event`) or any other message (`handle_info`) for all handlers."""

    message: object
    callback: str = HANDLE_EVENT


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to one handler."""

    id: HandlerId
    request: object


@dataclass(frozen=True, slots=True)
class Add:
    """Add a handler in front; with an owner it is supervised."""

    id: HandlerId
    args: tuple[object, ...] = ()
    owner: Pid | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a handler; the value of its `terminate(argument)` is the answer."""

    id: HandlerId
    argument: object = None


@dataclass(frozen=True, slots=True)
class Swap:
    """Delete one handler and add another; with an owner the new one is supervised by it, else by the old one's."""

    old: HandlerId
    argument: object
    new: HandlerId
    args: tuple[object, ...] = ()
    owner: Pid | None = None


@dataclass(frozen=True, slots=True)
class LinkedEnded:
    """An exit signal came: of an owner, or of any other process. `message` is what the handlers see of it."""

    pid: Pid
    reason: ExitReason
    message: object


@dataclass(frozen=True, slots=True)
class Stop:
    """The manager ends. Owners are unlinked, but for the manager's parent."""

    parent: Pid | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """Outcome of a callback: its value. `handle` is the new handler after an `Init`."""

    value: object
    handle: object = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Outcome of a callback: it ended with this exit reason."""

    reason: ExitReason


@dataclass(frozen=True, slots=True)
class Refused:
    """Outcome of `handle_call`: an error that is an answer; the handler is well."""

    error: Exception


Request: TypeAlias = Notify | Ask | Add | Delete | Swap
Event: TypeAlias = Request | LinkedEnded | Stop | Returned | Failed | Refused


# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """Effect: run a callback of a handler and feed its outcome back."""

    handler: Handler
    callback: str
    message: object


@dataclass(frozen=True, slots=True)
class Init:
    """Effect: make a handler, run its `init` (or `init_swapped` with what was handed over), feed the outcome back."""

    id: HandlerId
    args: tuple[object, ...]
    handed_over: tuple[object] | None


@dataclass(frozen=True, slots=True)
class Terminate:
    """Effect: run a handler's `terminate` and feed the outcome back."""

    handler: Handler
    argument: object


@dataclass(frozen=True, slots=True)
class Tell:
    """Effect: tell the owner of a supervised handler that it went."""

    owner: Pid
    id: HandlerId
    reason: object


@dataclass(frozen=True, slots=True)
class Report:
    """Effect: report a handler that failed, also one that failed to clean up; without a handle it did not start."""

    id: HandlerId
    handle: object
    reason: object
    last_message: object


@dataclass(frozen=True, slots=True)
class Link:
    """Effect: link with an owner-to-be."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Unlink:
    """Effect: undo the link with an owner."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Answer:
    """Effect: answer who asked; when not `ok`, the value says why."""

    ok: bool
    value: object = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Effect: answer who asked by raising this error there."""

    error: Exception


Effect: TypeAlias = Run | Init | Terminate | Tell | Report | Link | Unlink | Answer | Refuse
