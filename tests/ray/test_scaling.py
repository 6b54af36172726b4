"""Families are scaled on real Ray: no call is lost to it, and no room is left taken."""

import asyncio
from collections.abc import Callable

import pytest

from raybeam.actors import UsageError
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster
from raybeam.cluster.status import FamilyStatus
from tests.ray.conftest import actors_of, groups_of, wait_until
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
        assert len(actors_of("elastic")) == 1 + 4
        own = {each.name.partition("#")[0] for each in desk_of(system).replicas}
        assert set(groups_of("elastic")) == (own if scaling else {"elastic/desk"} | own - {"elastic/desk/0"})
        with pytest.raises(UsageError, match="did you mean 'desk'"):
            system.scale("desks", 2)
    wait_until(lambda: groups_of("elastic") == [])
