"""Cluster files for Ray and KubeRay: a shipped one, with the machines of a blueprint in it.

Only what differs is replaced, as text, so that all comments and commands stay.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .kernel.node_types import NodeType

INSTANCE_KEYS: Final = {"aws": "InstanceType", "gcp": "machineType"}
INSTANCE_NAMES: Final = {"aws": r"[a-z0-9-]+\.[a-z0-9-]+", "gcp": r"[a-z][a-z0-9]*-[a-z0-9]+(-[a-z0-9]+)*"}
INSTANCE_EXAMPLES: Final = {"aws": "m7i.xlarge", "gcp": "e2-standard-4"}
KUBERNETES_NAMES: Final = {"CPU": "cpu", "memory": "memory", "GPU": "nvidia.com/gpu"}
NODE_TYPE_NAME: Final = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
GROUP_NAME: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HEAD: Final = "head"
OF_ONPREM: Final = "local.cluster.node"


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """What goes into a cluster file.

    Attributes:
        name: Of the cluster.
        nodes: The types of its workers.
        idle_timeout_s: Seconds after which a worker that nobody uses is given back; `None`: as in the shipped file.
        instances: What a cloud calls a type of machine, by our name of it; default: the same.
        version: Of raybeam on the machines.
    """

    name: str
    nodes: Sequence[NodeType]
    idle_timeout_s: float | None
    instances: Mapping[str, str]
    version: str


def cluster_file(target: str, shipped: str, plan: ClusterPlan) -> str:
    """A cluster file.

    Args:
        target: For what: `local`, `aws`, `gcp`, `onprem` or `kuberay`.
        shipped: The file that it is made from.
        plan: What goes into it.

    Raises:
        UsageError: The target cannot have such machines.
    """
    if not plan.nodes:
        raise UsageError("no machine is needed: the families have no replicas, not even at most")
    pinned = re.sub(r"raybeam(==|:|\s)\d+\.\d+\.\d+\w*", lambda found: f"raybeam{found[1]}{plan.version}", shipped)
    return _WRITERS[target](target, pinned, plan)


def _for_ray(target: str, shipped: str, plan: ClusterPlan) -> str:
    template = yaml.safe_load(shipped)["available_node_types"]
    worker = next(kind for name, kind in template.items() if name != HEAD)
    kinds: dict[str, Any] = {HEAD: template[HEAD]}
    for node in plan.nodes:
        name = _checked_name(node, NODE_TYPE_NAME)
        config = dict(worker["node_config"])
        if target in INSTANCE_KEYS:
            config[INSTANCE_KEYS[target]] = _instance(target, node, plan)
        extra = {key: worker["resources"][key] for key in ("object_store_memory",) if key in worker["resources"]}
        kinds[name] = {
            "resources": {**_whole(node), **extra},
            **({"labels": dict(node.machine.labels)} if node.machine.labels else {}),
            "node_config": config,
            "min_workers": node.min_workers,
            "max_workers": node.max_workers,
        }
    named = shipped.replace("/local/env", f"/{plan.name}/env")
    return _with_blocks(named, {**_common(plan), "available_node_types": kinds})


def _for_onprem(target: str, shipped: str, plan: ClusterPlan) -> str:
    if len(plan.nodes) > 1:
        names = ", ".join(node.machine.name for node in plan.nodes)
        raise UsageError(f"machines: onprem has one kind of worker, and these are several: {names}")
    [node] = plan.nodes
    template = yaml.safe_load(shipped)
    labels = ",".join(f"{name}={value}" for name, value in node.machine.labels.items())
    option = f' --labels="{labels}"' if labels else ""
    kind = {
        "resources": _whole(node),
        "labels": dict(node.machine.labels),
        "node_config": {},
        "min_workers": node.min_workers,
        "max_workers": node.max_workers,
    }
    workers = [f"FILL-IN-WORKER-{number + 1}" for number in range(node.max_workers)]
    return _with_blocks(
        re.sub(r' --labels="[^"]*"', lambda _: option, shipped),
        {
            **_common(plan),
            "provider": {**template["provider"], "worker_ips": workers},
            "available_node_types": {OF_ONPREM: kind},
        },
    )


def _for_kuberay(target: str, shipped: str, plan: ClusterPlan) -> str:
    [worker] = yaml.safe_load(shipped)["spec"]["workerGroupSpecs"]
    groups = [_group(node, worker, plan) for node in plan.nodes]
    changed = re.sub(r"(?m)^  name: .*$", lambda _: f"  name: {_dns(plan.name)}", shipped, count=1)
    if plan.idle_timeout_s is not None:
        seconds = max(1, round(plan.idle_timeout_s))
        changed = re.sub(r"idleTimeoutSeconds: \d+", f"idleTimeoutSeconds: {seconds}", changed)
    return _with_blocks(changed, {"workerGroupSpecs": groups}, indent="  ")


def _group(node: NodeType, worker: Mapping[str, Any], plan: ClusterPlan) -> dict[str, Any]:
    whole = _whole(node)
    custom = {name: str(amount) for name, amount in whole.items() if name not in KUBERNETES_NAMES}
    amounts = {KUBERNETES_NAMES[name]: str(amount) for name, amount in whole.items() if name in KUBERNETES_NAMES}
    spec = worker["template"]["spec"]
    [container] = spec["containers"]
    limits = {**container["resources"]["limits"], **amounts}
    containers = [{**container, "resources": {"limits": limits, "requests": dict(limits)}}]
    return {
        "groupName": _checked_name(node, GROUP_NAME),
        "replicas": node.min_workers,
        "minReplicas": node.min_workers,
        "maxReplicas": node.max_workers,
        **({"labels": dict(node.machine.labels)} if node.machine.labels else {}),
        **({"resources": {"CPU": amounts.get("cpu", "0"), **custom}} if custom else {}),
        "rayStartParams": {},
        "template": {"spec": {**spec, "containers": containers}},
    }


_WRITERS: Final[Mapping[str, Callable[[str, str, ClusterPlan], str]]] = {
    "local": _for_ray,
    "aws": _for_ray,
    "gcp": _for_ray,
    "onprem": _for_onprem,
    "kuberay": _for_kuberay,
}
TARGETS: Final = tuple(_WRITERS)


def _common(plan: ClusterPlan) -> dict[str, Any]:
    idle = {} if plan.idle_timeout_s is None else {"idle_timeout_minutes": round(plan.idle_timeout_s / 60, 4)}
    return {"cluster_name": plan.name, "max_workers": sum(node.max_workers for node in plan.nodes), **idle}


def _whole(node: NodeType) -> dict[str, int]:
    """What a machine has; Ray's files take whole numbers."""
    for name, amount in node.machine.resources.items():
        if amount != int(amount):
            raise UsageError(f"machines.{node.machine.name}.resources.{name}={amount:g}: Ray wants a whole number here")
    return {name: int(amount) for name, amount in node.machine.resources.items()}


def _checked_name(node: NodeType, pattern: str) -> str:
    name = node.machine.name
    if name == HEAD or not re.fullmatch(pattern, name):
        raise UsageError(f"machines.{name}: a node type is named with small letters, digits and '-', not {HEAD!r}")
    return name


def _instance(target: str, node: NodeType, plan: ClusterPlan) -> str:
    name = node.machine.name
    instance = plan.instances.get(name, name)
    if not re.fullmatch(INSTANCE_NAMES[target], instance):
        raise UsageError(
            f"instances.{name}: which machine of {target} is it? Give +instances.{name}={INSTANCE_EXAMPLES[target]}, "
            "or what else fits its resources"
        )
    return instance


def _dns(name: str) -> str:
    """The name as KubeRay takes it, a DNS label, in a form that YAML reads as text."""
    label = name.replace("_", "-")
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", label):
        raise UsageError(
            f"name={name!r}: on Kubernetes it begins with a letter and ends with a letter or digit; give name=..."
        )
    return label if yaml.safe_load(label) == label else f'"{label}"'


def _with_blocks(text: str, blocks: Mapping[str, Any], indent: str = "") -> str:
    """A text of YAML in which keys have other values; each must be there."""
    for key, value in blocks.items():
        dumped = textwrap.indent(yaml.safe_dump({key: value}, sort_keys=False, width=110), indent)
        pattern = rf"(?m)^{indent}{key}:.*\n(?:{indent}[ -].*\n)*"
        text, found = re.subn(pattern, lambda _, block=dumped: block, text)  # type: ignore[misc]
        assert found == 1, f"{key} is {found} times in the shipped file"
    return text
