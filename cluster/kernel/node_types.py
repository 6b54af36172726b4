"""From families and machines to the node types of a cluster: how many of each at least and at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybeam.autoscaler.kernel.plan import Bundles, pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybeam.autoscaler.kernel.plan import MachineType


@dataclass(frozen=True, slots=True)
class FamilyBounds:
    """What a family may need.

    Attributes:
        family: Its name.
        least: Replicas that it has at least.
        most: And at most.
        resources: What one needs.
        labels: What its machine must be labelled with.
        apart: Whether no two replicas may be on one machine.
    """

    family: str
    least: int
    most: int
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    apart: bool = False


@dataclass(frozen=True, slots=True)
class NodeType:
    """A type of machine in a cluster.

    Attributes:
        machine: What kind it is.
        min_workers: There are never fewer.
        max_workers: Nor more.
    """

    machine: MachineType
    min_workers: int
    max_workers: int


@dataclass(frozen=True, slots=True)
class NodeTypes:
    """All types of a cluster.

    Attributes:
        types: Those that are used.
        homeless: Replicas by family that no machine may be had for.
    """

    types: tuple[NodeType, ...]
    homeless: Mapping[str, int]


def node_types(
    families: Sequence[FamilyBounds], machines: Sequence[MachineType], planned: Mapping[str, int] | None = None
) -> NodeTypes:
    """The machines that hold the families at their least, and at their most.

    Args:
        families: What is to run.
        machines: What machines may be had.
        planned: Machines of each type that a plan for a load wants; they may be had too.

    >>> from raybeam.autoscaler.kernel.plan import MachineType
    >>> found = node_types([FamilyBounds("web", 2, 9, {"CPU": 1.0})], [MachineType("small", {"CPU": 4.0})])
    >>> [(each.machine.name, each.min_workers, each.max_workers) for each in found.types]
    [('small', 1, 3)]
    """
    low, _ = _counts(families, machines, {each.family: each.least for each in families})
    high, homeless = _counts(families, machines, {each.family: each.most for each in families})
    wanted = planned or {}
    most = {
        machine.name: max(low[machine.name], high[machine.name], wanted.get(machine.name, 0)) for machine in machines
    }
    types = [NodeType(machine, low[machine.name], most[machine.name]) for machine in machines]
    return NodeTypes(tuple(each for each in types if each.max_workers), homeless)


def _counts(
    families: Sequence[FamilyBounds], machines: Sequence[MachineType], replicas: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Machines of each type for so many replicas, and the replicas that are left over."""
    plan = pack(
        [Bundles(each.family, replicas[each.family], each.resources, each.labels) for each in families], machines
    )
    counts = {machine.name: plan.count().get(machine.name, 0) for machine in machines}
    homeless = dict(plan.homeless)
    for each in families:
        if each.apart and each.family not in homeless:
            missing = _set_apart(each, replicas[each.family], machines, counts)
            if missing:
                homeless[each.family] = missing
    return counts, homeless


def _set_apart(family: FamilyBounds, replicas: int, machines: Sequence[MachineType], counts: dict[str, int]) -> int:
    """Add machines until there is one for each replica of a family; how many replicas are left without one."""
    fitting = sorted(
        (machine for machine in machines if machine.fits(family.resources) and machine.has(family.labels)),
        key=lambda machine: machine.price,
    )
    missing = replicas - sum(counts[machine.name] for machine in fitting)
    for machine in fitting:
        added = min(max(0, missing), machine.max_machines - counts[machine.name])
        counts[machine.name] += added
        missing -= added
    return max(0, missing)
