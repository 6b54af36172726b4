"""The counters of a regulated service: from the blueprint to its process, over restarts, and of many replicas."""

import asyncio
import pickle

import pytest

from raybeam.actors import CallFailed, GenServer, Overloaded, Refusal, RegulationCounters, Runtime, call, gen_server
from raybeam.actors.testing import run, settle
from raybeam.cluster import Blueprint
from raybeam.cluster.name_server import Holdings
from raybeam.cluster.names import SERVICE
from raybeam.cluster.replica import _Tree
from raybeam.cluster.service_regulation import ServiceRegulation, together


class Stock(GenServer):
    @call
    async def take(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @call
    async def crash(self) -> None:
        raise ValueError("broken")


def family(**options: object) -> Blueprint:
    return Blueprint.parse({"name": "shop", "families": {"stock": {"service": Stock, **options}}})


def test_a_replica_regulates_its_service_as_the_blueprint_says_and_counts_on_over_restarts() -> None:
    async def main() -> RegulationCounters:
        async with Runtime(reports=lambda report: None) as runtime:
            watch = ServiceRegulation(runtime, SERVICE)
            assert watch.counters() is None
            await gen_server.start(_Tree, family(regulation={"queue_limit": 1}).families["stock"], Holdings())
            stock = gen_server.ref(Stock, SERVICE)
            busy = [asyncio.ensure_future(stock.take(1.0))]
            await settle()
            busy.append(asyncio.ensure_future(stock.take(1.0)))
            await settle()
            with pytest.raises(Overloaded):
                await stock.take(1.0)
            await asyncio.gather(*busy)
            with pytest.raises(CallFailed):
                await stock.crash()
            await settle()
            await stock.take(0.0)
            counters = watch.counters()
            assert counters is not None
            return counters

    counters = run(main())
    assert (counters.accepted, counters.begun, counters.depth, counters.under_way) == (4, 4, 0, 0)
    assert counters.rejected[Refusal.QUEUE_FULL] == 1


def test_a_service_that_is_not_regulated_has_no_counters() -> None:
    async def main() -> object:
        async with Runtime() as runtime:
            watch = ServiceRegulation(runtime, SERVICE)
            await gen_server.start(_Tree, family().families["stock"], Holdings())
            return watch.counters()

    assert run(main()) is None


def test_blueprint_and_counters_travel() -> None:
    blueprint = family(regulation={"codel": {}, "fair": {"weights": {"acme": 2}}, "overflow": "drop_oldest"})
    counters = RegulationCounters(accepted=1)

    for each in (blueprint, counters):
        assert pickle.loads(pickle.dumps(each)) == each


def test_counters_of_replicas_add_up_whether_they_have_any_or_not() -> None:
    one = RegulationCounters(accepted=1)

    assert together(together(None, one), together(one, None)) == RegulationCounters(accepted=2)
