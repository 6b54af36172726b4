"""The supervisor's kernel against a naive model: the same decisions, written as one plain recursive program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raybeam.actors import Backoff, ChildSpec
from raybeam.actors.kernel import supervision
from raybeam.actors.kernel.intensity import Limit
from raybeam.actors.kernel.reason import is_normal_end

OUTCOMES = ("ok", "ok", "fail", "fail", "ignore")
INTENSITIES = (0, 2, 100, 100, 100)
REASONS = ("normal", "shutdown", ("shutdown", 1), "boom", "killed")
IDS = ("a", "b", "c", "d", "e")
Log = list[tuple[Any, ...]]


def nothing() -> None:
    """Stands where a start function would."""


@dataclass
class World:
    """Starts and stops processes by a script, the same for kernel and model, and logs what was done."""

    script: dict[str, list[str]]
    log: Log = field(default_factory=list)
    starts: Counter[str] = field(default_factory=Counter)

    def start(self, name: str) -> str | None:
        """The pid, or `None` (ignored); a failure is an exception."""
        self.starts[name] += 1
        outcomes = self.script.get(name, [])
        number = self.starts[name]
        outcome = outcomes[number - 1] if number <= len(outcomes) else "ok"
        self.log.append(("start", name, outcome))
        if outcome == "fail":
            raise RuntimeError(name)
        return f"{name}#{number}" if outcome == "ok" else None

    def stop(self, name: str, pid: object) -> str:
        self.log.append(("stop", name, pid))
        return "shutdown"


@dataclass
class Slot:
    """A child of the model."""

    spec: ChildSpec
    pid: str | None = None
    restarting: bool = False


class GaveUp(Exception):
    """The model's supervisor ends."""


class Model:
    """A supervisor as one would write it down naively: it acts at once, and recursion is its plan."""

    def __init__(self, world: World, flags: supervision.Flags, specs: list[ChildSpec]) -> None:
        self.world, self.flags = world, flags
        self.slots = [Slot(spec) for spec in specs]
        self.times: list[float] = []
        self.retries: list[str] = []
        self.ended = False

    def boot(self) -> None:
        try:
            for slot in list(self.slots):
                self.bring_up(slot)
        except RuntimeError:
            self.end()

    def bring_up(self, slot: Slot) -> None:
        slot.pid = self.world.start(slot.spec.id)  # type: ignore[arg-type]  # a str here
        slot.restarting = False
        if slot.pid is None and slot.spec.restart == "temporary":
            self.slots.remove(slot)

    def take_down(self, slots: list[Slot]) -> None:
        for slot in reversed(slots):
            if slot.pid is not None:
                self.world.stop(slot.spec.id, slot.pid)  # type: ignore[arg-type]  # a str here
            self.down(slot)

    def down(self, slot: Slot) -> None:
        slot.pid, slot.restarting = None, False
        if slot.spec.id in self.retries:
            self.retries.remove(slot.spec.id)
        if slot.spec.restart == "temporary":
            self.slots.remove(slot)

    def end(self) -> None:
        self.take_down(list(self.slots))
        self.ended = True

    def find(self, name: str) -> Slot | None:
        return next((slot for slot in self.slots if slot.spec.id == name), None)

    def child_ended(self, slot: Slot, reason: object, now: float) -> None:
        kind = slot.spec.restart
        if kind == "permanent" or (kind == "transient" and not is_normal_end(reason)):
            slot.pid = None
            self.restart(slot, now)
            return
        self.down(slot)
        others = [other for other in self.slots if other.spec.significant and (other.pid or other.restarting)]
        shutdown = self.flags.auto_shutdown
        if slot.spec.significant and (shutdown == "any_significant" or (shutdown == "all_significant" and not others)):
            self.end()

    def restart(self, slot: Slot, now: float) -> None:
        self.times = [at for at in self.times if now - at <= self.flags.limit.period_s] + [now]
        if len(self.times) > self.flags.limit.intensity:
            self.down(slot)
            self.end()
            return
        first = self.slots.index(slot)
        if self.flags.strategy == "one_for_all":
            group = list(self.slots)
        elif self.flags.strategy == "rest_for_one":
            group = self.slots[first:]
        else:
            group = [slot]
        slot.restarting = False
        self.take_down(group)
        for member in group:
            if member in self.slots:
                try:
                    self.bring_up(member)
                except RuntimeError:
                    member.restarting = True
                    self.retries.append(member.spec.id)  # type: ignore[arg-type]  # a str here
                    return

    def retry(self, name: str, now: float) -> None:
        self.retries.remove(name)
        slot = self.find(name)
        assert slot is not None
        self.restart(slot, now)

    def start_child(self, spec: ChildSpec) -> object:
        slot = self.find(spec.id)  # type: ignore[arg-type]  # a str here
        if slot is not None:
            return ("already_started", slot.pid) if slot.pid else "already_present"
        slot = Slot(spec)
        self.slots.append(slot)
        try:
            self.bring_up(slot)
        except RuntimeError:
            self.slots.remove(slot)
            return "failed"
        return "ok"

    def terminate_child(self, name: str) -> object:
        slot = self.find(name)
        if slot is None:
            return "not_found"
        self.take_down([slot])
        return "ok"

    def restart_child(self, name: str) -> object:
        slot = self.find(name)
        if slot is None or slot.restarting or slot.pid:
            return "not_found" if slot is None else "restarting" if slot.restarting else "running"
        try:
            self.bring_up(slot)
        except RuntimeError:
            return "failed"
        return "ok"

    def delete_child(self, name: str) -> object:
        slot = self.find(name)
        if slot is None or slot.restarting or slot.pid:
            return "not_found" if slot is None else "restarting" if slot.restarting else "running"
        self.slots.remove(slot)
        return "ok"


class Shell:
    """Carries out what the kernel says, as the supervisor's shell does."""

    def __init__(self, world: World, flags: supervision.Flags, specs: list[ChildSpec]) -> None:
        self.world = world
        self.state = supervision.Supervision(flags, supervision.Children.of(map(supervision.Child, specs)))
        self.retries: list[supervision.Retry] = []
        self.answer: supervision.Answer | None = None
        self.ended = False

    def feed(self, event: supervision.Event, now: float) -> None:
        events, over = [event], False
        while events:
            self.state, effects = supervision.step(self.state, events.pop(0), now)
            for effect in effects:
                match effect:
                    case supervision.Start(spec):
                        events.append(self.start(spec))
                    case supervision.Stop(spec, handle):
                        events.append(supervision.Stopped(spec.id, self.world.stop(str(spec.id), handle)))
                    case supervision.Retry():
                        self.retries.append(effect)
                    case supervision.Answer():
                        self.answer = effect
                    case supervision.Exit():
                        over = True
        if over and not self.ended:
            self.ended = True
            self.feed(supervision.Terminate(), now)

    def start(self, spec: ChildSpec) -> supervision.Event:
        try:
            return supervision.Started(spec.id, self.world.start(str(spec.id)))
        except RuntimeError:
            return supervision.StartFailed(spec.id, "failed")


def specs(auto_shutdown: str) -> st.SearchStrategy[ChildSpec]:
    def spec(name: str, restart: str, significant: bool) -> ChildSpec:
        may = auto_shutdown != "never" and restart != "permanent"
        return ChildSpec(name, nothing, restart, significant=significant and may)

    return st.builds(
        spec, st.sampled_from(IDS), st.sampled_from(("permanent", "transient", "temporary")), st.booleans()
    )


class SupervisionAgainstModel(RuleBasedStateMachine):
    """Ends, retries and requests in any order; kernel and model must do the same to the same children."""

    @initialize(
        strategy=st.sampled_from(("one_for_one", "one_for_all", "rest_for_one")),
        intensity=st.sampled_from(INTENSITIES),
        auto_shutdown=st.sampled_from(("never", "any_significant", "all_significant")),
        script=st.dictionaries(
            st.sampled_from(IDS),
            st.lists(st.sampled_from(OUTCOMES), max_size=12).map(lambda outcomes: ["ok", *outcomes]),
        ),
        data=st.data(),
    )
    def boot(
        self, strategy: str, intensity: int, auto_shutdown: str, script: dict[str, list[str]], data: st.DataObject
    ) -> None:
        self.auto_shutdown = auto_shutdown
        flags = supervision.Flags(strategy, Limit(intensity, 5.0), auto_shutdown)
        children = data.draw(st.lists(specs(auto_shutdown), min_size=2, max_size=5, unique_by=lambda spec: spec.id))
        self.now = 0.0
        self.shell = Shell(World(script), flags, children)
        self.model = Model(World(script), flags, children)
        self.shell.feed(supervision.Boot(), self.now)
        self.model.boot()

    def alive(self) -> bool:
        return not self.model.ended

    @precondition(alive)
    @rule(which=st.integers(0, 4), reason=st.sampled_from(REASONS), seconds=st.sampled_from((0.0, 0.0, 4.0)))
    def a_child_ends(self, which: int, reason: object, seconds: float) -> None:
        self.now += seconds
        running = [slot for slot in self.model.slots if slot.pid]
        if not running:
            self.shell.feed(supervision.Ended("stranger#1", reason), self.now)
            return
        slot = running[which % len(running)]
        pid = slot.pid
        self.model.child_ended(slot, reason, self.now)
        self.shell.feed(supervision.Ended(pid, reason), self.now)

    @precondition(lambda self: self.alive() and self.shell.retries)
    @rule(which=st.integers(0, 4))
    def a_retry_is_due(self, which: int) -> None:
        retry = self.shell.retries.pop(which % len(self.shell.retries))
        child = self.shell.state.find(retry.id)
        current = child is not None and child.waiting is not None and child.waiting.number == retry.number
        if current:
            self.model.retry(str(retry.id), self.now)
        self.shell.feed(supervision.RetryRestart(retry.id, retry.number), self.now)

    @precondition(alive)
    @rule(operation=st.sampled_from(("terminate_child", "restart_child", "delete_child")), name=st.sampled_from(IDS))
    def a_request(self, operation: str, name: str) -> None:
        wanted = getattr(self.model, operation)(name)
        self.shell.feed(supervision.Request(operation, name), self.now)
        self.same_answer(wanted)

    @precondition(alive)
    @rule(data=st.data())
    def a_child_is_added(self, data: st.DataObject) -> None:
        spec = data.draw(specs(self.auto_shutdown))
        wanted = self.model.start_child(spec)
        self.shell.feed(supervision.Request("start_child", spec), self.now)
        self.same_answer(wanted)

    @precondition(lambda self: self.model.ended)
    @rule()
    def it_is_over(self) -> None:
        assert all(child.handle is None for child in self.shell.state.children)

    def same_answer(self, wanted: object) -> None:
        answer = self.shell.answer
        assert answer is not None
        if wanted == "failed":
            assert not answer.ok
        else:
            assert ("ok" if answer.ok else answer.value) == wanted

    @invariant()
    def the_same_was_done(self) -> None:
        assert self.shell.world.log == self.model.world.log
        assert self.shell.ended == self.model.ended

    @invariant()
    def the_children_are_the_same(self) -> None:
        shown = [(child.spec.id, child.handle, child.restarting is not None) for child in self.shell.state.children]
        assert shown == [(slot.spec.id, slot.pid, slot.restarting) for slot in self.model.slots]

    @invariant()
    def a_child_that_waits_has_exactly_one_retry_under_way(self) -> None:
        due = Counter((retry.id, retry.number) for retry in self.shell.retries)
        for child in self.shell.state.children:
            assert (child.restarting is None) == (child.waiting is None)
            if child.waiting is not None:
                assert due[child.spec.id, child.waiting.number] == 1

    @invariant()
    def no_plan_is_left_over(self) -> None:
        assert self.shell.state.plan == ()
        assert self.shell.state.task is None


TestSupervisionAgainstModel = SupervisionAgainstModel.TestCase
TestSupervisionAgainstModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


class NobodyIsKeptDown(RuleBasedStateMachine):
    """A backoff keeps siblings down only as long as somebody's restart is to come: no request leaves them forgotten."""

    @initialize(
        strategy=st.sampled_from(("one_for_one", "one_for_all", "rest_for_one")),
        script=st.dictionaries(
            st.sampled_from(IDS),
            st.lists(st.sampled_from(("ok", "ok", "fail")), max_size=12).map(lambda outcomes: ["ok", *outcomes]),
        ),
        size=st.integers(2, 5),
    )
    def boot(self, strategy: str, script: dict[str, list[str]], size: int) -> None:
        self.strategy = strategy
        flags = supervision.Flags(strategy, Limit(1000, 5.0), "never", Backoff())
        self.shell = Shell(World(script), flags, [ChildSpec(name, nothing) for name in IDS[:size]])
        self.wanted_down: set[object] = set()
        self.shell.feed(supervision.Boot(), 0.0)

    @rule(which=st.integers(0, 4))
    def a_child_crashes(self, which: int) -> None:
        running = [child for child in self.shell.state.children if child.handle is not None]
        if running:
            self.shell.feed(supervision.Ended(running[which % len(running)].handle, "boom"), 0.0)

    @precondition(lambda self: self.shell.retries)
    @rule(which=st.integers(0, 4))
    def a_retry_is_due(self, which: int) -> None:
        retry = self.shell.retries.pop(which % len(self.shell.retries))
        self.shell.feed(supervision.RetryRestart(retry.id, retry.number), 0.0)

    @rule(operation=st.sampled_from(("terminate_child", "restart_child", "delete_child")), name=st.sampled_from(IDS))
    def a_request(self, operation: str, name: str) -> None:
        self.shell.feed(supervision.Request(operation, name), 0.0)
        if operation == "terminate_child":
            self.wanted_down.add(name)

    @invariant()
    def who_is_down_is_so_by_request_or_will_come_back(self) -> None:
        children = list(self.shell.state.children)
        self.wanted_down -= {child.spec.id for child in children if child.handle is not None or child.waiting}
        for index, child in enumerate(children):
            if child.handle is None and child.waiting is None and child.spec.id not in self.wanted_down:
                awaited = children if self.strategy == "one_for_all" else children[:index]
                assert self.strategy != "one_for_one"
                assert any(other.waiting is not None for other in awaited)


TestNobodyIsKeptDown = NobodyIsKeptDown.TestCase
TestNobodyIsKeptDown.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
