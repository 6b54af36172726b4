"""What to ask the cluster's autoscaler for: whole machines for the replicas of all families, held for a while.

`request_resources` is a floor under the whole cluster, in one slot, all or nothing. So all families are packed
together, clipped to what may be had, and the request is lowered only when less has been needed for as long as the
platform keeps an idle machine: lowered earlier it would save nothing, as the platform waits that long anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .plan import Bundles, pack
from .scale_in import Hold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .allotment import Claim
    from .plan import MachineType


@dataclass(frozen=True, slots=True)
class MachineDemand:
    """Machines that are needed, and were of late.

    Attributes:
        holds: By type.
    """

    holds: Mapping[str, Hold] = field(default_factory=dict)

    def observe(self, now_s: float, counts: Mapping[str, int], hold_s: float) -> MachineDemand:
        """With what is needed now; what is older than `hold_s` is forgotten.

        >>> demand = MachineDemand().observe(0.0, {"small": 3}, 60.0).observe(30.0, {"small": 1}, 60.0)
        >>> demand.counts, demand.observe(61.0, {"small": 1}, 60.0).counts
        ({'small': 3}, {'small': 1})
        """
        names = {*self.holds, *counts}
        holds = {
            name: self.holds.get(name, Hold()).observe(now_s, counts.get(name, 0), hold_s) for name in sorted(names)
        }
        return MachineDemand({name: hold for name, hold in holds.items() if hold.most})

    @property
    def counts(self) -> dict[str, int]:
        """Machines to ask for, by type."""
        return {name: hold.most for name, hold in self.holds.items()}


def needed(
    claims: Sequence[Claim], floors: Mapping[str, int], fixed: Sequence[Bundles], types: Sequence[MachineType]
) -> dict[str, int]:
    """Machines of each type that hold all replicas, and the machines that policies want to be there ahead of them.

    What a policy wants ahead is counted in places for its replicas, so that families share machines. What cannot be
    had is left out.

    Args:
        claims: The replicas that each family has been granted.
        floors: Machines that a policy wants to be there at least, by family.
        fixed: Replicas of families that do not scale.
        types: What machines may be had.

    >>> from raybeam.autoscaler.kernel.allotment import Claim
    >>> from raybeam.autoscaler.kernel.plan import MachineType
    >>> small = MachineType("small", {"CPU": 4.0}, max_machines=5)
    >>> needed([Claim("web", 5, 1, {"CPU": 1.0})], {"web": 3}, [Bundles("db", 2, {"CPU": 2.0})], [small])
    {'small': 4}
    """
    wanted = list(fixed)
    for claim in claims:
        fits = [
            (kind.price / count, count)
            for kind in types
            if kind.has(claim.labels) and (count := kind.fits(claim.resources))
        ]
        places = floors.get(claim.family, 0) * min(fits)[1] if fits else 0
        wanted.append(claim.bundles(max(claim.replicas, places)))
    return pack(wanted, types).count()


def shape(counts: Mapping[str, int], types: Sequence[MachineType]) -> list[dict[str, float]]:
    """One bundle per machine, each as large as the machine, never more than the type's maximum.

    >>> from raybeam.autoscaler.kernel.plan import MachineType
    >>> shape({"small": 9}, [MachineType("small", {"CPU": 4.0}, max_machines=2)])
    [{'CPU': 4.0}, {'CPU': 4.0}]
    """
    return [
        {name: amount for name, amount in kind.resources.items() if amount}
        for kind in types
        for _ in range(min(counts.get(kind.name, 0), kind.max_machines))
    ]
