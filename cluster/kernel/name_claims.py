"""A name server's side of the names of the system: what the processes of its runtime have and want, and the table.

Its claims outlive the root, the connection to it, and the name server's own process: whenever a session begins they are
told anew. The table is what the authority told last; it goes on to serve readers while there is no authority.

Changes in place, like `global_names`.
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
    from collections.abc import Hashable

    from raybeam.actors.pid import Pid

# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """There is an authority to talk to: begin a session with it, as the process `server`."""

    server: Pid


@dataclass(frozen=True, slots=True)
class Disconnect:
    """There is none now."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody waits any more for the answer to a claim, or to its release; a claim not granted yet is withdrawn."""

    number: int


@dataclass(frozen=True, slots=True)
class Unregister:
    """The process of this runtime that has the name gives it back."""

    name: Hashable


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has or wants names has ended."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Decided:
    """The function of a claim has chosen; see `Decision`."""

    number: int
    against: Claim
    winner: Pid | Rule | None


Event: TypeAlias = Connect | Disconnect | Told | Want | GiveUp | Unregister | Ended | Decided

# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send to the authority."""

    message: State | Said


@dataclass(frozen=True, slots=True)
class Watch:
    """Monitor a process; its end is `Ended`."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Monitor it no longer."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Answer:
    """Who waits for a claim: it was granted (`holder` is `None`), or `holder` has the name."""

    number: int
    holder: Pid | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """Who waits for a claim: its process has ended."""

    number: int


@dataclass(frozen=True, slots=True)
class Freed:
    """Who waits for a release: the authority has taken note of it."""

    number: int


@dataclass(frozen=True, slots=True)
class Punish:
    """A process has lost its name to `other` in a conflict: notify or kill it."""

    pid: Pid
    name: Hashable
    fate: Fate
    other: Pid


@dataclass(frozen=True, slots=True)
class Ask:
    """Have the function of a claim choose between `against`, which has the name, and the claim."""

    claim: Claim
    against: Claim


@dataclass(frozen=True, slots=True)
class Forget:
    """A claim is no more."""

    number: int


Effect: TypeAlias = Send | Watch | Unwatch | Answer | Gone | Freed | Punish | Ask | Forget


@dataclass(slots=True)
class _Talk:
    """A session with the authority.

    Attributes:
        said: Number of the last word said.
        heard: Number of the last word taken in, -1 before the first.
        early: Words that have overtaken others.
    """

    server: Pid
    session: int
    said: int = 0
    heard: int = -1
    early: dict[int, Told] = field(default_factory=dict)


class Claims:
    """What one runtime has, wants and knows.

    >>> from raybeam.actors.pid import Pid
    >>> claims, server, pid = Claims(), Pid("one", 1), Pid("one", 7)
    >>> claims.step(Connect(server))
    [Send(message=State(server=<one.1>, session=1, held=(), wanted=()))]
    >>> wanted = Want(Claim("stock", pid, claims.next_number(), Rule.NOTIFY_ALL))
    >>> claims.step(wanted)[1].message.number
    1
    >>> claims.step(Told(1, 0, (("stock", pid),), (Granted(1),)))
    [Answer(number=1, holder=None)]
    >>> claims.table
    {'stock': <one.7>}
    """

    def __init__(self) -> None:
        self.table: dict[Hashable, Pid] = {}
        self._claims: dict[int, Claim] = {}
        self._wanted: dict[int, Want] = {}
        self._numbers: dict[Pid, set[int]] = {}
        self._held: dict[Hashable, int] = {}
        self._releasing: set[int] = set()
        self._stated: set[int] = set()  # releases that the state of this session tells of
        self._talk: _Talk | None = None
        self._last_session = 0
        self._last_number = 0

    @property
    def established(self) -> bool:
        """Whether the authority has answered in this session."""
        return self._talk is not None and self._talk.heard >= 0

    @property
    def claims(self) -> list[Claim]:
        """All claims, had and wanted."""
        return list(self._claims.values())

    @property
    def wanted(self) -> list[int]:
        """Numbers of the claims that are not granted yet."""
        return list(self._wanted)

    def next_number(self) -> int:
        """A number that no claim had before."""
        self._last_number += 1
        return self._last_number

    def held(self, name: Hashable) -> int | None:
        """The number of this runtime's claim that has the name."""
        return self._held.get(name)

    def step(self, event: Event) -> list[Effect]:
        """Take one event in; what is to be done."""
        match event:
            case Connect(server):
                return self._connect(server)
            case Disconnect():
                self._talk = None
            case Told():
                return self._told(event)
            case Want(claim):
                self._wanted[claim.number] = event
                return [*self._add(claim), *self._say(event)]
            case GiveUp(number):
                self._releasing.discard(number)
                self._stated.discard(number)
                return self._release(number) if number in self._wanted else []
            case Unregister(name):
                held = self._held.get(name)
                if held is not None:
                    self._releasing.add(held)
                    return self._release(held)
            case Ended(pid):
                effects: list[Effect] = []
                for number in sorted(self._numbers.get(pid, ())):
                    if number in self._wanted:
                        effects.append(Gone(number))
                    effects.extend(self._release(number))
                return effects
            case Decided(number, against, winner):
                return self._say(Decision(number, against, winner)) if number in self._claims else []
        return []

    # -- the session ---------------------------------------------------------------------------------------------

    def _connect(self, server: Pid) -> list[Effect]:
        self._last_session += 1
        self._talk = _Talk(server, self._last_session)
        self._stated = set(self._releasing)
        held = tuple(claim for number, claim in self._claims.items() if number not in self._wanted)
        return [Send(State(server, self._last_session, held, tuple(self._wanted.values())))]

    def _say(self, saying: Saying) -> list[Effect]:
        """Say something in the session; without one, the next begins with all that counts."""
        if self._talk is None:
            return []
        self._talk.said += 1
        return [Send(Said(self._talk.server, self._talk.session, self._talk.said, saying))]

    def _told(self, told: Told) -> list[Effect]:
        talk = self._talk
        if talk is None or told.session != talk.session or told.number <= talk.heard:
            return []
        talk.early[told.number] = told
        effects: list[Effect] = []
        while (next_told := talk.early.pop(talk.heard + 1, None)) is not None:
            talk.heard += 1
            if next_told.number == 0:
                self.table.clear()
                effects.extend(Freed(number) for number in sorted(self._stated))
                self._releasing -= self._stated
                self._stated = set()
            for name, pid in next_told.entries:
                if pid is None:
                    self.table.pop(name, None)
                else:
                    self.table[name] = pid
            for verdict in next_told.verdicts:
                effects.extend(self._judged(verdict))
        return effects

    def _judged(self, verdict: Verdict) -> list[Effect]:
        if isinstance(verdict, Released):
            if verdict.number not in self._releasing:
                return []
            self._releasing.discard(verdict.number)
            return [Freed(verdict.number)]
        claim = self._claims.get(verdict.number)
        if claim is None:
            return []  # given up meanwhile
        match verdict:
            case Granted(number):
                self._wanted.pop(number, None)
                self._held[claim.name] = number
                return [Answer(number)]
            case Refused(number, holder):
                return [Answer(number, holder), *self._remove(number)]
            case Dropped(number, fate, other):
                effects = [*self._remove(number), *self._say(Release(number))]
                if fate is not Fate.UNREGISTERED:
                    effects.append(Punish(claim.pid, claim.name, fate, other))
                return effects
            case Decide(_, against):
                return [Ask(claim, against)]

    # -- claims --------------------------------------------------------------------------------------------------

    def _add(self, claim: Claim) -> list[Effect]:
        self._claims[claim.number] = claim
        numbers = self._numbers.setdefault(claim.pid, set())
        numbers.add(claim.number)
        return [Watch(claim.pid)] if len(numbers) == 1 else []

    def _remove(self, number: int) -> list[Effect]:
        claim = self._claims.pop(number)
        self._wanted.pop(number, None)
        if self._held.get(claim.name) == number:
            del self._held[claim.name]
        numbers = self._numbers[claim.pid]
        numbers.discard(number)
        if numbers:
            return [Forget(number)]
        del self._numbers[claim.pid]
        return [Forget(number), Unwatch(claim.pid)]

    def _release(self, number: int) -> list[Effect]:
        claim = self._claims[number]
        if self._held.get(claim.name) == number:
            self.table.pop(claim.name, None)
        return [*self._remove(number), *self._say(Release(number))]
