"""Which replica of a family gets a call: one router for each pattern, made from the family's view."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Protocol, TypeAlias

from .health import Health
from .ring import Ring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from .views import View


@dataclass(frozen=True, slots=True)
class Refused:
    """All replicas that could take the call have said that they are overloaded.

    Attributes:
        until: When the first of them may be asked again.
    """

    until: float


Choice: TypeAlias = str | Refused | None
"""The name of a replica; or why none may be asked; or `None`: none is there, wait for one."""


class Load(Protocol):
    """What the caller knows of the replicas.

    Attributes:
        random: For the choice among equals.
        shunned: Replicas that have said that they are overloaded, and until when they want not to be asked.
    """

    random: Random
    shunned: dict[str, float]

    def depth(self, name: str) -> int:
        """How much waits at a replica, as far as known."""
        ...

    def now(self) -> float:
        """The time."""
        ...


class Router(Protocol):
    """Chooses among the replicas of one view."""

    def choose(self, key: object, load: Load, avoid: str | None = None) -> Choice:
        """The replica for a call.

        Args:
            key: What the method says where the call belongs, `None` when it says nothing.
            load: What is known of the replicas.
            avoid: A replica that has the call already.
        """
        ...


@dataclass(frozen=True, slots=True)
class Replicated:
    """Any replica: the less loaded of two drawn at random."""

    serving: tuple[str, ...]

    def choose(self, key: object, load: Load, avoid: str | None = None) -> Choice:
        """See `Router`."""
        serving = self.serving
        if avoid is not None:
            serving = tuple(name for name in serving if name != avoid)
        if load.shunned:
            now = load.now()
            asked = tuple(name for name in serving if load.shunned.get(name, 0.0) <= now)
            if not asked and serving:
                return Refused(min(load.shunned[name] for name in serving))
            serving = asked
        return two_choices(serving, load.depth, load.random)


@dataclass(frozen=True, slots=True)
class Sharded:
    """The replica whose place on the ring the key belongs to, and no other: it alone has the key's state.

    Attributes:
        ring: Of the family's places.
        names: The replica at each place that has one to send calls to.
        bound: How much more than the mean load a replica may have before its keys overflow to the next one; `None`:
            they never do.
    """

    ring: Ring
    names: Mapping[int, str] = field(default_factory=dict)
    bound: float | None = None

    def choose(self, key: object, load: Load, avoid: str | None = None) -> Choice:
        """See `Router`. A call without a key belongs anywhere."""
        if key is None:
            return Replicated(tuple(self.names.values())).choose(None, load, avoid)
        home = self.ring.place(key)
        name = self.names.get(home) if self.bound is None else self._within_bound(key, load)
        if name is not None and load.shunned and load.shunned.get(name, 0.0) > load.now():
            return Refused(load.shunned[name])
        return None if name == avoid else name

    def _within_bound(self, key: object, load: Load) -> str | None:
        assert self.bound is not None
        depths = {place: load.depth(name) for place, name in self.names.items()}
        if not depths:
            return None
        most = ceil(self.bound * (1 + sum(depths.values())) / len(depths))  # so that one has room, whatever the bound
        return next(self.names[place] for place in self.ring.walk(key) if place in depths and depths[place] < most)


def router(pattern: str, view: View, bound: float | None = None) -> Router:
    """The router for a family.

    Args:
        pattern: Of the family: `"replicated"`, `"ring"`, `"singleton"` or `"broadcast"`.
        view: Its members, and the places where there should be some.
        bound: See `Sharded`.
    """
    if pattern != "ring" or not view.places:
        return Replicated(view.serving())
    names = {
        member.index: member.name
        for member in view.members
        if member.health is not Health.DOWN and member.index in view.places
    }
    return Sharded(ring_of(view.places), names, bound)


@lru_cache(maxsize=64)
def ring_of(places: tuple[int, ...]) -> Ring:
    """The ring of these places; it is always the same."""
    return Ring(places)


def two_choices(members: Sequence[str], depth: Callable[[str], int], random: Random) -> str | None:
    """The less loaded of two members drawn at random; `None` when there are none.

    Two choices take the longest queue from log n / log log n down to log log n (Mitzenmacher, *The Power of Two
    Choices in Randomized Load Balancing*, 2001), and unlike always taking the shortest queue do not send
    everybody to the same replica on old news.

    >>> from random import Random
    >>> two_choices(["a"], len, Random(1)), two_choices([], len, Random(1))
    ('a', None)
    >>> two_choices(["a", "b"], {"a": 5, "b": 1}.__getitem__, Random(1))
    'b'
    """
    count = len(members)
    if count == 0:
        return None
    if count == 1:
        return members[0]
    first = random.randrange(count)
    second = random.randrange(count - 1)
    if second >= first:
        second += 1
    one, other = members[first], members[second]
    return one if depth(one) <= depth(other) else other
