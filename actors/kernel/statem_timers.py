"""The time-outs of a state machine: set, updated, stopped, due."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from .statem_actions import EVENT_TIMER, STATE_TIMER, NamedTimeout, TimeoutAction, TimerKey
from .statem_events import EventTimeoutEvent, NamedTimeoutEvent, StateTimeoutEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TimeoutEvent: TypeAlias = StateTimeoutEvent | EventTimeoutEvent | NamedTimeoutEvent


class Timer(NamedTuple):
    """A time-out that is set.

    Attributes:
        number: Which start of a timer it is, to know late ones by; 0: a time-out of zero seconds, which is not armed.
        content: Comes with its event.
    """

    number: int
    content: object


@dataclass(frozen=True, slots=True)
class Arm:
    """Start a timer, of `time_s` seconds from now or until that time of the clock; when it is over, see `due`."""

    key: TimerKey
    number: int
    time_s: float
    absolute: bool


@dataclass(frozen=True, slots=True)
class Disarm:
    """Stop the timer that was armed last for `key`."""

    key: TimerKey


TimerEffect: TypeAlias = Arm | Disarm


class Timers(NamedTuple):
    """The time-outs that are set.

    Attributes:
        by_key: Each with its content.
        zeros: Those of zero seconds, in the order of their turn.
        armed: How many were armed so far.
    """

    by_key: Mapping[TimerKey, Timer]
    zeros: tuple[TimerKey, ...]
    armed: int


NO_TIMERS: Final = Timers(MappingProxyType({}), (), 0)


def set_timers(timers: Timers, actions: Sequence[TimeoutAction]) -> tuple[Timers, list[TimerEffect]]:
    """Carry out time-out actions; of several for one timer the last counts.

    >>> from .statem_actions import StateTimeout
    >>> timers, effects = set_timers(NO_TIMERS, [StateTimeout(5.0, "late")])
    >>> effects
    [Arm(key=('state', None), number=1, time_s=5.0, absolute=False)]
    >>> timers, effects = set_timers(timers, [StateTimeout("update", "very late")])
    >>> timers.by_key, effects
    ({('state', None): Timer(number=1, content='very late')}, [])
    """
    by_key, zeros, armed = dict(timers.by_key), timers.zeros, timers.armed
    effects: list[TimerEffect] = []
    arms: list[Arm] = []
    wanted: dict[TimerKey, TimeoutAction] = {}
    for action in actions:
        wanted.pop(action.key, None)
        wanted[action.key] = action
    for key, action in wanted.items():
        time, running = action.time, by_key.get(key)
        if running is not None and time == "update":
            by_key[key] = Timer(running.number, action.content)
            continue
        if running is not None:
            del by_key[key]
            if running.number:
                effects.append(Disarm(key))
            else:
                zeros = tuple(other for other in zeros if other != key)
        if time in ("cancel", "infinity", math.inf):
            continue
        if time in ("update", 0):
            by_key[key] = Timer(0, action.content)
            zeros = (*zeros, key)
        else:
            assert not isinstance(time, str)
            armed += 1
            by_key[key] = Timer(armed, action.content)
            arms.append(Arm(key, armed, time, action.absolute))
    # As OTP goes through the actions from the last to the first, of timers with the same time the last set fires first.
    return Timers(by_key, zeros, armed), [*effects, *reversed(arms)]


def stop_timer(timers: Timers, key: TimerKey) -> tuple[Timers, list[TimerEffect]]:
    """Stop a time-out that is set."""
    timer = timers.by_key[key]
    zeros = tuple(other for other in timers.zeros if other != key)
    return Timers(_without(timers, key), zeros, timers.armed), [Disarm(key)] if timer.number else []


def due(timers: Timers, key: TimerKey, number: int) -> tuple[Timers, TimeoutEvent | None]:
    """The event of an armed timer whose time is over; `None` when it was stopped or set anew meanwhile."""
    timer = timers.by_key.get(key)
    if timer is None or timer.number != number:
        return timers, None
    return timers._replace(by_key=_without(timers, key)), _event(key, timer.content)


def next_zero(timers: Timers) -> tuple[Timers, TimeoutEvent]:
    """The event of the time-out of zero seconds whose turn it is: there is one."""
    key, *zeros = timers.zeros
    return Timers(_without(timers, key), tuple(zeros), timers.armed), _event(key, timers.by_key[key].content)


def is_timeout(action: TimeoutAction) -> bool:
    """Whether time and name of a time-out action are right."""
    time: object = action.time
    if isinstance(action, NamedTimeout) and not _is_hashable(action.name):
        return False
    if isinstance(time, str):
        return time in ("infinity", "cancel") or (time == "update" and not action.absolute)
    if action.absolute:
        return isinstance(time, int | float) and not isinstance(time, bool) and not math.isnan(time)
    return is_seconds(time)


def is_seconds(time: object) -> bool:
    """Whether it is a number of seconds, 0 or more."""
    return isinstance(time, int | float) and not isinstance(time, bool) and time >= 0


def _is_hashable(name: object) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return True


def _event(key: TimerKey, content: object) -> TimeoutEvent:
    if key == STATE_TIMER:
        return StateTimeoutEvent(content)
    if key == EVENT_TIMER:
        return EventTimeoutEvent(content)
    return NamedTimeoutEvent(key[1], content)


def _without(timers: Timers, key: TimerKey) -> Mapping[TimerKey, Timer]:
    return {other: timer for other, timer in timers.by_key.items() if other != key}
