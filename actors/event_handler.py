"""EventHandler: the base of what is plugged into an event manager, and what its owner is told when it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .crash import shown
from .errors import UsageError, mend_of
from .kernel.event import RemoveHandler, SwapHandler
from .kernel.server import Error, Ok, Reply
from .kernel.text import text_of
from .runtime import log

if TYPE_CHECKING:
    from .kernel.event import HandlerId
    from .pid import Pid

HandlerInit: TypeAlias = Ok | Error | None
HandlerResult: TypeAlias = Ok | RemoveHandler | SwapHandler | None
HandlerCallResult: TypeAlias = Reply | RemoveHandler | SwapHandler


class EventHandler:
    """What happens on an event; plugged into an event manager, see `GenEvent` for the manual.

    A handler is a plain class, its attributes are its state. All handlers of a manager run in the manager's process,
    one callback at a time: a slow one holds up the others. `process.self_pid()` is the manager.
    """

    async def init(self, *args: Any, **kwargs: Any) -> Any:
        """Set the state up, from the arguments of `add_handler`. Default: none taken, nothing done.

        Returns:
            `None` or `Ok()`: installed. `Error(reason)`: not, and the adder is told.
        """
        if args or kwargs:
            raise UsageError(f"{type(self).__name__} was added with arguments but has no init() that takes them")
        return None

    async def init_swapped(self, handed_over: object, *args: Any) -> HandlerInit:
        """Set the state up in the place of another handler. Default: `init(*args)`.

        Args:
            handed_over: What the old handler's `terminate` returned; `"error"` when there was none,
                `("EXIT", reason)` when it failed.
            *args: The arguments given for the new one.
        """
        result: HandlerInit = await self.init(*args)
        return result

    async def handle_event(self, event: Any) -> HandlerResult:
        """Serve an event. Default: nothing is done.

        Returns:
            `None` or `Ok()`: go on. `RemoveHandler()`: I am done. `SwapHandler(...)`: another takes my place.
        """
        return None

    async def handle_call(self, request: Any) -> HandlerCallResult:
        """Answer a request to this handler. Default: a failure, so that the handler is removed.

        Returns:
            `Reply(value)`, `RemoveHandler(reply)` or `SwapHandler(..., reply=value)`. A `ServiceError` raised is an
            answer too.
        """
        raise UsageError(f"{type(self).__name__} has no handle_call() for {request!r}")

    async def handle_info(self, message: Any) -> HandlerResult:
        """Serve any other message to the manager: plain sends, `Down`, `ExitMessage`. Default: logged and dropped."""
        log.warning("%s: unexpected message dropped: %r", type(self).__name__, message)
        return None

    async def terminate(self, argument: Any) -> object:
        """Clean up before the handler goes. Default: nothing to do.

        Args:
            argument: Why: what `delete_handler` or a swap was given; `"remove_handler"` (it asked for it), `"stop"`
                (the manager ends, whatever the reason), `("stop", reason)` (its owner ended),
                `("error", ("EXIT", reason))` (a callback failed), `("error", value)` (a callback returned `value`,
                which means nothing).

        Returns:
            What `delete_handler` returns, or what a swap hands over to the new handler; else it is dropped.
        """
        return None

    async def code_change(self, old_version: object, state: object, extra: object) -> object:
        """The state for this class, from the state of `old_version`. Default: the same."""
        return state

    def get_state(self) -> object:
        """The state, for `get_state`, reports and code changes. Default: the attributes."""
        return dict(vars(self))

    def set_state(self, state: object) -> None:
        """Put a state in place; the opposite of `get_state`."""
        if not isinstance(state, dict):
            raise UsageError(f"{type(self).__name__}: state must be a dict of attributes, or override set_state()")
        vars(self).clear()
        vars(self).update(state)

    def redact(self, state: object) -> object:
        """What of the state a report may show. Default: all of it."""
        return state


@dataclass(frozen=True, slots=True)
class HandlerExit:
    """Message to the owner of a supervised handler: it is gone (OTP's `gen_event_EXIT`).

    Attributes:
        manager: From which manager.
        handler: Its class, or `(class, id)`.
        reason: `"normal"` (removed or deleted), `"shutdown"` (the manager ended), `("swapped", new, owner)`,
            `("EXIT", reason)` (a callback failed), the value of a callback that means nothing, or `"crash"` (it was
            to take another's place and did not start).
    """

    manager: Pid
    handler: HandlerId
    reason: object


@dataclass(frozen=True, slots=True)
class HandlerState:
    """The state of one handler, as `get_state` of its manager shows it."""

    handler: HandlerId
    state: object


@dataclass(frozen=True, slots=True)
class HandlerReport:
    """A handler failed and was removed; its manager and the other handlers live on.

    Attributes:
        manager: Which manager it was installed in.
        names: Names of the manager.
        handler: Its class, or `(class, id)`.
        reason: `("EXIT", reason)`, or what a callback returned that means nothing.
        last_message: What it was handling; `"init"` when it was to take another's place, `"terminate"` when it failed
            to clean up.
        state: Its state as `redact` let it out; `None` when it did not start.
    """

    manager: Pid
    names: tuple[str, ...]
    handler: HandlerId
    reason: object
    last_message: object
    state: object

    def __str__(self) -> str:
        failure = self.reason[1] if isinstance(self.reason, tuple) and self.reason[:1] == ("EXIT",) else None
        traceback = getattr(failure, "traceback", "")
        by_return = failure is None and self.last_message not in ("init", "terminate")
        mend = RETURNED_NOTHING if by_return else mend_of(failure)
        who = f"handler {handler_name(self.handler)} of {self.manager} {' '.join(self.names)}"
        return (
            f"{who} removed: {text_of(self.reason)}\n"
            + (f"  {mend}\n" if mend else "")
            + f"  last message: {shown(self.last_message)}\n"
            f"  state: {shown(self.state)}" + (f"\n{traceback.rstrip()}" if traceback else "")
        )


RETURNED_NOTHING: Final = (
    "a callback returned this: return None or Ok() to stay, RemoveHandler() or SwapHandler(...) to go; "
    "from handle_call() Reply(value), or one of the two with a reply"
)


def handler_name(handler: HandlerId) -> str:
    """A handler id for people.

    >>> handler_name(EventHandler), handler_name((EventHandler, "disk"))
    ('EventHandler', "(EventHandler, 'disk')")
    """
    if isinstance(handler, tuple) and len(handler) == 2:
        return f"({handler_name(handler[0])}, {handler[1]!r})"
    return handler.__qualname__ if isinstance(handler, type) else repr(handler)


def handler_class(handler: HandlerId) -> type[EventHandler]:
    """The class of a handler id.

    Raises:
        UsageError: It is neither a subclass of `EventHandler` nor a pair of one and an id.
    """
    found = handler[0] if isinstance(handler, tuple) and len(handler) == 2 else handler
    if isinstance(found, type) and issubclass(found, EventHandler):
        return found
    raise UsageError(f"{handler!r} is no handler: give a subclass of EventHandler, or (subclass, id)")
