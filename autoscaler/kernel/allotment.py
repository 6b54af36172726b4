"""Who gets how many replicas when the machines do not suffice for all.

Each family first gets its minimum. Then the next replica goes to the family with the least so far, counted in its
dominant share: the part of all machines that its replicas take of the resource that they need most of (Ghodsi et al.,
*Dominant Resource Fairness*, NSDI 2011). So who asks for little gets it, those who ask for much share what is left, and
nobody gains by asking for more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from .plan import DUST, Bundles, MachineType, pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Claim:
    """What one family asks for.

    Attributes:
        family: Its name.
        replicas: How many it wants.
        least: How many of these it gets before anybody gets more.
        resources: What one needs.
        labels: What its machine must be labelled with.
    """

    family: str
    replicas: int
    least: int
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)

    def bundles(self, replicas: int) -> Bundles:
        """So many replicas of it."""
        return Bundles(self.family, replicas, self.resources, self.labels)


def allot(claims: Sequence[Claim], types: Sequence[MachineType]) -> dict[str, int]:
    """How many replicas each family gets: all that it wants, if that can be had.

    Args:
        claims: What all families ask for; among equals the first comes first.
        types: What machines may be had.

    >>> small = MachineType("small", {"CPU": 4.0}, max_machines=3)
    >>> allot([Claim("web", 20, 2, {"CPU": 1.0}), Claim("mail", 3, 1, {"CPU": 1.0})], [small])
    {'web': 9, 'mail': 3}
    """
    if not pack([claim.bundles(claim.replicas) for claim in claims], types).homeless:
        return {claim.family: claim.replicas for claim in claims}
    filling = _Filling(types)
    granted = dict.fromkeys((claim.family for claim in claims), 0)
    share = {claim.family: _dominant_share(claim, types) for claim in claims}
    for bound in ([min(claim.least, claim.replicas) for claim in claims], [claim.replicas for claim in claims]):
        queue = [
            (granted[claim.family] * share[claim.family], place)
            for place, claim in enumerate(claims)
            if granted[claim.family] < bound[place]
        ]
        heapify(queue)
        while queue:
            _, place = heappop(queue)
            claim = claims[place]
            if filling.place(claim):
                granted[claim.family] += 1
                if granted[claim.family] < bound[place]:
                    heappush(queue, (granted[claim.family] * share[claim.family], place))
    return granted


class _Filling:
    """Machines that are being filled, one replica after the other."""

    def __init__(self, types: Sequence[MachineType]) -> None:
        self._left = {kind.name: kind.max_machines - kind.min_machines for kind in types}
        self._types = sorted(types, key=lambda kind: kind.price)
        self._machines = [(kind, dict(kind.resources)) for kind in types for _ in range(kind.min_machines)]
        self._first: dict[str, int] = {}  # by family, the first machine that may have room: they only get fuller

    def place(self, claim: Claim) -> bool:
        """Put one replica onto the first machine with room, else onto the cheapest new one; whether there was any."""
        first = self._first.get(claim.family, 0)
        while first < len(self._machines) and not _holds(*self._machines[first], claim):
            first += 1
        self._first[claim.family] = first
        if first == len(self._machines):
            new = next(
                (kind for kind in self._types if self._left[kind.name] and _holds(kind, kind.resources, claim)), None
            )
            if new is None:
                return False
            self._left[new.name] -= 1
            self._machines.append((new, dict(new.resources)))
        free = self._machines[first][1]
        for name, amount in claim.resources.items():
            free[name] = free.get(name, 0.0) - amount
        return True


def _holds(kind: MachineType, free: Mapping[str, float], claim: Claim) -> bool:
    return kind.has(claim.labels) and all(
        free.get(name, 0.0) + DUST >= amount for name, amount in claim.resources.items()
    )


def _dominant_share(claim: Claim, types: Sequence[MachineType]) -> float:
    """The part of all machines that one replica takes of the resource that it needs most of."""
    shares = [0.0]
    for name, amount in claim.resources.items():
        total = sum(kind.max_machines * kind.resources.get(name, 0.0) for kind in types)
        if total > 0:
            shares.append(amount / total)
    return max(shares)


def types_of_ready(ready: Mapping[str, Mapping[str, float]], needed: Sequence[str]) -> list[MachineType]:
    """The machines that are up, as types of which there are so many and no more.

    Args:
        ready: Resources by machine.
        needed: Resources that matter; others are left out.

    >>> [only] = types_of_ready({"a": {"CPU": 4, "x": 1}, "b": {"CPU": 4}}, ["CPU"])
    >>> only.resources, only.max_machines
    ({'CPU': 4.0}, 2)
    """
    counts: dict[tuple[tuple[str, float], ...], int] = {}
    for resources in ready.values():
        kind = tuple((name, float(resources[name])) for name in sorted(needed) if resources.get(name, 0.0) > 0)
        if kind:
            counts[kind] = counts.get(kind, 0) + 1
    return [
        MachineType(f"ready-{number}", dict(kind), min_machines=count, max_machines=count)
        for number, (kind, count) in enumerate(sorted(counts.items()))
    ]


def without_labels(claims: Sequence[Claim]) -> list[Claim]:
    """The same claims, for machines of which no labels are known."""
    return [replace(claim, labels={}) for claim in claims]
