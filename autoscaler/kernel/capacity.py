"""Capacity on paper: what a load needs, what it costs, how long one waits, and what breaks first."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, isfinite
from typing import TYPE_CHECKING

from .erlang import later_than, mean_wait_s, servers_for
from .plan import Bundles, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .plan import MachineType, Plan


@dataclass(frozen=True, slots=True)
class Demand:
    """What a family is to carry.

    Attributes:
        rate: Requests a second.
        service_s: Mean seconds that one is served.
        slo_s: Within so many seconds a request is to be answered.
        share: So large a share of them is to be. Default 0.99.
        slots: Requests that a replica serves at once. Default 1.
        cv: Coefficient of variation of the service times. Default 1.
        replica: What one replica needs. Default one CPU.
        spare_machines: Machines that may be lost at once with the objective still met. Default 1.
        availability: Share of the time that one machine is up. Default 0.999.

    Raises:
        ValueError: A number is out of range, or the objective is below the service time.
    """

    rate: float
    service_s: float
    slo_s: float
    share: float = 0.99
    slots: int = 1
    cv: float = 1.0
    replica: tuple[tuple[str, float], ...] = (("CPU", 1.0),)
    spare_machines: int = 1
    availability: float = 0.999

    def __post_init__(self) -> None:
        for name in ("rate", "service_s", "slo_s", "cv", "spare_machines"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value!r}: give a finite number, 0 or more")
        if self.slots < 1:
            raise ValueError(f"slots={self.slots!r}: a replica serves at least one request at once")
        for name in ("share", "availability"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ValueError(f"{name}={value!r}: give a share between 0 and 1")
        if self.slo_s <= self.service_s:
            raise ValueError(
                f"slo_s={self.slo_s!r} is not above service_s={self.service_s!r}: no number of replicas answers sooner "
                "than a request takes"
            )


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a demand needs.

    Attributes:
        replicas: For the objective, with `spare_machines` lost.
        least: For the objective with nothing lost.
        plan: The machines.
        utilisation: Share of the slots in use.
        mean_wait_s: Expected wait, seconds.
        late: Share of the requests that will not be answered in time.
        late_degraded: The same with `spare_machines` lost.
        availability: Share of the time in which no more than these are lost.
        breaks_first: What gives way when the load grows, and at which rate.
        breaks_at: That rate, requests a second.
        price: Of an hour.
    """

    replicas: int
    least: int
    plan: Plan
    utilisation: float
    mean_wait_s: float
    late: float
    late_degraded: float
    availability: float
    breaks_first: str
    breaks_at: float
    price: float


def capacity(demand: Demand, types: Sequence[MachineType]) -> Capacity:
    """The capacity for a demand.

    Args:
        demand: What is to be carried.
        types: What machines may be had.

    Raises:
        ValueError: No machine holds a replica, or the maxima do not hold all replicas that are needed.

    >>> from raybeam.autoscaler.kernel.plan import MachineType
    >>> found = capacity(Demand(rate=50.0, service_s=0.2, slo_s=1.2), [MachineType("small", {"CPU": 4.0})])
    >>> found.least, found.replicas, found.plan.count(), found.breaks_first
    (11, 15, {'small': 4}, 'the objective with 1 machine lost')
    """
    needs = dict(demand.replica)
    largest = max((kind.fits(needs) for kind in types), default=0)
    if largest == 0:
        raise ValueError(f"no machine type holds a replica that needs {needs}")
    load, wait_s = demand.rate * demand.service_s, demand.slo_s - demand.service_s
    servers = servers_for(load, demand.service_s, wait_s, 1.0 - demand.share, demand.cv)
    least = max(-(-servers // demand.slots), 1 if demand.rate else 0)
    plan = pack([Bundles("replicas", least, needs)], types)
    replicas = least
    while not plan.homeless and _left(plan, demand.spare_machines) < least:
        replicas += 1
        plan = pack([Bundles("replicas", replicas, needs)], types)
    if plan.homeless:
        raise ValueError(
            f"{replicas} replicas are needed, and the maxima of the machine types hold "
            f"{replicas - plan.homeless['replicas']}"
        )
    degraded = _left(plan, demand.spare_machines)

    def late(number: int, rate: float) -> float:
        return later_than(wait_s, number * demand.slots, rate * demand.service_s, demand.service_s, demand.cv)

    whole_at = _rate_at(demand, replicas, late)
    degraded_at = _rate_at(demand, degraded, late) if demand.spare_machines else whole_at
    most = sum(kind.fits(needs) * kind.max_machines for kind in types)
    maximum_at = _rate_at(demand, most, late)
    breaks = [
        (degraded_at, f"the objective with {demand.spare_machines} machine{'s' * (demand.spare_machines > 1)} lost"),
        (whole_at, "the objective"),
        (maximum_at, "the maxima of the machine types"),
    ]
    breaks_at, first = min(breaks, key=lambda each: each[0])
    slots = replicas * demand.slots
    machines = len(plan.machines)
    return Capacity(
        replicas,
        least,
        plan,
        load / slots if slots else 0.0,
        mean_wait_s(slots, load, demand.service_s, demand.cv) if slots else 0.0,
        late(replicas, demand.rate) if slots else 0.0,
        late(degraded, demand.rate) if slots else 0.0,
        _at_most_lost(machines, min(demand.spare_machines, machines), demand.availability),
        first,
        breaks_at,
        plan.price,
    )


def _left(plan: Plan, lost: int) -> int:
    """Replicas that are left when the fullest machines are lost."""
    counts = sorted((len(machine.families) for machine in plan.machines), reverse=True)
    return sum(counts[lost:])


def _rate_at(demand: Demand, replicas: int, late: Callable[[int, float], float]) -> float:
    """The largest rate at which so many replicas hold the objective."""
    low, high = 0.0, replicas * demand.slots / max(demand.service_s, 1e-9)
    for _ in range(40):
        middle = (low + high) / 2
        if late(replicas, middle) <= 1.0 - demand.share:
            low = middle
        else:
            high = middle
    return low


def _at_most_lost(machines: int, lost: int, up: float) -> float:
    """How likely it is that no more than so many machines are down, each by itself."""
    return sum(comb(machines, n) * (1 - up) ** n * up ** (machines - n) for n in range(lost + 1))
