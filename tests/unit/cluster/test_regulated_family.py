"""A regulated service that is called over lanes."""

import asyncio
from typing import ClassVar

import pytest

from raybeam.actors import (
    AtMostOnce,
    Fair,
    GenServer,
    Overloaded,
    Refusal,
    Regulation,
    RegulationCounters,
    call,
    calling_as,
    query,
)
from raybeam.actors.regulated_cell import counters_of
from raybeam.actors.testing import run

from .shop import Replica, Shop


class Till(GenServer):
    regulation: ClassVar[Regulation | None] = Regulation(queue_limit=3, fair=Fair())

    async def init(self) -> None:
        self.seen: list[str] = []
        self.cancelled = 0

    @call(retry=AtMostOnce())
    async def pay(self, name: str, seconds: float = 0.0) -> str:
        await asyncio.sleep(seconds)
        self.seen.append(name)
        return name

    @query(concurrent=True, retry=AtMostOnce())
    async def look(self, seconds: float) -> int:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return len(self.seen)


def counters(replica: Replica) -> RegulationCounters:
    cell = replica.runtime.cell("service")
    assert cell is not None
    found = counters_of(cell)
    assert found is not None
    return found


def test_tenants_take_turns_and_who_is_refused_hears_it_at_once() -> None:
    async def main() -> None:
        shop = Shop(Till)
        replica = await shop.up(0)
        till = shop.client.ref(Till)
        calls = [asyncio.ensure_future(till.pay("busy", 1.0))]
        await asyncio.sleep(0.1)
        for tenant, names in (("a", "a1 a2 a3"), ("b", "b1")):
            with calling_as(tenant=tenant):
                calls += [asyncio.ensure_future(till.pay(name)) for name in names.split()]
            await asyncio.sleep(0.05)
        before = replica.runtime.now()
        with pytest.raises(Overloaded) as refused:
            await calls[3]

        assert replica.runtime.now() - before < 0.01
        assert refused.value.retry_after_s > 0
        del calls[3]
        await asyncio.gather(*calls)
        assert replica.server.seen == ["busy", "a1", "b1", "a2"]
        assert counters(replica).dropped[Refusal.DISPLACED] == 1

    run(main())


def test_a_caller_that_gives_up_takes_its_call_out_of_the_queue_and_cancels_its_query() -> None:
    async def main() -> None:
        shop = Shop(Till)
        replica = await shop.up(0)
        till = shop.client.ref(Till)
        looking = asyncio.ensure_future(till.look(4.0))
        await asyncio.sleep(0.1)
        busy = asyncio.ensure_future(till.pay("busy", 1.0))
        await asyncio.sleep(0.1)
        waiting = asyncio.ensure_future(till.pay("never"))
        await asyncio.sleep(0.1)
        assert (counters(replica).depth, counters(replica).under_way) == (1, 2)
        looking.cancel()
        waiting.cancel()
        await asyncio.sleep(0.1)
        assert (counters(replica).depth, counters(replica).under_way) == (0, 1)
        await busy
        assert (replica.server.seen, replica.server.cancelled) == (["busy"], 1)

    run(main())


def test_calls_that_waited_when_the_process_died_are_made_to_the_next_one() -> None:
    async def main() -> list[object]:
        shop = Shop(Till)
        replica = await shop.up(0)
        till = shop.client.ref(Till)
        calls = [asyncio.ensure_future(till.pay("begun", 1.0))]
        await asyncio.sleep(0.1)
        calls.append(asyncio.ensure_future(till.pay("waits")))
        await asyncio.sleep(0.1)
        await replica.kill_service()
        await asyncio.create_task(shop.serve(replica))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [type(answers[0]).__name__, answers[1]]

    assert run(main()) == ["Interrupted", "waits"]
