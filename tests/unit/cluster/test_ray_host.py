"""The world of a root on Ray, with stand-ins for Ray's placement groups."""

import asyncio
import contextlib
import threading
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import ray

from raybeam.actors import GenServer
from raybeam.cluster import Blueprint, ray_host


class Desk(GenServer):
    pass


BLUEPRINT = Blueprint.parse({"name": "bank", "families": {"desk": {"service": Desk, "scaling": {"max_replicas": 4}}}})


class Groups:
    """Ray's placement groups: one is made as soon as `goes_on` is set, in a thread that nobody can stop."""

    def __init__(self) -> None:
        self.made: set[int] = set()
        self.begun = threading.Event()
        self.goes_on = threading.Event()

    def ensure(self, system: str, family: str, index: int, spec: object) -> object:
        self.begun.set()
        assert self.goes_on.wait(10.0)
        self.made.add(index)
        return object()

    def remove(self, system: str, family: str, index: int) -> None:
        self.made.discard(index)

    def remove_all(self, system: str) -> None:
        self.made.clear()


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    found = Groups()
    context = SimpleNamespace(was_current_actor_reconstructed=False)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(ray_host, "ensure_own_group", found.ensure)
    monkeypatch.setattr(ray_host, "placed_on", lambda group, bundle: None)
    monkeypatch.setattr(ray_host, "remove_group", found.remove)
    monkeypatch.setattr(ray_host, "remove_groups", found.remove_all)
    return found


@pytest.mark.parametrize("all_of_them", [False, True])
def test_room_that_is_given_back_while_it_is_made_is_not_left_behind(groups: Groups, all_of_them: bool) -> None:
    async def main() -> None:
        host = ray_host.RayRootHost(BLUEPRINT, Mock())
        asked = asyncio.ensure_future(host.room("desk", 1))
        await asyncio.to_thread(groups.begun.wait, 10.0)
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        given_back = asyncio.ensure_future(host.remove_placements() if all_of_them else host.free("desk", 1))
        await asyncio.wait({given_back}, timeout=0.2)
        groups.goes_on.set()
        await given_back
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(main())

    assert groups.made == set()
