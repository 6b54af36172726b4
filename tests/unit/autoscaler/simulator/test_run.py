"""Figures of a run."""

from array import array

import pytest

from raybeam.autoscaler.simulator import Run, Timeline


def run(
    waits: list[float],
    arrivals: list[float] | None = None,
    pending: tuple[float, ...] = (),
    targets: tuple[int, ...] = (),
) -> Run:
    at = [float(index) for index in range(len(waits))] if arrivals is None else arrivals
    changes = [(float(index), target) for index, target in enumerate(targets)]
    return Run("a", 1800.0, array("d", at), array("d", waits), pending, 10.0, 20.0, 4.0, Timeline(), changes, 2)


def test_percentiles_and_lateness_count_those_who_still_wait() -> None:
    waited = run([0.0, 0.5, 1.0, 2.0], pending=(6.0,))

    assert (waited.late(1.0), waited.late(5.0)) == (40.0, 20.0)
    assert (waited.wait_s(0.5), waited.wait_s(0.99)) == (1.0, 6.0)
    assert waited.mean_wait_s == pytest.approx(9.5 / 5)


def test_a_run_without_requests_has_no_waits() -> None:
    assert (run([]).late(1.0), run([]).wait_s(0.99), run([]).mean_wait_s) == (0.0, 0.0, 0.0)


def test_a_reversal_is_a_change_against_the_one_before() -> None:
    moved = run([0.0], targets=(3, 4, 2, 1, 5))

    assert moved.actions == 5
    assert moved.reversals_per_hour == 2 * 2


def test_recovery_lasts_until_the_last_late_request_of_the_crowd_was_started() -> None:
    crowd = run([0.0, 5.0, 8.0, 0.0, 7.0], [90.0, 100.0, 110.0, 130.0, 300.0])

    assert crowd.recovery_s(100.0) == pytest.approx(18.0)
    assert run([0.0, 0.0], [90.0, 100.0]).recovery_s(95.0) == 0.0
    assert run([0.0], [90.0], pending=(50.0,)).recovery_s(95.0) == 1705.0


def test_cost_is_replica_seconds_and_a_quarter_of_the_idle_places() -> None:
    assert run([0.0]).cost == 11.0
