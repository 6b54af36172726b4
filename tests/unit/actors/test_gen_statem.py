"""GenStatem: states and events, results and actions, time-outs, ends, system calls, supervision."""

import asyncio
import gc
import weakref
from typing import Any, ClassVar, Literal

import pytest

from raybeam.actors import (
    Action,
    CallbackError,
    CallEvent,
    CallFailed,
    CallTimeout,
    CastEvent,
    ChangeCallbackModule,
    ChildError,
    ChildSpec,
    Crashed,
    CrashReport,
    Down,
    DynamicSpec,
    DynamicSupervisor,
    EnterEvent,
    Error,
    EventTimeout,
    EventTimeoutEvent,
    Exit,
    ExitMessage,
    FirstState,
    GenStatem,
    Hibernate,
    Ignore,
    InfoEvent,
    InternalEvent,
    KeepState,
    NamedTimeout,
    NamedTimeoutEvent,
    NextEvent,
    NextState,
    NoProcess,
    Ok,
    Overloaded,
    Pid,
    PopCallbackModule,
    Postpone,
    PushCallbackModule,
    RepeatState,
    ReplyTo,
    Runtime,
    ServiceError,
    StartError,
    StartIgnored,
    StateEvent,
    StateResult,
    StateTimeout,
    StateTimeoutEvent,
    Stop,
    StopAndReply,
    Supervisor,
    SupervisorSpec,
    UsageError,
    dynamic_supervisor,
    gen_server,
    gen_statem,
    process,
    supervisor,
)
from raybeam.actors.testing import run, settle


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


class WrongCode(ServiceError):
    """The code does not open the door."""


class Door(GenStatem):
    """Locked, open for ten seconds when the code is right; notes what happens."""

    async def init(self, code: str = "1234") -> FirstState:
        self.code = code
        self.opened = 0
        return NextState("locked")

    async def locked(self, event: StateEvent) -> StateResult | None:
        match event:
            case CallEvent("opened", sender):
                return KeepState(ReplyTo(sender, self.opened))
            case CallEvent(str(code), sender):
                if code != self.code:
                    raise WrongCode(code)
                self.opened += 1
                return NextState("open", [ReplyTo(sender, "come in"), StateTimeout(10.0)])
            case CastEvent("break"):
                raise RuntimeError("the lock broke")
        return None

    async def open(self, event: StateEvent) -> StateResult | None:
        match event:
            case CallEvent("opened", _):
                return KeepState(Postpone())
            case StateTimeoutEvent() | CastEvent("pull"):
                return NextState("locked")
        return None


async def state_of(machine: Pid) -> Any:
    pair = await gen_server.get_state(machine)
    assert isinstance(pair, tuple)
    return pair[0]


Answers = dict[Any, Any]


class Scripted(GenStatem):
    """Answers events from a table (a function makes the answer); notes all of them."""

    callback_mode: ClassVar[Literal["state_functions", "handle_event_function"]] = "handle_event_function"

    async def init(self, answers: Answers, first: Any = None) -> Any:
        self.seen: list[tuple[Any, Any]] = []
        self.senders: dict[Any, Any] = {}
        self.answers = answers
        return first if first is not None else NextState("a")

    async def handle_event(self, event: StateEvent) -> Any:
        self.seen.append((self.state, self.shown(event)))
        if isinstance(event, CallEvent):
            self.senders[event.request] = event.sender
        if isinstance(event, CallEvent) and event.request == "seen":
            return KeepState(ReplyTo(event.sender, self.seen[:-1]))
        answer = self.answers.get(self.shown(event), KeepState())
        return answer(self) if callable(answer) else answer

    def shown(self, event: StateEvent) -> Any:
        match event:
            case CallEvent(content) | CastEvent(content) | InfoEvent(content) | InternalEvent(content):
                return content
            case NamedTimeoutEvent(name, content):
                return (name, content)
            case EnterEvent(old):
                return ("enter", old)
            case StateTimeoutEvent(content) | EventTimeoutEvent(content):
                return content
            case _:
                raise AssertionError(event)

    async def terminate(self, reason: object) -> None:
        self.seen.append((self.state, ("terminate", reason)))

    def get_data(self) -> object:
        return self.seen


class Entering(Scripted):
    state_enter = True


async def seen_by(machine: Pid) -> list[tuple[Any, Any]]:
    pair = await gen_server.get_state(machine)
    assert isinstance(pair, tuple)
    return list(pair[1])


def played(answers: Answers, *casts: Any, first: Any = None, kind: type[Scripted] = Scripted) -> list[tuple[Any, Any]]:
    """What a machine sees when casts lie in its mailbox at once, until nothing moves without time passing."""

    async def main() -> list[tuple[Any, Any]]:
        async with quiet():
            machine = await gen_statem.start(kind, answers, first)
            for message in casts:
                gen_server.tell(machine, message)
            await settle()
            return await seen_by(machine)

    return run(main())


# -- states and events ------------------------------------------------------------------------------------------------


def test_what_an_event_does_depends_on_the_state() -> None:
    async def main() -> list[object]:
        async with quiet():
            door = await gen_statem.start(Door)
            seen: list[object] = [await state_of(door), await gen_server.request(door, "1234"), await state_of(door)]
            await asyncio.sleep(10.1)
            return [*seen, await state_of(door)]

    assert run(main()) == ["locked", "come in", "open", "locked"]


def test_a_service_error_at_a_call_is_an_answer_and_the_state_stays() -> None:
    async def main() -> str:
        async with quiet():
            door = await gen_statem.start(Door)
            with pytest.raises(WrongCode, match="0000"):
                await gen_server.request(door, "0000")
            return str(await state_of(door))

    assert run(main()) == "locked"


def test_a_postponed_call_is_answered_in_a_later_state() -> None:
    async def main() -> tuple[bool, object]:
        async with quiet():
            door = await gen_statem.start(Door)
            await gen_server.request(door, "1234")
            asked = asyncio.ensure_future(gen_server.request(door, "opened"))
            await settle()
            early = asked.done()
            gen_server.tell(door, "pull")
            return early, await asked

    assert run(main()) == (False, 1)


def test_each_message_comes_as_the_event_of_its_kind() -> None:
    async def main() -> list[StateEvent]:
        events: list[StateEvent] = []

        class Noting(GenStatem):
            async def init(self) -> NextState:
                process.trap_exit(True)
                return NextState("on", NextEvent(InternalEvent("boot")))

            async def on(self, event: StateEvent) -> KeepState:
                events.append(event)
                return KeepState([ReplyTo(event.sender, None)] if isinstance(event, CallEvent) else [])

        async def stranger() -> None:
            process.exit_process(noting, "away")

        async with quiet():
            noting = await gen_statem.start(Noting)
            await gen_server.request(noting, "call")
            gen_server.tell(noting, "cast")
            process.send(noting, "info")
            sender = process.spawn(stranger)
            await settle()
            assert events.pop() == InfoEvent(ExitMessage(sender, "away"))
            return events

    internal, called, cast_, info = run(main())

    assert (internal, cast_, info) == (InternalEvent("boot"), CastEvent("cast"), InfoEvent("info"))
    assert isinstance(called, CallEvent)
    assert called.request == "call"


def test_an_event_that_no_case_matches_is_a_crash_which_says_how_to_ignore_it() -> None:
    async def main() -> object:
        async with quiet():
            door = await gen_statem.start(Door)
            ended = asyncio.ensure_future(process.wait_exit(door))
            await settle()
            process.send(door, "knock")
            return await ended

    reason = run(main())

    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, CallbackError)
    assert reason.error.reason == "function_clause"
    assert "Door.locked() returned None for InfoEvent(message='knock')" in str(reason)
    assert "KeepState()" in str(reason)


@pytest.mark.parametrize("state", ["gone", "terminate", "_cell", 7])
def test_a_state_without_a_state_function_is_undef_also_when_a_method_happens_to_have_its_name(state: object) -> None:
    class Lost(GenStatem):
        async def init(self) -> NextState:
            return NextState(state)

    async def main() -> object:
        async with quiet():
            lost = await gen_statem.start(Lost)
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(lost, "where are you?")
            return caught.value.cause

    reason = run(main())

    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, CallbackError)
    assert reason.error.reason == "undef"
    assert repr(state) in str(reason)


def test_a_state_function_that_is_not_asynchronous_is_told() -> None:
    class Plain(GenStatem):
        async def init(self) -> NextState:
            return NextState("on")

        def on(self, event: StateEvent) -> KeepState:
            return KeepState()

    async def main() -> object:
        async with quiet():
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(await gen_statem.start(Plain), "x")
            return caught.value.cause

    assert "Plain.on: a state function must be an async def" in str(run(main()))


def test_handle_event_serves_states_of_any_form() -> None:
    assert played({"turn": NextState(("locked", 1))}, "turn", "x", first=NextState(("locked", 0))) == [
        (("locked", 0), "turn"),
        (("locked", 1), "x"),
    ]


def test_the_callback_mode_needs_its_callbacks() -> None:
    class Bare(GenStatem):
        callback_mode = "handle_event_function"

        async def init(self) -> NextState:
            return NextState("on")

    class Barer(GenStatem):
        pass

    async def main() -> tuple[object, object]:
        async with quiet():
            with pytest.raises(CallFailed) as called:
                await gen_server.request(await gen_statem.start(Bare), "x")
            with pytest.raises(StartError) as started:
                await gen_statem.start(Barer)
            return called.value.cause, started.value.reason

    called, started = run(main())

    assert "Bare needs handle_event()" in str(called)
    assert "Barer needs an init()" in str(started)


@pytest.mark.parametrize(
    ("option", "value"), [("callback_mode", "functions"), ("state_enter", "yes"), ("mailbox_limit", 0)]
)
def test_a_wrong_option_is_refused_where_the_class_is_made(option: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"Wrong.{option}={value!r}"):
        type("Wrong", (GenStatem,), {option: value})


# -- start -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (Stop("no way"), "no way"),
        (Error("soft"), "soft"),
        ("nonsense", ("bad_return_from_init", "nonsense")),
        (Ok(), ("bad_return_from_init", Ok())),
        (Stop("no", reply=1), ("bad_return_from_init", Stop("no", reply=1))),
    ],
)
def test_a_failed_start_gives_its_reason_and_frees_the_name(first: object, reason: object) -> None:
    async def main() -> tuple[object, Pid | None]:
        async with quiet():
            with pytest.raises(StartError) as caught:
                await gen_statem.start(Scripted, {}, first, name="machine")
            return caught.value.reason, process.whereis("machine")

    assert run(main()) == (reason, None)


def test_an_init_that_ignores_is_no_fault() -> None:
    async def main() -> None:
        async with quiet():
            with pytest.raises(StartIgnored):
                await gen_statem.start(Scripted, {}, Ignore())

    run(main())


def test_an_init_that_raises_gives_the_bare_exception_and_is_reported_with_its_traceback() -> None:
    class Failing(GenStatem):
        async def init(self) -> FirstState:
            raise ValueError("bang")

    class Leaving(GenStatem):
        async def init(self) -> FirstState:
            raise Exit("bye")

    async def main() -> tuple[object, object, list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            with pytest.raises(StartError) as failed:
                await gen_statem.start(Failing)
            with pytest.raises(StartError) as left:
                await gen_statem.start(Leaving)
            return failed.value.reason, left.value.reason, reports

    failed, left, reports = run(main())

    assert repr(failed) == "ValueError('bang')"
    assert left == "bye"
    [report] = reports
    assert isinstance(report, CrashReport)
    assert 'raise ValueError("bang")' in str(report)


def test_a_start_returns_before_the_enter_call_and_the_events_that_init_inserts() -> None:
    def fail(machine: Scripted) -> None:
        raise RuntimeError("too late for the starter")

    async def main() -> object:
        async with quiet():
            machine = await gen_statem.start(Entering, {("enter", "a"): fail})
            return await process.wait_exit(machine)

    assert run(main()) in ("noproc", Crashed(RuntimeError("too late for the starter")))


# -- state enter calls ---------------------------------------------------------------------------------------------


def test_the_enter_call_comes_first_then_what_was_inserted_then_what_was_postponed_then_the_mailbox() -> None:
    answers = {
        "early": lambda machine: KeepState(Postpone() if machine.state == "a" else ()),
        "go": NextState("b", [NextEvent(InternalEvent("i1")), NextEvent(CastEvent("i2")), NamedTimeout("zero", 0)]),
    }

    assert played(answers, "early", "go", "later", kind=Entering) == [
        ("a", ("enter", "a")),
        ("a", "early"),
        ("a", "go"),
        ("b", ("enter", "a")),
        ("b", "i1"),
        ("b", "i2"),
        ("b", "early"),
        ("b", ("zero", None)),
        ("b", "later"),
    ]


def test_only_repeating_makes_the_enter_call_again() -> None:
    answers = {"keep": KeepState(), "same": NextState("a"), "repeat": RepeatState()}

    assert played(answers, "keep", "same", "repeat", kind=Entering) == [
        ("a", ("enter", "a")),
        ("a", "keep"),
        ("a", "same"),
        ("a", "repeat"),
        ("a", ("enter", "a")),
    ]


def test_an_enter_call_may_answer_and_set_time_outs() -> None:
    def entered(machine: Scripted) -> KeepState:
        if machine.state == "a":
            return KeepState()
        return KeepState([ReplyTo(machine.senders["go"], "entered"), StateTimeout(2.0, "up")])

    async def main() -> tuple[object, object]:
        async with quiet():
            answers = {"go": NextState("b"), ("enter", "a"): entered, "up": Stop("up")}
            machine = await gen_statem.start(Entering, answers)
            return await gen_server.request(machine, "go"), await process.wait_exit(machine)

    assert run(main()) == ("entered", "up")


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (NextState("c"), ("bad_state_enter_return_from_state_function", NextState("c"))),
        (KeepState(Postpone()), ("bad_state_enter_action_from_state_function", Postpone())),
        (
            KeepState([NextEvent(InternalEvent("x"))]),
            ("bad_state_enter_action_from_state_function", NextEvent(InternalEvent("x"))),
        ),
        (
            KeepState(PopCallbackModule()),
            ("bad_state_enter_action_from_state_function", PopCallbackModule()),
        ),
    ],
)
def test_an_enter_call_may_not_change_the_state_nor_touch_the_events(returned: object, reason: object) -> None:
    answers = {"go": NextState("b"), ("enter", "a"): lambda m: returned if m.state == "b" else KeepState()}

    assert crash_of(answers) == (reason, "b")


def crash_of(answers: Answers) -> tuple[object, object]:
    """OTP's term for the crash that the cast `"go"` leads to, and the state that `terminate` saw."""

    async def main() -> tuple[object, object]:
        told: list[Any] = []

        class Telling(Entering):
            async def terminate(self, reason: object) -> None:
                told.append((reason, self.state))

        async with quiet():
            machine = await gen_statem.start(Telling, answers)
            ended = asyncio.ensure_future(process.wait_exit(machine))
            await settle()
            gen_server.tell(machine, "go")
            reason = await ended
        [(error, state)] = told
        assert isinstance(error, CallbackError)
        assert reason == Crashed(error)
        return error.reason, state

    return run(main())


# -- wrong results and actions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["nonsense", 5, ("next_state", "b"), Stop("no", reply="not here"), Ok()])
def test_a_wrong_result_is_told_in_otps_terms(wrong: object) -> None:
    assert crash_of({"go": wrong}) == (("bad_return_from_state_function", wrong), "a")


@pytest.mark.parametrize(
    "wrong",
    [
        "postpone",
        -1,
        True,
        float("nan"),
        ReplyTo("nobody", 1),  # type: ignore[arg-type]
        Postpone("yes"),  # type: ignore[arg-type]
        NextEvent("x"),  # type: ignore[arg-type]
        NextEvent(EnterEvent("a")),  # type: ignore[arg-type]
        StateTimeout(-1.0),
        StateTimeout("soon"),  # type: ignore[arg-type]
        StateTimeout("update", absolute=True),
        EventTimeout(True),
        NamedTimeout("x", float("nan"), absolute=True),
        NamedTimeout([], 1.0),
        Hibernate("deeply"),  # type: ignore[arg-type]
        ChangeCallbackModule(dict),
        PopCallbackModule(),
    ],
    ids=repr,
)
def test_a_wrong_action_is_told_and_terminate_sees_the_state_it_would_have_come_to(wrong: Any) -> None:
    reason, state = crash_of({"go": NextState("b", [Hibernate(), wrong])})

    assert isinstance(reason, tuple)
    assert reason[0] == "bad_action_from_state_function"
    assert reason[1] is wrong
    assert state == "b"


def test_replies_before_a_wrong_one_are_sent() -> None:
    def end(machine: Scripted) -> StopAndReply:
        return StopAndReply("end", [ReplyTo(machine.senders["go"], "bye"), "nonsense"])  # type: ignore[list-item]

    async def main() -> tuple[object, object]:
        async with quiet():
            machine = await gen_statem.start(Scripted, {"go": end})
            ended = asyncio.ensure_future(process.wait_exit(machine))
            await settle()
            return await gen_server.request(machine, "go"), await ended

    answer, reason = run(main())

    assert answer == "bye"
    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, CallbackError)
    assert reason.error.reason == ("bad_reply_action_from_state_function", "nonsense")


# -- postponed and inserted events -------------------------------------------------------------------------------------


def test_only_a_real_change_of_the_state_takes_postponed_events_up_oldest_first() -> None:
    def postpone_in_a(machine: Scripted) -> KeepState:
        return KeepState(Postpone(machine.state == "a"))

    answers = {"p1": postpone_in_a, "p2": postpone_in_a, "same": NextState("a"), "go": NextState("b")}

    assert played({**answers, "repeat": RepeatState()}, "p1", "p2", "same", "repeat", "go", "x") == [
        *[("a", name) for name in ("p1", "p2", "same", "repeat", "go")],
        *[("b", name) for name in ("p1", "p2", "x")],
    ]


def test_an_event_postponed_together_with_a_change_is_handled_at_once_in_the_new_state() -> None:
    answers = {"x": lambda machine: NextState("b", Postpone()) if machine.state == "a" else KeepState()}

    assert played(answers, "x", "y") == [("a", "x"), ("b", "x"), ("b", "y")]


def test_the_last_word_on_postponing_counts() -> None:
    answers = {"x": KeepState([Postpone(), Postpone(False)]), "go": NextState("b")}

    assert played(answers, "x", "go") == [("a", "x"), ("a", "go")]


def test_events_inserted_by_an_inserted_event_come_before_its_siblings() -> None:
    answers = {
        "go": KeepState([NextEvent(InternalEvent("i1")), NextEvent(InternalEvent("i2"))]),
        "i1": KeepState([NextEvent(InternalEvent("i11")), NextEvent(InternalEvent("i12"))]),
    }

    assert [event for _, event in played(answers, "go", "x")] == ["go", "i1", "i11", "i12", "i2", "x"]


def test_a_thousand_postponed_events_keep_their_order() -> None:
    numbers = list(range(1000))
    postpone = {number: lambda machine: KeepState(Postpone(machine.state == "a")) for number in numbers}

    seen = played({**postpone, "go": NextState("b")}, *numbers, "go")

    assert [event for state, event in seen if state == "b"] == numbers


def test_a_machine_that_feeds_itself_does_not_starve_the_others() -> None:
    async def main() -> tuple[object, int]:
        spins = 0

        class Spinning(GenStatem):
            async def init(self) -> NextState:
                return NextState("on")

            async def on(self, event: StateEvent) -> KeepState:
                nonlocal spins
                spins += 1
                return KeepState([NextEvent(InternalEvent("again"))] if spins < 5000 else [])

        async with quiet():
            gen_server.tell(await gen_statem.start(Spinning), "go")
            answer = await gen_server.request(await gen_statem.start(Door), "1234")
            return answer, spins

    answer, spins = run(main())

    assert answer == "come in"
    assert spins < 5000


# -- time-outs ---------------------------------------------------------------------------------------------------------


def timed(answers: Answers, *parts: Any, kind: type[Scripted] = Scripted) -> list[tuple[float, Any]]:
    """When a machine sees what, while casts are sent (strings) and seconds pass (numbers)."""

    async def main() -> list[tuple[float, Any]]:
        times: list[tuple[float, Any]] = []

        class Timed(kind):  # type: ignore[misc, valid-type]
            async def handle_event(self, event: StateEvent) -> Any:
                times.append((round(self.runtime.now(), 6), self.shown(event)))
                return await super().handle_event(event)

        async with quiet():
            machine = await gen_statem.start(Timed, answers)
            for part in parts:
                if isinstance(part, str):
                    gen_server.tell(machine, part)
                    await settle()
                else:
                    await asyncio.sleep(part)
        return times

    return run(main())


def test_a_state_time_out_passes_in_its_state_whatever_else_happens() -> None:
    answers = {"arm": KeepState(StateTimeout(3.0, "over")), "same": NextState("a")}

    assert timed(answers, "arm", 1, "same", 5) == [(0, "arm"), (1, "same"), (3, "over")]


def test_a_change_of_the_state_stops_the_state_time_out_for_good() -> None:
    answers = {
        "arm": KeepState(StateTimeout(3.0, "over")),
        "flip": lambda machine: NextState("b" if machine.state == "a" else "a"),
    }

    assert timed(answers, "arm", "flip", "flip", 5) == [(0, "arm"), (0, "flip"), (0, "flip")]


def test_any_event_stops_the_event_time_out() -> None:
    answers = {"arm": KeepState(EventTimeout(3.0, "quiet"))}

    assert timed(answers, "arm", 5, "arm", 1, "x", 5) == [(0, "arm"), (3, "quiet"), (5, "arm"), (6, "x")]


def test_a_bare_number_is_an_event_time_out_with_the_number_as_its_content() -> None:
    assert timed({"arm": KeepState(2.5)}, "arm", 5) == [(0, "arm"), (2.5, 2.5)]


def test_named_time_outs_run_side_by_side_through_all_states() -> None:
    answers = {
        "arm": NextState("b", [NamedTimeout("long", 3.0, 1), NamedTimeout("short", 1.0, 2)]),
        "x": NextState("c"),
    }

    assert timed(answers, "arm", "x", 5) == [(0, "arm"), (0, "x"), (1, ("short", 2)), (3, ("long", 1))]


def test_setting_a_time_out_again_replaces_it_and_cancel_stops_it() -> None:
    answers = {
        "arm": KeepState(NamedTimeout("n", 2.0, "old")),
        "rearm": KeepState(NamedTimeout("n", 2.0, "new")),
        "cancel": KeepState(NamedTimeout("n", "cancel")),
        "never": KeepState(NamedTimeout("n", "infinity")),
    }

    assert timed(answers, "arm", 1, "rearm", 5)[2:] == [(3, ("n", "new"))]
    assert timed(answers, "arm", "cancel", 5)[2:] == []
    assert timed(answers, "arm", "never", 5)[2:] == []


def test_update_changes_the_content_but_not_the_time_and_starts_one_that_does_not_run_at_once() -> None:
    answers = {"arm": KeepState(StateTimeout(4.0, "old")), "update": KeepState(StateTimeout("update", "new"))}

    assert timed(answers, "arm", 1, "update", 5) == [(0, "arm"), (1, "update"), (4, "new")]
    assert timed(answers, "update", 1) == [(0, "update"), (0, "new")]


def test_an_absolute_time_is_a_time_of_the_clock() -> None:
    answers = {"arm": lambda machine: KeepState(StateTimeout(machine.runtime.now() + 2.0, "over", absolute=True))}

    assert timed(answers, 3, "arm", 5) == [(3, "arm"), (5, "over")]
    assert timed({"arm": KeepState(StateTimeout(1.0, "past", absolute=True))}, 3, "arm", 5)[1:] == [(3, "past")]


def test_zero_time_outs_go_before_the_mailbox_in_the_order_of_the_actions() -> None:
    actions: list[Action] = [
        StateTimeout(0, "state"),
        NamedTimeout("n", 0),
        NextEvent(InternalEvent("i")),
        NamedTimeout("m", 0),
    ]

    assert [event for _, event in played({"go": NextState("b", actions)}, "go", "x")] == [
        *["go", "i", "state", ("n", None), ("m", None), "x"]
    ]


def test_a_zero_event_time_out_is_stopped_by_any_event_that_goes_before_it() -> None:
    alone = played({"go": KeepState(EventTimeout(0, "quiet"))}, "go", "x")
    stopped = played({"go": KeepState([StateTimeout(0, "state"), EventTimeout(0, "quiet")])}, "go", "x")

    assert [event for _, event in alone] == ["go", "quiet", "x"]
    assert [event for _, event in stopped] == ["go", "state", "x"]


def test_a_zero_time_out_that_waits_can_be_set_anew_or_stopped() -> None:
    later = {"go": KeepState([StateTimeout(0, "zero"), NextEvent(InternalEvent("i"))])}

    assert timed({**later, "i": KeepState(StateTimeout(2.0, "later"))}, "go", 5)[2:] == [(2, "later")]
    assert timed({**later, "i": KeepState(StateTimeout("cancel"))}, "go", 5)[2:] == []
    assert timed({**later, "i": NextState("b")}, "go", 5)[2:] == []


def test_a_timer_that_is_over_while_the_handler_is_busy_waits_behind_the_mailbox_and_can_still_be_stopped() -> None:
    class Busy(GenStatem):
        async def init(self, seen: list[object], following: StateResult) -> NextState:
            self.seen = seen
            self.following = following
            return NextState("on", StateTimeout(1.0, "over"))

        async def on(self, event: StateEvent) -> StateResult:
            self.seen.append(event)
            if event == CastEvent("work"):
                await asyncio.sleep(3.0)
                return self.following
            return KeepState()

        off = on

    async def main(following: StateResult) -> list[object]:
        seen: list[object] = []
        async with quiet():
            busy = await gen_statem.start(Busy, seen, following)
            gen_server.tell(busy, "work")
            gen_server.tell(busy, "x")
            await asyncio.sleep(5.0)
        return seen

    assert run(main(KeepState())) == [CastEvent("work"), CastEvent("x"), StateTimeoutEvent("over")]
    assert run(main(NextState("off"))) == [CastEvent("work"), CastEvent("x")]


def test_the_timers_of_a_killed_machine_keep_nothing_in_memory() -> None:
    async def main() -> bool:
        remembered: list[weakref.ref[object]] = []

        class Remembered(Scripted):
            async def init(self, answers: Answers, first: Any = None) -> Any:
                remembered.append(weakref.ref(self))
                return NextState("a", NamedTimeout("tomorrow", 86400.0))

        async with quiet():
            machine = await gen_statem.start(Remembered, {})
            process.exit_process(machine, "kill")
            await state_of(await gen_statem.start(Scripted, {}))  # carriers know the process that they ran last
            gc.collect()
            return remembered[0]() is None

    assert run(main())


def test_idle_machines_hold_no_task() -> None:
    async def main() -> int:
        async with quiet():
            before = len(asyncio.all_tasks())
            for _ in range(200):
                await gen_statem.start(Scripted, {}, NextState("a", NamedTimeout("tick", 3600.0)))
            await settle()
            return len(asyncio.all_tasks()) - before

    assert run(main()) < 10


# -- ends --------------------------------------------------------------------------------------------------------------


def test_a_crash_is_told_to_terminate_bare_and_to_the_report_with_event_state_and_redacted_data() -> None:
    class Secret(Door):
        async def terminate(self, reason: object) -> None:
            terminated.append(reason)

        def redact(self, state: Any) -> object:
            return {**state, "code": "..."}

    terminated: list[object] = []

    async def main() -> tuple[object, list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            door = await gen_statem.start(Secret, "4711", name="door")
            await gen_server.request(door, "4711")
            asked = asyncio.ensure_future(gen_server.request(door, "opened"))
            await settle()
            gen_server.tell(door, "pull")
            await asked
            gen_server.tell(door, "break")
            return await process.wait_exit(door), reports

    reason, reports = run(main())

    assert isinstance(reason, Crashed)
    assert terminated == [reason.error]
    [report] = reports
    assert isinstance(report, CrashReport)
    assert report.reason == reason
    assert report.last_message == CastEvent("break")
    assert report.state == ("locked", {"code": "...", "opened": 1})
    assert report.names == ("door",)
    assert "the lock broke" in str(report)
    assert "4711" not in str(report)


def test_a_redaction_that_fails_hides_the_state_but_not_the_crash() -> None:
    class Clumsy(Door):
        def redact(self, state: Any) -> object:
            return {"opened": 1 / state["opened"]}

    async def main() -> tuple[object, object]:
        reports: list[Any] = []
        async with Runtime(reports=reports.append):
            door = await gen_statem.start(Clumsy)
            gen_server.tell(door, "break")
            reason = await process.wait_exit(door)
        return reason, reports[0].state

    reason, state = run(main())

    assert str(reason) == "RuntimeError: the lock broke"
    assert state == "not to be had: ZeroDivisionError('division by zero')"


def test_an_exit_in_a_handler_is_the_reason_as_it_is() -> None:
    def leave(machine: Scripted) -> None:
        raise Exit("bye")

    async def main() -> object:
        async with quiet():
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(await gen_statem.start(Scripted, {"go": leave}), "go")
            return caught.value.cause

    assert run(main()) == "bye"


def test_stop_and_reply_answers_all_and_those_not_answered_learn_the_reason() -> None:
    def end(machine: Scripted) -> StopAndReply:
        return StopAndReply("done", [ReplyTo(machine.senders[name], name.upper()) for name in ("one", "end")])

    async def main() -> list[object]:
        async with quiet():
            machine = await gen_statem.start(Scripted, {"end": end})
            asked = []
            for name in ("one", "two", "end"):
                asked.append(asyncio.ensure_future(gen_server.request(machine, name)))
                await settle()
            return await asyncio.gather(*asked, return_exceptions=True)

    one, two, end_ = run(main())

    assert (one, end_) == ("ONE", "END")
    assert isinstance(two, CallFailed)
    assert two.cause == "done"


def test_a_normal_end_is_not_reported_and_a_terminate_that_fails_is_the_reason() -> None:
    class Clumsy(Scripted):
        async def terminate(self, reason: object) -> None:
            raise RuntimeError("stumbled")

    async def main() -> tuple[object, object, int]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            machine = await gen_statem.start(Scripted, {"go": Stop("shutdown")})
            gen_server.tell(machine, "go")
            normal = await process.wait_exit(machine)
            clumsy = await gen_statem.start(Clumsy, {"go": Stop("normal")})
            gen_server.tell(clumsy, "go")
            return normal, await process.wait_exit(clumsy), len(reports)

    normal, clumsy, reports = run(main())

    assert normal == "shutdown"
    assert isinstance(clumsy, Crashed)
    assert reports == 1


def test_a_cancellation_of_the_handlers_own_is_a_crash() -> None:
    def cancelled(machine: Scripted) -> None:
        raise asyncio.CancelledError

    async def main() -> object:
        async with quiet():
            with pytest.raises(CallFailed) as caught:
                await gen_server.request(await gen_statem.start(Scripted, {"go": cancelled}), "go")
            return caught.value.cause

    assert isinstance(run(main()), Crashed)


def test_a_handler_that_is_killed_ends_at_once_without_terminate() -> None:
    class Slow(Scripted):
        async def handle_event(self, event: StateEvent) -> Any:
            try:
                await asyncio.sleep(3600.0)
            finally:
                ends.append(self.runtime.now())

        async def terminate(self, reason: object) -> None:
            raise AssertionError(reason)

    ends: list[float] = []

    async def main() -> object:
        async with quiet():
            slow = await gen_statem.start(Slow, {})
            ended = asyncio.ensure_future(process.wait_exit(slow))
            gen_server.tell(slow, "go")
            await asyncio.sleep(1.0)
            process.exit_process(slow, "kill")
            return await ended

    assert run(main()) == "killed"
    assert ends == [1.0]


@pytest.mark.parametrize("trap", [True, False])
def test_the_parents_exit_signal_runs_terminate_if_the_machine_traps_exits(trap: bool) -> None:
    class Child(Scripted):
        async def init(self, answers: Answers, first: Any = None) -> Any:
            process.trap_exit(trap)
            return await super().init(answers, first)

        async def terminate(self, reason: object) -> None:
            terminated.append(reason)

    terminated: list[object] = []

    async def main() -> object:
        children: list[Pid] = []

        async def parent() -> None:
            children.append(await gen_statem.start_link(Child, {}))
            await process.receive()
            raise Exit("away")

        async with quiet():
            parent_pid = process.spawn(parent)
            await settle()
            ended = asyncio.ensure_future(process.wait_exit(children[0]))
            process.send(parent_pid, "go")
            return await ended

    assert run(main()) == "away"
    assert terminated == (["away"] if trap else [])


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_is_answered_from_a_later_event_and_a_late_answer_is_dropped() -> None:
    answers = {"release": lambda machine: KeepState([ReplyTo(machine.senders["wait"], "now")])}

    async def main() -> tuple[object, object]:
        async with quiet():
            machine = await gen_statem.start(Scripted, answers)
            asked = asyncio.ensure_future(gen_server.request(machine, "wait"))
            await settle()
            gen_server.tell(machine, "release")
            first = await asked
            with pytest.raises(CallTimeout):
                await gen_server.request(machine, "wait", timeout_s=1.0)
            gen_server.tell(machine, "release")
            return first, await gen_server.request(machine, "seen")

    first, seen = run(main())

    assert first == "now"
    assert seen == [("a", "wait"), ("a", "release"), ("a", "wait"), ("a", "release")]


def test_more_calls_than_may_wait_are_refused_but_postponed_ones_do_not_count() -> None:
    class Narrow(Scripted):
        mailbox_limit = 2

    async def main() -> list[type]:
        async with quiet():
            machine = await gen_statem.start(Narrow, {"later": KeepState(Postpone())})
            postponed = [gen_server.send_request(machine, "later") for _ in range(2)]
            await settle()
            postponed += [gen_server.send_request(machine, "later") for _ in range(3)]
            answers = await asyncio.gather(
                *(gen_server.receive_response(request, 1.0) for request in postponed), return_exceptions=True
            )
            return [type(answer) for answer in answers]

    assert run(main()) == [CallTimeout] * 4 + [Overloaded]


def test_expired_work_is_dropped_where_the_caller_allows_it_and_served_calls_are_measured() -> None:
    class Slow(Scripted):
        async def handle_event(self, event: StateEvent) -> Any:
            await asyncio.sleep(2.0)
            return await super().handle_event(event)

    async def main() -> tuple[list[Any], list[tuple[float, float]]]:
        served: list[tuple[float, float]] = []
        async with quiet() as runtime:
            runtime.on_served = lambda cell, waited, took: served.append((waited, took))
            slow = await gen_statem.start(Slow, {})
            gen_server.tell(slow, "x")
            with pytest.raises(CallTimeout):
                await gen_server.request(slow, "gone", timeout_s=1.0, drop_expired=True)
            seen = await gen_server.request(slow, "seen")
        assert isinstance(seen, list)
        return seen, served

    assert run(main()) == ([("a", "x")], [(1.0, 2.0)])


# -- system calls ------------------------------------------------------------------------------------------------------


def test_a_suspended_machine_keeps_events_and_timers_for_later_in_their_order() -> None:
    async def main() -> list[list[tuple[Any, Any]]]:
        async with quiet():
            machine = await gen_statem.start(Scripted, {"arm": KeepState(StateTimeout(1.0, "over"))})
            gen_server.tell(machine, "arm")
            await settle()
            await gen_server.suspend(machine)
            gen_server.tell(machine, "x")
            await asyncio.sleep(2.0)
            gen_server.tell(machine, "y")
            during = await seen_by(machine)
            await gen_server.resume(machine)
            await settle()
            return [during, (await seen_by(machine))[len(during) :]]

    assert run(main()) == [[("a", "arm")], [("a", "x"), ("a", "over"), ("a", "y")]]


def test_state_and_data_can_be_looked_at_and_replaced() -> None:
    def change(pair: Any) -> object:
        state, data = pair
        return ("open", {**data, "opened": 7}) if state == "locked" else None

    async def main() -> list[object]:
        async with quiet():
            door = await gen_statem.start(Door)
            seen = [await gen_server.get_state(door), await gen_server.replace_state(door, change)]
            with pytest.raises(CallFailed, match="pair"):
                await gen_server.replace_state(door, change)
            gen_server.tell(door, "pull")
            return [*seen, await gen_server.request(door, "opened")]

    data = {"code": "1234", "opened": 0}
    assert run(main()) == [("locked", data), ("open", {**data, "opened": 7}), 7]


def test_statistics_count_messages_and_unanswered_calls() -> None:
    async def main() -> tuple[int, int, int]:
        async with quiet():
            machine = await gen_statem.start(Scripted, {"later": KeepState(Postpone())})
            gen_server.send_request(machine, "later")
            await settle()
            told = await gen_server.statistics(machine)
            return told.messages_handled, told.mailbox_depth, told.unanswered_calls

    assert run(main()) == (3, 0, 1)


def test_change_code_carries_state_and_data_over_and_timers_go_on() -> None:
    class NewDoor(Door):
        async def code_change(self, old_version: object, state: Any, data: Any, extra: object) -> tuple[object, object]:
            assert (old_version, extra) == (1, "x")
            return state, {**data, "opened": data["opened"] + 100}

    async def main() -> list[object]:
        async with quiet():
            door = await gen_statem.start(Door)
            await gen_server.request(door, "1234")
            await gen_server.change_code(door, NewDoor, 1, "x")
            before = await state_of(door)
            await asyncio.sleep(11.0)
            return [before, await state_of(door), await gen_server.request(door, "opened")]

    assert run(main()) == ["open", "locked", 101]


def test_an_unknown_system_call_is_told() -> None:
    from raybeam.actors.system_calls import system_call

    async def main() -> None:
        async with quiet():
            with pytest.raises(CallFailed, match="does not know the system call 'dance'"):
                await system_call(await gen_statem.start(Door), "dance")

    run(main())


def test_the_class_can_be_changed_pushed_and_popped_by_actions() -> None:
    class Dialog(GenStatem):
        state_enter = True

        async def open(self, event: StateEvent) -> StateResult:
            match event:
                case EnterEvent("main"):
                    entered.append(self.name)  # type: ignore[attr-defined]
                case CallEvent("who", sender):
                    return KeepState(ReplyTo(sender, "dialog"))
                case CastEvent("close"):
                    return NextState("main", PopCallbackModule())
            return KeepState()

    class Main(GenStatem):
        async def init(self) -> NextState:
            self.name = "window"
            return NextState("main")

        async def main(self, event: StateEvent) -> StateResult:
            match event:
                case CallEvent("who", sender):
                    return KeepState(ReplyTo(sender, "main"))
                case CastEvent("open"):
                    return NextState("open", PushCallbackModule(Dialog))
                case CastEvent("replace"):
                    return NextState("open", ChangeCallbackModule(Dialog))
            return KeepState()

    entered: list[str] = []

    async def main() -> tuple[list[object], object]:
        seen: list[object] = []
        async with quiet():
            window = await gen_statem.start(Main)
            for cast_ in ("x", "open", "close", "replace"):
                gen_server.tell(window, cast_)
                seen.append(await gen_server.request(window, "who"))
            ended = asyncio.ensure_future(process.wait_exit(window))
            gen_server.tell(window, "close")
            return seen, await ended

    seen, reason = run(main())

    assert seen == ["main", "dialog", "main", "dialog"]
    assert entered == ["window", "window"]
    assert isinstance(reason, Crashed)  # after a change there is nothing to pop


# -- supervision -------------------------------------------------------------------------------------------------------


def test_a_supervisor_starts_a_machine_like_any_behaviour_and_restarts_it_in_its_first_state() -> None:
    class House(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("door", (Door, "7"))])

    async def door_of(house: Pid) -> Pid:
        [info] = await supervisor.which_children(house)
        assert isinstance(info.child, Pid)
        return info.child

    async def main() -> list[object]:
        async with quiet():
            house = await gen_statem.start(House)
            door = await door_of(house)
            seen: list[object] = [await gen_server.request(door, "7"), await state_of(door)]
            process.send(door, "unknown")
            await settle()
            assert await door_of(house) != door
            with pytest.raises(NoProcess):
                await gen_server.request(door, "7")
            return [*seen, await state_of(await door_of(house))]

    assert run(main()) == ["come in", "open", "locked"]


def test_a_dynamic_supervisor_starts_machines_and_a_failed_start_gives_otps_reason() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            pool = await gen_statem.start(DynamicSupervisor, DynamicSpec())
            started = await dynamic_supervisor.start_child(pool, ChildSpec("door", (Door, "7")))
            assert started.pid is not None
            with pytest.raises(ChildError) as caught:
                await dynamic_supervisor.start_child(pool, ChildSpec("x", (Scripted, {}, Stop("no"))))
            return await state_of(started.pid), caught.value.reason

    assert run(main()) == ("locked", "no")


def test_a_machine_is_monitored_like_any_process() -> None:
    async def main() -> object:
        async with quiet():
            door = await gen_statem.start(Door)

            async def watch() -> None:
                process.monitor(door)
                await gen_server.stop(door, "enough")
                message = await process.receive()
                assert isinstance(message, Down)
                seen.append(message.reason)

            seen: list[object] = []
            await process.wait_exit(process.spawn(watch))
            return seen

    assert run(main()) == ["enough"]


@pytest.mark.parametrize("failure", ["raises", "matches nothing", "is not there"])
def test_terminate_finds_the_state_before_a_transition_whose_enter_call_crashed(failure: str) -> None:
    class Entering(GenStatem):
        state_enter = True

        async def init(self, seen: list[object]) -> NextState:
            self.seen = seen
            return NextState("outside")

        async def outside(self, event: StateEvent) -> StateResult:
            return (
                NextState("nowhere" if failure == "is not there" else "inside")
                if event == CastEvent("go")
                else KeepState()
            )

        async def inside(self, event: StateEvent) -> Any:
            if failure == "raises":
                raise RuntimeError("no entry")
            return None

        async def terminate(self, reason: object) -> None:
            self.seen.append(self.state)

    async def main() -> list[object]:
        async with quiet():
            seen: list[object] = []
            pid = await gen_statem.start(Entering, seen)
            gen_server.tell(pid, "go")
            await process.wait_exit(pid)
            return seen

    assert run(main()) == ["outside"]
