"""Three times the load that a process can serve: what it serves, how fast, who hears what, and how it recovers.

Callers come in an open loop, so they do not slow down; capacity is 1000 calls a second.
"""

import asyncio
from dataclasses import dataclass, field

import pytest

from raybeam.actors import (
    CoDel,
    Fair,
    GenServer,
    Gradient,
    Overflow,
    Overloaded,
    Priorities,
    Rate,
    Regulation,
    RegulationCounters,
    Runtime,
    call,
    calling_as,
    gen_server,
    query,
)
from raybeam.actors.testing import run

SERVICE_S = 0.001
CAPACITY = 1 / SERVICE_S
OVERLOAD_S = 2.5
AFTER_S = 2.1


class Till(GenServer):
    @call
    async def pay(self) -> None:
        await asyncio.sleep(SERVICE_S)

    @query(concurrent=True)
    async def look(self) -> None:
        await asyncio.sleep(0.1)


@dataclass
class Outcomes:
    """What callers saw: when they came, and how long it took."""

    served: list[tuple[float, float]] = field(default_factory=list)
    refused: list[tuple[float, float]] = field(default_factory=list)
    by_caller: dict[tuple[str, str], int] = field(default_factory=dict)
    most_calls: int = 0  # kept in the process at once
    most_messages: int = 0
    counters: RegulationCounters = field(default_factory=RegulationCounters)

    def goodput(self) -> float:
        """Calls served a second while there was overload."""
        return sum(came + took <= OVERLOAD_S for came, took in self.served) / OVERLOAD_S

    def p99_s(self) -> float:
        """Of what was accepted while there was overload."""
        took = sorted(took for came, took in self.served if came < OVERLOAD_S)
        return took[int(0.99 * (len(took) - 1))]

    def hearing_p99_s(self) -> float:
        """How soon who was refused heard it."""
        took = sorted(took for _, took in self.refused)
        return took[int(0.99 * (len(took) - 1))]

    def recovered_after_s(self) -> float:
        """How long after the overload a call was refused or slow the last time."""
        bad = [came for came, _ in self.refused] + [came for came, took in self.served if took > 10 * SERVICE_S]
        return max(bad) - OVERLOAD_S


def overload(regulation: Regulation, *callers: tuple[str, str, float], times: float = 3.0) -> Outcomes:
    """Callers, as tenant, priority and share of the load; then half the load that can be served."""
    return run(_overload(regulation, callers or (("", "", 1.0),), times))


async def _overload(regulation: Regulation, callers: tuple[tuple[str, str, float], ...], times: float) -> Outcomes:
    seen = Outcomes()
    async with Runtime() as runtime:
        pid = await gen_server.start(Till, regulation=regulation)
        till = gen_server.ref(Till, pid)

        async def one(tenant: str, priority: str) -> None:
            came = runtime.now()
            try:
                with calling_as(tenant=tenant, priority=priority):
                    await till.pay()
            except Overloaded:
                seen.refused.append((came, runtime.now() - came))
            else:
                seen.served.append((came, runtime.now() - came))
                if came < OVERLOAD_S:
                    seen.by_caller[tenant, priority] = seen.by_caller.get((tenant, priority), 0) + 1

        async def come(tenant: str, priority: str, share: float) -> None:
            calls = []
            while runtime.now() < OVERLOAD_S + AFTER_S:
                calls.append(asyncio.ensure_future(one(tenant, priority)))
                rate = times * CAPACITY if runtime.now() < OVERLOAD_S else 0.5 * CAPACITY
                await asyncio.sleep(1 / (rate * share))
            await asyncio.gather(*calls)

        async def look() -> None:
            while runtime.now() < OVERLOAD_S + AFTER_S:
                cell = runtime.cell(pid)
                assert cell is not None
                seen.most_calls = max(seen.most_calls, len(cell.calls))
                seen.most_messages = max(seen.most_messages, len(cell.mailbox))
                await asyncio.sleep(0.005)

        await asyncio.gather(look(), *(come(*caller) for caller in callers))
        counters = gen_server.regulation_counters(pid)
        assert counters is not None
        seen.counters = counters
    return seen


@pytest.mark.parametrize(
    ("regulation", "promise_s", "most_waiting"),
    [
        (Regulation(queue_limit=100), 0.1, 100),
        (Regulation(codel=CoDel(target_s=0.02, interval_s=0.1)), 0.12, 130),
        (Regulation(codel=CoDel(target_s=0.1, interval_s=1.0)), 1.1, 1000),
        (Regulation(codel=CoDel(target_s=0.02, interval_s=0.1), fair=Fair(), queue_limit=100), 0.12, 100),
    ],
    ids=["reject", "CoDel", "CoDel by default", "CoDel per tenant"],
)
def test_under_overload_capacity_is_used_and_what_is_accepted_is_served_in_time(
    regulation: Regulation, promise_s: float, most_waiting: int
) -> None:
    seen = overload(regulation)

    assert seen.goodput() >= 0.9 * CAPACITY
    assert seen.p99_s() <= promise_s + 2 * SERVICE_S
    assert seen.hearing_p99_s() <= 0.010
    assert seen.most_calls <= most_waiting + 1  # one is served
    assert seen.most_messages <= most_waiting + 65
    assert seen.recovered_after_s() <= 2.0
    assert seen.counters.refused == len(seen.refused)
    assert seen.counters.begun == len(seen.served)


def test_dropping_the_oldest_serves_the_freshest() -> None:
    seen = overload(Regulation(queue_limit=100, overflow=Overflow.DROP_OLDEST))

    assert seen.goodput() >= 0.9 * CAPACITY
    assert seen.p99_s() <= 0.1 + 2 * SERVICE_S
    assert seen.recovered_after_s() <= 2.0


def test_at_a_rate_below_capacity_just_that_many_are_served() -> None:
    seen = overload(Regulation(rate=Rate(per_s=500.0, burst=10, max_wait_s=0.05)))

    assert seen.goodput() == pytest.approx(500.0, rel=0.02)
    assert seen.p99_s() <= 0.05 + 2 * SERVICE_S
    assert seen.hearing_p99_s() <= 0.010


def test_who_floods_does_not_take_the_others_places() -> None:
    seen = overload(Regulation(queue_limit=100, fair=Fair()), ("flood", "", 0.9), ("modest", "", 0.1))

    modest = 0.1 * 3 * CAPACITY * OVERLOAD_S
    assert seen.by_caller["modest", ""] >= 0.97 * modest
    assert seen.goodput() >= 0.9 * CAPACITY


def test_without_a_fair_queue_it_does() -> None:
    seen = overload(Regulation(queue_limit=100), ("flood", "", 0.9), ("modest", "", 0.1))

    assert seen.by_caller["modest", ""] < 0.5 * 0.1 * 3 * CAPACITY * OVERLOAD_S


def test_the_urgent_are_served_and_the_others_do_not_starve() -> None:
    priorities = Priorities({"high": 0.5, "low": 0.2})
    seen = overload(Regulation(queue_limit=100, priorities=priorities), ("", "high", 0.5), ("", "low", 0.5))

    served = {priority: count / (CAPACITY * OVERLOAD_S) for (_, priority), count in seen.by_caller.items()}
    assert served["high"] == pytest.approx(0.8, abs=0.05)
    assert served["low"] == pytest.approx(0.2, abs=0.05)
    assert seen.goodput() >= 0.9 * CAPACITY


def test_the_adaptive_limit_finds_the_places_that_a_service_needs() -> None:
    async def main() -> tuple[int, float]:
        async with Runtime() as runtime:
            gradient = Gradient(initial=5, window_s=0.1, window_calls=5)
            pid = await gen_server.start(Till, regulation=Regulation(concurrency=gradient, queue_limit=10))
            till = gen_server.ref(Till, pid)
            served = 0

            async def one() -> None:
                nonlocal served
                try:
                    await till.look()
                except Overloaded:
                    return
                served += runtime.now() > 5.0

            calls = []
            while runtime.now() < 10.0:
                calls.append(asyncio.ensure_future(one()))
                await asyncio.sleep(0.002)  # 500 a second, 0.1 s each: 50 places
            await asyncio.gather(*calls)
            counters = gen_server.regulation_counters(pid)
            assert counters is not None
            assert counters.limit is not None
            return counters.limit, served / 5.0

    limit, per_s = run(main())
    assert limit >= 50
    assert per_s >= 0.95 * 500
