"""The machines of a Ray cluster: those that live, those that its autoscaler starts, and asking it for more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ray
from ray._private import ray_constants, state
from ray.experimental.internal_kv import _internal_kv_get, internal_kv_get_gcs_client

from raybeam.autoscaler.fleet import MachinesReading

from .kernel.spreading import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def living_machines() -> list[str]:
    """Ray's ids of the machines that live. Blocks on Ray."""
    return [node["NodeID"] for node in _nodes()]


def machines() -> list[Machine]:
    """The machines that live, and what room they have. Blocks on Ray."""
    free: dict[str, dict[str, float]] = state.available_resources_per_node()  # type: ignore[no-untyped-call]
    return [
        Machine(node["NodeID"], free.get(node["NodeID"], {}), node["Resources"], node.get("Labels") or {})
        for node in _nodes()
    ]


def reading() -> MachinesReading:
    """The machines that live and those that come. Blocks on Ray."""
    return MachinesReading({node["NodeID"]: dict(node["Resources"]) for node in _nodes()}, pending())


def pending() -> int:
    """How many machines Ray's autoscaler is starting; 0 when there is none. Blocks on Ray."""
    # Imported here, as in `request`: it takes 0.1 s, and each replica imports this package too.
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    if is_autoscaler_v2():
        gcs = internal_kv_get_gcs_client()  # type: ignore[no-untyped-call]
        status = get_cluster_status(gcs.address)
        return len(status.pending_nodes) + sum(launch.count for launch in status.pending_launches)
    told = _internal_kv_get(ray_constants.DEBUG_AUTOSCALING_STATUS)
    report: dict[str, Any] = (json.loads(told) if told else {}).get("autoscaler_report") or {}
    launches: dict[str, int] = report.get("pending_launches") or {}
    return len(report.get("pending_nodes") or ()) + sum(launches.values())


def request(shape: Sequence[Mapping[str, float]]) -> None:
    """Ask Ray's autoscaler for machines that hold all these bundles; empty: for none. Blocks on Ray."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=[dict(bundle) for bundle in shape])


def _nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]
