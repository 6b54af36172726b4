"""`raybeam simulate`: one run, a sweep, and mistakes told in one line."""

import csv
from pathlib import Path

import pytest

from raybeam.cluster.cli import main

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
SHORT = ["load=steady", "load.duration_s=120", "load.shape.per_s=5"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_its_time_line_and_its_plot(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["simulate", *SHORT, f"hydra.run.dir={tmp_path}"])

    assert status == 0
    assert "x a clairvoyant's" in " ".join(capfd.readouterr().out.split())
    line = rows(tmp_path / "timeline.csv")
    assert len(line) == 120
    assert float(line[0]["time_s"]) == 1.0
    assert 400 < sum(int(row["arrivals"]) for row in line) < 800
    assert all(name in (tmp_path / "simulation.html").read_text() for name in ("machines", "queue", "arrivals per s"))


def test_a_sweep_is_gathered_in_one_table_and_one_front(tmp_path: Path) -> None:
    sweep = ["simulate", "-m", *SHORT, "policy.options.target=0.4,0.9", "report=null", "timeline=null"]
    status = main([*sweep, f"hydra.sweep.dir={tmp_path}"])

    assert status == 0
    roomy, tight = rows(tmp_path / "table.csv")
    assert "target=0.4" in roomy["run"]
    assert float(roomy["cost_ratio"]) > float(tight["cost_ratio"])
    assert float(roomy["late_1s"]) <= float(tight["late_1s"])
    assert "target=0.9" in (tmp_path / "front.html").read_text()


def test_the_same_seed_gives_the_same_time_line(tmp_path: Path) -> None:
    for name in ("one", "two"):
        main(["simulate", *SHORT, "report=null", f"hydra.run.dir={tmp_path / name}"])

    assert (tmp_path / "one" / "timeline.csv").read_text() == (tmp_path / "two" / "timeline.csv").read_text()


def test_a_file_is_played(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("".join(f"{index / 5},{index % 3 + 1}\n" for index in range(300)))
    given = ["load=file", f"load.file.path={trace}", "load.file.size=1", "load.file.size_s=0.1", "load.service=null"]
    status = main(["simulate", *given, "report=null", f"hydra.run.dir={tmp_path}"])

    assert status == 0
    assert sum(int(row["arrivals"]) for row in rows(tmp_path / "timeline.csv")) == 300


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["load=file"], "load.file.path is missing"),
        (["load=file", "load.file.path=/nowhere.csv"], "/nowhere.csv cannot be read: No such file"),
        (["+load.rate=3"], "load.rate: there is no such key; there are: name, duration_s"),
        (["load.shape.kind=cube"], "load.shape.kind='cube': give one of steady, diurnal"),
        (["+load.shape.height=3"], "load.shape.height: there is no such key"),
        (["load.shape.per_s=-1"], "FlashCrowd.per_s=-1.0: give a finite number, 0 or more"),
        (["load.shape.per_s=many"], "load.shape.per_s='many': give a number"),
        (["load.service.mean_s=nan"], "mean_s=nan: give a finite number above 0"),
        (["load.service=null"], "load.service is missing"),
        (["~load.duration_s"], "load.duration_s=None: give a number"),
        (["load.shape=null"], "give either load.shape or load.file"),
        (["family.max_replicas=2", "family.min_replicas=3"], "max_replicas=2 is below min_replicas=3"),
        (["family.slots=0"], "slots=0: give a finite number, 1 or more"),
        (["world.places=0"], "places=0"),
        (["sensor.loss=1"], "loss=1.0: give a share below 1"),
        (["policy.path=collections:Counter"], "is no policy: name a class with the methods start and decide"),
        (["policy.path=no.such:Policy"], "policy.path: 'no.such:Policy' cannot be imported"),
        (["policy.options.target=2"], "target=2: give a share, 1 at most"),
        (["+policy.options.colour=red"], "unexpected keyword argument 'colour'"),
        (["timeline=x.txt"], "name a file that ends in .csv or .parquet"),
        (["timeline=/tmp/same.csv", "report=/tmp/same.csv"], "timeline and report are both"),
        (["policy=none"], "none"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["simulate", *arguments, f"hydra.run.dir={tmp_path}"])

    error = capfd.readouterr().err
    assert status == 2
    assert told in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
