"""On real Ray a family follows its load by itself, tells why, and goes on after a restart of the root."""

import asyncio

import pytest
import ray
from ray.experimental.internal_kv import _internal_kv_list

from raybeam.actors import UsageError
from raybeam.autoscaler import MachineType
from raybeam.cluster import System, ray_machines
from raybeam.cluster.local import LocalCluster
from raybeam.cluster.names import NAMESPACE, root_name
from tests.ray.conftest import wait_until
from tests.ray.services import Desk
from tests.ray.test_scaling import desk_of, desks

SCALING = {"max_replicas": 4, "options": {"start_s": 2.0, "wait_s": 0.2}}
CALLERS = 3


async def called_until(system: System, enough: asyncio.Event) -> int:
    """Three callers without pause; how many calls were served."""
    desk, served = system.ref(Desk), 0

    async def caller() -> None:
        nonlocal served
        while not enough.is_set():
            await desk.serve(0.2)
            served += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return served


def test_a_family_grows_under_load_and_shrinks_without_it(cluster: LocalCluster) -> None:
    with System.start(desks("living", scaling=SCALING)) as system:

        async def crowd() -> int:
            enough = asyncio.Event()
            calling = asyncio.ensure_future(called_until(system, enough))
            try:
                await asyncio.to_thread(wait_until, lambda: len(desk_of(system).replicas) >= 3, 60)
            finally:
                enough.set()
            return await calling

        assert asyncio.run(crowd()) > 0  # and none failed
        wait_until(lambda: desk_of(system).wanted == len(desk_of(system).replicas) == 1, within_s=90)
        status, history = desk_of(system), system.scaling_history("desk")

        assert status.scaling is not None
        assert status.scaling.terms["present"] >= 1
        assert history.changes[0].direction == "up"
        assert history.changes[-1].after == 1
        assert max(history.series["ready"]) >= 3
        assert {each.kind for each in system.status().occurrences} >= {"scale", "up", "down"}
        assert "scaling" not in {each.kind for each in system.status().occurrences}
        with pytest.raises(UsageError, match="there are: desk"):
            system.scaling_history("desks")


def test_a_restarted_root_goes_on_with_what_was_learned(cluster: LocalCluster) -> None:
    with System.start(desks("heir", scaling={**SCALING, "min_replicas": 2}, replicas=2)) as system:
        system.scale("desk", 4)
        wait_until(lambda: len(desk_of(system).replicas) == 4, within_s=60)
        ray.kill(ray.get_actor(root_name("heir"), NAMESPACE), no_restart=False)
        wait_until(lambda: len(system.scaling_history("desk").series["time_s"]) > 5, within_s=60)
        changes = system.scaling_history("desk").changes
        told = [each.text for each in system.status().occurrences if each.kind == "scaling"]

        assert all(entry.after < entry.before for entry in changes)
        assert told == []


def test_systems_share_the_one_request_for_machines(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[dict[str, float]]] = []

    def ask(bundles: list[dict[str, float]]) -> None:
        asked.append(bundles)

    monkeypatch.setattr("ray.autoscaler.sdk.request_resources", ask)
    types = [MachineType("small", {"CPU": 4.0}, max_machines=3)]
    for system, machines, at_s in (("a", 1, 0.0), ("b", 1, 1.0), ("a", 5, 2.0), ("b", 0, 3.0), ("c", 1, 63.0)):
        ray_machines.request(system, [{"CPU": 4.0}] * machines, types, at_s)

    assert [len(bundles) for bundles in asked] == [1, 2, 3, 3, 1]


def test_a_system_asks_for_machines_while_it_runs(cluster: LocalCluster) -> None:
    machines = {"small": {"resources": {"CPU": 1.0}, "max_machines": 2}}
    family = {
        "scaling": {"min_replicas": 2, "policy": "static", "options": {"replicas": 2}},
        "replicas": 2,
        "cpus": 1.0,
    }

    def parts() -> int:
        return len(_internal_kv_list(ray_machines.PARTS, namespace=ray_machines.NAMESPACE))

    before = parts()
    with System.start(desks("asking", **family) | {"machines": machines}):
        wait_until(lambda: parts() == before + 1)
    wait_until(lambda: parts() == before)
