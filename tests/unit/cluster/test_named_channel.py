"""A driver's reference to a name of the whole system, with a root and replicas of the test's own."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import pytest

from raybeam.actors import CallTimeout, Disconnected, GenServer, NoProcess, Pid, Runtime, call, cast, gen_server, query
from raybeam.actors.reference import reference
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.testing import run
from raybeam.cluster import Blueprint
from raybeam.cluster.client import Client
from raybeam.cluster.kernel.views import Member, Table, first_table
from raybeam.cluster.lane import LinkDown
from raybeam.cluster.large import Exchanged
from raybeam.cluster.named_channel import NamedChannel
from raybeam.cluster.session import Sessions

T = TypeVar("T")


class Stock(GenServer):
    async def init(self) -> None:
        self.sold = 0

    @call
    async def sell(self, count: int) -> tuple[Pid, int]:
        self.sold += count
        return self.pid, self.sold

    @call(timeout_s=30.0)
    async def count_slowly(self) -> int:
        await asyncio.sleep(10.0)
        return self.sold

    @query
    async def count(self) -> int:
        return self.sold

    @query(timeout_s=30.0)
    async def audit(self) -> Pid:
        await asyncio.sleep(5.0)
        return self.pid

    @cast
    async def restock(self, count: int) -> None:
        self.sold -= count


BLUEPRINT = Blueprint.parse({"name": "shop", "families": {"stock": {"service": Stock}}})


class Replica:
    def __init__(self, name: str) -> None:
        self.runtime = Runtime(name, reports=lambda report: None)
        self.runtime.open()
        self.sessions = Sessions(self.runtime, "service")
        self.alive = True

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        await asyncio.sleep(0.001)
        reply = await self.sessions.exchange(data, *large) if self.alive else b""
        if not self.alive:
            raise LinkDown
        return reply

    async def start(self) -> Pid:
        async def within() -> Pid:
            ambient_runtime.set(self.runtime)
            return await gen_server.start(Stock)

        return await asyncio.create_task(within())


class Shop:
    """Replicas, and a root that knows who has which name."""

    def __init__(self) -> None:
        self.replicas: dict[str, Replica] = {}
        self.names: dict[Hashable, Pid] = {}
        self.asked = 0
        self.client = Client(BLUEPRINT, self, lambda coroutine: None, seed=1)
        self.stock = reference(Stock, NamedChannel("shop", "stock", self.find, lambda: self.client, self.client.run))

    async def up(self, name: str) -> tuple[Replica, Pid]:
        replica = self.replicas[name] = Replica(name)
        return replica, await replica.start()

    async def watch(self, version: int) -> Table:
        while version >> 32 == len(self.replicas):
            await asyncio.sleep(0.01)
        members = [Member(name, index, 1) for index, name in enumerate(sorted(self.replicas))]
        return first_table(len(self.replicas), {"stock": members})

    async def link(self, name: str) -> Replica:
        if name not in self.replicas:
            raise LookupError(name)
        return self.replicas[name]

    async def find(self, name: Hashable) -> Pid | None:
        self.asked += 1
        await asyncio.sleep(0.01)
        return self.names.get(name)


def play(scene: Callable[[Shop], Awaitable[T]]) -> T:
    async def main() -> T:
        shop = Shop()
        shop.client.open()
        try:
            return await scene(shop)
        finally:
            await shop.client.close(NoProcess())
            for replica in shop.replicas.values():
                await replica.runtime.close()

    return run(main())


def test_calls_and_casts_reach_the_process_that_has_the_name_and_the_root_is_asked_once() -> None:
    async def scene(shop: Shop) -> None:
        _, pid = await shop.up("shop/stock/0#1")
        shop.names["stock"] = pid
        assert await shop.stock.sell(3) == (pid, 3)
        await shop.stock.restock(1)
        assert await shop.stock.sell(2) == (pid, 4)
        assert shop.asked == 1

    play(scene)


def test_a_name_that_nobody_has_is_no_process_at_once() -> None:
    async def scene(shop: Shop) -> float:
        with pytest.raises(NoProcess):
            await shop.stock.sell(1)
        with pytest.raises(NoProcess):
            await shop.stock.restock(1)
        return asyncio.get_running_loop().time()

    assert play(scene) < 0.1


def test_a_call_follows_the_name_to_another_process() -> None:
    async def scene(shop: Shop) -> None:
        first, pid = await shop.up("shop/stock/0#1")
        second, other = await shop.up("shop/stock/1#1")
        shop.names["stock"] = pid
        assert await shop.stock.sell(1) == (pid, 1)
        first.runtime.exit(None, pid, "kill")

        async def takes_over() -> None:
            await asyncio.sleep(0.3)
            shop.names["stock"] = other

        _, sold = await asyncio.gather(takes_over(), shop.stock.sell(2))
        assert sold == (other, 2)
        assert second.alive

    play(scene)


def test_a_call_to_a_lost_replica_is_not_repeated_but_a_query_is() -> None:
    async def scene(shop: Shop) -> None:
        first, pid = await shop.up("shop/stock/0#1")
        _, other = await shop.up("shop/stock/1#1")
        shop.names["stock"] = pid
        under_way = [asyncio.ensure_future(shop.stock.count_slowly()), asyncio.ensure_future(shop.stock.audit())]
        await asyncio.sleep(1.0)
        first.alive = False
        del shop.replicas["shop/stock/0#1"]
        shop.names["stock"] = other
        first.runtime.exit(None, pid, "kill")
        counted, audited = await asyncio.gather(*under_way, return_exceptions=True)
        assert type(counted) is Disconnected
        assert audited == other

    play(scene)


def test_a_root_that_does_not_answer_is_waited_for_until_the_deadline() -> None:
    async def scene(shop: Shop) -> float:
        async def silent(name: Hashable) -> Pid | None:
            await asyncio.sleep(1e6)
            return None

        shop.stock = reference(Stock, NamedChannel("shop", "stock", silent, lambda: shop.client, shop.client.run))
        with pytest.raises(CallTimeout, match="shop: 'stock'"):
            await shop.stock.count()
        return asyncio.get_running_loop().time()

    assert play(scene) == pytest.approx(5.0)
