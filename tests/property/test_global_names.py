"""Names of the whole system against a naive model: messages late, twice and out of order; losses of anything."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raybeam.actors import Pid
from raybeam.cluster.kernel import global_names, name_claims
from raybeam.cluster.kernel.global_names import Authority, Collected, RuntimeLost, ServerLost
from raybeam.cluster.kernel.name_claims import Claims
from raybeam.cluster.kernel.name_protocol import Claim, Fate, Rule, Said, State, Want

NAMES = ("stock", "prices")
PLACES = (0, 1, 2)


@dataclass
class Runtime:
    """One runtime: its claims as its name server would keep them, and what its processes were told."""

    name: str
    server: int = 1
    claims: Claims = field(default_factory=Claims)
    alive: set[Pid] = field(default_factory=set)
    watched: set[Pid] = field(default_factory=set)
    asked: dict[int, Want] = field(default_factory=dict)
    has: dict[int, Claim] = field(default_factory=dict)
    freeing: set[int] = field(default_factory=set)
    effects: deque[name_claims.Effect] = field(default_factory=deque)
    running: bool = False

    @property
    def pid(self) -> Pid:
        return Pid(self.name, self.server)


class Quiet(RuleBasedStateMachine):
    """An authority, three runtimes, and messages that arrive whenever Hypothesis likes, perhaps twice.

    Roots, replicas and processes are lost, but nothing happens after which two processes may rightly claim one name.
    """

    quiet = True

    def __init__(self) -> None:
        super().__init__()
        self.random = Random(1)
        self.generation = 1
        self.authority = Authority()
        self.incarnations = Counter[int]()
        self.runtimes = {place: self.born(place) for place in PLACES}
        self.under_way: list[tuple[str, int, Any]] = []  # to whom, the root's generation, what
        self.serial = 10
        self.replaced: set[str] = set()
        self.punished: list[name_claims.Punish] = []
        for runtime in self.runtimes.values():
            self.connect(runtime)

    def born(self, place: int) -> Runtime:
        self.incarnations[place] += 1
        return Runtime(f"{place}#{self.incarnations[place]}")

    def living(self, name: str) -> Runtime | None:
        return next((runtime for runtime in self.runtimes.values() if runtime.name == name), None)

    # -- the shells ----------------------------------------------------------------------------------------------

    def do(self, runtime: Runtime, event: name_claims.Event) -> None:
        """Step a runtime's claims; what an effect leads to comes behind the effects that wait."""
        runtime.effects.extend(runtime.claims.step(event))
        if len(runtime.effects) == 0 or runtime.running:
            return
        runtime.running = True
        while runtime.effects:
            effect = runtime.effects.popleft()
            match effect:
                case name_claims.Send(message):
                    self.under_way.append(("root", self.generation, message))
                case name_claims.Watch(pid):
                    assert pid not in runtime.watched
                    runtime.watched.add(pid)
                case name_claims.Unwatch(pid):
                    runtime.watched.discard(pid)  # it may just have ended
                case name_claims.Answer(number, None):
                    want = runtime.asked.pop(number)
                    self.nobody_else_has(want.claim)
                    runtime.has[number] = want.claim
                case name_claims.Answer(number, holder):
                    want = runtime.asked.pop(number)
                    assert not want.replace
                    assert holder is not None
                case name_claims.Gone(number):
                    del runtime.asked[number]
                case name_claims.Freed(number):
                    runtime.freeing.remove(number)
                case name_claims.Punish(pid, _, fate, _):
                    self.punished.append(effect)
                    if fate is Fate.KILLED:
                        self.kill(runtime, pid)
                case name_claims.Ask(claim, against):
                    winner = self.random.choice([claim.pid, against.pid, None, Rule.NOTIFY_ALL])
                    self.do(runtime, name_claims.Decided(claim.number, against, winner))
                case name_claims.Forget(number):
                    runtime.has.pop(number, None)
        runtime.running = False

    def nobody_else_has(self, claim: Claim) -> None:
        """As long as all is quiet, two processes never have one name at the same time."""
        if self.quiet and claim.name not in self.replaced:
            assert [
                other
                for runtime in self.runtimes.values()
                for other in runtime.has.values()
                if other.name == claim.name
            ] == []

    def decide(self, event: global_names.Event) -> None:
        for effect in self.authority.step(event, self.random):
            match effect:
                case global_names.Tell(server, told):
                    self.under_way.append((server.runtime, self.generation, told))
                case global_names.Watch(server):
                    runtime = self.living(server.runtime)
                    if runtime is None or runtime.pid != server:
                        self.under_way.append(("root", self.generation, ServerLost(server)))

    def deliver(self, index: int, *, keep: bool = False) -> None:
        to, generation, message = self.under_way[index] if keep else self.under_way.pop(index)
        if generation != self.generation:
            return
        if to == "root":
            self.decide(message)
        elif (runtime := self.living(to)) is not None:
            self.do(runtime, message)

    def connect(self, runtime: Runtime) -> None:
        self.do(runtime, name_claims.Connect(runtime.pid))

    def kill(self, runtime: Runtime, pid: Pid) -> None:
        runtime.alive.discard(pid)
        if pid in runtime.watched:
            runtime.watched.discard(pid)
            self.do(runtime, name_claims.Ended(pid))

    # -- what may happen -----------------------------------------------------------------------------------------

    @rule(
        place=st.sampled_from(PLACES),
        name=st.sampled_from(NAMES),
        how=st.sampled_from(Rule),
        replace=st.sampled_from([False, False, False, True]),
        known=st.booleans(),
    )
    def register(self, place: int, name: str, how: Rule, replace: bool, known: bool) -> None:
        runtime = self.runtimes[place]
        if known and runtime.alive:
            pid = min(runtime.alive)
        else:
            self.serial += 1
            pid = Pid(runtime.name, self.serial)
            runtime.alive.add(pid)
        want = Want(Claim(name, pid, runtime.claims.next_number(), how), replace)
        runtime.asked[want.claim.number] = want
        if replace:
            self.replaced.add(name)
        self.do(runtime, want)

    @precondition(lambda self: any(runtime.alive for runtime in self.runtimes.values()))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        runtime = data.draw(st.sampled_from([runtime for runtime in self.runtimes.values() if runtime.alive]))
        self.kill(runtime, data.draw(st.sampled_from(sorted(runtime.alive))))

    @rule(place=st.sampled_from(PLACES), name=st.sampled_from(NAMES))
    def unregister(self, place: int, name: str) -> None:
        runtime = self.runtimes[place]
        number = runtime.claims.held(name)
        if number is not None:
            runtime.freeing.add(number)
            self.do(runtime, name_claims.Unregister(name))
            assert name not in runtime.claims.table

    @rule(place=st.sampled_from(PLACES), data=st.data())
    def give_up(self, place: int, data: st.DataObject) -> None:
        runtime = self.runtimes[place]
        if runtime.asked:
            number = data.draw(st.sampled_from(sorted(runtime.asked)))
            del runtime.asked[number]
            self.do(runtime, name_claims.GiveUp(number))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), twice=st.booleans())
    def arrive(self, data: st.DataObject, twice: bool) -> None:
        self.deliver(data.draw(st.integers(0, len(self.under_way) - 1)), keep=twice)

    @precondition(lambda self: self.under_way)
    @rule()
    def arrive_in_order(self) -> None:
        for _ in range(min(4, len(self.under_way))):
            self.deliver(0)

    @rule(place=st.sampled_from(PLACES))
    def speak_again(self, place: int) -> None:
        """A name server that has no answer yet begins anew; the old words may still arrive."""
        if not self.runtimes[place].claims.established:
            self.connect(self.runtimes[place])

    @rule(place=st.sampled_from(PLACES))
    def lose_runtime(self, place: int) -> None:
        """A replica dies; its words may still be under way, and another one takes its place."""
        runtime = self.runtimes[place]
        for lost in (ServerLost(runtime.pid), RuntimeLost(runtime.name)):
            self.under_way.append(("root", self.generation, lost))
        self.runtimes[place] = self.born(place)
        self.connect(self.runtimes[place])

    @rule()
    def restart_root(self) -> None:
        """The next root knows who lives; it hears from all before it gives a name away."""
        self.generation += 1
        self.authority = Authority(runtime.name for runtime in self.runtimes.values())
        for runtime in self.runtimes.values():
            self.connect(runtime)

    @rule(data=st.randoms(use_true_random=False))
    def come_to_rest(self, data: Random) -> None:
        """When all are connected and nothing is under way, all agree, and everybody has been answered."""
        for runtime in self.runtimes.values():
            if not runtime.claims.established:
                self.connect(runtime)
        while self.under_way:
            self.deliver(data.randrange(len(self.under_way)))
        if not self.quiet:  # one whose server was thought lost begins anew, as it is told
            for runtime in self.runtimes.values():
                self.do(runtime, name_claims.Disconnect())
                self.connect(runtime)
            while self.under_way:
                self.deliver(data.randrange(len(self.under_way)))

        everybody = [claim for runtime in self.runtimes.values() for claim in runtime.has.values()]
        table = {claim.name: claim.pid for claim in everybody}
        assert len(table) == len(everybody)
        assert self.authority.table() == table
        for runtime in self.runtimes.values():
            assert runtime.claims.table == table
            assert {name: runtime.claims.held(name) for name in NAMES if runtime.claims.held(name) is not None} == {
                claim.name: number for number, claim in runtime.has.items()
            }
            assert not runtime.asked
            assert not runtime.freeing

    # -- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def only_the_living_are_watched_and_all_that_have_or_want_names(self) -> None:
        for runtime in self.runtimes.values():
            assert runtime.watched <= runtime.alive
            assert runtime.watched == {claim.pid for claim in runtime.claims.claims}
            assert {claim.number for claim in runtime.claims.claims} == runtime.has.keys() | runtime.asked.keys()

    @invariant()
    def nobody_is_punished_for_the_loss_of_a_root_or_of_a_replica(self) -> None:
        if self.quiet:
            assert [punish for punish in self.punished if punish.name not in self.replaced] == []


def sender(message: object) -> str | None:
    return message.server.runtime if isinstance(message, State | Said) else None


class Partitioned(Quiet):
    """Besides, connections are lost though both ends live, and a root does not wait for all: names meet others."""

    quiet = False

    @rule(place=st.sampled_from(PLACES))
    def cut(self, place: int) -> None:
        """The connection is lost, with what was under way; both notice, sooner or later."""
        runtime = self.runtimes[place]
        self.under_way = [
            sent for sent in self.under_way if runtime.name != sent[0] and sender(sent[2]) != runtime.name
        ]
        self.under_way.append(("root", self.generation, ServerLost(runtime.pid)))
        self.do(runtime, name_claims.Disconnect())

    @rule(place=st.sampled_from(PLACES))
    def restart_server(self, place: int) -> None:
        runtime = self.runtimes[place]
        self.under_way.append(("root", self.generation, ServerLost(runtime.pid)))
        runtime.server += 1
        self.connect(runtime)

    @rule()
    def collected(self) -> None:
        if self.authority.collecting:
            self.decide(Collected())


TestQuiet = Quiet.TestCase
TestQuiet.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestPartitioned = Partitioned.TestCase
TestPartitioned.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
