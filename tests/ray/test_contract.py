"""The contract of the behaviours inside replicas on Ray, and processes of one replica met from another."""

import os
import signal
from collections.abc import Iterator

import pytest

from raybeam.actors import Down, GenServer, Pid, call, gen_server, pg, process
from raybeam.cluster import System
from raybeam.cluster.local import LocalCluster
from tests.contract.expected import EXPECTED
from tests.contract.scenes import SCENES, Counter, play
from tests.ray.conftest import living_actors, wait_until
from tests.ray.test_system import blueprint


class Stage(GenServer):
    """Plays scenes where it lives; each replica has a counter in a group that spans the system."""

    async def init(self) -> None:
        await pg.start_link()
        self.counter = await gen_server.start_link(Counter)
        await pg.join("counters", self.counter)
        self.downs: list[tuple[Pid, object]] = []

    @call(timeout_s=60.0)
    async def play(self, name: str) -> object:
        return await play(name)

    @call
    async def counters(self) -> list[Pid]:
        return sorted(pg.get_members("counters"))

    @call
    async def add_everywhere(self, amount: int) -> list[int]:
        return [await gen_server.ref(Counter, pid).add(amount) for pid in sorted(pg.get_members("counters"))]

    @call
    async def watch_all(self) -> str:
        for pid in pg.get_members("counters"):
            process.monitor(pid)
        return self.runtime.name

    @call
    async def seen(self) -> list[tuple[Pid, object]]:
        return self.downs

    async def handle_info(self, message: object) -> None:
        if isinstance(message, Down):
            assert isinstance(message.target, Pid)
            self.downs.append((message.target, message.reason))


@pytest.fixture(scope="module")
def stage(cluster: LocalCluster) -> Iterator[System]:
    family = {"service": Stage, "pattern": "singleton"}
    with System.start(blueprint("contract", stage=family)) as system:
        yield system


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_contract_holds_in_a_replica(stage: System, name: str) -> None:
    assert stage.ref(Stage).play.sync(name) == EXPECTED[name]


def test_groups_calls_and_monitors_reach_across_replicas(cluster: LocalCluster) -> None:
    families: dict[str, object] = {
        "left": {"service": Stage, "pattern": "singleton"},
        "right": {"service": Stage, "pattern": "singleton"},
    }
    with System.start(blueprint("across", **families)) as system:
        left, right = system.ref(Stage, "left"), system.ref(Stage, "right")
        wait_until(lambda: len(left.counters.sync()) == len(right.counters.sync()) == 2)
        assert left.add_everywhere.sync(1) == [1, 1]
        assert right.add_everywhere.sync(2) == [3, 3]
        assert left.watch_all.sync() == "across/left/0#1"
        [far] = [pid for pid in left.counters.sync() if pid.runtime == "across/right/0#1"]

        os.kill(living_actors()["across/right/0#1"]["Pid"], signal.SIGKILL)

        wait_until(lambda: bool(left.seen.sync()))
        assert left.seen.sync() == [(far, "noconnection")]
        wait_until(lambda: {pid.runtime for pid in left.counters.sync()} == {"across/left/0#1", "across/right/0#2"})
