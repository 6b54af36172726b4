"""Names of the whole system on Ray: across replicas, from a driver, over the loss of a replica and of the root."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from raybeam.actors import (
    CallFailed,
    ChildSpec,
    GenServer,
    NoProcess,
    Pid,
    Supervisor,
    SupervisorSpec,
    call,
    gen_server,
)
from raybeam.cluster import Global, System, global_names
from raybeam.cluster.local import LocalCluster
from raybeam.cluster.names import root_name
from tests.ray.conftest import living_actors, wait_until
from tests.ray.test_system import blueprint


class Ledger(GenServer):
    """Has a name of the whole system."""

    async def init(self, total: int) -> None:
        self.total = total

    @call
    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total

    @call
    async def crash(self) -> None:
        raise RuntimeError("boom")


class Books(Supervisor):
    """Keeps a ledger under a name."""

    async def init(self, name: str) -> SupervisorSpec:
        async def start() -> Pid:
            return await gen_server.start_link(Ledger, 100, name=Global(name))

        return SupervisorSpec([ChildSpec("ledger", start)], intensity=10)


class Office(GenServer):
    """Registers a name in its `init`, before its replica serves, and does in its replica what the test asks for."""

    async def init(self) -> None:
        assert await global_names.register_name(("office", self.runtime.name), self.pid)

    @call(timeout_s=30.0)
    async def open_books(self, name: str) -> None:
        await gen_server.start_link(Books, name)

    @call(timeout_s=30.0)
    async def take(self, name: str) -> bool:
        pid = await gen_server.start(Ledger, 0)
        taken = await global_names.register_name(name, pid, timeout_s=20.0)
        if not taken:
            await gen_server.stop(pid)
        return taken

    @call(timeout_s=30.0)
    async def give_back(self, name: str) -> None:
        await global_names.unregister_name(name, timeout_s=20.0)

    @call
    async def add_to(self, name: str, amount: int) -> int:
        return await gen_server.ref(Ledger, Global(name)).add(amount)

    @call
    async def whereis(self, name: str) -> Pid | None:
        return global_names.whereis_name(name)

    @call
    async def names(self) -> list[object]:
        return sorted(global_names.registered_names(), key=str)


@pytest.fixture
def offices(cluster: LocalCluster) -> Iterator[System]:
    families: dict[str, object] = {
        "left": {"service": Office, "pattern": "singleton"},
        "right": {"service": Office, "pattern": "singleton"},
    }
    with System.start(blueprint("offices", **families)) as system:
        yield system


def test_a_name_is_reached_from_other_replicas_and_from_a_driver_and_moves_with_a_restart(offices: System) -> None:
    left, right = offices.ref(Office, "left"), offices.ref(Office, "right")
    left.open_books.sync("ledger")

    wait_until(lambda: right.whereis.sync("ledger") is not None)
    assert right.add_to.sync("ledger", 1) == 101
    assert offices.named(Ledger, "ledger").add.sync(1) == 102
    assert right.take.sync("ledger") is False
    wait_until(lambda: len(left.names.sync()) == len(right.names.sync()) == 3)
    assert set(offices.registered_names()) == {
        "ledger",
        ("office", "offices/left/0#1"),
        ("office", "offices/right/0#1"),
    }
    before = offices.whereis_name("ledger")
    with pytest.raises(CallFailed, match="boom"):
        offices.named(Ledger, "ledger").crash.sync()
    wait_until(lambda: offices.whereis_name("ledger") not in (None, before))
    assert offices.named(Ledger, "ledger").add.sync(1) == 101
    with pytest.raises(NoProcess):
        offices.named(Ledger, "nobody").add.sync(1)


def test_the_names_of_a_killed_replica_are_free_again(offices: System) -> None:
    left, right = offices.ref(Office, "left"), offices.ref(Office, "right")
    assert left.take.sync("desk") is True
    assert right.take.sync("desk") is False
    wait_until(lambda: right.whereis.sync("desk") is not None)

    os.kill(living_actors()["offices/left/0#1"]["Pid"], signal.SIGKILL)

    wait_until(lambda: right.take.sync("desk"))
    assert offices.named(Ledger, "desk").add.sync(5) == 5
    wait_until(lambda: ("office", "offices/left/0#2") in right.names.sync())
    assert ("office", "offices/left/0#1") not in right.names.sync()


def test_names_survive_a_killed_root_and_nobody_else_gets_them(offices: System) -> None:
    left, right = offices.ref(Office, "left"), offices.ref(Office, "right")
    assert left.take.sync("desk") is True
    wait_until(lambda: right.whereis.sync("desk") is not None)
    desk = right.whereis.sync("desk")
    root = living_actors()[root_name("offices")]["Pid"]

    os.kill(root, signal.SIGKILL)
    assert right.add_to.sync("desk", 1) == 1
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.extend([right.take.sync("desk"), right.take.sync("chair")]))
    asking.start()
    asking.join(timeout=60)

    assert answers == [False, True]
    assert living_actors()[root_name("offices")]["Pid"] != root
    assert offices.whereis_name("desk") == desk == right.whereis.sync("desk")
    left.give_back.sync("desk")
    wait_until(lambda: right.whereis.sync("desk") is None)
    assert right.take.sync("desk") is True
