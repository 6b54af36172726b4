"""The report holds the figures of the record, in one file without links to elsewhere."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from examples.flights.record import (
    Capacity,
    FamilySample,
    FamilyTotal,
    Restart,
    Rule,
    RunRecord,
    Sample,
    Scaled,
)
from examples.flights.report import need_plotly, write_report
from raybeam.actors import UsageError

FAMILIES = ("airports", "rebooking", "flights", "feed")


def record(held: bool = True) -> RunRecord:
    samples = [
        Sample(at, at * 24, at, {name: FamilySample(at, 3, 0, 0.001, 0.004) for name in FAMILIES}) for at in range(10)
    ]
    return RunRecord(
        day="2013-02-08",
        speedup=1440,
        seed=1,
        took_s=67.0,
        cluster_start_s=12.0,
        system_start_s=4.0,
        events=2318,
        refused=0,
        flights=930,
        passengers=53546,
        rebooked=12763,
        stranded=40783,
        groups=15523,
        late_noticed=3,
        killed="flights/rebooking/1#1",
        recovered_s=1.6,
        departures_per_hour=[1, 2, 3],
        cancellations_per_hour=[0, 5, 1],
        families={name: FamilyTotal(3, 1, 1000, 0.001, 0.01, 0.002, 0.02) for name in FAMILIES},
        rules=[Rule("no seat was sold <twice>", held, "12763", () if held else ("seat 5 & 6",))],
        samples=samples,
        restarts=[Restart(3.0, "flights/rebooking/1#1", "down", "killed")],
    )


def test_the_report_has_the_figures_and_needs_no_network(tmp_path: Path) -> None:
    write_report(record(), tmp_path / "deep" / "report.html")

    text = (tmp_path / "deep" / "report.html").read_text()
    for figure in ("2,318", "930", "12,763", "40,783", "1.6 s", "every rule held", "no seat was sold &lt;twice&gt;"):
        assert figure in text
    assert not re.search(r"<script[^>]+src=", text)


def test_the_capacity_of_a_family_that_scales_is_drawn_with_what_the_autoscaler_did(tmp_path: Path) -> None:
    names = ("at_s", "rate_per_s", "queue", "wanted", "ready", "machines_ready", "machines_pending")
    capacity = Capacity("rebooking", {name: [1.0, 2.0] for name in names}, [Scaled(3.5, 1, 4, "the load <needs> more")])
    write_report(replace(record(), capacity=capacity), tmp_path / "report.html")

    text = (tmp_path / "report.html").read_text()
    assert "Capacity of rebooking" in text
    assert "1 → 4" in text
    assert "the load &lt;needs&gt; more" in text

    write_report(record(), tmp_path / "report.html")
    assert "Capacity of" not in (tmp_path / "report.html").read_text()


def test_a_broken_rule_stands_out(tmp_path: Path) -> None:
    write_report(record(held=False), tmp_path / "report.html")

    text = (tmp_path / "report.html").read_text()
    assert "a rule was broken" in text
    assert "seat 5 &amp; 6" in text


def test_a_missing_plotly_is_told_with_the_mend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)

    with pytest.raises(UsageError, match=r"pip install 'raybeam\[report\]', or report=null for none"):
        need_plotly()
    with pytest.raises(UsageError, match="the report needs plotly"):
        write_report(record(), tmp_path / "report.html")
