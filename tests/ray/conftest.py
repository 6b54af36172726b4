"""One embedded cluster of three machines for all tests of this folder: its start is dear."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import ray
from ray._private import state

from raybeam.cluster.local import LocalCluster, LocalClusterOptions, connect
from raybeam.cluster.names import NAMESPACE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/ray/" in str(item.path):
            item.add_marker(pytest.mark.ray)
            item.add_marker(pytest.mark.filterwarnings("default"))  # Ray's own warnings are not ours to mend


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Three machines; this process is connected to them."""
    with LocalCluster(LocalClusterOptions(dashboard=False)) as local, connect(local.connection):
        yield local


def wait_until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait for something that only polling can tell."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not so within {within_s} s: {holds}"
        time.sleep(0.05)


def actors_of(system: str) -> list[str]:
    """Names of the living actors of a system."""
    entries = ray.util.list_named_actors(all_namespaces=True)
    return [
        entry["name"] for entry in entries if entry["namespace"] == NAMESPACE and entry["name"].startswith(f"{system}/")
    ]


def living_actors() -> dict[str, dict[str, Any]]:
    """Ray's own table of living named actors, by name; read from the GCS, so that no dashboard is needed."""
    return {actor["Name"]: actor for actor in state.actors().values() if actor["State"] == "ALIVE" and actor["Name"]}


def groups_of(system: str) -> list[str]:
    """Names of the placement groups of a system that are not removed."""
    table = ray.util.placement_group_table().values()
    return [group["name"] for group in table if group["name"].startswith(f"{system}/") and group["state"] != "REMOVED"]
