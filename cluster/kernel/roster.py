"""Which places of a family have a replica, which of these drain, and how that changes when the family is scaled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TYPE_CHECKING

from raybeam.autoscaler import Candidate, victims

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Roster:
    """The places of one family.

    Attributes:
        kept: Those where there should be a replica, in order.
        draining: Those whose replica takes no new calls and ends when it has none left.
        ending: Those whose replica is being ended; nothing brings it back.
    """

    kept: tuple[int, ...]
    draining: tuple[int, ...] = ()
    ending: tuple[int, ...] = ()

    @property
    def wanted(self) -> int:
        """How many replicas there should be."""
        return len(self.kept)

    @property
    def leaving(self) -> tuple[int, ...]:
        """Places whose replica is to go."""
        return (*self.draining, *self.ending)

    @property
    def places(self) -> tuple[int, ...]:
        """All places that are taken."""
        return (*self.kept, *self.leaving)


@dataclass(frozen=True, slots=True)
class Drain:
    """How far the drain of one replica is.

    Attributes:
        arrivals: How many calls had come at the last beat at which it had nothing to do; `None`: it had at the last.
    """

    arrivals: int | None = None


def resized(roster: Roster, replicas: int, candidates: Sequence[Candidate]) -> Roster:
    """The roster with so many replicas: those that drain are taken back first, then the lowest free places are taken.

    Args:
        roster: As it is.
        replicas: How many there should be.
        candidates: The replicas at the kept places; their names are the places.

    >>> two = resized(Roster((0, 1, 2, 3)), 2, [Candidate(str(place), f"m{place % 3}") for place in range(4)])
    >>> two.kept, two.draining
    ((0, 3), (1, 2))
    >>> resized(two, 5, []).kept
    (0, 1, 2, 3, 4)
    """
    if replicas < roster.wanted:
        gone = tuple(sorted(_victims(candidates, roster.wanted - replicas)))
        kept = tuple(place for place in roster.kept if place not in gone)
        return replace(roster, kept=kept, draining=tuple(sorted((*roster.draining, *gone))))
    more = replicas - roster.wanted
    back = roster.draining[:more]
    used = set(roster.places)
    new = islice((place for place in count() if place not in used), more - len(back))
    return replace(roster, kept=tuple(sorted((*roster.kept, *back, *new))), draining=roster.draining[len(back) :])


def _victims(candidates: Sequence[Candidate], surplus: int) -> Iterable[int]:
    """So many places: the planner takes none that serve while others do not yet, so it is asked again."""
    left, chosen = list(candidates), list[str]()
    while len(chosen) < surplus and (more := victims(left, surplus - len(chosen))):
        chosen += more
        left = [candidate for candidate in left if candidate.name not in more]
    return map(int, chosen)


def ending(roster: Roster, place: int) -> Roster:
    """The replica at a place has drained, or has had its time to."""
    draining = tuple(other for other in roster.draining if other != place)
    return replace(roster, draining=draining, ending=tuple(sorted({*roster.ending, place})))


def ended(roster: Roster, place: int) -> Roster:
    """The replica at a place is gone: the place is free."""
    return replace(roster, ending=tuple(other for other in roster.ending if other != place))


def drained(drain: Drain, left: int, arrivals: int) -> tuple[Drain, bool]:
    """What a beat tells of a drain, and whether the replica may end.

    It may when it had nothing to do at two beats in a row and nothing came between them: a caller who had not heard of
    the drain yet is then served, and told.

    >>> drain, over = drained(Drain(), left=0, arrivals=7)
    >>> over, drained(drain, left=0, arrivals=8)[1], drained(drain, left=0, arrivals=7)[1]
    (False, False, True)
    """
    if left:
        return Drain(), False
    return Drain(arrivals), drain.arrivals == arrivals
