"""`raybeam plan`: tables, files, sweeps, several families, and mistakes told in one line."""

import csv
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from raybeam.actors import GenServer, Regulation
from raybeam.cluster.cli import main

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
QUICK = ["load=200/s", "load.service.mean_s=0.05", "slo=300ms@0.99"]
BLUEPRINT = {
    "name": "shop",
    "families": {
        "search": {"service": GenServer, "calls": ["seats"], "cpus": 0.5},
        "seats": {"service": GenServer, "regulation": {"concurrency": 4}},
    },
}
NAME = f"{__name__}:BLUEPRINT"


class Seats(GenServer):
    regulation: ClassVar[Regulation | None] = Regulation(concurrency=4)


WIDE = {
    "name": "shop",
    "families": {
        "search": {"service": GenServer, "calls": ["seats", "pool"], "scaling": {"slots": 8}},
        "seats": {"service": Seats},
        "pool": {"service": GenServer},
    },
}


def planned(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    out = tmp_path / "plan.json"
    assert main(["plan", *arguments, f"out={out}", f"hydra.run.dir={tmp_path}"]) == 0
    read: dict[str, Any] = json.loads(out.read_text())
    return read


def test_a_plan_is_shown_and_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = planned(tmp_path, *QUICK)

    shown = capfd.readouterr().out
    for word in ("replicas", "machines", "what gives way as the load grows", "as requests take longer", "availability"):
        assert word in shown
    [family] = plan["families"]
    assert (family["rate"], family["load"]) == (200.0, 10.0)
    assert family["late_degraded"] <= 0.01
    assert sum(plan["machines"].values()) == len(plan["request"])
    assert plan["as_load_grows"][0]["times"] >= 1


def test_a_row_for_each_family_becomes_csv(tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"

    assert main(["plan", *QUICK, f"out={out}", f"hydra.run.dir={tmp_path}"]) == 0
    with out.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert row["family"] == "family"
    assert int(row["replicas"]) > int(row["least"])


def test_rates_are_given_by_the_minute_too(tmp_path: Path) -> None:
    assert planned(tmp_path, "load=12000/min", *QUICK[1:])["rate"] == pytest.approx(200.0)


def test_of_a_trace_the_peak_is_planned_for_or_what_is_asked(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    calm, crowd = (range(600), range(600, 660))
    trace.write_text("".join(f"{at},0.1\n" for at in calm) + "".join(f"{at},0.1\n" * 20 for at in crowd))
    given = [f"load={trace}", "load.file.size=1", "load.service=null"]

    assert planned(tmp_path, *given)["rate"] == pytest.approx(20.0, rel=0.05)
    assert planned(tmp_path, *given, "at=p50")["rate"] == pytest.approx(1.0)


def test_a_zone_is_survived(tmp_path: Path) -> None:
    plan = planned(tmp_path, *QUICK, "machines=zones", "survive=zone")

    assert plan["survives"] == "1 zone"
    assert set(plan["machines"]) == {"zone-a", "zone-b", "zone-c"}


def test_families_of_a_blueprint_get_what_is_offered_to_them(tmp_path: Path) -> None:
    told = ["+families.seats.mean_s=0.01", "+families.search.calls.seats=3", "+families.seats.slo=wait:20ms@0.9"]
    plan = planned(tmp_path, f"blueprint='{NAME}'", *told, *QUICK)
    search, seats = plan["families"]

    assert (search["family"], search["rate"], search["load"]) == ("search", 200.0, 10.0)
    assert (seats["family"], seats["rate"]) == ("seats", 600.0)
    assert seats["load"] == pytest.approx(6.0)
    assert seats["least"] < search["least"]


def test_replicas_serve_as_many_requests_at_once_as_the_controller_will_take_them_to(tmp_path: Path) -> None:
    told = ("families.search.calls.seats=1", "families.seats.mean_s=0.01", "families.pool.mean_s=0.01")
    plan = planned(tmp_path, f"blueprint='{__name__}:WIDE'", *(f"+{each}" for each in told), *QUICK)

    slots = {each["family"]: each["load"] / each["utilisation"] / each["replicas"] for each in plan["families"]}
    assert slots == pytest.approx({"search": 8.0, "seats": 4.0, "pool": 1.0})


def test_a_blueprint_comes_from_a_file_too(tmp_path: Path) -> None:
    blueprint = tmp_path / "shop.yaml"
    blueprint.write_text('name: shop\nfamilies:\n  search: {service: "raybeam.actors:GenServer"}\n')

    assert planned(tmp_path, f"blueprint={blueprint}", *QUICK)["families"][0]["family"] == "search"


def test_a_sweep_is_gathered_in_one_table_and_one_front(tmp_path: Path) -> None:
    sweep = ["plan", "-m", "load=100,400", *QUICK[1:], f"hydra.sweep.dir={tmp_path}"]

    assert main(sweep) == 0
    with (tmp_path / "table.csv").open(newline="") as file:
        few, many = csv.DictReader(file)
    assert float(few["price"]) < float(many["price"])
    assert "per_s=400" in (tmp_path / "front.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["slo=fast"], "slo='fast': write how fast and for which share, 300ms@0.99 for example"),
        (["slo=300ms@1"], "the share is above 0 and at most 0.9999"),
        (["slo=nan@0.9"], "is no time that can be kept"),
        (["slo=1s@0.99"], "a request takes 1 s: no number of replicas answers sooner"),
        (["slo=2s@0.99"], "% of the requests take 2 s or longer by themselves"),
        (["load=nan"], "Steady.per_s=nan: give a finite number"),
        (["load=-1/s"], "Steady.per_s=-1.0: give a finite number, 0 or more"),
        (["load=0"], "the load has no requests"),
        (["load=1e12"], "keep more than 100,000 replicas busy: plans are made up to there"),
        (["load=5e4"], "leave 48805 of them without a machine"),
        (["load=5,storm"], "sweep rates, or sweep loads by name"),
        (["load=/nowhere.csv"], "/nowhere.csv cannot be read: No such file"),
        (["load=lunch"], "Could not find 'load/lunch'"),
        (["load.service=null"], "load.service is missing: how long do requests take?"),
        (["load.service.mean_s=0"], "mean_s=0.0: give a finite number above 0"),
        (
            ["load.service.kind=pareto", "~load.service.cv", "+load.service.shape=2"],
            "variance of these times is infinite",
        ),
        (["load=flash_crowd", "load.shape.per_s=1e12"], "requests are more than the 20,000,000 that a trace holds"),
        (["load=flash_crowd", "window_s=0"], "window_s=0.0: give a finite number above 0"),
        (["at=noon"], "at='noon': give one of peak, p99, p95, p50, mean"),
        (["family.slots=0"], "slots=0: a replica serves at least one request"),
        (["family.resources.CPU=nan"], "family.resources.CPU=nan"),
        (["family.resources.CPU=64"], "no machine type holds a replica"),
        (["machines=moon"], "Could not find 'machines/moon'"),
        (["+machines.small.prize=1"], "machines.small.prize: there is no such key; did you mean 'price'?"),
        (["machines.small.price=dear"], "machines.small.price='dear': give a number"),
        (["+machines.small.min_machines=200"], "max_machines=100 is below min_machines=200"),
        (["machines.small.resources.CPU=-4"], "machines.small.CPU=-4: give a finite number, 0 or more"),
        (["machines={}", "~machines.small", "~machines.large"], "machines: there are none"),
        (["machines.small.max_machines=0", "machines.large.max_machines=0"], "machines: there are none"),
        (["survive=zone"], "of label 'zone' the machine types have 0 values"),
        (["lost=-1"], "lost=-1: give a number from 0 to 1000"),
        (["availability=0"], "availability=0.0: give a share above 0"),
        (["blueprint=no.such:THING"], "blueprint: 'no.such:THING' cannot be imported"),
        (["blueprint=/nowhere.yaml"], "blueprint='/nowhere.yaml' cannot be read"),
        ([f"blueprint='{NAME}'"], "families.seats.mean_s is missing: how long do its requests take?"),
        ([f"blueprint='{NAME}'", "+families.seat.mean_s=1"], "no such family; did you mean 'seats'?"),
        (["+families.a.calls.b=1"], "families.a.calls.b: there is no such family"),
        (["+families.a.calls.b=1", "+families.b.calls.a=1"], "calls go in a circle: a"),
        (["+families.a.mean_s=1", "+families.b.mean_s=1"], "which family does the load come to?"),
        (["+families.a.mean_s=1", "entry=c"], "entry='c': there is no such family"),
        (["+families.a.means=1"], "families.a.means: there is no such key; did you mean 'mean_s'?"),
        (["+families.a.cv=1"], "families.a.cv is given and families.a.mean_s is not"),
        (["out=plan.txt"], "name a file that ends in .json, .csv or .parquet"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["plan", *arguments, f"hydra.run.dir={tmp_path}"])

    error = capfd.readouterr().err
    assert told in error
    assert status == 2
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_one_request_tells_no_rate(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "one.csv"
    trace.write_text("5\n")

    assert main(["plan", f"load={trace}", f"hydra.run.dir={tmp_path}"]) == 2
    assert "has one request only: that tells no rate" in capfd.readouterr().err
