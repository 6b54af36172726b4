"""Capacity on paper: how many replicas and machines families need, also with a failure domain lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

from raybeam.actors.errors import OptionError

from .demand import MOST_REPLICAS
from .plan import Bundles, pack
from .spread import spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .demand import Demand
    from .plan import MachineType, Packed, Plan

BESIDE = "\n"
"""Stands between a family and where a part of it is: no name has it."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What may be lost at once, with the objectives still met.

    Attributes:
        lost: So many of them. Default 1; 0: nothing is spared.
        label: `None`: machines. Else all machines with the same value of this label, a zone for example.
        availability: Share of the time that one of them is up. Default 0.999.

    Raises:
        OptionError: A number is out of range.
    """

    lost: int = 1
    label: str | None = None
    availability: float = 0.999

    def __post_init__(self) -> None:
        if not 0 <= self.lost <= 1000:
            raise OptionError(f"lost={self.lost!r}: give a number from 0 to 1000")
        if not 0 < self.availability <= 1:
            raise OptionError(f"availability={self.availability!r}: give a share above 0, at most 1")

    def of(self, machine: Packed, number: int) -> str:
        """To which of them a machine belongs."""
        return str(number) if self.label is None else machine.type.labels.get(self.label, "")

    def __str__(self) -> str:
        word = self.label or "machine"
        return f"{self.lost} {word}{'s' * (self.lost != 1)}"


@dataclass(frozen=True, slots=True)
class Carried:
    """One family of a capacity.

    Attributes:
        demand: What it is to carry.
        least: Replicas that meet its objective.
        replicas: Replicas with which it is met although the domain is lost.
        left: Of these, how many are left then.
    """

    demand: Demand
    least: int
    replicas: int
    left: int

    @property
    def utilisation(self) -> float:
        """Share of the slots in use."""
        return self.demand.load / (self.replicas * self.demand.slots) if self.replicas else 0.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What families need together.

    Attributes:
        families: Each by its name.
        plan: The machines.
        bare: The machines for the objectives with nothing lost.
        domain: What may be lost.
        availability: Share of the time in which no more than that is lost.
        bare_availability: Share of the time in which nothing of `bare` is lost.
    """

    families: Mapping[str, Carried]
    plan: Plan
    bare: Plan
    domain: Domain
    availability: float
    bare_availability: float


def capacity(demands: Mapping[str, Demand], types: Sequence[MachineType], domain: Domain | None = None) -> Capacity:
    """The capacity for demands.

    Args:
        demands: What each family is to carry, by its name.
        types: What machines may be had.
        domain: What may be lost. Default: one machine.

    Raises:
        OptionError: No machine holds a replica, the maxima do not hold all replicas that are needed, or there are not
            enough domains to lose one.

    >>> from raybeam.autoscaler.kernel.demand import Demand
    >>> from raybeam.autoscaler.kernel.plan import MachineType
    >>> found = capacity({"web": Demand(50.0, 0.2, slo_s=1.2)}, [MachineType("small", {"CPU": 4.0})])
    >>> found.families["web"].least, found.families["web"].replicas, found.plan.count()
    (12, 16, {'small': 4})
    """
    domain = domain or Domain()
    least = {name: demand.least() for name, demand in demands.items()}
    replicas, plan = _placed(demands, least, types, domain)
    bare = _packed(demands, least, types, Domain(0))
    left = _left(plan, domain, demands)
    return Capacity(
        {name: Carried(demand, least[name], replicas[name], left[name]) for name, demand in demands.items()},
        plan,
        bare,
        domain,
        _at_most_lost(plan, domain),
        _at_most_lost(bare, Domain(0, domain.label, domain.availability)),
    )


def _placed(
    demands: Mapping[str, Demand], least: Mapping[str, int], types: Sequence[MachineType], domain: Domain
) -> tuple[dict[str, int], Plan]:
    """Replicas and machines of which enough are left when the domain is lost; raises as `capacity`."""
    replicas = dict(least)
    while True:
        if sum(replicas.values()) > MOST_REPLICAS:
            raise OptionError(f"more than {MOST_REPLICAS:,} replicas are needed: plans are made up to there")
        plan = _packed(demands, replicas, types, domain)
        if plan.homeless:
            bundles, number = next(iter(plan.homeless.items()))
            name = _family(bundles)
            raise OptionError(
                f"{replicas[name]} replicas of {name} are needed, and the maxima of the machine types leave {number} "
                "of them without a machine"
            )
        left = _left(plan, domain, demands)
        short = {name: least[name] - left[name] for name in demands if left[name] < least[name]}
        if not short:
            return _fewest(demands, least, replicas, plan, domain)
        for name, number in short.items():
            replicas[name] += (number + 1) // 2


def _fewest(
    demands: Mapping[str, Demand], least: Mapping[str, int], replicas: dict[str, int], plan: Plan, domain: Domain
) -> tuple[dict[str, int], Plan]:
    """As few replicas as do on the same machines: there may be more machines now than when they were counted."""
    if domain.label is not None or not domain.lost:
        return replicas, plan
    for name in demands:
        step = replicas[name] - least[name]
        while step:
            fewer = {**replicas, name: replicas[name] - step}
            tried = _spread(demands, fewer, plan)
            left = {} if tried is None else _left(tried, domain, demands)
            if tried is not None and all(left[each] >= least[each] for each in demands):
                replicas, plan = fewer, tried
                step = min(step, replicas[name] - least[name])
            else:
                step //= 2
    return replicas, plan


def _packed(
    demands: Mapping[str, Demand], replicas: Mapping[str, int], types: Sequence[MachineType], domain: Domain
) -> Plan:
    """Machines for so many replicas; over the values of a label they are spread evenly."""
    for name, demand in demands.items():
        needs = dict(demand.replica)
        if not any(kind.fits(needs) for kind in types):
            raise OptionError(f"no machine type holds a replica of {name}, which needs {needs}")
    if domain.label is None:
        plan = pack([Bundles(name, replicas[name], dict(demands[name].replica)) for name in demands], types)
        return plan if plan.homeless or not domain.lost else _spread(demands, replicas, plan) or plan
    values = sorted({kind.labels[domain.label] for kind in types if domain.label in kind.labels})
    if len(values) <= domain.lost:
        raise OptionError(
            f"of label {domain.label!r} the machine types have {len(values)} values: {domain} cannot be lost without "
            "losing all"
        )
    parts = []
    for name in demands:
        for place, value in enumerate(values):
            share = replicas[name] // len(values) + (place < replicas[name] % len(values))
            parts.append(Bundles(f"{name}{BESIDE}{value}", share, dict(demands[name].replica), {domain.label: value}))
    return pack(parts, types)


def _spread(demands: Mapping[str, Demand], replicas: Mapping[str, int], plan: Plan) -> Plan | None:
    """Replicas spread over the machines of a plan, those that need the most first."""
    machines = [machine.type for machine in plan.machines]

    def part(name: str) -> float:
        needs = dict(demands[name].replica)
        return max(needs[of] / most for of in needs if (most := max(each.resources.get(of, 0.0) for each in machines)))

    order = sorted(demands, key=lambda name: -part(name)) if machines else []
    return spread(machines, [Bundles(name, replicas[name], dict(demands[name].replica)) for name in order])


def _family(bundles: str) -> str:
    return bundles.partition(BESIDE)[0]


def _left(plan: Plan, domain: Domain, demands: Mapping[str, Demand]) -> dict[str, int]:
    """Replicas of each family that are left when those domains are lost that have the most of them."""
    counts: dict[str, dict[str, int]] = {name: {} for name in demands}
    for number, machine in enumerate(plan.machines):
        place = domain.of(machine, number)
        for bundles, number_on in Counter(machine.families).items():
            on = counts[_family(bundles)]
            on[place] = on.get(place, 0) + number_on
    return {name: sum(sorted(on.values(), reverse=True)[domain.lost :]) for name, on in counts.items()}


def _at_most_lost(plan: Plan, domain: Domain) -> float:
    """How likely it is that no more domains than that are down, each by itself."""
    used = {domain.of(machine, number) for number, machine in enumerate(plan.machines) if machine.families}
    count, up = len(used), domain.availability
    return sum(comb(count, n) * (1 - up) ** n * up ** (count - n) for n in range(min(domain.lost, count) + 1))
