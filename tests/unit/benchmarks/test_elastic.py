"""How the live comparison reads a course from the controller's history and what happened to replicas."""

from __future__ import annotations

import pytest

from benchmarks.elastic.course import Course
from benchmarks.elastic.played import starts_of
from benchmarks.elastic.predicted import predict
from raybeam.autoscaler.history import Entry, FamilyHistory
from raybeam.autoscaler.simulator import World
from raybeam.autoscaler.workload import Constant, Ramp, draw
from raybeam.cluster.status import Occurrence


def changed(at: float, before: int, after: int) -> Entry:
    return Entry(at, "sleeper", before, after, "", {}, at)


def up(at: float) -> Occurrence:
    return Occurrence(at, "up", "live/sleeper/1#1", "")


def down(at: float) -> Occurrence:
    return Occurrence(at, "down", "live/sleeper/1#1", "")


def course(wanted: list[float]) -> Course:
    ticks = [float(at) for at in range(len(wanted))]
    none = [0.0] * len(wanted)
    series = {"time_s": ticks, "wanted": wanted, "ready": wanted, "starting": none, "draining": none}
    return Course([0.0], series, 0)


def test_replicas_that_were_asked_for_first_come_up_first() -> None:
    history = FamilyHistory((changed(101.0, 3, 5), changed(102.0, 5, 6)), {"time_s": [90.0]})

    starts = starts_of(history, [up(89.0), up(91.0), up(91.5), up(104.0), up(105.5), up(106.0)], 100.0)

    assert starts == ((-10.0, 1.0), (-10.0, 1.5), (1.0, 3.0), (1.0, 4.5), (2.0, 4.0))


def test_those_that_are_called_off_or_taken_back_were_not_started() -> None:
    called_off = FamilyHistory((changed(101.0, 3, 5), changed(102.0, 5, 4)), {"time_s": [90.0]})
    taken_back = FamilyHistory((changed(101.0, 5, 3), changed(104.0, 3, 5)), {"time_s": [90.0]})

    before = [up(89.0)] * 3

    assert starts_of(called_off, [*before, up(104.0)], 100.0) == ((1.0, 3.0),)
    assert starts_of(taken_back, [*before, down(102.0), up(107.0)], 100.0) == ((4.0, 3.0),)


def test_courses_part_when_they_differ_for_long() -> None:
    one = course([3.0] * 5 + [8.0] * 15)

    assert one.parted_s(course([3.0] * 6 + [8.0] * 14), 2, 5.0) is None
    assert one.parted_s(course([3.0] * 20), 2, 5.0) == 5.0
    assert one.replica_s == 3.0 * 5 + 8.0 * 14


def test_the_live_systems_own_controller_scales_on_paper() -> None:
    trace = draw("ramp", Ramp(5.0, 30.0, 10.0, 20.0), Constant(0.2), 60.0, seed=1)

    foretold = predict(trace, "queue_depth", World(0.5, start_s=3.0, places=16, spare_machines=1), 10.0, seed=1)

    assert len(foretold.waits) == len(trace.times)
    assert foretold.series["time_s"][0] == pytest.approx(0.0, abs=1.0)
    assert foretold.series["wanted"][0] <= 3
    assert max(foretold.replicas) >= 6
    assert foretold.actions > 0
