"""The same replicas on the same machines, each family spread as evenly as it goes: so that a loss takes few of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plan import DUST, Packed, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Bundles, MachineType


def spread(machines: Sequence[MachineType], families: Sequence[Bundles]) -> Plan | None:
    """A plan with just these machines; `None`: not all replicas found a place that way.

    The order of the families decides who is placed first: those with the largest replicas should be.

    >>> from raybeam.autoscaler.kernel.plan import Bundles, MachineType, pack
    >>> small = MachineType("small", {"CPU": 4.0})
    >>> families = [Bundles("web", 4, {"CPU": 1.0}), Bundles("seats", 4, {"CPU": 1.0})]
    >>> [machine.families for machine in pack(families, [small]).machines]
    [('web', 'web', 'web', 'web'), ('seats', 'seats', 'seats', 'seats')]
    >>> [machine.families for machine in spread([small, small], families).machines]
    [('web', 'web', 'seats', 'seats'), ('web', 'web', 'seats', 'seats')]
    """
    free = [dict(machine.resources) for machine in machines]
    on: list[list[str]] = [[] for _ in machines]
    for bundles in families:
        needs = [(name, amount) for name, amount in bundles.resources.items() if amount]
        level = [place for place, machine in enumerate(machines) if machine.has(bundles.labels)]
        left = bundles.replicas
        while left:
            level = [
                place
                for place in level
                if all(free[place].get(name, 0.0) / amount + DUST >= 1 for name, amount in needs)
            ]
            if not level:
                return None
            for place in level[:left]:
                on[place].append(bundles.family)
                for name, amount in needs:
                    free[place][name] -= amount
            left -= min(left, len(level))
    return Plan(tuple(Packed(machine, tuple(names)) for machine, names in zip(machines, on, strict=True)), {})
