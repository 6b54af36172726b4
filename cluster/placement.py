"""Placement groups: one for each family, detached, spread over machines."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import PlacementGroup, get_placement_group, placement_group, remove_placement_group

from .names import group_name

if TYPE_CHECKING:
    from .blueprint import Family

_STRATEGIES = {"spread": "SPREAD", "strict_spread": "STRICT_SPREAD", "pack": "PACK"}


def ensure_group(system: str, family_name: str, family: Family) -> PlacementGroup:
    """The family's placement group, made if it is not there; one bundle for each replica. Blocks on Ray.

    One that a system of the same name left behind with another number of bundles is made anew.
    """
    name = group_name(system, family_name)
    with contextlib.suppress(ValueError):
        found: PlacementGroup = get_placement_group(name)
        if found.bundle_count == family.replicas:
            return found
        remove_placement_group(found)
    made: PlacementGroup = placement_group(
        [{"CPU": family.cpus}] * family.replicas,
        strategy=_STRATEGIES[family.spread],
        name=name,
        lifetime="detached",
    )
    return made


def remove_group(system: str, family_name: str) -> None:
    """Remove the family's placement group; nothing happens when there is none. Blocks on Ray."""
    with contextlib.suppress(ValueError):
        remove_placement_group(get_placement_group(group_name(system, family_name)))


def living_machines() -> list[str]:
    """Ray's ids of the machines that live. Blocks on Ray."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["NodeID"] for node in nodes if node["Alive"]]
