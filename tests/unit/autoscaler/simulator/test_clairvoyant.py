"""The bill of one who knows the future."""

from itertools import pairwise

import pytest

from raybeam.autoscaler.simulator import Family, World, clairvoyant, first_fit, score, simulate
from raybeam.autoscaler.simulator.schedules import SLACK_S, WINDOWS_S, least_in_windows, slots_by_first_fit
from raybeam.autoscaler.workload import Exponential, FlashCrowd, LogNormal, Steady, Trace, draw
from tests.unit.autoscaler.simulator.policies import Fixed

WORLD = World(start_s=10.0, boot_s=45.0, places=4)


def test_one_request_costs_its_service_a_start_and_a_boot() -> None:
    bill = clairvoyant(WORLD, Trace("one", [100.0], [30.0], 200.0))

    assert bill.replica_s == pytest.approx(10 + 30)
    assert bill.machine_s == pytest.approx(45 + 10 + 30)
    assert bill.cost == pytest.approx(40 + 0.25 * (85 * 4 - 40))


def test_a_replica_is_kept_through_a_gap_that_is_shorter_than_a_start() -> None:
    near = clairvoyant(WORLD, Trace("near", [100.0, 110.0], [5.0, 5.0], 200.0))
    far = clairvoyant(WORLD, Trace("far", [100.0, 150.0], [5.0, 5.0], 300.0))

    assert near.replica_s == pytest.approx(10 + 15)
    assert far.replica_s == pytest.approx(2 * (10 + 5))


def test_what_was_before_the_beginning_and_comes_after_the_end_costs_nothing() -> None:
    bill = clairvoyant(World(places=1), Trace("all", [0.0], [500.0], 100.0))

    assert (bill.replica_s, bill.machine_s, bill.peak) == (100.0, 100.0, 1)


def test_requests_wait_up_to_the_slack_if_that_saves_a_replica() -> None:
    assert clairvoyant(WORLD, Trace("two", [50.0, 50.0], [1.0, 5.0], 100.0)).peak == 1
    assert clairvoyant(WORLD, Trace("two", [50.0, 50.0], [1.1, 5.0], 100.0)).peak == 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_first_fit_serves_everybody_in_time_and_one_after_the_other(seed: int) -> None:
    trace = draw("t", FlashCrowd(3.0, start_s=100.0, hold_s=50.0), LogNormal(0.7, 1.5), 300.0, seed)

    slots = slots_by_first_fit(trace.times, trace.sizes)
    starts = sorted((start, end - start) for spans in slots for start, end in spans)
    assert len(starts) == len(trace.times)
    assert all(before[1] <= after[0] for spans in slots for before, after in pairwise(spans))
    served = sorted(zip((start for start, _ in starts), strict=True))
    assert all(-1e-9 <= start - at <= SLACK_S + 1e-9 for (start,), at in zip(served, trace.times, strict=True))


@pytest.mark.parametrize("window_s", WINDOWS_S)
def test_with_the_least_in_each_window_nobody_is_late(window_s: float) -> None:
    trace = draw("t", FlashCrowd(3.0, start_s=100.0, hold_s=50.0), LogNormal(0.7, 1.5), 300.0, 1)
    used = least_in_windows(trace, 1, window_s)

    spans = [span for level in used for span in level]
    free: list[float] = []
    late = 0
    for at, size in zip(trace.times, trace.sizes, strict=True):
        # replayed naively: at any time as many serve as there are spans over it
        start = at
        while sum(end > start for end in free) >= sum(begin <= start < end for begin, end in spans):
            start = min(
                [end for end in free if end > start] + [begin for begin, _ in spans if begin > start], default=1e9
            )
        free = [end for end in free if end > start] + [start + size]
        late += start - at > SLACK_S + 1e-6
    assert late == 0


def test_nobody_who_is_never_late_is_cheaper() -> None:
    for slots, rate in ((1, 10.0), (4, 30.0)):
        trace = draw("t", Steady(rate), Exponential(1.0), 600.0, 1)
        best = clairvoyant(WORLD, trace, slots)
        assert best.cost <= first_fit(WORLD, trace, slots).cost
        for size in range(int(trace.offered / slots), best.peak + 3):
            family = Family("a", trace, Fixed(size), slots=slots, initial=size)
            run = simulate(WORLD, family)["a"]
            assert score(run, best) >= 1.0


def test_the_score_is_the_cost_against_the_best_and_a_tenth_for_each_percent_late() -> None:
    trace = Trace("t", [10.0, 10.0, 10.0, 10.0], [3.0, 3.0, 3.0, 3.0], 100.0)
    run = simulate(WORLD, Family("a", trace, Fixed(1)))["a"]
    best = clairvoyant(WORLD, trace)

    assert (run.late(1.0), run.late(5.0)) == (75.0, 50.0)
    assert score(run, best) == pytest.approx(run.cost / best.cost + 7.5 + 5.0)
