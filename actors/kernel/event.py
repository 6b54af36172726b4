"""The event manager's decisions, after OTP 27's `gen_event.erl`: which handlers there are, and what their results mean.

The table holds the handlers in the order of delivery, the one added last first. A manager runs one callback at a time
and does nothing else meanwhile: so a state holds a *plan*, what is still to be carried out, and at most one callback
is under way. The shell runs the callback of the last effect and feeds its outcome back before it handles anything else.

A handler is an opaque handle here: the instance of the user's class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from .reason import NORMAL, SHUTDOWN, ExitReason
from .server import ABSENT, Error, Ok, Reply

if TYPE_CHECKING:
    from ..pid import Pid

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


# -- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """An installed handler; two are the same only when they are the same object.

    Attributes:
        id: Its class, or `(class, id)`; need not be unique.
        handle: The running handler.
        owner: Who is told when it goes, for a supervised handler.
    """

    id: HandlerId
    handle: object
    owner: Pid | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """State of a manager.

    Attributes:
        handlers: In the order of delivery, the newest first.
        plan: What is still to be carried out for the message in hand; empty between messages.
        current: The step whose callback is under way.
    """

    handlers: tuple[Handler, ...] = ()
    plan: tuple[Step, ...] = ()
    current: Step | None = None

    def find(self, id: HandlerId) -> Handler | None:
        """The newest handler with this id."""
        return next((handler for handler in self.handlers if handler.id == id), None)


@dataclass(frozen=True, slots=True)
class Deliver:
    """Step: run a callback of one handler."""

    handler: Handler
    callback: str
    message: object


@dataclass(frozen=True, slots=True)
class Install:
    """Step: start a new handler.

    Attributes:
        id: Of the new one.
        args: For its `init`.
        owner: Who supervises it.
        handed_over: In a swap, what the old one's `terminate` gave, in a tuple of one.
        instead_of: The handler whose place it takes; without one it comes in front.
        asked: Whether somebody waits for the outcome; otherwise a failure is reported.
    """

    id: HandlerId
    args: tuple[object, ...]
    owner: Pid | None
    handed_over: tuple[object] | None = None
    instead_of: Handler | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Finish:
    """Step: end a handler.

    Attributes:
        handler: Which.
        argument: For its `terminate`.
        told: Why it went, for its owner.
        failed_at: In a tuple of one, the message at which it failed: then the end is reported.
        then: The handler that takes over.
        asked: Whether somebody waits for the value of `terminate`.
    """

    handler: Handler
    argument: object
    told: object
    failed_at: tuple[object] | None = None
    then: Install | None = None
    asked: bool = False


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
Step: TypeAlias = "Deliver | Install | Finish | Say"

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


@dataclass(frozen=True, slots=True)
class Say:
    """Step: an effect whose turn comes later."""

    effect: Answer | Unlink


Stepped: TypeAlias = tuple[Table, tuple[Effect, ...]]
"""The state after a step, and what is to be done, in order."""


def step(table: Table, event: Event) -> Stepped:
    """One step of the manager."""
    match event:
        case Returned() | Failed() | Refused():
            return _outcome(table, event)
        case Notify(message, callback):
            deliveries = tuple(Deliver(handler, callback, message) for handler in table.handlers)
            return _go_on(replace(table, plan=(*deliveries, Say(Answer(True)))))
        case Ask(id, request):
            handler = table.find(id)
            if handler is None:
                return table, (Answer(False, "bad_module"),)
            return _go_on(replace(table, plan=(Deliver(handler, HANDLE_CALL, request),)))
        case Add(id, args, owner):
            return _go_on(replace(table, plan=(Install(id, args, owner),)))
        case Delete(id, argument):
            handler = table.find(id)
            if handler is None:
                return table, (Answer(False, "module_not_found"),)
            return _go_on(replace(table, plan=(Finish(handler, argument, NORMAL, asked=True),)))
        case Swap():
            return _go_on(replace(table, plan=(_swap(table, event),)))
        case LinkedEnded(pid, reason, message):
            owned = tuple(handler for handler in table.handlers if handler.owner == pid)
            ends = tuple(Finish(handler, ("stop", reason), SHUTDOWN) for handler in owned)
            others = (handler for handler in table.handlers if handler.owner != pid)
            return _go_on(replace(table, plan=ends + tuple(Deliver(other, HANDLE_INFO, message) for other in others)))
        case Stop(parent):
            stops = tuple(Finish(handler, "stop", SHUTDOWN) for handler in table.handlers)
            owners = {handler.owner for handler in table.handlers if handler.owner is not None} - {parent}
            unlinks = tuple(Say(Unlink(owner)) for owner in sorted(owners))
            return _go_on(replace(table, plan=stops + unlinks))


def upgraded(table: Table, old: Handler, new_id: HandlerId, new_handle: object) -> Table:
    """The table after a code change: a handler runs on as an instance of another class, at the same place."""
    new = replace(old, id=new_id, handle=new_handle)
    return replace(table, handlers=tuple(new if handler is old else handler for handler in table.handlers))


def _swap(table: Table, swap: Swap) -> Step:
    old = table.find(swap.old)
    if old is None:  # the new one is installed all the same
        return Install(swap.new, swap.args, swap.owner, ("error",))
    owner = old.owner if swap.owner is None else swap.owner
    return Finish(old, swap.argument, ("swapped", swap.new, owner), then=Install(swap.new, swap.args, owner))


def _go_on(table: Table, *effects: Effect) -> Stepped:
    """Take up the plan until a callback has to be run."""
    done = list(effects)
    for position, step_ in enumerate(table.plan):
        if isinstance(step_, Say):
            done.append(step_.effect)
            continue
        match step_:
            case Deliver(handler, callback, message):
                done.append(Run(handler, callback, message))
            case Finish(handler, argument):
                done.append(Terminate(handler, argument))
            case Install(id, args, owner, handed_over):
                if owner is not None and step_.instead_of is None:
                    done.append(Link(owner))
                done.append(Init(id, args, handed_over))
        return replace(table, plan=table.plan[position + 1 :], current=step_), tuple(done)
    return replace(table, plan=(), current=None), tuple(done)


def _outcome(table: Table, outcome: Returned | Failed | Refused) -> Stepped:
    match table.current:
        case Deliver() as delivered:
            return _delivered(table, delivered, outcome)
        case Finish() as finished:
            return _finished(table, finished, outcome)
        case Install() as installed:
            return _installed(table, installed, outcome)
        case _:
            raise AssertionError(f"no callback is under way: {outcome}")


def _value(outcome: Returned | Failed | Refused) -> object:
    """What OTP's `catch` gives."""
    match outcome:
        case Returned(value):
            return value
        case Failed(reason):
            return ("EXIT", reason)
        case Refused(error):
            return error


def _delivered(table: Table, delivered: Deliver, outcome: Returned | Failed | Refused) -> Stepped:
    """Judge what a callback gave."""
    handler, asked = delivered.handler, delivered.callback == HANDLE_CALL
    if isinstance(outcome, Refused):
        return _go_on(table, Refuse(outcome.error))
    value = _value(outcome)
    if isinstance(outcome, Returned):
        if _keeps(value, asked):
            return _go_on(table, *((Answer(True, value.value),) if isinstance(value, Reply) else ()))
        if isinstance(value, RemoveHandler) and (value.reply is not ABSENT) is asked:
            end = Finish(handler, "remove_handler", NORMAL)
            return _go_on(_first(table, end, *_answer(asked, True, value.reply)))
        if isinstance(value, SwapHandler) and (value.reply is not ABSENT) is asked:
            new = Install(value.new, value.args, handler.owner, instead_of=handler, asked=False)
            end = Finish(handler, value.argument, ("swapped", value.new, handler.owner), then=new)
            return _go_on(_first(table, end, *_answer(asked, True, value.reply)))
    end = Finish(handler, ("error", value), value, failed_at=(delivered.message,))
    return _go_on(_first(table, end, *_answer(asked, False, value)))


def _keeps(value: object, asked: bool) -> bool:
    """Whether a returned value lets the handler stay."""
    if isinstance(value, Reply):
        return asked and value.timeout_s is None and value.continue_with is ABSENT
    if isinstance(value, Ok):
        return not asked and value.timeout_s is None and value.continue_with is ABSENT
    return value is None and not asked


def _answer(asked: bool, ok: bool, value: object) -> tuple[Step, ...]:
    return (Say(Answer(ok, value)),) if asked else ()


def _first(table: Table, *steps: Step) -> Table:
    return replace(table, plan=(*steps, *table.plan))


def _finished(table: Table, finished: Finish, outcome: Returned | Failed | Refused) -> Stepped:
    """A handler has ended: report, tell its owner, and let the next take over."""
    handler, value = finished.handler, _value(outcome)
    effects: list[Effect] = []
    if finished.failed_at is not None:
        effects.append(Report(handler.id, handler.handle, finished.told, finished.failed_at[0]))
    if handler.owner is not None:
        effects.append(Tell(handler.owner, handler.id, finished.told))
    then = finished.then
    if finished.asked:
        effects.append(Answer(isinstance(outcome, Returned), value))
    elif then is None and isinstance(outcome, Failed):  # nobody else would learn of it
        effects.append(Report(handler.id, handler.handle, value, "terminate"))
    if then is None or then.instead_of is None:
        table = replace(table, handlers=tuple(other for other in table.handlers if other is not handler))
    if then is not None:
        table = _first(table, replace(then, handed_over=(value,)))
    return _go_on(table, *effects)


def _installed(table: Table, install: Install, outcome: Returned | Failed | Refused) -> Stepped:
    """A handler has started, or not."""
    value, old = _value(outcome), install.instead_of
    # as in OTP, one that takes the place of another that asked for it may not hibernate at once
    is_right = _keeps(value, asked=False) and (old is None or not isinstance(value, Ok) or not value.hibernate)
    if isinstance(outcome, Returned) and is_right:
        new = Handler(install.id, outcome.handle, install.owner)
        if old is None:
            table = replace(table, handlers=(new, *table.handlers))
        else:
            table = replace(table, handlers=tuple(new if other is old else other for other in table.handlers))
        return _go_on(table, *((Answer(True),) if install.asked else ()))
    if isinstance(value, Error):
        value = ("error", value.reason)
    if install.asked:
        return _go_on(table, Answer(False, value))
    table = replace(table, handlers=tuple(other for other in table.handlers if other is not old))
    told = () if install.owner is None else (Tell(install.owner, install.id, "crash"),)
    return _go_on(table, Report(install.id, None, value, "init"), *told)
