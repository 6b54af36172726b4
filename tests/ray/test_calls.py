"""Calls over lanes on real Ray: retry strategies under kill -9, rings, broadcasts, large values, other jobs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter as Multiset
from pathlib import Path

from raybeam.actors import GenServer, Outcome, call, query
from raybeam.actors.kernel.retry import AtLeastOnce, ExactlyOnce
from raybeam.cluster import System, peers
from raybeam.cluster.kernel.ring import Ring
from raybeam.cluster.local import LocalCluster
from tests.ray.test_system import blueprint


class Ledger(GenServer):
    """Writes each effect to a file too, so that the tests see what was done by those that were killed since."""

    async def init(self, file: str = "") -> None:
        self.file = file
        self.done: Multiset[str] = Multiset()

    def _do(self, what: str) -> int:
        self.done[what] += 1
        with open(self.file, "a", encoding="utf-8") as written:
            written.write(f"{what}\n")
        return self.done[what]

    @call(retry=ExactlyOnce(), timeout_s=20.0)
    async def once(self, what: str) -> int:
        await asyncio.sleep(0.002)
        return self._do(what)

    @call(timeout_s=20.0)
    async def at_most_once(self, what: str) -> int:
        await asyncio.sleep(0.002)
        return self._do(what)

    @call(retry=AtLeastOnce(budget=1.0), timeout_s=20.0)
    async def at_least_once(self, what: str) -> int:
        await asyncio.sleep(0.002)
        return self._do(what)

    @query(timeout_s=20.0, key="sku")
    async def place_of(self, sku: str) -> str:
        return self.runtime.name

    @query(timeout_s=20.0)
    async def where(self) -> tuple[str, int]:
        return self.runtime.name, os.getpid()

    @query(timeout_s=30.0)
    async def turn_around(self, data: bytes) -> bytes:
        return data[::-1]


class Desk(GenServer):
    """Calls the ledgers from a replica of its own."""

    @call(timeout_s=30.0)
    async def order(self, what: str) -> int:
        return await peers.ref(Ledger).once(what)


OTHER_JOB = """
import json, sys
from raybeam.cluster import System
from raybeam.cluster.local import Connection, connect
from tests.ray.test_calls import Ledger

with connect(Connection(sys.argv[1], sys.argv[2])), System.connect("jobs") as system:
    ledger = system.ref(Ledger)
    print(json.dumps([ledger.once.sync(f"theirs {number}") for number in range(20)]))
"""


async def _storm(ledger: Ledger, kill: bool) -> dict[str, list[tuple[str, Outcome]]]:
    """300 calls of each strategy, a replica killed in the middle of them."""
    strategies = {"once": ledger.once, "at most": ledger.at_most_once, "at least": ledger.at_least_once}
    everywhere = await ledger.where.broadcast()  # opens the lanes, so that each replica gets its share
    _, pid = everywhere.answers[0]
    calls = {
        name: [(f"{name} {number}", asyncio.ensure_future(method.result(f"{name} {number}"))) for number in range(300)]
        for name, method in strategies.items()
    }
    await calls["once"][20][1]
    if kill:
        os.kill(pid, signal.SIGKILL)
    return {name: [(what, (await made).outcome) for what, made in made_calls] for name, made_calls in calls.items()}


def test_every_retry_strategy_keeps_its_promise_when_a_replica_is_killed(cluster: LocalCluster, tmp_path: Path) -> None:
    file = tmp_path / "effects"
    family = {"service": Ledger, "args": (str(file),), "replicas": 3}
    with System.start(blueprint("ledgers", ledger=family)) as system:
        outcomes = asyncio.run(_storm(system.ref(Ledger), kill=True))
    effects = Multiset(file.read_text(encoding="utf-8").splitlines())

    told = {name: Multiset(outcome for _, outcome in results) for name, results in outcomes.items()}
    assert set(told["at least"]) == {Outcome.OK}, told
    assert told["once"][Outcome.UNKNOWN] + told["at most"][Outcome.UNKNOWN] > 0, told
    for name in ("once", "at most"):
        for what, outcome in outcomes[name]:
            assert effects[what] <= 1, what
            assert outcome is not Outcome.OK or effects[what] == 1, what
            assert outcome is not Outcome.NOT_SENT, what  # there was somebody to send it to all the time
    assert all(effects[what] >= 1 for what, _ in outcomes["at least"])


def test_a_key_finds_its_replica_and_the_one_that_takes_its_place(cluster: LocalCluster) -> None:
    with System.start(blueprint("ring", ledger={"service": Ledger, "replicas": 3, "pattern": "ring"})) as system:
        ledger = system.ref(Ledger)
        keys = [f"sku {number}" for number in range(30)]

        async def places() -> list[str]:
            return list(await asyncio.gather(*(ledger.place_of(key) for key in keys)))

        first = asyncio.run(places())
        assert first == [f"ring/ledger/{Ring(range(3)).place(key)}#1" for key in keys]
        told = asyncio.run(ledger.where.broadcast()).answers
        assert {place: name for place, (name, _) in told.items()} == {at: f"ring/ledger/{at}#1" for at in range(3)}
        os.kill(told[1][1], signal.SIGKILL)
        again = asyncio.run(places())
        assert again == [name.replace("ledger/1#1", "ledger/1#2") for name in first]


def test_large_values_travel_there_and_back(cluster: LocalCluster) -> None:
    with System.start(blueprint("large", ledger={"service": Ledger})) as system:
        data = os.urandom(20_000_000)
        assert system.ref(Ledger).turn_around.sync(data) == data[::-1]


def test_a_replica_calls_exactly_once_and_so_does_a_driver_of_another_job(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    file = tmp_path / "effects"
    families: dict[str, object] = {
        "ledger": {"service": Ledger, "args": (str(file),)},
        "desk": {"service": Desk, "calls": ["ledger"]},
    }
    connection = cluster.connection
    command = [sys.executable, "-c", OTHER_JOB, connection.address, str(connection.node_address)]
    with System.start(blueprint("jobs", **families)) as system:
        assert [system.ref(Desk).order.sync(f"ours {number}") for number in range(20)] == [1] * 20
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout.strip().splitlines()[-1]) == [1] * 20
    effects = Multiset(file.read_text(encoding="utf-8").splitlines())
    assert len(effects) == 40
    assert set(effects.values()) == {1}
