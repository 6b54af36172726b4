"""Families that call each other: how often each is visited for one request that comes in."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from raybeam.actors import UsageError
from raybeam.autoscaler.workload import hint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybeam.autoscaler.workload import Times


@dataclass(frozen=True, slots=True)
class Member:
    """One family on paper.

    Attributes:
        times: How long its requests take; `None`: not told.
        calls: Requests that it sends to others for each of its own, by name.
        slots: Requests that a replica serves at once.
        resources: What a replica needs.
        slo: Its objective; `None`: that of all.
    """

    times: Times | None
    calls: Mapping[str, float]
    slots: int
    resources: Mapping[str, float]
    slo: str | None = None


def visits(members: Mapping[str, Member], entry: str | None = None) -> dict[str, float]:
    """Requests of each family for one that comes to the entry; callers before those whom they call.

    Args:
        members: The families by name.
        entry: Where requests come in; `None`: at the one family that no other calls.

    Raises:
        UsageError: There is no such family, or calls go in a circle.

    >>> shop, seats = Member(None, {"seats": 3.0}, 1, {}), Member(None, {}, 1, {})
    >>> visits({"seats": seats, "shop": shop})
    {'shop': 1.0, 'seats': 3.0}
    """
    for name, member in members.items():
        for callee in member.calls:
            if callee not in members:
                raise UsageError(f"families.{name}.calls.{callee}: there is no such family{hint(callee, members)}")
    called = {callee for member in members.values() for callee in member.calls}
    callers: dict[str, set[str]] = {name: set() for name in members}
    for name, member in members.items():
        for callee in member.calls:
            callers[callee].add(name)
    try:
        order = list(TopologicalSorter(callers).static_order())
    except CycleError as error:
        raise UsageError(f"calls go in a circle: {' -> '.join(reversed(error.args[1]))}") from None
    if entry is None:
        first = [name for name in members if name not in called]
        if len(first) != 1:
            raise UsageError(f"entry: which family does the load come to? Nobody calls {', '.join(first)}")
        entry = first[0]
    if entry not in members:
        raise UsageError(f"entry={entry!r}: there is no such family{hint(entry, members)}")
    number = dict.fromkeys(members, 0.0)
    number[entry] = 1.0
    for name in order:
        for callee, mean in members[name].calls.items():
            number[callee] += number[name] * mean
    return {name: number[name] for name in order if number[name] > 0 or name == entry}
