"""The regulator: who waits, who is next, who is refused and when to come again."""

import pytest

from raybeam.actors import (
    CoDel,
    Damper,
    DeadlineDrop,
    Fair,
    Gradient,
    Overflow,
    Priorities,
    Rate,
    Refusal,
    Regulation,
    RegulationCounters,
    Sample,
)
from raybeam.actors.kernel.regulation.regulator import Arrival, Regulator


def arrive(regulator: Regulator[str], now: float, *names: str) -> list[Arrival[str]]:
    """Calls named as tenant and number, like `a1`; `A1` is urgent."""
    return [
        regulator.arrive(name, now, tenant=name[0].lower(), priority="high" if name[0].isupper() else "low")
        for name in names
    ]


def served(regulator: Regulator[str], now: float, turns: int = 1000) -> list[str]:
    """Take calls, each done at once."""
    names = []
    for _ in range(turns):
        turn = regulator.take(now)
        if turn.waiter is None:
            break
        names.append(turn.waiter.item)
        regulator.done(turn.waiter, now)
    return names


def told(arrivals: list[Arrival[str]]) -> list[tuple[str, Refusal]]:
    return [(refused.item, refused.reason) for arrival in arrivals for refused in arrival.refused]


def test_calls_are_served_first_come_first_served() -> None:
    regulator: Regulator[str] = Regulator(Regulation(), 0.0)
    arrive(regulator, 0.0, "b1", "a1", "A2")

    assert served(regulator, 0.0) == ["b1", "a1", "A2"]


@pytest.mark.parametrize(
    ("overflow", "refused", "then"),
    [
        (Overflow.REJECT, ("a3", Refusal.QUEUE_FULL), ["a1", "a2"]),
        (Overflow.DROP_OLDEST, ("a1", Refusal.DISPLACED), ["a2", "a3"]),
        (Overflow.DROP_NEWEST, ("a2", Refusal.DISPLACED), ["a1", "a3"]),
    ],
)
def test_a_full_queue_refuses_whom_the_policy_says(
    overflow: Overflow, refused: tuple[str, Refusal], then: list[str]
) -> None:
    regulator: Regulator[str] = Regulator(Regulation(queue_limit=2, overflow=overflow), 0.0)

    assert told(arrive(regulator, 0.0, "a1", "a2", "a3")) == [refused]
    assert served(regulator, 0.0) == then


def test_who_floods_a_full_queue_gives_up_places_to_others() -> None:
    regulator: Regulator[str] = Regulator(Regulation(queue_limit=4, fair=Fair()), 0.0)

    refused = told(arrive(regulator, 0.0, "a1", "a2", "a3", "a4", "b1", "b2", "b3"))

    assert refused == [("a4", Refusal.DISPLACED), ("a3", Refusal.DISPLACED), ("b3", Refusal.QUEUE_FULL)]
    assert served(regulator, 0.0) == ["a1", "b1", "a2", "b2"]


def test_an_urgent_call_finds_a_place_in_a_queue_that_others_have_filled() -> None:
    priorities = Priorities({"high": 0.5, "low": 0.2})
    regulator: Regulator[str] = Regulator(Regulation(queue_limit=5, priorities=priorities), 0.0)
    refused = told(arrive(regulator, 0.0, "a1", "a2", "a3", "a4", "a5", "A6", "A7", "A8", "A9", "A0", "a9"))

    assert refused == [
        ("a5", Refusal.DISPLACED),
        ("a4", Refusal.DISPLACED),
        ("a3", Refusal.DISPLACED),
        ("a2", Refusal.DISPLACED),
        ("A0", Refusal.QUEUE_FULL),
        ("a9", Refusal.QUEUE_FULL),
    ]
    assert served(regulator, 0.0) == ["A6", "A7", "A8", "A9", "a1"]


def test_a_class_has_its_reserved_share_while_more_urgent_ones_wait() -> None:
    priorities = Priorities({"high": 0.5, "low": 0.25})
    regulator: Regulator[str] = Regulator(Regulation(priorities=priorities), 0.0)
    arrive(regulator, 0.0, *[f"A{number}" for number in range(9)], *[f"a{number}" for number in range(9)])

    names = "".join(name[0] for name in served(regulator, 0.0, 12))
    assert names == "AAAAaAAAaAAa"
    assert names.count("a") == 0.25 * len(names)


def test_a_call_waits_for_a_place() -> None:
    regulator: Regulator[str] = Regulator(Regulation(concurrency=1), 0.0)
    arrive(regulator, 0.0, "a1", "a2")
    first = regulator.take(0.0).waiter
    assert first is not None

    blocked = regulator.take(0.5)
    assert (blocked.waiter, blocked.full) == (None, True)
    regulator.done(first, 1.0)

    assert served(regulator, 1.0) == ["a2"]


def test_a_call_waits_for_its_token_if_it_may_and_is_told_when_one_comes_if_it_may_not() -> None:
    regulator: Regulator[str] = Regulator(Regulation(rate=Rate(per_s=2.0, burst=1, max_wait_s=0.5)), 0.0)

    arrivals = arrive(regulator, 0.0, "a1", "a2", "a3")
    assert told(arrivals) == [("a3", Refusal.RATE)]
    assert arrivals[2].refused[0].retry_after_s == pytest.approx(0.5)
    assert served(regulator, 0.0) == ["a1"]
    assert regulator.take(0.0).ready_at == pytest.approx(0.5)
    assert served(regulator, 0.5) == ["a2"]


def test_who_is_refused_is_told_when_the_queue_will_have_drained() -> None:
    regulator: Regulator[str] = Regulator(Regulation(queue_limit=3), 0.0)
    arrive(regulator, 0.0, "a1", "a2", "a3")
    turn = regulator.take(0.0)
    assert turn.waiter is not None
    regulator.done(turn.waiter, 0.2)
    arrive(regulator, 0.2, "a4")

    (refused,) = arrive(regulator, 0.2, "a5")

    assert refused.refused[0].retry_after_s == pytest.approx(3 * 0.2)


def test_a_standing_queue_refuses_at_once_and_drops_who_waited_too_long() -> None:
    regulator: Regulator[str] = Regulator(Regulation(codel=CoDel(0.1, 1.0)), 0.0)
    arrive(regulator, 0.0, "a0")
    assert served(regulator, 0.05) == ["a0"]  # begun and done at once: the pace is 0 s a call
    arrive(regulator, 0.1, "a1", "a2", "a3")
    turn = regulator.take(1.3)

    assert [(each.item, each.reason) for each in turn.refused] == [("a1", Refusal.CODEL), ("a2", Refusal.CODEL)]
    assert turn.waiter is not None
    assert turn.waiter.item == "a3"


def test_a_call_that_cannot_be_answered_in_time_is_refused_when_it_comes() -> None:
    regulator: Regulator[str] = Regulator(Regulation(deadlines=DeadlineDrop()), 0.0)
    regulator.arrive("a1", 0.0)
    regulator.arrive("a2", 0.0)
    turn = regulator.take(0.0)
    assert turn.waiter is not None
    regulator.done(turn.waiter, 1.0)

    late = regulator.arrive("a3", 1.0, deadline_at=2.5)
    in_time = regulator.arrive("a4", 1.0, deadline_at=3.5)

    assert [refused.reason for refused in late.refused] == [Refusal.DEADLINE]
    assert in_time.waiter is not None


def test_what_has_expired_is_dropped_in_its_turn_without_being_asked_for() -> None:
    regulator: Regulator[str] = Regulator(Regulation(), 0.0)
    regulator.arrive("a1", 0.0, deadline_at=1.0)

    turn = regulator.take(1.1)

    assert [(each.item, each.reason) for each in turn.refused] == [("a1", Refusal.DEADLINE)]
    assert turn.waiter is None


def test_load_cuts_the_limits_until_it_has_been_calm() -> None:
    regulation = Regulation(queue_limit=10, concurrency=10, damper=Damper(calm_s=2.0, cut=0.2))
    regulator: Regulator[str] = Regulator(regulation, 0.0)
    levels = []
    for now, cpu in enumerate((0.2, 0.95, 0.7, 0.7, 0.7, 0.7, 0.7)):
        regulator.sample(Sample(cpu, 0.2), float(now))
        counters = regulator.counters()
        levels.append((counters.level, counters.limit))
    assert levels == [(0, 10), (2, 6), (2, 6), (2, 6), (1, 8), (1, 8), (0, 10)]

    regulator.sample(Sample(1.0, 1.0), 9.0)
    assert told(arrive(regulator, 9.0, "a1", "a2")) == [("a2", Refusal.DAMPED)]


def test_the_adaptive_limit_follows_what_calls_take() -> None:
    regulator: Regulator[str] = Regulator(
        Regulation(concurrency=Gradient(initial=10, window_s=0.1, window_calls=5, long_windows=100)), 0.0
    )

    def load(now: float, seconds: float, took_s: float) -> float:
        end = now + seconds
        while now < end:
            begun = []
            while True:
                regulator.arrive("a", now)
                turn = regulator.take(now)
                if turn.waiter is None:
                    break
                begun.append(turn.waiter)
            now += took_s
            for waiter in begun:
                regulator.done(waiter, now)
        return now

    now = load(0.0, 5.0, 0.1)
    grown = regulator.counters().limit
    load(now, 5.0, 1.0)
    shrunk = regulator.counters().limit

    assert grown is not None
    assert shrunk is not None
    assert grown > 20
    assert shrunk < grown


def test_each_outcome_is_counted_by_its_reason() -> None:
    regulator: Regulator[str] = Regulator(Regulation(queue_limit=2), 0.0)
    first, second, _ = arrive(regulator, 0.0, "a1", "a2", "a3")
    assert second.waiter is not None
    regulator.cancel(second.waiter)
    regulator.take(0.0)

    counters = regulator.counters()

    assert first.waiter is not None
    assert (counters.accepted, counters.delayed, counters.begun, counters.under_way, counters.depth) == (2, 1, 1, 1, 0)
    assert counters.rejected[Refusal.QUEUE_FULL] == 1
    assert counters.dropped[Refusal.CANCELLED] == 1
    assert counters.refused == 1


def test_counters_of_many_processes_add_up() -> None:
    one = RegulationCounters(accepted=3, casts=1, limit=None, level=1)
    both = one + one.past()

    assert (both.accepted, both.casts, both.limit, both.level) == (6, 2, None, 1)
