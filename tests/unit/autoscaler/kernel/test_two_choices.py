"""Waits with two random choices, against closed forms and a simulation of the draws."""

import heapq
import random

import pytest

from raybeam.autoscaler.kernel.erlang import later_than as later_in_one_queue
from raybeam.autoscaler.kernel.erlang import mean_wait_s as mean_in_one_queue
from raybeam.autoscaler.kernel.two_choices import later_than, mean_wait_s, waiting


def simulated(replicas: int, slots: int, busy: float, requests: int = 100_000) -> list[float]:
    """Waits in units of the mean service time, exponential, each request to the less loaded of two drawn."""
    draw = random.Random(7)
    free = [[0.0] * slots for _ in range(replicas)]
    under_way: list[list[float]] = [[] for _ in range(replicas)]
    now, waits = 0.0, []
    for _ in range(requests):
        now += draw.expovariate(replicas * slots * busy)
        drawn = draw.sample(range(replicas), 2)
        for place in drawn:
            while under_way[place] and under_way[place][0] <= now:
                heapq.heappop(under_way[place])
        place = min(drawn, key=lambda number: len(under_way[number]))
        start = max(now, free[place][0])
        end = start + draw.expovariate(1.0)
        heapq.heapreplace(free[place], end)
        heapq.heappush(under_way[place], end)
        waits.append(start - now)
    return waits


@pytest.mark.parametrize("replicas", [2, 3, 12])
@pytest.mark.parametrize(("slots", "busy"), [(1, 0.6), (1, 0.85), (3, 0.8)])
def test_waits_are_those_of_a_simulation(replicas: int, slots: int, busy: float) -> None:
    waits = simulated(replicas, slots, busy)
    load = replicas * slots * busy

    assert mean_wait_s(replicas, load, 1.0, slots=slots) == pytest.approx(sum(waits) / len(waits), rel=0.25)
    late = sum(wait > 1.0 for wait in waits) / len(waits)
    assert later_than(1.0, replicas, load, 1.0, slots=slots) == pytest.approx(late, abs=0.04)


@pytest.mark.parametrize("slots", [1, 3])
def test_one_replica_is_one_queue(slots: int) -> None:
    load = 0.7 * slots

    assert mean_wait_s(1, load, 2.0, slots=slots) == pytest.approx(mean_in_one_queue(slots, load, 2.0), rel=1e-3)
    assert later_than(3.0, 1, load, 2.0, slots=slots) == pytest.approx(later_in_one_queue(3.0, slots, load, 2.0), 1e-3)


@pytest.mark.parametrize("replicas", [2, 5, 30])
def test_one_queue_before_all_would_wait_less(replicas: int) -> None:
    load = 0.85 * replicas

    assert mean_wait_s(replicas, load, 1.0) > mean_in_one_queue(replicas, load, 1.0)


def test_more_replicas_wait_less() -> None:
    late = [later_than(1.0, replicas, 8.0, 1.0) for replicas in range(9, 40)]

    assert late == sorted(late, reverse=True)
    assert late[-1] < 0.02


def test_too_few_wait_for_ever_and_none_without_load() -> None:
    assert later_than(1.0, 3, 3.0, 1.0) == 1.0
    assert mean_wait_s(3, 3.0, 1.0) == float("inf")
    assert waiting(3, 0.0) == ()
    assert later_than(1.0, 3, 0.0, 1.0) == 0.0


def test_what_is_no_load_is_refused() -> None:
    with pytest.raises(ValueError, match="load=nan"):
        later_than(1.0, 3, float("nan"), 1.0)
