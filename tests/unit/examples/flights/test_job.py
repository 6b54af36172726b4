"""The main job without a cluster: its configuration, and its watching while the root is away."""

import io
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.console import Console

from examples.flights.job import FlightsJob, _Run
from examples.flights.record import RunRecord
from examples.flights.services import AirportsLedger, FeedLedger, FlightsLedger, Progress
from raybeam.actors import ClusterError, UsageError
from raybeam.actors.testing import run
from raybeam.cluster.app import RunContext
from raybeam.cluster.kernel.histogram import Histogram
from raybeam.cluster.local import Connection
from raybeam.cluster.status import FamilyStatus, SystemStatus

if TYPE_CHECKING:
    from raybeam.cluster import System

SYSTEM: dict[str, object] = {
    "name": "flights",
    "rebooking_replicas": 3,
    "rebooking_most": None,
    "rebooking_cpus": 0.1,
    "rebooking_wait_s": 0.5,
    "fares_s": 0.0,
    "machines": {},
}
WORKLOAD: dict[str, object] = {
    "day": "2013-05-15",
    "speedup": 60.0,
    "kill_at": None,
    "until_min": 320,
    "after_s": 0.0,
    "data": None,
}


def job(**changes: object) -> FlightsJob:
    return FlightsJob(SYSTEM, WORKLOAD | changes, seed=1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"speedup": float("inf")}, "workload.speedup=inf: Input should be a finite number"),
        ({"speedup": float("nan")}, "workload.speedup=nan: Input should be a finite number"),
        ({"speedup": 1e-300}, "workload.speedup=1e-300: Input should be greater than or equal to 0.01"),
        ({"speedup": True}, "workload.speedup=True: Input should be a valid number"),
        ({"data": 5}, "workload.data=5: Input should be a valid string"),
        ({"kill_at": float("nan")}, "workload.kill_at=nan: Input should be a finite number"),
        ({"until_min": 1.5}, "workload.until_min=1.5: Input should be a valid integer"),
        ({"until_min": 1}, "workload.until_min=1: no flight leaves before that minute"),
        ({"dya": "2013-05-15"}, "workload.dya: no such key; did you mean 'day'?"),
        ({"color": 1}, "workload.color: no such key; there are: day, speedup, kill_at, until_min, after_s, data"),
    ],
)
def test_a_mistake_in_the_workload_is_told_with_its_key(changes: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        job(**changes)

    assert told in str(caught.value)


def test_a_mistake_in_the_system_is_told_with_its_key() -> None:
    with pytest.raises(UsageError, match=r"system\.name='My Shop': String should match pattern"):
        FlightsJob(SYSTEM | {"name": "My Shop"}, WORKLOAD, seed=1)
    with pytest.raises(UsageError, match=r"^system\.rebooking_replicas is missing$"):
        FlightsJob({key: value for key, value in SYSTEM.items() if key != "rebooking_replicas"}, WORKLOAD, seed=1)
    with pytest.raises(UsageError, match=r"^system\.rebooking_most=2 is below rebooking_replicas=3$"):
        FlightsJob(SYSTEM | {"rebooking_most": 2}, WORKLOAD, seed=1)
    with pytest.raises(UsageError, match=r"^workload\.day is missing$"):
        FlightsJob(SYSTEM, {key: value for key, value in WORKLOAD.items() if key != "day"}, seed=1)


def test_a_report_that_plotly_cannot_draw_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)

    with pytest.raises(UsageError, match="the report needs plotly"):
        job().check_report()


class StandIn:
    """A system whose families answer at once, and whose root fails as the test says.

    Args:
        failing: The error that the root answers with at its second, third, ... status; `None`: it answers.
    """

    def __init__(self, *failing: Exception | None) -> None:
        self.failing = [None, *failing]

    def ref(self, service: type) -> Any:
        return self

    def status(self) -> SystemStatus:
        error = self.failing.pop(0) if len(self.failing) > 1 else self.failing[0]
        if error is not None:
            raise error
        return SystemStatus("flights", None, {"feed": FamilyStatus((), 1, 0, Histogram(), Histogram())})

    async def publish(self, event: object) -> bool:
        return True

    async def progress(self) -> Progress:
        return Progress(states={}, groups=0, rebooked=0, stranded=0, waiting=0, late_noticed=0)

    async def ledger(self) -> Any:
        return Ledgers(
            accepted=[],
            repeated=0,
            applied={},
            states={},
            outcomes={},
            passengers_of_cancelled=0,
            seats={},
            sold_before={},
            bookings={},
        )


class Ledgers(FeedLedger, FlightsLedger, AirportsLedger):
    """Of all families in one."""


def play(system: StandIn, shown: io.StringIO) -> RunRecord:
    """Play the day."""
    context = RunContext(Connection("here"), 0.0, Console(file=shown, width=200), None, None)

    async def main() -> RunRecord:
        return await _Run(job(), cast("System", system), context, 0.0).play()

    return run(main())


def test_the_day_is_played_to_its_end_although_the_root_does_not_come_back() -> None:
    shown = io.StringIO()

    record = play(StandIn(None, ClusterError("the root does not answer")), shown)

    assert len(record.samples) == 1
    assert "no more progress" not in shown.getvalue()


def test_samples_go_on_when_the_root_is_back() -> None:
    away = [ClusterError("the root does not answer")] * 5

    record = play(StandIn(*away, None), io.StringIO())

    assert len(record.samples) > 5


def test_a_watching_that_fails_is_told_at_once() -> None:
    shown = io.StringIO()

    with pytest.raises(ValueError, match="a mistake"):
        play(StandIn(ValueError("a mistake")), shown)

    assert shown.getvalue() == "no more progress and samples: ValueError: a mistake\n"


def test_rebooking_scales_when_it_is_told_the_most() -> None:
    fixed = FlightsJob(SYSTEM, WORKLOAD, seed=1).blueprint.families["rebooking"]
    elastic = FlightsJob(SYSTEM | {"rebooking_most": 5}, WORKLOAD, seed=1).blueprint.families["rebooking"]

    assert fixed.scaling is None
    assert elastic.scaling is not None
    assert (elastic.replicas, elastic.scaling.min_replicas, elastic.scaling.max_replicas) == (3, 1, 5)
    assert elastic.scaling.options == {"wait_s": 0.5, "memory_s": 360.0}
