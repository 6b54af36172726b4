"""`raybeam simulate`: one run, a sweep, and mistakes told in one line."""

import csv
import importlib
import sys
from dataclasses import MISSING, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from raybeam.cluster.cli import main
from raybeam.cluster.import_path import import_object

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
CONFIGS = Path(__file__).parents[3] / "configs"
WRITTEN_FOR_THE_EXAMPLE = {("scheduled", "period_s"), ("scheduled", "lead_s")}
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
    sweep = [
        "simulate",
        "-m",
        *SHORT,
        "policy=target_utilisation",
        "policy.options.target=0.4,0.9",
        "report=null",
        "timeline=null",
    ]
    status = main([*sweep, f"hydra.sweep.dir={tmp_path}"])

    assert status == 0
    roomy, tight = rows(tmp_path / "table.csv")
    assert "target=0.4" in roomy["run"]
    assert float(roomy["cost_ratio"]) > float(tight["cost_ratio"])
    assert float(roomy["late_1s"]) <= float(tight["late_1s"])
    assert "target=0.9" in (tmp_path / "front.html").read_text()


def test_a_sweep_is_also_a_parquet_file_and_a_picture_where_their_packages_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep = ["simulate", "-m", *SHORT, "policy=static", "policy.options.replicas=5,9", "report=null", "timeline=null"]
    assert main([*sweep, f"hydra.sweep.dir={tmp_path}"]) == 0

    told = " ".join(capfd.readouterr().out.split())
    if find_spec("pyarrow"):
        parquet = importlib.import_module("pyarrow.parquet")
        table = parquet.read_table(tmp_path / "table.parquet").to_pylist()
        assert [row["run"] for row in table] == [row["run"] for row in rows(tmp_path / "table.csv")]
        assert table[0]["cost_ratio"] == float(rows(tmp_path / "table.csv")[0]["cost_ratio"])
    else:
        assert "no table.parquet" in told
    if find_spec("matplotlib"):
        assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert "no front.png: a PNG needs matplotlib" in told


@pytest.mark.parametrize("choice", ["queue_depth", "target_utilisation", "scheduled", "static", "combined"])
def test_every_choice_of_a_policy_plays_and_its_options_are_the_defaults_of_its_class(
    choice: str, tmp_path: Path
) -> None:
    assert main(["simulate", *SHORT, f"policy={choice}", "report=null", f"hydra.run.dir={tmp_path}"]) == 0
    section: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / "policy" / f"{choice}.yaml"))

    kind: Any = import_object(section["path"])
    for name, default in {field.name: field.default for field in fields(kind)}.items():
        if name in section["options"] and default is not MISSING and choice != "static":
            assert section["options"][name] == default or (choice, name) in WRITTEN_FOR_THE_EXAMPLE, name


def test_a_policy_of_ones_own_comes_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "policies_of_mine.py").write_text(
        "from raybeam.autoscaler import Static\n\n\nclass Mine(Static):\n    pass\n"
    )
    given = ["policy=own", "policy.path=policies_of_mine:Mine", "+policy.options.replicas=9", "report=null"]

    assert main(["simulate", *SHORT, *given, f"hydra.run.dir={tmp_path}"]) == 0
    assert rows(tmp_path / "timeline.csv")[-1]["target"] == "9"


@pytest.mark.parametrize(
    "returned", ["5", "(Decision('3'), None)", "(Decision(float('nan')), None)", "(Decision(-5), None)"]
)
def test_a_policy_of_ones_own_that_returns_nonsense_is_told_in_one_line(
    returned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "odd_policies", raising=False)
    (tmp_path / "odd_policies.py").write_text(
        "from raybeam.autoscaler import Decision\n\n\nclass Odd:\n    def start(self): ...\n\n"
        f"    def decide(self, snapshot, state):\n        return {returned}\n"
    )

    status = main(["simulate", *SHORT, "policy=own", "policy.path=odd_policies:Odd", f"hydra.run.dir={tmp_path}"])

    error = capfd.readouterr().err
    assert status == 2
    assert "the policy Odd of " in error
    assert "whole numbers, 0 or more" in error
    assert len(error.strip().splitlines()) == 1


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
        (["policy=target_utilisation", "policy.options.target=2"], "target=2: give a share above 0, at most 1"),
        (["+policy.options.colour=red"], "unexpected keyword argument 'colour'"),
        (["timeline=x.txt"], "name a file that ends in .csv or .parquet"),
        (["timeline=/tmp/same.csv", "report=/tmp/same.csv"], "timeline and report are both"),
        (["policy=none"], "none"),
        (["policy=static", "policy.options.replicas=1.5"], "replicas=1.5: give a whole number"),
        (["policy.options.machines_spare=-1"], "machines_spare=-1: give a finite number, 0 or more"),
        (["policy=own"], "policy.path is missing: name the class of your policy"),
        (
            ["+policy.options.bounds={max_replica: 3}"],
            "bounds.max_replica: there is no such key; did you mean 'max_replicas'?",
        ),
        (["+policy.options.bounds={min_replicas: 3, max_replicas: 1}"], "max_replicas=1 is below min_replicas=3"),
        (["policy=combined", "policy.options.second.path=no.such:P"], "'no.such:P' cannot be imported"),
        (["policy=scheduled", "policy.options.plan=[]"], "plan=(): give at least one time and number"),
        (["load=1e12"], "requests are more than the 20,000,000 that a trace holds"),
        (["load.duration_s=1e12"], "is more than 10,000,000 steps of 1 s: make it shorter"),
        (["load=on_off", "load.shape.on_s=1e-9", "load.shape.off_s=1e-9"], "that is too often for 3600 s"),
        (["load=on_off", "load.shape.low_per_s=-1"], "low_per_s=-1.0: give a finite number, 0 or more"),
        (["world.interval_s=1e-9"], "3600 s have more than 10,000,000 of them; make it longer"),
        (["world.interval_s=0"], "interval_s=0.0: give a finite number, above 0"),
        (["world.max_machines=0"], "max_machines=0: give a finite number, 1 or more"),
        (["world.boot_s=nan"], "boot_s=nan: give a finite number, 0 or more"),
        (["family.initial=1000000000000"], "initial=1000000000000: at most 100,000 are played"),
        (["family.max_replicas=1000000000000"], "max_replicas=1000000000000: at most 100,000 are played"),
        (["world.spare_machines=1000000000000"], "spare_machines=1000000000000: at most 100,000 are played"),
        (["load.shape.per_sec=3"], "load.shape.per_sec"),
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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there are no requests in it"),
        ("time,size\n", "there are no requests in it"),
        ("2,1\n1,1\n", "trace.csv:2: time '1' is before the one above it: sort the file by time"),
        ("nan,1\n2,1\n", "trace.csv:1: time nan is not finite"),
        ("1,1\nnan,1\n", "trace.csv:2: time nan is not finite"),
        ("1,-1\n", "trace.csv:1: size '-1' is negative"),
        ("1,nan\n", "trace.csv:1: size 'nan' is not finite"),
        ("1,1\nlater,1\n", "trace.csv:2: time 'later' is neither a number nor a date"),
        ("1,1e400\n", "trace.csv:1: size '1e400' is not finite"),
    ],
)
@pytest.mark.parametrize("command", ["simulate", "plan", "tune"])
def test_a_wrong_file_is_told_with_row_and_value(
    command: str, text: str, told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    given = [f"load={trace}", "load.file.size=1", "load.service=null"]

    assert main([command, *given, f"hydra.run.dir={tmp_path}"]) == 2
    error = capfd.readouterr().err
    assert told in error
    assert len(error.strip().splitlines()) == 1


def test_one_request_is_a_trace_too(tmp_path: Path) -> None:
    trace = tmp_path / "one.csv"
    trace.write_text("5\n")

    assert main(["simulate", f"load={trace}", "report=null", f"hydra.run.dir={tmp_path}"]) == 0
    assert [row["arrivals"] for row in rows(tmp_path / "timeline.csv")] == ["1"]
