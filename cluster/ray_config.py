"""The composition root of `raybeam ray-config`: a cluster file from a blueprint, machines and a load."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import MISSING, DictConfig, OmegaConf

from raybeam.actors import UsageError
from raybeam.autoscaler.kernel.plan import MachineType
from raybeam.autoscaler.workload import hint

from .app import output_file
from .cluster_file import HEAD, OF_ONPREM, TARGETS, ClusterPlan, cluster_file
from .kernel.node_types import FamilyBounds, node_types
from .machine_spec import machines_of
from .machine_types import checked_number, machine_types
from .offered import read_blueprint
from .plan import PlanSchema, planned_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .blueprint import Blueprint

CLUSTER_NAME = r"[a-z0-9][a-z0-9_-]{0,39}"


@dataclass
class RayConfigSchema(PlanSchema):
    """Everything that `raybeam ray-config` can be told: that of `raybeam plan`, and what follows."""

    target: str = MISSING
    name: str | None = None
    idle_timeout_s: float | None = None
    instances: dict[str, str] = field(default_factory=dict)


def ray_config_job(config: DictConfig, shipped: Path, number: int | None) -> str:
    """The cluster file of one configuration; written to `out` if that is given.

    Args:
        config: The configuration.
        shipped: The folder of the shipped files.
        number: Of the file in a sweep; `None`: it is the only one.

    Raises:
        UsageError: The configuration is wrong, or there are no such machines.
    """
    target = "" if OmegaConf.is_missing(config, "target") else str(config["target"])
    if target not in TARGETS:
        given = f"target={target!r}: " if target else "target is missing: "
        raise UsageError(f"{given}give one of {', '.join(TARGETS)}")
    plain: Any = OmegaConf.to_container(config, resolve=True)
    out = output_file(config, "out", number)
    template = (shipped / f"{target}.yaml").read_text()
    written = cluster_file(target, template, _plan(plain, target, template))
    asked = "" if plain["blueprint"] is None else f" blueprint={plain['blueprint']}"
    text = f"# Written by raybeam ray-config target={target}{asked}\n{written}"
    text = text.replace(f"configs/ray/{target}.yaml", out.name if out else "FILE")
    if out is not None:
        out.write_text(text)
    return text


def _plan(plain: dict[str, Any], target: str, template: str) -> ClusterPlan:
    blueprint = None if plain["blueprint"] is None else read_blueprint(plain["blueprint"])
    name = plain["name"] or ("raybeam" if blueprint is None else blueprint.name)
    if not re.fullmatch(CLUSTER_NAME, name):
        raise UsageError(f"name={name!r}: small letters, digits, '-' and '_'")
    if plain["idle_timeout_s"] is not None:
        checked_number("idle_timeout_s", plain["idle_timeout_s"])
    machines = machine_types(plain["machines"]) if plain["machines"] else []
    if not machines and blueprint is not None:
        machines = machines_of(blueprint)
    if not machines:
        machines = [_shipped_machine(target, template)]
    for known in plain["instances"]:
        if known not in {machine.name for machine in machines}:
            names = [machine.name for machine in machines]
            raise UsageError(f"instances.{known}: there is no such machine{hint(known, names)}")
    planned: Mapping[str, int] = {}
    bounds = [] if blueprint is None else _bounds(blueprint)
    if plain["load"]:
        found = planned_from({**plain, "machines": {machine.name: _plain(machine) for machine in machines}}).found
        planned = found.plan.count()
    if not bounds and not planned:
        raise UsageError("nothing is asked for: give blueprint=, load= and slo=, or both")
    nodes = node_types(bounds, machines, planned)
    if nodes.homeless:
        family, left = next(iter(nodes.homeless.items()))
        raise UsageError(
            f"machines: {left} of the replicas of {family!r} fit on none that may be had; "
            "give larger ones, or a larger max_machines"
        )
    return ClusterPlan(name, nodes.types, plain["idle_timeout_s"], plain["instances"], version("raybeam"))


def _bounds(blueprint: Blueprint) -> list[FamilyBounds]:
    bounds = []
    for name, family in blueprint.families.items():
        least = most = family.replicas
        labels: Mapping[str, str] = {}
        scaling = family.scaling
        if scaling is not None:
            least, most, labels = scaling.min_replicas, scaling.max_replicas, scaling.machine_labels
        apart = family.spread == "strict_spread"
        bounds.append(FamilyBounds(name, least, most, {"CPU": family.cpus}, labels, apart=apart))
    return bounds


def _shipped_machine(target: str, template: str) -> MachineType:
    """The machine that the shipped file has, where no other is asked for."""
    shipped = yaml.safe_load(template)
    if target == "kuberay":
        [group] = shipped["spec"]["workerGroupSpecs"]
        [container] = group["template"]["spec"]["containers"]
        cpus = float(container["resources"]["limits"]["cpu"])
        return MachineType(group["groupName"], {"CPU": cpus}, labels=group["labels"])
    kinds = {name: kind for name, kind in shipped["available_node_types"].items() if name != HEAD}
    [(name, kind)] = kinds.items()
    resources = {"CPU": float(kind["resources"]["CPU"])}
    if target in ("aws", "gcp"):
        name = kind["node_config"].get("InstanceType") or kind["node_config"]["machineType"]
    return MachineType("worker" if name == OF_ONPREM else name, resources, labels=kind["labels"])


def _plain(machine: MachineType) -> dict[str, Any]:
    return {
        "resources": dict(machine.resources),
        "price": machine.price,
        "boot_s": machine.boot_s,
        "labels": dict(machine.labels),
        "min_machines": machine.min_machines,
        "max_machines": machine.max_machines,
    }
