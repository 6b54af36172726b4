"""What gives way first: as the load grows, and as requests take longer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybeam.actors.errors import OptionError

from .demand import MOST_REPLICAS
from .plan import Bundles, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .capacity import Capacity, Carried, Domain
    from .demand import Demand
    from .plan import MachineType

FAR = 1e4
"""Further than so many times the load nobody looks."""
EXACT = 1e-3
"""To this part a rung is known."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One thing that gives way.

    Attributes:
        what: It, in words.
        times: At how many times the load, or the service time.
    """

    what: str
    times: float


def of_load(found: Capacity, types: Sequence[MachineType]) -> list[Rung]:
    """What gives way as the load of all families grows, the first first.

    >>> from raybeam.autoscaler.kernel.capacity import capacity
    >>> from raybeam.autoscaler.kernel.demand import Demand
    >>> from raybeam.autoscaler.kernel.plan import MachineType
    >>> types = [MachineType("small", {"CPU": 4.0}, max_machines=10)]
    >>> for rung in of_load(capacity({"web": Demand(50.0, 0.2, slo_s=1.2)}, types), types):
    ...     print(f"{rung.times:.2f} {rung.what}")
    1.08 the objective of web, 1 machine lost
    1.20 the queue of web grows without end, 1 machine lost
    1.48 the objective of web
    1.60 the queue of web grows without end
    3.47 the maxima of the machine types
    """
    demands = {name: carried.demand for name, carried in found.families.items()}
    kept = _without(types, found.domain)
    fits = _largest(lambda times: _can_be_had(demands, times, kept), 10 * EXACT)
    largest = "the maxima of the machine types"
    if sum(demand.least(1.01 * fits) for demand in demands.values()) > MOST_REPLICAS / 2:
        largest += f", or {MOST_REPLICAS:,} replicas: no plan is made beyond"
    return sorted([*_rungs(found, _load), Rung(largest, fits)], key=lambda rung: rung.times)


def of_service(found: Capacity) -> list[Rung]:
    """What gives way as requests take longer, with the number of replicas as it is."""
    return sorted(_rungs(found, _stretch), key=lambda rung: rung.times)


def _load(demand: Demand, replicas: int, times: float) -> bool:
    return demand.holds(replicas, times=times)


def _stretch(demand: Demand, replicas: int, times: float) -> bool:
    return demand.holds(replicas, stretch=times)


def _rungs(found: Capacity, holds: Callable[[Demand, int, float], bool]) -> list[Rung]:
    rungs: list[Rung] = []
    for name, carried in found.families.items():
        if carried.demand.load == 0:
            continue
        states = {"": carried.replicas}
        if found.domain.lost:
            states[f", {found.domain} lost"] = carried.left
        for state, replicas in states.items():
            rungs.append(Rung(f"the objective of {name}{state}", _objective(carried, replicas, holds)))
            full = replicas * carried.demand.slots / carried.demand.load
            rungs.append(Rung(f"the queue of {name} grows without end{state}", full))
    return rungs


def _objective(carried: Carried, replicas: int, holds: Callable[[Demand, int, float], bool]) -> float:
    return _largest(lambda times: holds(carried.demand, replicas, times))


def _without(types: Sequence[MachineType], domain: Domain) -> list[MachineType]:
    """The types of machines, with the largest domains lost for good."""
    kept = sorted(types, key=lambda kind: -sum(kind.resources.values()))
    if domain.label is not None:
        sizes: dict[str, float] = {}
        for kind in types:
            value = kind.labels.get(domain.label, "")
            sizes[value] = sizes.get(value, 0.0) + kind.max_machines * sum(kind.resources.values())
        lost = sorted(sizes, key=lambda value: -sizes[value])[: domain.lost]
        return [kind for kind in kept if kind.labels.get(domain.label, "") not in lost]
    left = domain.lost
    for place, kind in enumerate(kept):
        gone = min(left, kind.max_machines)
        kept[place] = replace(
            kind, max_machines=kind.max_machines - gone, min_machines=min(kind.min_machines, kind.max_machines - gone)
        )
        left -= gone
    return kept


def _can_be_had(demands: Mapping[str, Demand], times: float, types: Sequence[MachineType]) -> bool:
    try:
        least = {name: demand.least(times) for name, demand in demands.items()}
    except OptionError:
        return False
    if sum(least.values()) > MOST_REPLICAS:
        return False
    return not pack([Bundles(name, least[name], dict(demands[name].replica)) for name in demands], types).homeless


def _largest(holds: Callable[[float], bool], exact: float = EXACT) -> float:
    """The largest factor for which something holds; it does for all smaller ones."""
    low, high = 0.0, 1.0
    while holds(high):
        low, high = high, 2 * high
        if high > FAR:
            return FAR
    while high - low > exact * high:
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
        if high < EXACT:
            return 0.0
    return low
