"""The authority over the names of a system: which process has which name. One for a system, in its root.

It grants a name to who asks first, and tells every name server of each change. It keeps what it knows in memory: a
root that was restarted learns it anew from the name servers. Until those that it expects have spoken it *collects*: it
answers nobody. So nobody's name is given away before its holder could speak, and readers go on with their old table.

A name server that is lost takes its names along. So when it turns out to live, its claims may meet others to the same
names: a conflict, which the rule of the claim that came later decides.

Like the table of a registry this kernel changes in place: to grant one name among a hundred thousand must not copy
them. It is deterministic all the same: `step(event, random)` gives the effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from .name_protocol import (
    Claim,
    Decide,
    Decision,
    Dropped,
    Fate,
    Granted,
    Refused,
    Release,
    Released,
    Rule,
    Said,
    Saying,
    State,
    Told,
    Verdict,
    Want,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from random import Random

    from raybeam.actors.pid import Pid


@dataclass(frozen=True, slots=True)
class ServerLost:
    """A name server has ended, or the connection to it is lost."""

    server: Pid


@dataclass(frozen=True, slots=True)
class RuntimeLost:
    """A runtime is gone: nothing is expected of it any more."""

    runtime: str


@dataclass(frozen=True, slots=True)
class Collected:
    """The time for collecting is over."""


Event: TypeAlias = State | Said | ServerLost | RuntimeLost | Collected


@dataclass(frozen=True, slots=True)
class Tell:
    """Effect: send to a name server."""

    server: Pid
    told: Told


@dataclass(frozen=True, slots=True)
class Watch:
    """Effect: monitor a name server; its end is `ServerLost`."""

    server: Pid


Effect: TypeAlias = Tell | Watch


@dataclass(slots=True)
class _Session:
    """What the authority knows of one name server.

    Attributes:
        heard: Number of the last word taken in.
        told: Number of the last word sent, -1 before the first.
        claims: Those that have their name, or contend for it.
        wanted: Those that wait until collecting is over.
        dropped: Claims that it does not know yet to be no more.
        verdicts: To be told with the next word.
    """

    server: Pid
    number: int
    heard: int = 0
    told: int = -1
    claims: dict[int, Claim] = field(default_factory=dict)
    wanted: dict[int, Want] = field(default_factory=dict)
    dropped: dict[int, Dropped] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)


class Authority:
    """All names of a system.

    Args:
        expected: Runtimes that may hold names already: while one of them has not spoken, the authority collects.

    >>> from random import Random
    >>> from raybeam.actors.pid import Pid
    >>> authority, server = Authority(), Pid("one", 1)
    >>> wanted = Want(Claim("stock", Pid("one", 7), 1, Rule.NOTIFY_ALL))
    >>> [watch, tell] = authority.step(State(server, 1, wanted=(wanted,)), Random(1))
    >>> tell.told.entries, tell.told.verdicts
    ((('stock', <one.7>),), (Granted(number=1),))
    """

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self._entries: dict[Hashable, Claim] = {}
        self._contenders: dict[Hashable, list[Claim]] = {}  # to names that others have, until a function has decided
        self._sessions: dict[str, _Session] = {}
        self._latest: dict[str, int] = {}  # number of the latest session of each runtime that ever spoke
        self._early: dict[str, dict[tuple[int, int], Saying]] = {}  # words that have overtaken others
        self._deferred: list[tuple[str, int]] = []
        self._changed: dict[Hashable, None] = {}
        self._expected = set(expected)
        self._collecting = bool(self._expected)

    @property
    def collecting(self) -> bool:
        """Whether it waits for name servers that it expects."""
        return self._collecting

    def whereis(self, name: Hashable) -> Pid | None:
        """Who has a name."""
        claim = self._entries.get(name)
        return None if claim is None else claim.pid

    def table(self) -> dict[Hashable, Pid]:
        """Who has which name."""
        return {name: claim.pid for name, claim in self._entries.items()}

    def step(self, event: Event, random: Random) -> list[Effect]:
        """Take one event in; what is to be done.

        Args:
            event: What has happened.
            random: Decides conflicts whose rule leaves it to chance.
        """
        effects: list[Effect] = []
        match event:
            case State():
                effects.extend(self._state(event, random))
            case Said(server, session, number, saying):
                if session >= self._latest.get(server.runtime, 0):
                    self._early.setdefault(server.runtime, {})[session, number] = saying
                    self._listen(server.runtime, random)
            case ServerLost(server):
                session_of = self._sessions.get(server.runtime)
                if session_of is not None and session_of.server == server:
                    self._lose(server.runtime)
                    self._expect_no_more(server.runtime)
            case RuntimeLost(runtime):
                self._expect_no_more(runtime)
            case Collected():
                self._expected.clear()
                self._stop_collecting()
        effects.extend(self._flush())
        return effects

    # -- name servers --------------------------------------------------------------------------------------------

    def _state(self, state: State, random: Random) -> list[Effect]:
        runtime = state.server.runtime
        if state.session <= self._latest.get(runtime, 0):
            return []  # it has overtaken itself
        self._latest[runtime] = state.session
        before = self._sessions.get(runtime)
        session = self._sessions[runtime] = _Session(state.server, state.session)
        known = set() if before is None else self._resume(session, before, state)
        for claim in state.held:
            if claim.number not in session.dropped:
                self._held(session, claim, random)
        for want in state.wanted:
            if want.claim.number not in known:
                self._wanted(session, want)
        early = self._early.get(runtime, {})
        self._early[runtime] = {key: saying for key, saying in early.items() if key[0] >= state.session}
        self._listen(runtime, random)
        self._expect_no_more(runtime)
        return [] if before is not None and before.server == state.server else [Watch(state.server)]

    def _resume(self, session: _Session, before: _Session, state: State) -> set[int]:
        """Take over what was decided in the session before, perhaps unheard; the claims that it knew."""
        stated = {claim.number for claim in state.held} | {want.claim.number for want in state.wanted}
        session.claims.update(before.claims)
        for claim in before.claims.values():
            if claim.number not in stated:
                self._remove(claim)
                del session.claims[claim.number]
        session.dropped = {number: dropped for number, dropped in before.dropped.items() if number in stated}
        wanted = {want.claim.number for want in state.wanted}
        for number, dropped in session.dropped.items():
            session.verdicts.extend((Granted(number), dropped) if number in wanted else (dropped,))
        session.verdicts.extend(Granted(number) for number in session.claims if number in wanted)
        return session.claims.keys() | session.dropped.keys()

    def _listen(self, runtime: str, random: Random) -> None:
        """Take in the words of a runtime that are next."""
        session, early = self._sessions.get(runtime), self._early.get(runtime, {})
        if session is None:
            return
        for number in [key[1] for key in early if key[0] == session.number and key[1] <= session.heard]:
            del early[session.number, number]
        while (saying := early.pop((session.number, session.heard + 1), None)) is not None:
            session.heard += 1
            match saying:
                case Want():
                    self._wanted(session, saying)
                case Release(number):
                    session.wanted.pop(number, None)
                    session.dropped.pop(number, None)
                    claim = session.claims.pop(number, None)
                    if claim is not None:
                        self._remove(claim)
                    session.verdicts.append(Released(number))
                case Decision():
                    self._decided(session, saying, random)

    def _lose(self, runtime: str) -> None:
        for claim in self._sessions[runtime].claims.values():
            self._remove(claim)
        del self._sessions[runtime]
        self._early.pop(runtime, None)

    def _expect_no_more(self, runtime: str) -> None:
        self._expected.discard(runtime)
        if not self._expected:
            self._stop_collecting()

    def _stop_collecting(self) -> None:
        self._collecting = False
        deferred, self._deferred = self._deferred, []
        for runtime, number in deferred:
            session = self._sessions.get(runtime)
            want = None if session is None else session.wanted.pop(number, None)
            if session is not None and want is not None:
                self._wanted(session, want)

    def _flush(self) -> list[Effect]:
        """Tell everybody what has changed, and what was decided on their claims."""
        if self._collecting:
            return []
        changed = tuple((name, self.whereis(name)) for name in self._changed)
        self._changed = {}
        effects: list[Effect] = []
        for session in self._sessions.values():
            if session.told < 0:
                entries: tuple[tuple[Hashable, Pid | None], ...] = tuple(self.table().items())
            elif changed or session.verdicts:
                entries = changed
            else:
                continue
            session.told += 1
            effects.append(Tell(session.server, Told(session.number, session.told, entries, tuple(session.verdicts))))
            session.verdicts.clear()
        return effects

    # -- claims --------------------------------------------------------------------------------------------------

    def _wanted(self, session: _Session, want: Want) -> None:
        """A process asks for a name that it has not had."""
        claim = want.claim
        if self._collecting:
            session.wanted[claim.number] = want
            self._deferred.append((session.server.runtime, claim.number))
            return
        holder = self._entries.get(claim.name)
        if holder is not None and holder != claim and not want.replace:
            session.verdicts.append(Refused(claim.number, holder.pid))
            return
        if holder is not None and holder != claim:
            for other in (holder, *self._contenders.pop(claim.name, ())):
                self._drop(other, Fate.UNREGISTERED, claim.pid)
        self._enter(session, claim)
        session.verdicts.append(Granted(claim.number))

    def _held(self, session: _Session, claim: Claim, random: Random) -> None:
        """A process says that it has a name: granted by a former root, or before its name server was lost."""
        holder = self._entries.get(claim.name)
        if holder is None or holder == claim:
            self._enter(session, claim)
            return
        session.claims[claim.number] = claim
        if holder.pid.runtime == claim.pid.runtime:  # one took the place of the other, and the word of it was lost
            older, newer = sorted((holder, claim), key=lambda one: one.number)
            self._drop(older, Fate.UNREGISTERED, newer.pid)
            self._enter(session, newer)
        elif claim.rule is Rule.OWN:
            contenders = self._contenders.setdefault(claim.name, [])
            if claim not in contenders:
                contenders.append(claim)
            session.verdicts.append(Decide(claim.number, holder))
        else:
            self._settle(holder, claim, claim.rule, random)

    def _decided(self, session: _Session, decision: Decision, random: Random) -> None:
        claim = session.claims.get(decision.number)
        if claim is None or claim not in self._contenders.get(claim.name, ()):
            return
        if self._entries.get(claim.name) != decision.against:
            return  # another has the name by now, and the function has been asked about that one
        self._forget_contender(claim)
        self._settle(decision.against, claim, decision.winner, random)

    def _settle(self, holder: Claim, newcomer: Claim, winner: Pid | Rule | None, random: Random) -> None:
        """End a conflict."""
        fate = Fate.UNREGISTERED
        match winner:
            case Rule.RANDOM_EXIT | Rule.RANDOM_NOTIFY:
                fate = Fate.KILLED if winner is Rule.RANDOM_EXIT else Fate.NOTIFIED
                winner = random.choice((holder.pid, newcomer.pid))
            case Rule.NOTIFY_ALL:
                fate, winner = Fate.NOTIFIED, None
        if winner != newcomer.pid:
            self._drop(newcomer, fate, holder.pid)
        if winner != holder.pid:
            self._drop(holder, fate, newcomer.pid)
            del self._entries[holder.name]
            if winner == newcomer.pid:
                self._entries[newcomer.name] = newcomer
                self._decide_again(newcomer)
            else:
                self._pass_on(holder.name)
            self._changed[holder.name] = None

    def _enter(self, session: _Session, claim: Claim) -> None:
        if self._entries.get(claim.name) != claim:
            self._entries[claim.name] = claim
            self._changed[claim.name] = None
        session.claims[claim.number] = claim

    def _drop(self, claim: Claim, fate: Fate, other: Pid) -> None:
        """Tell a claim's name server that it is no more."""
        session = self._sessions[claim.pid.runtime]
        del session.claims[claim.number]
        dropped = session.dropped[claim.number] = Dropped(claim.number, fate, other)
        session.verdicts.append(dropped)

    def _remove(self, claim: Claim) -> None:
        """Forget a claim that nobody makes any more; who contended for the name has it."""
        if self._entries.get(claim.name) == claim:
            del self._entries[claim.name]
            self._changed[claim.name] = None
            self._pass_on(claim.name)
        else:
            self._forget_contender(claim)

    def _pass_on(self, name: Hashable) -> None:
        """Give a free name to the first of those who contended for it."""
        contenders = self._contenders.get(name)
        if contenders:
            first = self._entries[name] = contenders[0]
            self._forget_contender(first)
            self._decide_again(first)

    def _decide_again(self, holder: Claim) -> None:
        for contender in self._contenders.get(holder.name, ()):
            self._sessions[contender.pid.runtime].verdicts.append(Decide(contender.number, holder))

    def _forget_contender(self, claim: Claim) -> None:
        contenders = self._contenders.get(claim.name, [])
        if claim in contenders:
            contenders.remove(claim)
            if not contenders:
                del self._contenders[claim.name]
