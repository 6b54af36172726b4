"""The kernel of state machines: what is to be done, and which callback comes next."""

from typing import Any

from raybeam.actors.kernel import statem
from raybeam.actors.kernel.server import Stop
from raybeam.actors.kernel.statem_actions import (
    ChangeCallbackModule,
    EventTimeout,
    KeepState,
    NextEvent,
    NextState,
    Postpone,
    RepeatState,
    ReplyTo,
    StateTimeout,
    StopAndReply,
)
from raybeam.actors.kernel.statem_events import CallEvent, CastEvent, EnterEvent, InternalEvent, StateTimeoutEvent
from raybeam.actors.kernel.statem_timers import Arm, Disarm


class Plain:
    state_enter = False


class Entering:
    state_enter = True


class Caller:
    def reply(self, value: object) -> None:
        raise AssertionError("the kernel answers nobody")

    def fail(self, error: BaseException) -> None:
        raise AssertionError("the kernel answers nobody")


GO = CastEvent("go")


def machine(module: Any = Plain, state: object = "a") -> statem.Machine:
    return statem.Machine(state, (module,))


def test_keeping_the_state_without_a_wish_leaves_the_machine_as_it_is() -> None:
    before = machine()
    answer = ReplyTo(Caller(), 1)

    after, effects, calling = statem.returned(before, CallEvent("x", Caller()), KeepState(answer))

    assert after is before
    assert list(effects) == [answer]
    assert calling is None


def test_the_first_state_is_entered_from_itself_before_what_init_inserted() -> None:
    started, effects, calling = statem.begin("a", [NextEvent(GO), StateTimeout(1.0), Postpone()], Entering)

    assert calling == EnterEvent("a")
    assert list(effects) == []
    after, effects, calling = statem.returned(started, calling, KeepState())
    assert [type(effect) for effect in effects] == [Arm]
    assert calling == GO
    assert after.postponed is None


def test_without_enter_calls_the_first_state_is_just_there() -> None:
    assert statem.begin("a", (), Plain) == (machine(), [], None)


def test_repeating_in_an_enter_call_enters_once_more_from_the_same_state() -> None:
    entering, _, calling = statem.returned(machine(Entering), GO, NextState("b"))
    assert calling == EnterEvent("a")

    again, _, calling = statem.returned(entering, calling, RepeatState())

    assert calling == EnterEvent("a")
    after, _, calling = statem.returned(again, calling, KeepState())
    assert (after.state, after.pending, calling) == ("b", None, None)


def test_wishes_of_an_enter_call_add_to_those_of_the_event_and_the_last_time_out_counts() -> None:
    entering, effects, calling = statem.returned(
        machine(Entering), GO, NextState("b", [StateTimeout(1.0, "event's"), NextEvent(InternalEvent("i"))])
    )
    assert list(effects) == []
    assert calling is not None

    _, effects, calling = statem.returned(entering, calling, KeepState(StateTimeout(2.0, "enter's")))

    assert [effect.time_s for effect in effects if isinstance(effect, Arm)] == [2.0]
    assert calling == InternalEvent("i")


def test_an_enter_call_can_take_back_that_its_event_is_postponed() -> None:
    entering, _, calling = statem.returned(machine(Entering), GO, RepeatState(Postpone()))
    assert calling is not None

    after, _, calling = statem.returned(entering, calling, KeepState(Postpone(False)))

    assert (after.postponed, calling) == (None, None)


def test_a_change_of_the_state_disarms_the_state_timer_and_any_event_the_event_timer() -> None:
    armed, _, _ = statem.returned(machine(), GO, KeepState([StateTimeout(1.0), EventTimeout(2.0)]))

    kept, on_keep, _ = statem.returned(armed, GO, KeepState())
    _, on_change, _ = statem.returned(armed, GO, NextState("b"))

    assert list(on_keep) == [Disarm(("event", None))]
    assert sorted(on_change, key=repr) == [Disarm(("event", None)), Disarm(("state", None))]
    assert list(kept.timers.by_key) == [("state", None)]


def test_a_timer_that_is_over_counts_once_and_only_if_it_is_the_last_that_was_set() -> None:
    first, effects, _ = statem.returned(machine(), GO, KeepState(StateTimeout(1.0, "first")))
    second, more, _ = statem.returned(first, GO, KeepState(StateTimeout(1.0, "second")))
    [arm], [disarm, rearm] = effects, more
    assert isinstance(arm, Arm)
    assert isinstance(rearm, Arm)

    assert disarm == Disarm(arm.key)
    assert statem.timer_due(second, arm.key, arm.number) == (second, None)
    after, event = statem.timer_due(second, rearm.key, rearm.number)
    assert event == StateTimeoutEvent("second")
    assert statem.timer_due(after, rearm.key, rearm.number) == (after, None)


def test_ends_and_failures_are_effects() -> None:
    answer = ReplyTo(Caller(), 1)

    def effects_of(result: object) -> list[statem.Effect]:
        _, effects, calling = statem.returned(machine(), GO, result)
        assert calling is None
        return list(effects)

    assert effects_of(Stop("done")) == [statem.End("done")]
    assert effects_of(StopAndReply("done", answer)) == [answer, statem.End("done")]
    assert effects_of(None) == [statem.Fail("function_clause")]
    assert effects_of("x") == [statem.Fail(("bad_return_from_state_function", "x"))]
    assert effects_of(KeepState([answer, -1])) == [answer, statem.Fail(("bad_action_from_state_function", -1))]


def test_a_change_of_the_class_decides_at_once_whether_the_new_state_is_entered() -> None:
    changed, effects, calling = statem.returned(machine(), GO, NextState("b", ChangeCallbackModule(Entering)))

    assert list(effects) == [statem.Use(Entering)]
    assert calling == EnterEvent("a")
    assert changed.modules == (Entering,)
