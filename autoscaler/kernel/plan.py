"""From replicas to machines: which to have, what to ask the cluster's autoscaler for, and which replicas may end.

All of it is arithmetic on plain data: nothing is asked for or ended here, so that a plan can be shown before it is
carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor, inf, isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DUST = 1e-9


@dataclass(frozen=True, slots=True)
class MachineType:
    """A kind of machine.

    Attributes:
        name: Its name, as in the cluster's configuration.
        resources: What it has, by Ray's names (`CPU`, `GPU`, `memory`, custom ones).
        price: Of an hour.
        boot_s: Seconds from asking for one until it is up.
        labels: What it is labelled with.
        min_machines: There are never fewer.
        max_machines: Nor more.

    Raises:
        ValueError: A number is negative or not finite, the maximum is below the minimum, or there are no resources.
    """

    name: str
    resources: Mapping[str, float]
    price: float = 1.0
    boot_s: float = 45.0
    labels: Mapping[str, str] = field(default_factory=dict)
    min_machines: int = 0
    max_machines: int = 1000

    def __post_init__(self) -> None:
        numbers = {"price": self.price, "boot_s": self.boot_s, "min_machines": self.min_machines}
        for name, value in {**numbers, "max_machines": self.max_machines, **self.resources}.items():
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{self.name}: {name}={value!r}: give a finite number, 0 or more")
        if self.max_machines < self.min_machines:
            raise ValueError(f"{self.name}: max_machines={self.max_machines} is below min_machines={self.min_machines}")
        if not any(self.resources.values()):
            raise ValueError(f"{self.name}: a machine without resources carries nothing")

    def fits(self, bundle: Mapping[str, float]) -> int:
        """How many such bundles one machine holds.

        >>> MachineType("small", {"CPU": 4.0, "memory": 8.0}).fits({"CPU": 1.0, "memory": 3.0})
        2
        """
        counts = [floor(self.resources.get(name, 0.0) / amount + DUST) for name, amount in bundle.items() if amount > 0]
        return min(counts) if counts else 0

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether it carries all these labels."""
        return all(self.labels.get(name) == value for name, value in labels.items())


@dataclass(frozen=True, slots=True)
class Bundles:
    """Replicas of one family, as what each needs.

    Attributes:
        family: Its name.
        replicas: How many.
        resources: What one needs.
        labels: What its machine must be labelled with.

    Raises:
        ValueError: A number is negative or not finite, or a replica needs nothing at all.
    """

    family: str
    replicas: int
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in {"replicas": self.replicas, **self.resources}.items():
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{self.family}: {name}={value!r}: give a finite number, 0 or more")
        if not any(self.resources.values()):
            raise ValueError(f"{self.family}: a replica that needs nothing cannot be packed; give it a part of a CPU")


@dataclass(frozen=True, slots=True)
class Packed:
    """One machine of a plan.

    Attributes:
        type: What kind it is.
        families: The family of each replica on it.
    """

    type: MachineType
    families: tuple[str, ...] = ()

    def free(self, needs: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """What is left of its resources."""
        left = dict(self.type.resources)
        for family in self.families:
            for name, amount in needs[family].items():
                left[name] = left.get(name, 0.0) - amount
        return left


@dataclass(frozen=True, slots=True)
class Plan:
    """Machines for replicas.

    Attributes:
        machines: Each with the replicas on it.
        homeless: Replicas by family that no machine may be had for.
    """

    machines: tuple[Packed, ...]
    homeless: Mapping[str, int]

    @property
    def price(self) -> float:
        """Of an hour."""
        return sum(machine.type.price for machine in self.machines)

    def count(self) -> dict[str, int]:
        """Machines of each type."""
        counts: dict[str, int] = {}
        for machine in self.machines:
            counts[machine.type.name] = counts.get(machine.type.name, 0) + 1
        return counts

    def request(self) -> list[dict[str, float]]:
        """What to ask Ray's autoscaler for: one bundle per machine, each as large as the machine.

        `request_resources` is a floor under the whole cluster, has one slot for all callers, and is all or nothing: a
        shape beyond the maximum gets nothing at all. So one owner asks, for all families together, in whole machines
        (it packs against empty ones), clipped to the maximum, and asks for less again when less is needed.
        """
        return [
            {name: amount for name, amount in machine.type.resources.items() if amount} for machine in self.machines
        ]


def pack(families: Sequence[Bundles], types: Sequence[MachineType]) -> Plan:
    """Machines that hold all replicas, first fit decreasing: the largest replicas first, on the cheapest machines.

    Args:
        families: What is to run.
        types: What machines may be had.

    >>> small = MachineType("small", {"CPU": 4.0}, price=1.0, max_machines=2)
    >>> plan = pack([Bundles("web", 10, {"CPU": 1.0})], [small])
    >>> plan.count(), plan.homeless, plan.request()
    ({'small': 2}, {'web': 2}, [{'CPU': 4.0}, {'CPU': 4.0}])
    """
    needs = {bundles.family: bundles.resources for bundles in families}
    if len(needs) < len(families):
        raise ValueError("a family is given twice")
    taken: list[tuple[MachineType, list[str], dict[str, float]]] = []
    counts = dict.fromkeys((kind.name for kind in types), 0)
    homeless: dict[str, int] = {}
    for kind in types:
        for _ in range(kind.min_machines):
            taken.append((kind, [], dict(kind.resources)))
            counts[kind.name] += 1
    for bundles in sorted(families, key=lambda bundles: -_size(bundles.resources, types)):
        left = bundles.replicas
        for place in taken:
            left -= _put(bundles, left, place)
        while left:
            found = _cheapest(bundles, left, types, counts)
            if found is None:
                homeless[bundles.family] = left
                break
            counts[found.name] += 1
            taken.append((found, [], dict(found.resources)))
            left -= _put(bundles, left, taken[-1])
    return Plan(tuple(Packed(kind, tuple(on)) for kind, on, _ in taken), homeless)


def _size(bundle: Mapping[str, float], types: Sequence[MachineType]) -> float:
    """The largest part that a replica takes of any machine that it fits on."""
    fitting = [kind.fits(bundle) for kind in types]
    return 1.0 / min((count for count in fitting if count), default=1)


def _put(bundles: Bundles, most: int, place: tuple[MachineType, list[str], dict[str, float]]) -> int:
    """Put as many replicas on a machine as it holds, at most so many; how many."""
    kind, on, left = place
    needs = {name: amount for name, amount in bundles.resources.items() if amount}
    if not kind.has(bundles.labels):
        return 0
    held = min(most, *(floor(left.get(name, 0.0) / amount + DUST) for name, amount in needs.items()))
    if held > 0:
        on += [bundles.family] * held
        for name, amount in needs.items():
            left[name] = left.get(name, 0.0) - amount * held
    return max(held, 0)


def _cheapest(
    bundles: Bundles, left: int, types: Sequence[MachineType], counts: Mapping[str, int]
) -> MachineType | None:
    """The type with the least price per replica that is really put on it."""
    best, least = None, inf
    for kind in types:
        fits = kind.fits(bundles.resources)
        if fits and kind.has(bundles.labels) and counts[kind.name] < kind.max_machines:
            price = kind.price / min(fits, left)
            if price < least:
                best, least = kind, price
    return best


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica that might end.

    Attributes:
        name: Of the replica.
        machine: Where it is; `None`: it waits for one.
        ready: Whether it serves.
        busy: Requests that it is serving.
        only_copy: Whether it holds state that nobody else has: it is never chosen.
    """

    name: str
    machine: str | None = None
    ready: bool = True
    busy: int = 0
    only_copy: bool = False


def victims(candidates: Sequence[Candidate], surplus: int) -> list[str]:
    """Which replicas end when there are too many.

    Those that do not serve yet come first, and as long as there are some of them nothing else is taken; then
    those on the machines with the fewest replicas, so that machines become empty and can be given back; idle ones
    before busy ones there, for whoever ends answers first what it has. A replica with the only copy of something
    stays, whatever is asked for.

    >>> replicas = [Candidate("a", "m1"), Candidate("b", "m1"), Candidate("c", "m2"), Candidate("d", "m3")]
    >>> victims(replicas, 2), victims([*replicas, Candidate("e", None, ready=False)], 1)
    (['c', 'd'], ['e'])
    """
    on: dict[str | None, int] = {}
    pinned: set[str | None] = set()
    for candidate in candidates:
        on[candidate.machine] = on.get(candidate.machine, 0) + 1
        if candidate.only_copy:
            pinned.add(candidate.machine)
    may_go = [candidate for candidate in candidates if not candidate.only_copy]
    chosen: list[str] = []
    while may_go and len(chosen) < surplus:
        unborn = any(not candidate.ready for candidate in candidates)
        if unborn and chosen and all(candidate.ready for candidate in may_go):
            break
        best = min(
            may_go,
            key=lambda each: (
                each.ready,
                each.machine is not None,
                each.machine in pinned,
                on[each.machine],
                each.busy,
                each.name,
            ),
        )
        may_go.remove(best)
        on[best.machine] -= 1
        chosen.append(best.name)
    return chosen


@dataclass(frozen=True, slots=True)
class Change:
    """What carrying out a plan would do.

    Attributes:
        start: Machines to ask for, by type.
        give_back: Machines that are no longer wanted, by type.
        price_before: Of an hour of what there is.
        price_after: Of an hour of the plan.
    """

    start: Mapping[str, int]
    give_back: Mapping[str, int]
    price_before: float
    price_after: float


def dry_run(plan: Plan, present: Mapping[str, int], types: Sequence[MachineType]) -> Change:
    """The change from the machines there are to a plan, without making it.

    >>> small = MachineType("small", {"CPU": 4.0}, price=0.5)
    >>> dry_run(pack([Bundles("web", 10, {"CPU": 1.0})], [small]), {"small": 1}, [small])
    Change(start={'small': 2}, give_back={}, price_before=0.5, price_after=1.5)
    """
    wanted = plan.count()
    names = [kind.name for kind in types]
    start = {name: wanted.get(name, 0) - present.get(name, 0) for name in names}
    prices = {kind.name: kind.price for kind in types}
    return Change(
        {name: number for name, number in start.items() if number > 0},
        {name: -number for name, number in start.items() if number < 0},
        sum(prices.get(name, 0.0) * number for name, number in present.items()),
        plan.price,
    )
