"""The time-outs of state machines."""

import math

import pytest

from raybeam.actors.kernel.statem_actions import (
    EVENT_TIMER,
    STATE_TIMER,
    EventTimeout,
    NamedTimeout,
    StateTimeout,
    TimeoutAction,
)
from raybeam.actors.kernel.statem_events import EventTimeoutEvent, NamedTimeoutEvent
from raybeam.actors.kernel.statem_timers import (
    NO_TIMERS,
    Arm,
    Disarm,
    due,
    is_timeout,
    next_zero,
    set_timers,
    stop_timer,
)

NAMED = ("named", "n")


def test_each_start_of_a_timer_has_a_number_of_its_own() -> None:
    timers, first = set_timers(NO_TIMERS, [StateTimeout(1.0), NamedTimeout("n", 2.0, absolute=True)])
    _, second = set_timers(timers, [StateTimeout(3.0)])

    assert first == [Arm(NAMED, 2, 2.0, True), Arm(STATE_TIMER, 1, 1.0, False)]
    assert second == [Disarm(STATE_TIMER), Arm(STATE_TIMER, 3, 3.0, False)]


def test_of_several_actions_for_one_timer_the_last_counts_and_has_its_place() -> None:
    timers, effects = set_timers(NO_TIMERS, [StateTimeout(0, 1), EventTimeout(0, 2), StateTimeout(0, 3)])

    assert effects == []
    assert timers.zeros == (EVENT_TIMER, STATE_TIMER)
    assert timers.by_key[STATE_TIMER].content == 3


def test_an_update_of_a_zero_time_out_keeps_its_turn_and_a_new_one_goes_to_the_end() -> None:
    timers, _ = set_timers(NO_TIMERS, [StateTimeout(0, "old"), NamedTimeout("n", 0)])

    updated, _ = set_timers(timers, [StateTimeout("update", "new")])
    again, _ = set_timers(timers, [StateTimeout(0, "new")])

    assert (updated.zeros, updated.by_key[STATE_TIMER].content) == ((STATE_TIMER, NAMED), "new")
    assert again.zeros == (NAMED, STATE_TIMER)


@pytest.mark.parametrize("never", ["cancel", "infinity", math.inf])
def test_what_never_passes_stops_a_timer_and_starts_none(never: float) -> None:
    timers, _ = set_timers(NO_TIMERS, [StateTimeout(1.0), NamedTimeout("n", 0)])

    stopped, effects = set_timers(timers, [StateTimeout(never), NamedTimeout("n", never), EventTimeout(never)])

    assert effects == [Disarm(STATE_TIMER)]
    assert (dict(stopped.by_key), stopped.zeros) == ({}, ())


def test_stopping_tells_to_disarm_only_what_is_armed() -> None:
    timers, _ = set_timers(NO_TIMERS, [StateTimeout(1.0), EventTimeout(0)])

    assert stop_timer(timers, STATE_TIMER)[1] == [Disarm(STATE_TIMER)]
    without, effects = stop_timer(timers, EVENT_TIMER)
    assert effects == []
    assert without.zeros == ()


def test_events_carry_the_content_and_the_name() -> None:
    timers, _ = set_timers(NO_TIMERS, [NamedTimeout("n", 1.0, "late"), EventTimeout(0, "now")])

    timers, zero = next_zero(timers)
    _, over = due(timers, NAMED, 1)

    assert (zero, over) == (EventTimeoutEvent("now"), NamedTimeoutEvent("n", "late"))


@pytest.mark.parametrize(
    ("action", "right"),
    [
        (StateTimeout(0), True),
        (StateTimeout(1.5), True),
        (StateTimeout(-1), False),
        (StateTimeout(-1, absolute=True), True),
        (StateTimeout(math.nan), False),
        (StateTimeout(math.nan, absolute=True), False),
        (StateTimeout(True), False),
        (StateTimeout("update"), True),
        (StateTimeout("update", absolute=True), False),
        (EventTimeout("later"), False),  # type: ignore[arg-type]
        (NamedTimeout(("a", 1), 1), True),
        (NamedTimeout(["a"], 1), False),
        (NamedTimeout(([],), 1), False),
    ],
    ids=repr,
)
def test_a_time_out_needs_a_time_and_a_hashable_name(action: TimeoutAction, right: bool) -> None:
    assert is_timeout(action) is right
