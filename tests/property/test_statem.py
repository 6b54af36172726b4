"""A state machine handles events in the order of a naive model of queue, postponed events and timers."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from raybeam.actors import (
    CastEvent,
    EnterEvent,
    EventTimeout,
    EventTimeoutEvent,
    GenStatem,
    InfoEvent,
    InternalEvent,
    KeepState,
    NamedTimeout,
    NamedTimeoutEvent,
    NextEvent,
    NextState,
    Postpone,
    RepeatState,
    Runtime,
    StateEvent,
    StateTimeout,
    StateTimeoutEvent,
    gen_server,
    gen_statem,
    process,
)
from raybeam.actors.kernel import statem
from raybeam.actors.kernel.statem_timers import Arm, Disarm
from raybeam.actors.testing import run, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

STATES = 3
DEEPEST = 3  # events beget events with higher content: the deepest have none, so that each cascade ends
CALLBACKS = 300  # then everything is just consumed: postponed events could chase each other for ever
OFFSET = {"state": 0.1234567, "event": 0.0312345, "a": 0.0071234, "b": 0.0017771}  # no two are over at once


@dataclass(frozen=True)
class Plan:
    """What a callback returns: where it goes, and with which actions."""

    target: int | None = None
    repeat: bool = False
    postpone: tuple[bool, ...] = ()
    inserts: int = 0
    timeouts: tuple[tuple[str, float | str], ...] = ()


keys = st.sampled_from(sorted(OFFSET))
times = st.one_of(st.sampled_from([0, 0, "cancel", "update"]), st.integers(1, 4))
plans = st.builds(
    Plan,
    target=st.none() | st.integers(0, STATES - 1),
    repeat=st.booleans(),
    postpone=st.lists(st.booleans(), max_size=2).map(tuple),
    inserts=st.integers(0, 2),
    timeouts=st.lists(st.tuples(keys, times), max_size=3).map(tuple),
)
arrivals = st.sampled_from([CastEvent(0), CastEvent(1), CastEvent(2), InfoEvent(0), InfoEvent(1)])
KINDS = [CastEvent, InfoEvent, InternalEvent, StateTimeoutEvent, EventTimeoutEvent, NamedTimeoutEvent, EnterEvent]


@dataclass(frozen=True)
class Program:
    """Says what the callbacks of a machine return."""

    plans: tuple[Plan, ...]
    state_enter: bool

    def plan(self, state: int, event: StateEvent, callbacks: int) -> tuple[Plan, int]:
        """The plan for an event, and the content of the events that it begets."""
        if callbacks > CALLBACKS:
            return Plan(), 0
        level = level_of(event)
        mixed = 7 * state + 5 * KINDS.index(type(event)) + 3 * level
        return self.plans[mixed % len(self.plans)], level + 1


programs = st.builds(Program, st.lists(plans, min_size=1, max_size=12).map(tuple), st.booleans())


def level_of(event: StateEvent) -> int:
    content = getattr(event, "request", getattr(event, "message", getattr(event, "content", 0)))
    assert isinstance(content, int)
    return content


def timeouts_of(plan: Plan, content: int) -> list[tuple[str, float | str, int]]:
    """The time-outs of a plan: the deepest events set no zero ones, and what they set begins anew."""
    found = []
    for key, time in plan.timeouts:
        if content > DEEPEST and time in (0, "update"):
            continue
        exact = time if isinstance(time, str) or time == 0 else time + OFFSET[key]
        found.append((key, exact, content if content <= DEEPEST else 0))
    return found


def inserted_of(plan: Plan, content: int) -> list[Any]:
    return [InternalEvent(content), InfoEvent(content)][: plan.inserts] if content <= DEEPEST else []


def result_of(plan: Plan, content: int, *, enter: bool) -> object:
    """The plan as a state machine returns it."""
    actions: list[Any] = []
    time: Any
    for key, time, with_content in timeouts_of(plan, content):
        kind: Any = {"state": StateTimeout, "event": EventTimeout}.get(key)
        actions.append(kind(time, with_content) if kind else NamedTimeout(key, time, with_content))
    if enter:
        return KeepState(actions)
    actions += [Postpone(postpone) for postpone in plan.postpone]
    actions += [NextEvent(event) for event in inserted_of(plan, content)]
    if plan.target is not None:
        return NextState(plan.target, actions)
    return RepeatState(actions) if plan.repeat else KeepState(actions)


def timeout_event(key: str, content: int) -> Any:
    kind: Any = {"state": StateTimeoutEvent, "event": EventTimeoutEvent}.get(key)
    return kind(content) if kind else NamedTimeoutEvent(key, content)


class Naive:
    """The model: lists, and the rules of OTP's manual word by word. A timer that is stopped was never there."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.state = 0
        self.now = 0.0
        self.queue: list[Any] = []
        self.postponed: list[Any] = []
        self.running: dict[str, tuple[float, int]] = {}
        self.zeros: list[tuple[str, int]] = []
        self.mailbox: list[Any] = []
        self.log: list[tuple[int, Any]] = []
        if program.state_enter:
            self.set_timeouts(self.enter(0))
        self.go_on()

    def arrive(self, event: Any) -> None:
        self.mailbox.append(event)

    def next_due(self) -> float:
        return min((due for due, _ in self.running.values() if due > self.now), default=math.inf)

    def tick(self, now: float) -> None:
        """Time passes: timers that are over come to the mailbox, in the order of their ends."""
        over = sorted((due, key) for key, (due, _) in self.running.items() if self.now < due <= now)
        self.mailbox += [("over", key) for _, key in over]
        self.now = now

    def handle(self) -> None:
        """Take one message."""
        message = self.mailbox.pop(0)
        if isinstance(message, tuple):
            _, content = self.running.pop(message[1])
            message = timeout_event(message[1], content)
        self.event(message)
        self.go_on()

    def go_on(self) -> None:
        """Handle what comes before the mailbox."""
        while self.queue or self.zeros:
            self.event(self.queue.pop(0) if self.queue else timeout_event(*self.zeros.pop(0)))

    def event(self, event: Any) -> None:
        plan, content = self.program.plan(self.state, event, len(self.log))
        self.log.append((self.state, event))
        old, self.state = self.state, self.state if plan.target is None else plan.target
        changed = self.state != old
        timeouts = timeouts_of(plan, content)
        if self.program.state_enter and (changed or (plan.repeat and plan.target is None)):
            timeouts += self.enter(old)
        if plan.postpone and plan.postpone[-1]:
            self.postponed.append(event)
        self.stop("event")
        if changed:
            self.stop("state")
            self.queue, self.postponed = self.postponed + self.queue, []
        self.set_timeouts(timeouts)
        self.queue = [*inserted_of(plan, content), *self.queue]

    def enter(self, old: int) -> list[tuple[str, float | str, int]]:
        plan, content = self.program.plan(self.state, EnterEvent(old), len(self.log))
        self.log.append((self.state, EnterEvent(old)))
        return timeouts_of(plan, content)

    def set_timeouts(self, timeouts: list[tuple[str, float | str, int]]) -> None:
        for index, (key, time, content) in enumerate(timeouts):
            if any(later == key for later, _, _ in timeouts[index + 1 :]):
                continue
            if time == "update" and key in self.running:
                self.running[key] = (self.running[key][0], content)
            elif time == "update" and key in dict(self.zeros):
                self.zeros = [(other, content if other == key else its) for other, its in self.zeros]
            else:
                self.stop(key)
                if time in (0, "update"):
                    self.zeros.append((key, content))
                elif time != "cancel":
                    assert not isinstance(time, str)
                    self.running[key] = (self.now + time, content)

    def stop(self, key: str) -> None:
        self.running.pop(key, None)
        self.zeros = [zero for zero in self.zeros if zero[0] != key]
        self.mailbox = [message for message in self.mailbox if message != ("over", key)]


class Engine:
    """The kernel, driven by hand."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.now = 0.0
        self.armed: dict[Any, tuple[float, int]] = {}
        self.mailbox: list[Any] = []
        self.log: list[tuple[Any, Any]] = []
        module: Any = type("Module", (), {"state_enter": program.state_enter})
        self.machine, effects, calling = statem.begin(0, (), module)
        self.perform(effects)
        self.advance(calling)

    def tick(self, now: float) -> None:
        over = sorted((due, key, number) for key, (due, number) in self.armed.items() if self.now < due <= now)
        self.mailbox += over
        self.now = now

    def handle(self) -> None:
        message = self.mailbox.pop(0)
        if isinstance(message, tuple):
            self.machine, message = statem.timer_due(self.machine, *message[1:])
        self.advance(message)

    def advance(self, calling: Any) -> None:
        while calling is not None:
            state: Any = self.machine.state
            plan, content = self.program.plan(state, calling, len(self.log))
            self.log.append((state, calling))
            result = result_of(plan, content, enter=isinstance(calling, EnterEvent))
            self.machine, effects, calling = statem.returned(self.machine, calling, result)
            self.perform(effects)

    def perform(self, effects: Sequence[statem.Effect]) -> None:
        for effect in effects:
            match effect:
                case Arm(key, number, time_s):
                    self.armed[key] = (self.now + time_s, number)
                case Disarm(key):
                    del self.armed[key]


class KernelAgainstModel(RuleBasedStateMachine):
    """Events arrive and time passes while others still wait: a timer may be over long before it is its turn."""

    @initialize(program=programs)
    def begin(self, program: Program) -> None:
        self.model, self.engine = Naive(program), Engine(program)
        self.agree()

    @rule(event=arrivals)
    def arrive(self, event: Any) -> None:
        self.model.arrive(event)
        self.engine.mailbox.append(event)

    @rule(seconds=st.integers(1, 3))
    def tick(self, seconds: int) -> None:
        self.model.tick(self.model.now + seconds)
        self.engine.tick(self.engine.now + seconds)

    @precondition(lambda self: self.model.mailbox)
    @rule()
    def handle(self) -> None:
        self.model.handle()
        handled = len(self.engine.log)
        while len(self.engine.log) == handled:  # timers that were stopped are told by nothing
            self.engine.handle()
        self.agree()

    def agree(self) -> None:
        assert self.engine.log == self.model.log
        assert self.engine.machine.state == self.model.state
        assert self.engine.machine.queue is None
        assert len(self.engine.machine.timers.by_key) == len(self.model.running)


KernelAgainstModel.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestKernelAgainstModel = KernelAgainstModel.TestCase


class Scripted(GenStatem):
    callback_mode = "handle_event_function"

    async def init(self, program: Program, log: list[tuple[Any, Any]]) -> NextState:
        self.program = program
        self.log = log
        return NextState(0)

    async def handle_event(self, event: StateEvent) -> Any:
        plan, content = self.program.plan(self.state, event, len(self.log))
        self.log.append((self.state, event))
        return result_of(plan, content, enter=isinstance(event, EnterEvent))


class Entering(Scripted):
    state_enter = True


bursts = st.lists(arrivals, min_size=1, max_size=5)
scripts = st.lists(bursts | st.integers(1, 5), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(program=programs, script=scripts)
def test_a_process_handles_events_in_the_order_of_the_model(program: Program, script: list[list[Any] | int]) -> None:
    async def main() -> tuple[list[tuple[Any, Any]], object]:
        log: list[tuple[Any, Any]] = []
        async with Runtime():
            machine = await gen_statem.start(Entering if program.state_enter else Scripted, program, log)
            await settle()
            for part in script:
                if isinstance(part, int):
                    await asyncio.sleep(part)
                else:
                    for event in part:
                        if isinstance(event, CastEvent):
                            gen_server.tell(machine, event.request)
                        else:
                            process.send(machine, event.message)
                await settle()
            state = await gen_server.get_state(machine)
        assert isinstance(state, tuple)
        return log, state[0]

    model = Naive(program)
    for part in script:
        if isinstance(part, int):
            until = model.now + part
            while model.next_due() <= until:
                model.tick(model.next_due())
                handle_all(model)
            model.tick(until)
        else:
            for event in part:
                model.arrive(event)
            handle_all(model)

    assert run(main()) == (model.log, model.state)


def handle_all(model: Naive) -> None:
    while model.mailbox:
        model.handle()
