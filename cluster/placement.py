"""Placement groups, all detached: one for a family whose number is fixed, one for each replica of one that scales.

A bundle can neither be added to a group nor given back alone. A family without `scaling` that is scaled by hand all the
same has its first replicas in its one group, whose room stays reserved, and the others in groups of their own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ray.util.placement_group import (
    PlacementGroup,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

from .kernel.spreading import Needs, choose
from .names import group_name
from .ray_machines import living_machines, machines
from .scaling import kept_apart

if TYPE_CHECKING:
    from .blueprint import Family

_STRATEGIES = {"spread": "SPREAD", "strict_spread": "STRICT_SPREAD", "pack": "PACK"}
PLACED_WITHIN_S = 1.0
NODE_LABEL = "ray.io/node-id"


def is_shared(family: Family, index: int) -> bool:
    """Whether the room of the replica at a place is a bundle of the family's one group."""
    return family.scaling is None and index < family.replicas


def ensure_group(system: str, family_name: str, family: Family) -> PlacementGroup:
    """The placement group of a family whose number is fixed; one bundle for each replica. Blocks on Ray.

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


def ensure_own_group(system: str, family_name: str, index: int, family: Family) -> PlacementGroup:
    """The group of one replica, made if it is not there. Blocks on Ray.

    It waits for a machine when none has room; Ray moves it when its machine is lost. One that must have a machine of
    its own and waits, though there is one, or was moved to that of another replica, is made anew.
    """
    name = group_name(system, family_name, index)
    others = _machines_of(system, family_name, name)
    labels = {} if family.scaling is None else dict(family.scaling.machine_labels)

    def chosen() -> str | None:
        return choose(machines(), Needs({"CPU": family.cpus}, labels, family.spread, kept_apart(family)), others)

    with contextlib.suppress(ValueError):
        found: PlacementGroup = get_placement_group(name)
        machine = placed_on(found, 0)
        alone = family.spread != "strict_spread" or (machine not in others if machine else chosen() is None)
        if found.bundle_count == 1 and alone:
            return found
        remove_placement_group(found)
    target = chosen()
    if family.spread == "strict_spread" and others:
        labels[NODE_LABEL] = f"!in({','.join(sorted(set(others)))})"
    made: PlacementGroup = placement_group(
        [{"CPU": family.cpus}],
        strategy="STRICT_PACK",
        name=name,
        lifetime="detached",
        _soft_target_node_id=target,
        bundle_label_selector=[labels] if labels else None,
    )
    if target is not None:
        made.wait(PLACED_WITHIN_S)  # so that the next choice knows of this one
    return made


def placed_on(group: PlacementGroup, bundle: int) -> str | None:
    """The machine that a bundle is placed on; `None`: none has room yet. Blocks on Ray."""
    table: dict[str, Any] = placement_group_table(group)
    machine: str | None = table["bundles_to_node_id"].get(bundle)
    return machine if machine and machine in living_machines() else None


def remove_group(system: str, family_name: str, index: int) -> None:
    """Remove the group of one replica; nothing happens when there is none. Blocks on Ray."""
    with contextlib.suppress(ValueError):
        remove_placement_group(get_placement_group(group_name(system, family_name, index)))


def remove_groups(system: str) -> None:
    """Remove all placement groups of a system. Blocks on Ray."""
    for entry in _groups(system):
        with contextlib.suppress(ValueError):
            remove_placement_group(get_placement_group(entry["name"]))


def _machines_of(system: str, family_name: str, but: str) -> list[str]:
    """The machines where a family has room by other groups than `but`, one of several bundles several times."""
    shared = group_name(system, family_name)
    groups = [
        entry
        for entry in _groups(system)
        if (entry["name"] == shared or entry["name"].startswith(f"{shared}/")) and entry["name"] != but
    ]
    return [machine for entry in groups for machine in entry["bundles_to_node_id"].values() if machine]


def _groups(system: str) -> list[dict[str, Any]]:
    table: dict[str, dict[str, Any]] = placement_group_table()
    return [entry for entry in table.values() if entry["name"].startswith(f"{system}/") and entry["state"] != "REMOVED"]
