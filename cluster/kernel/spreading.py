"""Which machine a new replica of a family goes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DUST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that lives.

    Attributes:
        name: Its id.
        free: What is left of its resources, by Ray's names.
        resources: What it has in all.
        labels: What it is labelled with.
    """

    name: str
    free: Mapping[str, float]
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a replica needs of its machine.

    Attributes:
        resources: By Ray's names.
        labels: What the machine must be labelled with.
        spread: Of the family: `"spread"`, `"strict_spread"` or `"pack"`.
        apart: With `"spread"`: replicas that are on distinct machines before the rest is packed.
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    spread: str = "spread"
    apart: int = 2


def choose(machines: Sequence[Machine], needs: Needs, others: Sequence[str]) -> str | None:
    """The machine for one more replica; `None`: it waits for one.

    A replica that may share a machine goes to the fullest one with room, so that others become empty and can be given
    back. While fewer than `apart` machines have one, it goes where none is yet, if there is room; else it shares.

    Args:
        machines: Those that live.
        needs: What it needs.
        others: The machines of the family's other replicas.

    >>> three = [Machine(name, {"CPU": free}, {"CPU": 4.0}) for name, free in (("a", 1.0), ("b", 3.0), ("c", 4.0))]
    >>> choose(three, Needs({"CPU": 1.0}), []), choose(three, Needs({"CPU": 1.0}), ["a"])
    ('a', 'b')
    >>> choose(three, Needs({"CPU": 1.0}), ["a", "b"]), choose(three, Needs({"CPU": 2.0}), ["a", "b"])
    ('a', 'b')
    >>> choose(three, Needs({"CPU": 1.0}, spread="strict_spread"), ["a", "b", "c"]) is None
    True
    """
    there = Counter(others)
    fit = [machine for machine in machines if _holds(machine, needs)]
    apart = [machine for machine in fit if machine.name not in there]
    alone = needs.spread == "strict_spread" or (needs.spread == "spread" and len(there) < needs.apart)
    found = (apart or fit) if alone and needs.spread == "spread" else apart if alone else fit
    if not found:
        return None
    return min(found, key=lambda machine: (_left(machine, needs), -there[machine.name], machine.name)).name


def _holds(machine: Machine, needs: Needs) -> bool:
    enough = all(machine.free.get(name, 0.0) + DUST >= amount for name, amount in needs.resources.items())
    return enough and all(machine.labels.get(name) == value for name, value in needs.labels.items())


def _left(machine: Machine, needs: Needs) -> float:
    """The share that is free of what it has of the resource that the replica needs most of."""
    return min(
        (
            machine.free.get(name, 0.0) / machine.resources[name]
            for name in needs.resources
            if machine.resources.get(name)
        ),
        default=0.0,
    )
