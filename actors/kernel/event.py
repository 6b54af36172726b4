"""The event manager's decisions, after OTP 27's `gen_event.erl`: which handlers there are, and what their results mean.

The table holds the handlers in the order of delivery, the one added last first. A manager runs one callback at a time
and does nothing else meanwhile: so a state holds a *plan*, what is still to be carried out, and at most one callback
is under way. The shell runs the callback of the last effect and feeds its outcome back before it handles anything else.

A handler is an opaque handle here: the instance of the user's class.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from .event_protocol import (
    HANDLE_CALL,
    HANDLE_EVENT,
    HANDLE_INFO,
    Add,
    Answer,
    Ask,
    Delete,
    Effect,
    Event,
    Failed,
    HandlerId,
    Init,
    Link,
    LinkedEnded,
    Notify,
    Refuse,
    Refused,
    RemoveHandler,
    Report,
    Request,
    Returned,
    Run,
    Stop,
    Swap,
    SwapHandler,
    Tell,
    Terminate,
    Unlink,
)
from .event_table import Deliver, Finish, Handler, Install, Say, Step, Table
from .reason import NORMAL, SHUTDOWN
from .server import ABSENT, Error, Ok, Reply

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


__all__ = [
    "Add",
    "Answer",
    "Ask",
    "Delete",
    "Effect",
    "Event",
    "Failed",
    "HANDLE_CALL",
    "HANDLE_EVENT",
    "HANDLE_INFO",
    "Handler",
    "HandlerId",
    "Init",
    "Link",
    "LinkedEnded",
    "Notify",
    "Refuse",
    "Refused",
    "RemoveHandler",
    "Report",
    "Request",
    "Returned",
    "Run",
    "Stop",
    "Swap",
    "SwapHandler",
    "Table",
    "Tell",
    "Terminate",
    "Unlink",
    "step",
    "upgraded",
]
