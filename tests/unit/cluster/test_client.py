"""The client of a system: views, lanes, routing and its end, with a directory of the test's own."""

import asyncio
from collections import Counter

import pytest

from raybeam.actors import CallTimeout, Disconnected, GenServer, Runtime, UsageError, call, cast, gen_server, query
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.testing import run
from raybeam.cluster import Blueprint
from raybeam.cluster.client import Client, DirectoryGone
from raybeam.cluster.kernel.views import Member, Table, first_table, member_down, member_up
from raybeam.cluster.lane import LinkDown
from raybeam.cluster.large import Exchanged
from raybeam.cluster.session import Sessions


class Service(GenServer):
    async def init(self, who: str) -> None:
        self.who = who

    @query(timeout_s=2.0)
    async def name(self) -> str:
        return self.who

    @cast(timeout_s=2.0)
    async def note(self) -> None:
        self.noted = True

    @call(timeout_s=30.0)
    async def rest(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return self.who


FAMILY = {"service": Service, "replicas": 2, "args": ("who",)}
BLUEPRINT = Blueprint.parse({"name": "shop", "families": {"stock": FAMILY}})


class Replica:
    """One end of lanes, in the loop of the test."""

    def __init__(self, runtime: Runtime, depth: int | None = None) -> None:
        self.sessions = Sessions(runtime, runtime.name)
        self.alive = True
        if depth is not None:
            self.sessions.depth = lambda: depth  # type: ignore[method-assign]  # as busy as the test wants it

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        if not self.alive:
            raise LinkDown
        reply = await self.sessions.exchange(data, *large)
        if not self.alive:
            raise LinkDown
        return reply


class Directory:
    """Tells what the test puts in."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Table | Exception] = asyncio.Queue()
        self.replicas: dict[str, Replica] = {}
        self.watched = 0
        self.away = False

    async def watch(self, version: int) -> Table:
        self.watched += 1
        told = await self.told.get()
        if isinstance(told, Exception):
            raise told
        return told

    async def link(self, name: str) -> Replica:
        if self.away:
            raise ConnectionError("the head is away")
        if name not in self.replicas:
            raise LookupError(name)
        return self.replicas[name]


def member(number: int, incarnation: int = 1) -> Member:
    return Member(f"shop/stock/{number}#{incarnation}", number, incarnation)


class Shop:
    """A client, its directory, and replicas of the service."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.directory = Directory()
        self.client = Client(BLUEPRINT, self.directory, lambda coroutine: None, seed=1)
        self.client.open()
        self.stock = self.client.ref(Service)

    async def up(self, *members: Member, depth: int | None = None) -> None:
        for each in members:
            runtime = Runtime(each.name)
            runtime.open()
            await asyncio.create_task(self._serve(runtime, each.name))
            self.directory.replicas[each.name] = Replica(runtime, depth)

    async def _serve(self, runtime: Runtime, name: str) -> None:
        ambient_runtime.set(runtime)
        await gen_server.start(Service, name, name="service")

    async def tell(self, table: Table | Exception) -> None:
        self.directory.told.put_nowait(table)
        await asyncio.sleep(0.3)


def test_a_client_follows_a_root_that_has_restarted_and_counts_from_anew() -> None:
    async def main() -> str:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.up(member(0, 2), member(0, 3))
            old = first_table(1, {"stock": []})
            for _ in range(5):
                old = member_up(old, "stock", member(0, 1))
                old = member_down(old, "stock", member(0, 1).name)
            await shop.tell(member_up(old, "stock", member(0, 2)))
            assert await shop.stock.name() == "shop/stock/0#2"

            await shop.tell(RuntimeError("the root died"))
            new = first_table(2, {"stock": [member(0, 2)]})
            await shop.tell(new)
            shop.directory.replicas["shop/stock/0#2"].alive = False
            new = member_down(new, "stock", "shop/stock/0#2")
            await shop.tell(member_up(new, "stock", member(0, 3)))
            answer = await shop.stock.name()
            await shop.client.close(UsageError("over"))
            return answer

    assert run(main()) == "shop/stock/0#3"


def test_a_lane_to_a_member_that_cannot_be_looked_up_does_not_outlast_the_deadline() -> None:
    async def main() -> float:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.tell(first_table(1, {"stock": [member(0)]}))
            shop.directory.away = True
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(CallTimeout):
                await shop.stock.name()
            return loop.time() - began

    assert run(main()) == pytest.approx(2.0, abs=0.3)


def test_another_member_is_taken_at_once_when_one_is_gone() -> None:
    async def main() -> float:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.up(member(1))
            await shop.tell(first_table(1, {"stock": [member(0), member(1)]}))
            loop = asyncio.get_running_loop()
            began = loop.time()
            for _ in range(20):
                assert await shop.stock.name() == "shop/stock/1#1"
            return loop.time() - began

    assert run(main()) == pytest.approx(0.0, abs=0.01)


def test_a_member_that_was_busy_gets_calls_again_when_the_news_is_old() -> None:
    async def main() -> Counter[str]:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.up(member(0), depth=500)
            await shop.up(member(1))
            await shop.tell(first_table(1, {"stock": [member(0), member(1)]}))
            for _ in range(50):
                await shop.stock.name()
            await asyncio.sleep(5.0)
            seen: Counter[str] = Counter()
            for _ in range(200):
                await asyncio.sleep(2.0)
                seen[await shop.stock.name()] += 1
            await shop.client.close(UsageError("over"))
            return seen

    seen = run(main())

    assert min(seen["shop/stock/0#1"], seen["shop/stock/1#1"]) > 50


def test_after_the_end_calls_and_casts_are_told_why() -> None:
    async def main() -> tuple[object, object, object]:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.up(member(0))
            await shop.tell(first_table(1, {"stock": [member(0)]}))
            await shop.stock.note()
            under_way = asyncio.ensure_future(shop.stock.rest(20.0))
            await asyncio.sleep(0.1)
            await shop.client.close(UsageError("this handle is closed"))
            return await asyncio.gather(under_way, shop.stock.name(), shop.stock.note(), return_exceptions=True)

    under_way, asked, told = run(main())

    assert isinstance(under_way, Disconnected)
    assert str(asked) == str(told) == "this handle is closed"


def test_a_call_that_waits_for_a_replica_is_told_when_the_system_gives_up() -> None:
    async def main() -> object:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            waiting = asyncio.ensure_future(shop.stock.name())
            await asyncio.sleep(0.5)
            shop.client.end(UsageError("it gave up"))
            return (await asyncio.gather(waiting, return_exceptions=True))[0]

    assert str(run(main())) == "it gave up"


def test_the_last_answer_of_a_member_arrives_though_the_directory_has_dropped_it() -> None:
    async def main() -> tuple[object, object]:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.up(member(0))
            await shop.tell(first_table(1, {"stock": [member(0)]}))
            quick = asyncio.ensure_future(shop.stock.rest(0.5))
            slow = asyncio.ensure_future(shop.stock.rest(20.0))
            await asyncio.sleep(0.1)
            await shop.tell(first_table(2, {"stock": []}))
            return await asyncio.gather(quick, slow, return_exceptions=True)

    quick, slow = run(main())

    assert quick == "shop/stock/0#1"
    assert isinstance(slow, Disconnected)


def test_a_client_without_a_way_to_its_directory_stops_asking() -> None:
    async def main() -> int:
        async with Runtime() as runtime:
            shop = Shop(runtime)
            await shop.tell(DirectoryGone())
            await asyncio.sleep(100.0)
            return shop.directory.watched

    assert run(main()) == 1
