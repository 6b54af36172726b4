"""Families are scaled on real Ray: no call is lost to it, and no room is left taken."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from raybeam.actors import ClusterError, UsageError
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster
from raybeam.cluster.names import root_name
from raybeam.cluster.status import FamilyStatus
from tests.ray.conftest import actors_of, groups_of, living_actors, wait_until
from tests.ray.services import Desk
from tests.ray.test_system import QUICK

CALLERS = 16


def desks(name: str, **family: object) -> dict[str, object]:
    return {"name": name, "families": {"desk": {"service": Desk, **family}}, **QUICK}


def desk_of(system: System) -> FamilyStatus:
    return system.status().families["desk"]


def settled(system: System, replicas: int) -> bool:
    status = desk_of(system)
    return status.wanted == len(status.replicas) == replicas and not any(each.draining for each in status.replicas)


async def called_while(system: System, steps: Callable[[], None]) -> tuple[int, set[str]]:
    """Call at full speed, each call at most once, while the steps are taken in a thread; how many, and who answered."""
    desk, over, served = system.ref(Desk), asyncio.Event(), list[str]()

    async def caller() -> None:
        while not over.is_set():
            served.append(await desk.serve(0.005))

    callers = [asyncio.ensure_future(caller()) for _ in range(CALLERS)]
    try:
        await asyncio.to_thread(steps)
    finally:
        over.set()
        await asyncio.gather(*callers)
    return len(served), set(served)


@pytest.mark.parametrize("scaling", [None, {"max_replicas": 6, "dry_run": True}])
def test_no_call_fails_while_a_family_is_scaled_by_hand(cluster: LocalCluster, scaling: object) -> None:
    with System.start(desks("elastic", scaling=scaling)) as system:

        def up_and_down() -> None:
            for replicas in (6, 1, 4):
                system.scale("desk", replicas)
                wait_until(lambda replicas=replicas: settled(system, replicas), within_s=60)  # type: ignore[misc]

        calls, servers = asyncio.run(called_while(system, up_and_down))

        assert calls > 1000
        assert len(servers) >= 6
        wait_until(lambda: len(actors_of("elastic")) == 1 + 4)
        own = {each.name.partition("#")[0] for each in desk_of(system).replicas}
        groups = own if scaling else {"elastic/desk"} | own - {"elastic/desk/0"}
        wait_until(lambda: set(groups_of("elastic")) == groups)
        with pytest.raises(UsageError, match="did you mean 'desk'"):
            system.scale("desks", 2)
    wait_until(lambda: groups_of("elastic") == [])


def test_a_drain_goes_on_when_the_root_is_killed_amid_it(cluster: LocalCluster) -> None:
    with System.start(desks("drained", replicas=4)) as system:
        desk = system.ref(Desk)

        async def main() -> None:
            under_way = [asyncio.ensure_future(desk.serve.within(120.0)(6.0)) for _ in range(8)]
            while desk_of(system).depth < 8:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(system.scale, "desk", 1)
            assert sum(each.draining for each in desk_of(system).replicas) == 3
            os.kill(living_actors()[root_name("drained")]["Pid"], signal.SIGKILL)
            served = await asyncio.gather(*under_way)
            assert len(set(served)) > 1

        asyncio.run(main())

        def is_settled() -> bool:
            try:
                return settled(system, 1)
            except ClusterError:
                return False

        wait_until(is_settled, within_s=60)
        wait_until(lambda: len(actors_of("drained")) == 2)
        assert desk_of(system).restarts == 0


START_WITHIN_S = 6.0


def test_a_replica_waits_for_room_until_a_machine_joins(cluster: LocalCluster) -> None:
    scaling = {"max_replicas": 6, "every_s": 3600.0}
    with System.start(desks("wide", cpus=1.5, start_timeout_s=START_WITHIN_S, scaling=scaling)) as system:

        def told(text: str) -> int:
            return sum(text in each.text for each in system.status().occurrences)

        system.scale("desk", 4)
        wait_until(lambda: len(desk_of(system).replicas) == 3 and told("waits for room") == 1)
        time.sleep(1.5 * START_WITHIN_S)  # longer than a start may take: to wait is not to fail
        [waiting] = [each.subject for each in system.status().occurrences if "waits for room" in each.text]
        assert len(desk_of(system).replicas) == 3
        assert not any(each.kind == "down" and each.subject == waiting for each in system.status().occurrences)

        added = cluster.add_machine()
        try:
            wait_until(lambda: settled(system, 4))
            assert len({each.machine for each in desk_of(system).replicas}) == 4
            system.scale("desk", 6)
            wait_until(lambda: told("waits for room") == 3)
            system.scale("desk", 4)  # those that wait go first, and at once
            wait_until(lambda: len(actors_of("wide")) == len(groups_of("wide")) + 1 == 5)
            assert told("stopped") == 0
        finally:
            cluster.kill_machine(added)
    wait_until(lambda: groups_of("wide") == [])
