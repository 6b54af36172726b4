"""Process groups against a naive model: two scopes, messages under way, lost connections, restarts."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raybeam.actors import Pid, Ref
from raybeam.actors.kernel.group_tables import Tables, apply
from raybeam.actors.kernel.groups import (
    Answer,
    Demonitor,
    Effect,
    Ended,
    Event,
    Join,
    Joined,
    Leave,
    Meet,
    MonitorGroup,
    MonitorScope,
    Send,
    Tell,
    Unwatch,
    Watch,
    step,
)

Joins = Counter[tuple[object, Pid]]
RUNTIMES = ("north", "south")
GROUPS = ("g", "h")
NO_REF = Ref("nobody", 0)


class Scope:
    """A scope as its shell would run it, and the naive model of it: how often each local process has joined."""

    def __init__(self, runtime: str, serial: int) -> None:
        self.me = Pid(runtime, serial)
        self.tables = Tables()
        self.model: Joins = Counter()
        self.watched: set[Pid] = set()
        self.followed: dict[Ref, tuple[str | None, Joins]] = {}

    def seen(self) -> Joins:
        return Counter((group, pid) for group in self.tables.groups() for pid in self.tables.members(group))

    def follow(self, message: Any) -> None:
        """What a client that trusts its monitor believes."""
        _, believed = self.followed[message.ref]
        for pid in message.pids:
            if isinstance(message, Joined):
                believed[message.group, pid] += 1
            elif believed[message.group, pid] > 0:
                believed[message.group, pid] -= 1


members = st.integers(100, 102)
lists = st.lists(members, min_size=1, max_size=4)
sides = st.sampled_from(RUNTIMES)
groups = st.sampled_from(GROUPS)


class TwoScopes(RuleBasedStateMachine):
    """Each side has a queue of messages on their way to it; a lost connection drops both and ends the peers."""

    def __init__(self) -> None:
        super().__init__()
        self.serial = 1
        self.refs = 0
        self.scopes = {runtime: Scope(runtime, self.serial) for runtime in RUNTIMES}
        self.inbox: dict[str, deque[tuple[Pid, Event]]] = {runtime: deque() for runtime in RUNTIMES}

    def do(self, scope: Scope, event: Event) -> Any:
        answer: Any = None
        effects: list[Effect] = step(scope.tables, scope.me, event)
        for effect in effects:
            match effect:
                case Send(peer, message):
                    assert isinstance(peer, Pid)
                    self.inbox[peer.runtime].append((peer, message))
                case Tell(_, message):
                    scope.follow(message)
                case Watch(pid):
                    assert pid not in scope.watched
                    scope.watched.add(pid)
                case Unwatch(pid):
                    scope.watched.remove(pid)
                case Answer(value):
                    answer = value
                case _:
                    apply(scope.tables, effect)
        return answer

    @rule(side=sides, group=groups, serials=lists)
    def join(self, side: str, group: str, serials: list[int]) -> None:
        scope, pids = self.scopes[side], tuple(Pid(side, serial) for serial in serials)
        self.do(scope, Join(group, pids))
        scope.model.update((group, pid) for pid in pids)

    @rule(side=sides, group=groups, serials=lists)
    def leave(self, side: str, group: str, serials: list[int]) -> None:
        scope, pids = self.scopes[side], tuple(Pid(side, serial) for serial in serials)
        was_member = any(scope.model[group, pid] for pid in pids)
        assert self.do(scope, Leave(group, pids)) is was_member
        scope.model -= Counter((group, pid) for pid in pids)

    @rule(side=sides, serial=members)
    def die(self, side: str, serial: int) -> None:
        scope, pid = self.scopes[side], Pid(side, serial)
        if pid in scope.watched:  # the runtime tells ends of watched processes only
            scope.watched.discard(pid)
            self.do(scope, Ended(pid, NO_REF))
        scope.model = Counter({key: joins for key, joins in scope.model.items() if key[1] != pid})

    @rule(side=sides, group=st.one_of(st.none(), groups))
    def monitor(self, side: str, group: str | None) -> None:
        scope = self.scopes[side]
        self.refs += 1
        ref, client = Ref(side, self.refs), Pid(side, 1000 + self.refs)
        if group is None:
            _, first = self.do(scope, MonitorScope(ref, client))
        else:
            _, listed = self.do(scope, MonitorGroup(ref, client, group))
            first = {group: listed}
        scope.followed[ref] = (group, Counter((name, pid) for name, pids in first.items() for pid in pids))

    @precondition(lambda self: any(scope.followed for scope in self.scopes.values()))
    @rule(data=st.data(), dies=st.booleans())
    def demonitor(self, data: st.DataObject, dies: bool) -> None:
        scope = data.draw(st.sampled_from([scope for scope in self.scopes.values() if scope.followed]))
        ref = data.draw(st.sampled_from(sorted(scope.followed)))
        self.do(scope, Ended(Pid(ref.runtime, 1000 + ref.serial), ref) if dies else Demonitor(ref))
        del scope.followed[ref]
        assert self.do(scope, Demonitor(ref)) is False

    @rule(side=sides)
    def meet(self, side: str) -> None:
        other = self.scopes[RUNTIMES[side == RUNTIMES[0]]]
        self.do(self.scopes[side], Meet(other.me))

    @rule(side=sides, count=st.integers(1, 5))
    def deliver(self, side: str, count: int) -> None:
        for _ in range(min(count, len(self.inbox[side]))):
            to, event = self.inbox[side].popleft()
            if to == self.scopes[side].me:  # what is sent to a dead scope vanishes
                self.do(self.scopes[side], event)

    @rule(side=sides)
    def restart(self, side: str) -> None:
        """The scope dies, its groups with it; the peer is told behind what was under way."""
        old = self.scopes[side]
        self.serial += 1
        self.scopes[side] = Scope(side, self.serial)
        other = RUNTIMES[side == RUNTIMES[0]]
        if old.me in self.scopes[other].tables.peers or self.inbox[other]:
            self.inbox[other].append((self.scopes[other].me, Ended(old.me, NO_REF)))

    @rule()
    def disconnect(self) -> None:
        for side in RUNTIMES:
            self.inbox[side].clear()
        for scope in self.scopes.values():
            for peer in list(scope.tables.peers):
                scope.watched.discard(peer)
                self.do(scope, Ended(peer, NO_REF))

    @rule()
    def come_to_rest(self) -> None:
        """Connected, with nothing under way, both see the same: all that the model has joined."""
        self.meet("north")
        while any(self.inbox.values()):
            for side in RUNTIMES:
                self.deliver(side, 5)
        everything = self.scopes["north"].model + self.scopes["south"].model
        assert self.scopes["north"].seen() == self.scopes["south"].seen() == everything

    @invariant()
    def local_members_are_always_right(self) -> None:
        for side, scope in self.scopes.items():
            found = {(group, pid) for group in GROUPS for pid in scope.tables.local_members(group)}
            counted = Counter((group, pid) for group in GROUPS for pid in scope.tables.local_members(group))
            assert counted == scope.model
            assert all(pid.runtime == side for _, pid in found)

    @invariant()
    def exactly_local_members_and_peers_are_watched(self) -> None:
        for scope in self.scopes.values():
            ended = {peer for peer in scope.watched if peer.serial < 100} - set(scope.tables.peers)
            assert scope.watched - ended == {pid for _, pid in scope.model} | set(scope.tables.peers)

    @invariant()
    def who_follows_a_monitor_believes_what_is_so(self) -> None:
        for scope in self.scopes.values():
            seen = scope.seen()
            for only, believed in scope.followed.values():
                assert +believed == Counter({key: joins for key, joins in seen.items() if only in (None, key[0])})


TestTwoScopes = TwoScopes.TestCase
TestTwoScopes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
