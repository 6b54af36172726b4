"""Each instrument counts what it says, driven through a client and replicas in memory."""

import asyncio
from typing import Any

import pytest

from raybeam.actors import (
    AtLeastOnce,
    CallFailed,
    CircuitOpen,
    GenServer,
    Hedge,
    InvalidArgumentsError,
    Outcome,
    Overloaded,
    Regulation,
    ServiceError,
    call,
    cast,
    gen_server,
    query,
)
from raybeam.actors.runtime import ambient_runtime
from raybeam.autoscaler import Snapshot
from raybeam.autoscaler.history import History
from raybeam.autoscaler.kernel.control import Order
from raybeam.autoscaler.kernel.observation import Looked, Observation
from raybeam.cluster import Blueprint
from raybeam.cluster.kernel.health import Health
from raybeam.cluster.kernel.histogram import Histogram
from raybeam.cluster.kernel.views import Member, first_table, member_health, member_up
from raybeam.cluster.names import ReplicaName
from raybeam.cluster.replica import Beat
from raybeam.cluster.replica_records import ReplicaRecords
from raybeam.cluster.service_regulation import ServiceRegulation
from raybeam.cluster.telemetry import instruments as i
from raybeam.cluster.telemetry.calls import OUTCOMES
from raybeam.cluster.telemetry.labels import OTHER
from raybeam.cluster.telemetry.regulator_readings import RegulatorReadings
from raybeam.cluster.telemetry.root_telemetry import RootTelemetry
from tests.unit.cluster.shop import Shop

from .measured import Memory, in_shop


class NotEnough(ServiceError):
    pass


class Stock(GenServer):
    mailbox_limit = 2

    async def init(self) -> None:
        self.hedged_before = False

    @call
    async def take(self, count: int) -> int:
        if count > 10:
            raise NotEnough("only 10")
        return count

    @call(timeout_s=1.0)
    async def hold(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @call
    async def crash(self) -> None:
        raise ZeroDivisionError("broken")

    @call(retry=AtLeastOnce(), timeout_s=5.0)
    async def again(self) -> str:
        return "done"

    @call(retry=AtLeastOnce(budget=0.0), timeout_s=60.0)
    async def no_budget(self) -> None:
        return None

    @query(hedge=Hedge(after_s=0.05))
    async def hedged(self) -> int:
        await asyncio.sleep(1.0)
        return 1

    @cast
    async def note(self) -> None:
        pass


async def quietly(asked: Any) -> None:
    try:
        await asked
    except (CallFailed, ServiceError, InvalidArgumentsError):
        return


def test_calls_are_counted_and_timed_by_method_and_outcome_at_both_ends() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        for count in (1, 2, 3, 99):
            await quietly(stock.take(count))
        await quietly(stock.take("many"))
        await quietly(stock.hold(3.0))

    in_shop(Stock, play, memory)

    expected = {("take", "ok"): 3, ("take", "failed"): 1, ("take", "rejected"): 1, ("hold", "unknown"): 1}
    assert memory.values(i.CLIENT_CALLS) == expected
    assert memory.values(i.CLIENT_DURATION) == expected
    assert memory.values(i.CLIENT_FAILURES) == {("NotEnough",): 1, ("InvalidArgumentsError",): 1, ("CallTimeout",): 1}
    assert memory.values(i.CLIENT_ATTEMPTS) == {("take",): 5, ("hold",): 1}
    served = memory.values(i.SERVER_CALLS)
    assert {key: served[key] for key in served if key[0] == "take"} == {
        ("take", "ok"): 3,
        ("take", "failed"): 1,
        ("take", "rejected"): 1,
    }
    assert memory.values(i.SERVER_REFUSED) == {("take", "invalid_arguments"): 1}
    held = [point for name, labels, point in memory.points() if "hold" in labels.values() and hasattr(point, "sum")]
    assert held[0].sum == pytest.approx(1.0)


def test_a_full_mailbox_and_late_work_are_refused_with_their_reason() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        asked = []
        for _ in range(3):
            asked.append(asyncio.ensure_future(quietly(stock.hold.within(0.9)(0.8))))
            await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):
            await stock.take.within(0.1)(1)
        await asyncio.gather(*asked)
        await asyncio.sleep(5)

    in_shop(Stock, play, memory)

    refused = memory.values(i.SERVER_REFUSED)
    assert refused == {("hold", "deadline"): 1, ("take", "queue_full"): 1}
    assert memory.values(i.CLIENT_CALLS)["take", "rejected"] == 1


def test_a_service_that_is_not_there_is_told_of_as_an_unknown_method() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        await shop.directory.replicas["shop/stock/0#1"].kill_service()
        await quietly(stock.take.within(1.0)(1))

    in_shop(Stock, play, memory)

    assert memory.values(i.SERVER_REFUSED)[OTHER, "no_process"] >= 1
    assert memory.values(i.CLIENT_RETRIES)["take", "not_sent"] >= 1


def test_repetitions_are_counted_by_what_went_before() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        first = shop.directory.replicas["shop/stock/0#1"]
        first.delay_s = 0.05
        asked = asyncio.ensure_future(stock.again())
        await asyncio.sleep(0.02)
        first.alive = False
        await shop.up(0, 2)
        assert await asked == "done"

    in_shop(Stock, play, memory)

    assert memory.values(i.CLIENT_RETRIES) == {("again", "unknown"): 1}
    assert memory.values(i.CLIENT_ATTEMPTS) == {("again",): 2}
    assert memory.values(i.CLIENT_CALLS) == {("again", "ok"): 1}
    assert memory.values(i.LANE_LOST) == {(): 1}


def test_a_spent_budget_is_counted() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        state = shop.client.state("stock")
        while state.repetition_allowed(shop.client.now()):
            pass
        replica = shop.directory.replicas["shop/stock/0#1"]
        replica.delay_s = 0.02
        asked = asyncio.ensure_future(stock.no_budget.result())
        await asyncio.sleep(0.01)
        replica.alive = False
        assert (await asked).outcome is Outcome.UNKNOWN

    in_shop(Stock, play, memory)

    assert memory.values(i.CLIENT_BUDGET) == {("no_budget",): 1}
    assert memory.values(i.CLIENT_RETRIES) == {}


def test_hedges_are_counted_as_attempts_too() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        await stock.hedged()

    in_shop(Stock, play, memory, replicas=2)

    assert memory.values(i.CLIENT_HEDGES) == {("hedged",): 1}
    assert memory.values(i.CLIENT_ATTEMPTS) == {("hedged",): 2}


def test_an_open_breaker_is_told_and_what_it_lets_not_pass_is_no_attempt() -> None:
    memory = Memory()
    open_before = []

    async def play(shop: Shop, stock: Any) -> None:
        open_before.append(memory.values(i.BREAKER_OPEN))
        shop.client.breakers["stock"].disable()
        with pytest.raises(CircuitOpen):
            await stock.take(1)
        open_before.append(memory.values(i.BREAKER_OPEN))

    in_shop(Stock, play, memory, breaker={"melts": 3})

    assert open_before == [{(): 0}, {(): 1}]
    assert memory.values(i.CLIENT_CALLS) == {("take", "circuit_open"): 1}
    assert memory.values(i.CLIENT_ATTEMPTS) == {}


def test_casts_are_counted_where_they_are_sent_and_where_they_come() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        await stock.note()
        await stock.note()
        shop.client.breakers["stock"].disable()
        with pytest.raises(CircuitOpen):
            await stock.note()
        await asyncio.sleep(1)

    in_shop(Stock, play, memory, breaker={})

    assert memory.values(i.CLIENT_CASTS) == {("note", "ok"): 2, ("note", "circuit_open"): 1}
    assert memory.values(i.SERVER_CASTS) == {("note",): 2}


def test_lanes_tell_their_batches_bytes_and_what_they_sent_again() -> None:
    memory = Memory()
    outstanding = []

    async def play(shop: Shop, stock: Any) -> None:
        await asyncio.gather(stock.take(1), stock.take(2))
        replica = shop.directory.replicas["shop/stock/0#1"]
        replica.lose_requests = 1
        await asyncio.gather(stock.take(3), stock.take(4))
        asked = asyncio.ensure_future(stock.hold(0.5))
        await asyncio.sleep(0.1)
        outstanding.append(memory.values(i.LANE_OUTSTANDING))
        await asked

    in_shop(Stock, play, memory)

    assert outstanding == [{(): 1}]
    assert memory.values(i.LANE_RESENT) == {(): 2}
    assert memory.values(i.LANE_LOST) == {(): 1}
    sizes = [point for name, _, point in memory.points() if name == i.LANE_BATCH_SIZE.name]
    assert (sizes[0].count, sizes[0].sum) == (4, 7)
    assert memory.values(i.LANE_BATCHES)[()] >= 4
    assert memory.values(i.LANE_BYTES)[()] > memory.values(i.LANE_BYTES_BACK)[()] > 0


def test_crashes_are_counted_by_the_class_of_the_error() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        await quietly(stock.crash())

    in_shop(Stock, play, memory)

    assert memory.values(i.CRASHES) == {("ZeroDivisionError",): 1}
    assert memory.values(i.CLIENT_CALLS) == {("crash", "failed"): 1}


def test_the_histograms_that_a_replica_keeps_anyway_are_taken_over() -> None:
    memory = Memory()
    waits = Histogram()
    waits.add(7.0)
    memory.telemetry.meter.histogram(i.QUEUE_WAIT, waits, "shop", "stock")
    for seconds in (0.001, 0.002, 0.4):
        waits.add(seconds)

    points = [point for name, _, point in memory.points() if name == i.QUEUE_WAIT.name]

    assert points[0].count == 3
    assert points[0].sum == pytest.approx(0.403, rel=0.06)
    assert memory.values(i.QUEUE_WAIT) == {(): 3}


def test_the_root_tells_how_its_families_stand() -> None:
    memory = Memory()
    table = first_table(7, {"stock": []})
    for place in range(3):
        table = member_up(table, "stock", Member(f"shop/stock/{place}#1", place, 1))
    table = member_health(table, "stock", "shop/stock/2#1", Health.UNKNOWN)
    replicas = ReplicaRecords(["stock"])
    replicas.restarts["stock"] = 5
    occurred = {"up": 1, "down": 1}
    for place in range(2):
        beat = Beat(place + 1, 0, Histogram(), Histogram(), 0, 0.0)
        replicas.heard(ReplicaName("shop", "stock", place, 1), beat, 0.0)
    blueprint = Blueprint.parse({"name": "shop", "families": {"stock": {"service": Stock, "replicas": 4}}})
    readings = RootTelemetry(blueprint, lambda: table, replicas, lambda family: 6, occurred, scaled_history())
    memory.telemetry.meter.watch(readings)
    memory.telemetry.hand_out()
    occurred["down"] += 1

    assert memory.values(i.OCCURRENCES) == {("up",): 1, ("down",): 2}
    assert memory.values(i.REPLICAS) == {("up",): 2, ("unknown",): 1, ("down",): 0}
    assert memory.values(i.REPLICAS_WANTED) == {(): 6}
    assert memory.values(i.QUEUE_DEPTH) == {(): 3}
    assert memory.values(i.RESTARTS) == {(): 5}
    assert memory.values(i.GENERATION) == {(): 7}
    assert memory.values(i.SCALING_DECISIONS) == {("up", "the load needs more"): 1, ("hold", "held"): 2}
    assert memory.values(i.SCALING_DECIDED) == {(): 6}
    assert memory.values(i.SCALING_BACKLOG) == {(): 8}
    assert memory.values(i.SCALING_OLDEST) == {(): 1.5}
    assert memory.values(i.SCALING_OFFERED) == {(): 3.5}
    assert memory.values(i.SCALING_RATE) == {}


def scaled_history() -> History:
    history = History(["stock"])
    seen = Observation(Snapshot(1.0, queue=8, oldest_wait_s=1.5), Looked(1.0), 1.0, 0)
    for second, (before, after, reason) in enumerate(
        [(4, 6, "the load needs more"), (6, 6, "held: a"), (6, 6, "held: b")]
    ):
        history.add(float(second), Order("stock", seen, before, after, reason, {"offered": 3.5}))
    return history


def test_what_a_regulator_does_is_told_with_its_reasons() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        replica = shop.directory.replicas["shop/stock/0#1"]
        regulation = ServiceRegulation(replica.runtime, "service")
        await replica.kill_service()
        ambient_runtime.set(replica.runtime)
        limits = Regulation(queue_limit=1, concurrency=1, deadlines=None)
        await gen_server.start(Stock, name="service", regulation=limits)
        readings = RegulatorReadings("shop", "stock", regulation.counters)
        memory.telemetry.meter.watch(readings)
        held = asyncio.ensure_future(quietly(stock.hold(0.5)))
        await asyncio.sleep(0.01)
        late = asyncio.ensure_future(quietly(stock.take.within(0.1)(1)))
        await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):
            await stock.take.within(0.1)(2)
        under_way.append((memory.values(i.REGULATOR_UNDER_WAY), memory.values(i.REGULATOR_LIMIT)))
        await asyncio.gather(held, late)
        memory.telemetry.hand_out()
        await replica.kill_service()
        await asyncio.create_task(shop.serve(replica))
        memory.telemetry.hand_out()

    under_way: list[object] = []
    in_shop(Stock, play, memory)

    assert under_way == [({(): 1}, {(): 1})]
    assert memory.values(i.REGULATOR_ACCEPTED) == {(): 2}
    assert memory.values(i.REGULATOR_DELAYED) == {(): 1}
    assert memory.values(i.REGULATOR_REJECTED) == {("queue_full",): 1}
    assert memory.values(i.REGULATOR_DROPPED) == {("deadline",): 1}
    assert memory.values(i.SERVER_REFUSED) == {("take", "queue_full"): 1, ("take", "deadline"): 1}


def test_a_service_without_a_regulator_tells_nothing() -> None:
    assert list(RegulatorReadings("shop", "stock", lambda: None).readings()) == []


def test_every_outcome_has_a_label() -> None:
    assert set(OUTCOMES) == set(Outcome)
