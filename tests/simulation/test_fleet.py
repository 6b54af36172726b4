"""The root as the autoscaler's controller sees it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from raybeam.actors import GenServer, UsageError, call, cast
from raybeam.autoscaler.fleet import MachinesReading, ReplicaReading
from raybeam.cluster import Blueprint
from raybeam.cluster.root_fleet import MOST_REMEMBERED, RootFleet
from raybeam.cluster.simulation import note
from raybeam.cluster.simulation.cluster import Driver, SimulatedCluster
from raybeam.cluster.simulation.inspection import missing, missized
from raybeam.cluster.simulation.loop import SimulationLoop
from raybeam.cluster.simulation.run import _cancel_all


class Desk(GenServer):
    @call(timeout_s=30.0)
    async def serve(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @cast(timeout_s=30.0)
    async def work(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        note("worked", self.runtime.name)


BLUEPRINT = Blueprint.parse(
    {
        "name": "bank",
        "families": {
            "desk": {"service": Desk, "replicas": 2, "scaling": {"max_replicas": 4, "slots": 3, "dry_run": True}},
            "vault": {"service": Desk},
        },
        "health": {"beat_s": 0.5, "unknown_after_s": 1.0, "down_after_s": 1.8},
    }
)


class Bank:
    """A simulated system, seen by its root."""

    def __init__(self, loop: SimulationLoop) -> None:
        self.cluster = SimulatedCluster(loop, 1, BLUEPRINT, machines=3, drivers=1)

    @property
    def fleet(self) -> RootFleet:
        assert self.cluster.registry.root is not None
        return self.cluster.registry.root[1].fleet

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(30.0):
            while not holds():
                await asyncio.sleep(0.002)

    async def settled(self) -> None:
        await self.until(lambda: not missing(self.cluster) and not any(missized(self.cluster)))

    def drive(self, main: Callable[[Driver], Awaitable[None]]) -> None:
        self.cluster.start_driver(0, main)

    async def at_root(self, asked: Callable[[RootFleet], Awaitable[None]]) -> None:
        """Ask something in the root's own process."""
        assert self.cluster.registry.root is not None
        process = self.cluster.registry.root[0]
        done: list[BaseException | None] = []

        async def ask() -> None:
            try:
                await asked(self.fleet)
            except UsageError as error:
                done.append(error)
            else:
                done.append(None)

        self.cluster.task(process, ask())
        await self.until(lambda: done)
        if done[0] is not None:
            raise done[0]


def play(scene: Callable[[Bank], Awaitable[None]]) -> None:
    loop = SimulationLoop()
    try:
        asyncio.set_event_loop(loop)

        bank = Bank(loop)

        async def main() -> None:
            bank.cluster.start_root(restarted=False)
            await bank.settled()
            await scene(bank)

        loop.run_until_complete(main())
        bank.cluster.recorder.closed = bank.cluster.network.closed = True
        loop.bury(bank.cluster.processes)
        loop.run_until_complete(_cancel_all(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_it_reads_what_the_replicas_of_families_that_scale_have_told() -> None:
    async def scene(bank: Bank) -> None:
        async def crowd(driver: Driver) -> None:
            desk = driver.ref(Desk, "desk")
            await asyncio.gather(*(desk.serve(2.0) for _ in range(6)))

        bank.drive(crowd)

        def replicas() -> tuple[ReplicaReading, ...]:
            return bank.fleet.read()["desk"].replicas

        await bank.until(lambda: sum(each.in_flight for each in replicas()) == 2)
        reading = bank.fleet.read()
        assert set(reading) == {"desk"}
        assert (reading["desk"].wanted, reading["desk"].slots) == (2, 3)
        assert [each.name for each in replicas()] == ["bank/desk/0#1", "bank/desk/1#1"]
        assert all(each.ready and each.machine and not each.draining for each in replicas())
        assert sum(each.waiting for each in replicas()) == 4
        assert max(each.oldest_wait_s for each in replicas()) > 0

        await bank.until(lambda: sum(each.completions for each in replicas()) == 6)
        assert sum(each.arrivals for each in replicas()) == 6
        assert sum(each.service_total_s for each in replicas()) == pytest.approx(12.0, abs=0.1)
        assert sum(each.service_square_s2 for each in replicas()) == pytest.approx(24.0, abs=0.4)
        assert all(0 <= bank.fleet.now() - each.heard_s < 1.0 for each in replicas())

    play(scene)


def test_it_scales_and_shows_what_starts_and_what_drains() -> None:
    async def scene(bank: Bank) -> None:
        await bank.at_root(lambda fleet: fleet.scale("desk", 4, "a crowd"))
        await bank.until(lambda: len(bank.fleet.read()["desk"].replicas) == 4)
        starting = [each for each in bank.fleet.read()["desk"].replicas if not each.ready]
        assert [each.name for each in starting] == ["bank/desk/2#1", "bank/desk/3#1"]
        await bank.settled()

        await bank.at_root(lambda fleet: fleet.scale("desk", 1, "it left"))
        reading = bank.fleet.read()["desk"]
        assert reading.wanted == 1
        assert sum(each.draining for each in reading.replicas) == 3
        await bank.settled()
        assert len(bank.fleet.read()["desk"].replicas) == 1

        for family, replicas, told in (("desk", 5, "from 1 to 4"), ("desks", 2, "did you mean 'desk'")):
            with pytest.raises(UsageError, match=told):
                await bank.at_root(lambda fleet, family=family, replicas=replicas: fleet.scale(family, replicas, ""))  # type: ignore[misc]

    play(scene)


def test_casts_that_are_worked_on_are_not_cut_short_by_scaling_down() -> None:
    async def scene(bank: Bank) -> None:
        async def crowd(driver: Driver) -> None:
            desk = driver.ref(Desk, "desk")
            for _ in range(12):
                await desk.work(3.0)

        await bank.at_root(lambda fleet: fleet.scale("desk", 4, "a test"))
        await bank.settled()
        bank.drive(crowd)
        await bank.until(lambda: sum(each.arrivals for each in bank.fleet.read()["desk"].replicas) == 12)
        await bank.at_root(lambda fleet: fleet.scale("desk", 1, "a test"))
        await bank.until(lambda: not any(missized(bank.cluster)))

        worked = [event.data[0] for event in bank.cluster.recorder.history.events if event.kind == "worked"]
        assert len(set(worked)) >= 2
        await bank.until(lambda: bank.fleet.read()["desk"].replicas[0].in_flight == 0)
        worked = [event.data[0] for event in bank.cluster.recorder.history.events if event.kind == "worked"]
        assert len(worked) == 12

    play(scene)


def test_what_it_remembers_outlives_the_root_and_not_the_system() -> None:
    async def scene(bank: Bank) -> None:
        recalled: list[bytes | None] = []

        async def recall(fleet: RootFleet) -> None:
            recalled.append(await fleet.recall())

        await bank.at_root(recall)
        await bank.at_root(lambda fleet: fleet.remember(b"before"))
        await bank.at_root(recall)
        with pytest.raises(UsageError, match="1,000,001 bytes to remember"):
            await bank.at_root(lambda fleet: fleet.remember(bytes(MOST_REMEMBERED + 1)))
        bank.cluster.kill_root()
        bank.cluster.start_root(restarted=True)
        await bank.settled()
        await bank.at_root(recall)

        assert recalled == [None, b"before", b"before"]

    play(scene)


def test_it_tells_of_machines_and_asks_for_more() -> None:
    async def scene(bank: Bank) -> None:
        seen: list[MachinesReading] = []

        async def look(fleet: RootFleet) -> None:
            seen.append(await fleet.machines())
            await fleet.request_machines([{"CPU": 1.0}] * 2)

        await bank.at_root(look)

        assert set(seen[0].ready) == {"m0", "m1", "m2"}
        assert bank.cluster.registry.requested == ({"CPU": 1.0}, {"CPU": 1.0})

    play(scene)
