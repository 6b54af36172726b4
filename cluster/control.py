"""What the controller of a system is told by its blueprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.autoscaler import Bounds, Bundles
from raybeam.autoscaler.kernel.control import Control, Scaled

from .machine_spec import machines_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybeam.autoscaler import MachineType

    from .blueprint import Blueprint, Family
    from .scaling import Scaling


def control_of(blueprint: Blueprint) -> Control | None:
    """What decides for the families that scale; `None`: there are none."""
    types = machines_of(blueprint)
    scaled, fixed = {}, []
    for name, family in blueprint.families.items():
        if family.scaling is None:
            fixed.append(Bundles(name, family.replicas, needs(family)))
        else:
            scaled[name] = _scaled(family, family.scaling, types)
    if not scaled:
        return None
    return Control(scaled, fixed, types, silent_after_s=2 * blueprint.health.unknown_after_s)


def needs(family: Family) -> Mapping[str, float]:
    """What one replica takes of its machine."""
    return {"CPU": family.cpus}


def _scaled(family: Family, scaling: Scaling, types: Sequence[MachineType]) -> Scaled:
    options = dict(scaling.options)
    if scaling.policy == "queue_depth":
        options = {"dispatch": "two_choices", **options}
    fitting = [kind for kind in types if kind.has(scaling.machine_labels) and kind.fits(needs(family))]
    if fitting and scaling.policy == "queue_depth":
        # What is known need not be learned.
        cheapest = min(fitting, key=lambda kind: kind.price / kind.fits(needs(family)))
        options = {"boot_s": cheapest.boot_s, "places": cheapest.fits(needs(family)), **options}
    return Scaled(
        scaling.made_policy(options),
        needs(family),
        scaling.machine_labels,
        Bounds(scaling.min_replicas, scaling.max_replicas),
        scaling.every_s,
        scaling.dry_run,
    )
