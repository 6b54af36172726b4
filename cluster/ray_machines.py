"""The machines of a Ray cluster: those that live, those that its autoscaler starts, and asking it for more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ray
from ray._private import ray_constants, state
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
    internal_kv_get_gcs_client,
)

from raybeam.autoscaler.fleet import MachinesReading
from raybeam.autoscaler.kernel.shared_request import joined, kind_of, part, read

from .kernel.spreading import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybeam.autoscaler import MachineType

NAMESPACE = b"raybeam"
PARTS = "#machines/"  # no system is called so
LEASE_S = 60.0
"""What a system asked for is taken to be wanted for so long; its controller asks again in time."""


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


def request(system: str, shape: Sequence[Mapping[str, float]], types: Sequence[MachineType], now_s: float) -> None:
    """Ask Ray's autoscaler for machines that hold all these bundles, and those of other systems. Blocks on Ray.

    Ray keeps one request for the whole cluster. So each system's part is kept in the GCS, for a while, and the sum of
    all is asked for. Two that ask at the same moment may overwrite each other; the next time mends it.

    Args:
        system: Who asks.
        shape: For what; empty: for nothing any more.
        types: What machines may be had.
        now_s: Seconds since the epoch.
    """
    from ray.autoscaler.sdk import request_resources

    if shape:
        most = {kind_of(kind.resources): kind.max_machines for kind in types}
        mine = part(shape, most, now_s + LEASE_S).written()
        _internal_kv_put(f"{PARTS}{system}".encode(), mine, overwrite=True, namespace=NAMESPACE)
    else:
        _internal_kv_del(f"{PARTS}{system}".encode(), namespace=NAMESPACE)
    told = (_internal_kv_get(key, namespace=NAMESPACE) for key in _internal_kv_list(PARTS, namespace=NAMESPACE))
    parts = (read(data) for data in told if data)
    request_resources(bundles=joined([each for each in parts if each is not None], now_s))


def _nodes() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]
