"""The engine of a state machine: which callback comes next, after what the last one returned.

Events come from the mailbox one by one. Before the next is taken, those that the machine has inserted, those that
were postponed until the state changed, and the time-outs of zero seconds are handled, in this order. What a callback
asks for is collected over the state enter calls that follow it; then the transition is made as a whole: timers
stopped, postponed events taken up, timers started, events inserted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias, cast

from .server import ABSENT, Stop
from .statem_actions import (
    EVENT_TIMER,
    STATE_TIMER,
    ChangeCallbackModule,
    EventTimeout,
    Hibernate,
    KeepState,
    NamedTimeout,
    NextEvent,
    NextState,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    RepeatState,
    ReplyTo,
    StateTimeout,
    StopAndReply,
    TimeoutAction,
    TimerKey,
)
from .statem_events import (
    CallEvent,
    CastEvent,
    EnterEvent,
    EventTimeoutEvent,
    InfoEvent,
    InternalEvent,
    NamedTimeoutEvent,
    QueuedEvent,
    StateEvent,
    StateTimeoutEvent,
)
from .statem_timers import (
    NO_TIMERS,
    TimerEffect,
    Timers,
    due,
    is_seconds,
    is_timeout,
    next_zero,
    set_timers,
    stop_timer,
)

INSERTABLE: Final = (
    CallEvent,
    CastEvent,
    InfoEvent,
    InternalEvent,
    StateTimeoutEvent,
    EventTimeoutEvent,
    NamedTimeoutEvent,
)


class Module(Protocol):
    """The class of a machine, as the engine knows it."""

    state_enter: bool


Events: TypeAlias = "tuple[QueuedEvent, Events] | None"
"""A list of events with a cheap front, as Erlang has them: thousands of postponed events cost no copying."""


class Wishes(NamedTuple):
    """What the callbacks of one transition asked for so far."""

    postpone: bool = False
    inserted: tuple[QueuedEvent, ...] = ()
    timeouts: tuple[TimeoutAction, ...] = ()


class Pending(NamedTuple):
    """A transition that waits for what its state enter call returns.

    Attributes:
        event: The event that began it.
        left: The state that it came from.
        wishes: Collected so far.
    """

    event: QueuedEvent
    left: object
    wishes: Wishes


NO_WISHES: Final = Wishes()
INIT_EVENT: Final = InternalEvent("init_state")


class Machine(NamedTuple):
    """A state machine between two callbacks.

    Attributes:
        state: The state that callbacks see.
        modules: The class that runs, and those it was pushed over.
        queue: Events to handle before anything in the mailbox.
        postponed: Events put off until the state changes, the newest first.
        timers: Time-outs that are set.
        pending: The transition under way, while a state enter call is made.
    """

    state: object
    modules: tuple[Module, ...]
    queue: Events = None
    postponed: Events = None
    timers: Timers = NO_TIMERS
    pending: Pending | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Run on with another class."""

    module: Module


@dataclass(frozen=True, slots=True)
class End:
    """End with `reason`."""

    reason: object


@dataclass(frozen=True, slots=True)
class Fail:
    """End: a callback returned what it may not. `reason` is OTP's term."""

    reason: object


Effect: TypeAlias = ReplyTo | TimerEffect | Use | End | Fail
Step: TypeAlias = tuple[Machine, Sequence[Effect], StateEvent | None]
"""The machine, what is to be done, and the event of the callback that comes next (`None`: the mailbox's turn)."""


def begin(state: object, actions: object, module: Module) -> Step:
    """Start in the state that `init` returned.

    >>> class Door:
    ...     state_enter = True
    >>> machine, effects, calling = begin("locked", [NextEvent(InternalEvent("boot"))], Door)
    >>> calling
    EnterEvent(old_state='locked')
    >>> machine, effects, calling = returned(machine, calling, KeepState())
    >>> calling
    InternalEvent(content='boot')
    """
    machine = Machine(state, (module,))
    return _go_on(machine, INIT_EVENT, state, NO_WISHES, actions, enter=True, in_enter=False)


def returned(machine: Machine, event: StateEvent, result: object) -> Step:
    """What follows when the callback for `event` has returned `result`.

    >>> class Door:
    ...     state_enter = False
    >>> machine, effects, calling = returned(Machine("locked", (Door,)), CastEvent("early"), KeepState(Postpone()))
    >>> machine, effects, calling = returned(machine, CastEvent("push"), NextState("open", StateTimeout(10.0)))
    >>> machine.state, effects, calling
    ('open', [Arm(key=('state', None), number=1, time_s=10.0, absolute=False)], CastEvent(request='early'))
    """
    pending = machine.pending
    if pending is None:
        assert not isinstance(event, EnterEvent)
        origin, left, wishes = event, machine.state, NO_WISHES
    else:
        origin, left, wishes = pending
    in_enter = pending is not None
    match result:
        case KeepState():
            return _go_on(machine, origin, left, wishes, result.actions, enter=False, in_enter=in_enter)
        case NextState():
            changed = result.state != machine.state
            if changed and in_enter:
                return machine, (Fail(("bad_state_enter_return_from_state_function", result)),), None
            if changed:
                machine = machine._replace(state=result.state)
            return _go_on(machine, origin, left, wishes, result.actions, enter=changed, in_enter=in_enter)
        case RepeatState():
            return _go_on(machine, origin, left, wishes, result.actions, enter=True, in_enter=in_enter)
        case Stop(reason=reason, reply=reply) if reply is ABSENT:
            return machine, (End(reason),), None
        case StopAndReply(reason, replies):
            return machine, (*_answers(replies, reason),), None
        case None:
            return undone(machine), (Fail("function_clause"),), None
        case _:
            return machine, (Fail(("bad_return_from_state_function", result)),), None


def undone(machine: Machine) -> Machine:
    """The machine when a callback has crashed: a transition whose state enter call crashes was not made.

    >>> class Door:
    ...     state_enter = True
    >>> machine, effects, calling = returned(Machine("locked", (Door,)), CastEvent("push"), NextState("open"))
    >>> machine.state, undone(machine).state
    ('open', 'locked')
    """
    return machine if machine.pending is None else machine._replace(state=machine.pending.left, pending=None)


def timer_due(machine: Machine, key: TimerKey, number: int) -> tuple[Machine, QueuedEvent | None]:
    """The event of an armed timer whose time is over; `None` when it was stopped or set anew meanwhile."""
    timers, event = due(machine.timers, key, number)
    return machine._replace(timers=timers), event


def _answers(replies: object, reason: object) -> list[Effect]:
    """The effects of `StopAndReply`."""
    effects: list[Effect] = []
    for reply in _listed(replies):
        if not isinstance(reply, ReplyTo) or not _can_reply(reply.sender):
            return [*effects, Fail(("bad_reply_action_from_state_function", reply))]
        effects.append(reply)
    return [*effects, End(reason)]


def _go_on(
    machine: Machine,
    origin: QueuedEvent,
    left: object,
    wishes: Wishes,
    actions: object,
    *,
    enter: bool,
    in_enter: bool,
) -> Step:
    """Collect the actions of a result; then make the state enter call, or the transition."""
    effects: list[Effect] = []
    if actions != ():
        machine, wishes, failure = _collect(machine, wishes, actions, effects, in_enter=in_enter)
        if failure is not None:
            effects.append(Fail(failure))
            return machine._replace(pending=None), effects, None
    if enter and machine.modules[0].state_enter:
        return machine._replace(pending=Pending(origin, left, wishes)), effects, EnterEvent(left)
    if wishes is not NO_WISHES or in_enter or EVENT_TIMER in machine.timers.by_key or machine.state != left:
        machine = _transition(machine, origin, left, wishes, effects)
    if machine.queue is not None:
        following, queue = machine.queue
        return machine._replace(queue=queue), effects, following
    if machine.timers.zeros:
        timers, passed = next_zero(machine.timers)
        return machine._replace(timers=timers), effects, passed
    return machine, effects, None


def _collect(
    machine: Machine, wishes: Wishes, actions: object, effects: list[Effect], *, in_enter: bool
) -> tuple[Machine, Wishes, object]:
    """Check the actions one by one; the last part is the reason of the failure when one is wrong."""
    postpone, inserted, timeouts = wishes
    for action in _listed(actions):
        if isinstance(action, ReplyTo) and _can_reply(action.sender):  # the most frequent one: spared the match
            effects.append(action)
            continue
        if in_enter and _is_forbidden_in_enter(action):
            return machine, wishes, ("bad_state_enter_action_from_state_function", action)
        match action:
            case Postpone(bool(postpone_)):
                postpone = postpone_
            case NextEvent(event) if isinstance(event, INSERTABLE):
                inserted = (*inserted, event)
            case StateTimeout() | EventTimeout() | NamedTimeout() if is_timeout(action):
                timeouts = (*timeouts, action)
            case int() | float() if is_seconds(action):
                timeouts = (*timeouts, EventTimeout(action, action))
            case Hibernate(bool()):
                pass
            case ChangeCallbackModule(module) if _is_module(module):
                machine = _with_modules(machine, (module, *machine.modules[1:]), effects)
            case PushCallbackModule(module) if _is_module(module):
                machine = _with_modules(machine, (module, *machine.modules), effects)
            case PopCallbackModule() if len(machine.modules) > 1:
                machine = _with_modules(machine, machine.modules[1:], effects)
            case _:
                return machine, wishes, ("bad_action_from_state_function", action)
    if wishes is not NO_WISHES or postpone or inserted or timeouts:
        wishes = Wishes(postpone, inserted, timeouts)
    return machine, wishes, None


def _is_forbidden_in_enter(action: object) -> bool:
    """Whether a state enter call may not return the action."""
    if isinstance(action, Postpone):
        return action.postpone
    return isinstance(action, NextEvent | ChangeCallbackModule | PushCallbackModule | PopCallbackModule)


def _with_modules(machine: Machine, modules: tuple[object, ...], effects: list[Effect]) -> Machine:
    """Run on with the first of other classes."""
    changed = machine._replace(modules=cast("tuple[Module, ...]", modules))
    effects.append(Use(changed.modules[0]))
    return changed


def _transition(machine: Machine, origin: QueuedEvent, left: object, wishes: Wishes, effects: list[Effect]) -> Machine:
    """Make the transition: stop timers, take up postponed events, start timers, insert events."""
    queue, postponed = machine.queue, machine.postponed
    if wishes.postpone and origin is not INIT_EVENT:
        postponed = (origin, postponed)
    stopped = [EVENT_TIMER]
    if machine.state != left:
        stopped.append(STATE_TIMER)
        while postponed is not None:
            queue, postponed = (postponed[0], queue), postponed[1]
    timers = machine.timers
    for key in stopped:
        if key in timers.by_key:
            timers, disarm = stop_timer(timers, key)
            effects += disarm
    if wishes.timeouts:
        timers, set_ = set_timers(timers, wishes.timeouts)
        effects += set_
    for event in reversed(wishes.inserted):
        queue = (event, queue)
    return machine._replace(queue=queue, postponed=postponed, timers=timers, pending=None)


def _listed(actions: object) -> Sequence[object]:
    return actions if isinstance(actions, list | tuple) else (actions,)


def _can_reply(sender: object) -> bool:
    return callable(getattr(sender, "reply", None))


def _is_module(module: object) -> bool:
    return isinstance(module, type) and isinstance(getattr(module, "state_enter", None), bool)
