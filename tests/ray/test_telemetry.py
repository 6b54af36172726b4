"""The metrics of a system show up where Ray's agents offer them to Prometheus."""

import asyncio
import urllib.request
from collections import defaultdict
from collections.abc import Iterable

import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families

from raybeam.actors import InvalidArgumentsError
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster
from raybeam.cluster.telemetry import INSTRUMENTS
from tests.ray.conftest import wait_until
from tests.ray.services import Counter

SHOWN_WITHIN_S = 60.0  # Ray's processes report every 10 s
Sample = tuple[str, dict[str, str], float]


def samples() -> list[Sample]:
    """All samples of raybeam's metrics on all machines."""
    found = []
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if not node["Alive"]:
            continue
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with urllib.request.urlopen(url, timeout=10.0) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.startswith("ray_raybeam_") and sample.labels.get("system") == "measured":
                    found.append((sample.name, sample.labels, sample.value))
    return found


def totals(found: Iterable[Sample], name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The sum of a metric over processes and machines, by these labels."""
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for metric, tags, value in found:
        if metric == f"ray_raybeam_{name}":
            sums[tuple(tags.get(label, "") for label in labels)] += value
    return dict(sums)


def test_the_metrics_of_driver_replicas_and_root_are_shown_by_the_agents(cluster: LocalCluster) -> None:
    families = {"counter": {"service": Counter, "replicas": 2}}
    with System.start({"name": "measured", "families": families}) as system:
        counter = system.ref(Counter)

        async def load() -> None:
            await asyncio.gather(*(counter.read() for _ in range(300)))
            for _ in range(3):
                await counter.note(1)

        asyncio.run(load())
        with pytest.raises(InvalidArgumentsError):
            counter.add.sync("many")  # type: ignore[arg-type]

        def all_told() -> bool:
            found = samples()
            return (
                totals(found, "client_calls_total", "method", "outcome")
                == {("read", "ok"): 300, ("add", "rejected"): 1}
                == totals(found, "server_calls_total", "method", "outcome")
                and totals(found, "client_casts_total", "outcome") == {("ok",): 3}
                and totals(found, "replicas", "health").get(("up",)) == 2
                and totals(found, "lane_batches_total").get((), 0) > 0
                and totals(found, "queue_wait_seconds_count").get((), 0) > 0
            )

        wait_until(all_told, SHOWN_WITHIN_S)
        found = samples()
        ours = {"system", "le", *(label for each in INSTRUMENTS for label in each.labels)}
        for name, labels, _ in found:  # Ray's own labels are written LikeThis
            extra = {label for label in labels if label.islower() and not label.startswith("otel_scope")} - ours
            assert extra == set(), name
        durations = totals(found, "client_call_duration_seconds_count", "method")
        assert 0 < durations["read",] <= 300


def test_a_system_that_wants_no_metrics_has_none(cluster: LocalCluster) -> None:
    families = {"counter": {"service": Counter}}
    with System.start({"name": "unmeasured", "families": families, "telemetry": {"ray_metrics": False}}) as system:
        system.ref(Counter).read.sync()

        assert not system._telemetry.on
