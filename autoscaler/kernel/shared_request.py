"""One request for machines out of those of several systems that share a cluster.

The cluster has a single slot for such a request: the last who asks overwrites all others. So each system writes down
its own part, with a lease, and whoever asks next asks for the sum of all parts that live.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Kind = tuple[tuple[str, float], ...]
"""The resources of a machine, in order."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one system asks for.

    Attributes:
        until_s: When it expires unless it is renewed, seconds since the epoch.
        counts: How many machines of each kind.
        most: How many there may be of each kind, as far as this system knows.
    """

    until_s: float
    counts: Mapping[Kind, int]
    most: Mapping[Kind, int]

    def written(self) -> bytes:
        """As text."""
        told = [
            {"resources": dict(kind), "count": count, "most": self.most.get(kind, count)}
            for kind, count in self.counts.items()
        ]
        return json.dumps({"until_s": self.until_s, "machines": told}).encode()


def part(shape: Sequence[Mapping[str, float]], most: Mapping[Kind, int], until_s: float) -> Part:
    """The part of a system that asks for these bundles."""
    counts: dict[Kind, int] = {}
    for bundle in shape:
        kind = kind_of(bundle)
        counts[kind] = counts.get(kind, 0) + 1
    return Part(until_s, counts, most)


def kind_of(resources: Mapping[str, float]) -> Kind:
    """Resources in order; those of which there are none are left out."""
    return tuple(sorted((name, float(amount)) for name, amount in resources.items() if amount))


def read(data: bytes) -> Part | None:
    """What `Part.written` wrote; `None`: somebody else did."""
    try:
        told = json.loads(data)
        kinds = [(kind_of(each["resources"]), int(each["count"]), int(each["most"])) for each in told["machines"]]
        return Part(
            float(told["until_s"]),
            {kind: count for kind, count, _ in kinds},
            {kind: most for kind, _, most in kinds},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def joined(parts: Iterable[Part], now_s: float) -> list[dict[str, float]]:
    """The bundles of all parts that live; of each kind no more than there may be, for it is all or nothing.

    >>> small = kind_of({"CPU": 4.0})
    >>> joined([Part(9.0, {small: 2}, {small: 3}), Part(9.0, {small: 2}, {small: 3}), Part(1.0, {small: 5}, {})], 5.0)
    [{'CPU': 4.0}, {'CPU': 4.0}, {'CPU': 4.0}]
    """
    counts: dict[Kind, int] = {}
    most: dict[Kind, int] = {}
    for each in parts:
        if each.until_s > now_s:
            for kind, count in each.counts.items():
                counts[kind] = counts.get(kind, 0) + count
                most[kind] = max(most.get(kind, 0), each.most.get(kind, count))
    return [dict(kind) for kind in sorted(counts) for _ in range(min(counts[kind], most[kind]))]
