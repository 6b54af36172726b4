"""`raybeam tune`: what is searched, what is recommended, what is written, and mistakes told in one line."""

import csv
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from raybeam.cluster.cli import main

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
SHORT = ["load=5/s", "load.duration_s=240", "trials=4", "seeds=2", "held_out_seeds=3", "workers=1", "report=null"]
FIXED = ["policy=static", "policy.options.replicas=30", "policy.tunable.replicas=[8,12]"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_better_value_is_found_recommended_and_written_ready_to_use(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status = main(["tune", *SHORT[:-1], *FIXED, f"hydra.run.dir={tmp_path}"])

    assert status == 0
    assert "recommended: the tuned values win by +" in capfd.readouterr().out
    tuned = OmegaConf.load(tmp_path / "tuned" / "policy" / "tuned.yaml")
    assert 8 <= tuned.options.replicas <= 12
    assert "default" in (tmp_path / "tune.html").read_text()

    played = ["simulate", *SHORT[:2], "policy=tuned", "timeline=null", "report=null", f"hydra.run.dir={tmp_path}"]
    assert main([*played, f"--config-dir={tmp_path / 'tuned'}"]) == 0


def test_values_that_do_not_win_are_not_recommended(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    worse = ["policy=static", "policy.options.replicas=8", "policy.tunable.replicas=[40,60]"]
    status = main(["tune", *SHORT, *worse, f"hydra.run.dir={tmp_path}"])

    assert status == 0
    assert "recommended: stay with the default" in capfd.readouterr().out
    assert OmegaConf.load(tmp_path / "tuned" / "policy" / "tuned.yaml").options.replicas == 8


def test_every_run_is_in_the_table_and_no_seed_is_both_chosen_on_and_held_out(tmp_path: Path) -> None:
    main(["tune", *SHORT, *FIXED, f"hydra.run.dir={tmp_path}"])

    runs = rows(tmp_path / "trials.csv")
    train, held = ({row["seed"] for row in runs if row["part"] == part} for part in ("train", "held out"))
    assert (len(train), len(held)) == (2, 3)
    assert train.isdisjoint(held)
    assert len([row for row in runs if row["part"] == "held out"]) == 3 * 3
    assert {row["replicas"] for row in runs} <= {"", *map(str, range(8, 13))}


def test_more_processes_play_the_same(tmp_path: Path) -> None:
    for workers in (1, 2):
        given = [*SHORT, *FIXED, "trials=1", f"workers={workers}", f"hydra.run.dir={tmp_path / str(workers)}"]
        assert main(["tune", *given]) == 0

    one, two = (sorted(map(str, rows(tmp_path / str(workers) / "trials.csv"))) for workers in (1, 2))
    assert one == two


def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        main(["tune", *SHORT, *FIXED, f"hydra.run.dir={tmp_path / name}"])

    one, two = (sorted(map(str, rows(tmp_path / name / "trials.csv"))) for name in ("one", "two"))
    assert one == two


def test_of_a_file_the_last_part_is_held_out(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("".join(f"{at / 5},{1 if at < 800 else 0.01}\n" for at in range(1200)))
    given = [f"load={trace}", "load.file.size=1", "load.service=null", *SHORT[2:], *FIXED]
    assert main(["tune", *given, f"hydra.run.dir={tmp_path}"]) == 0

    runs = rows(tmp_path / "trials.csv")
    cost = {part: {float(row["cost_ratio"]) for row in runs if row["part"] == part} for part in ("train", "held out")}
    assert min(cost["held out"]) > max(cost["train"])  # there is next to nothing to do there


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["policy=own"], "policy.path is missing: name the class of your policy"),
        (["policy=own", "policy.path=raybeam.autoscaler:QueueDepth"], "policy.tunable is empty"),
        (["policy.tunable=null"], "policy.tunable"),
        (["+policy.tunable.wait=[1,2]"], "policy.options has no 'wait'; did you mean 'wait_s'?"),
        (["policy.tunable.wait_s=[2,1]"], "wait_s: from 2 to 1: give two finite numbers, the lower first"),
        (["policy.tunable.wait_s=[1,nan]"], "give two finite numbers"),
        (["policy.tunable.wait_s=3"], "give the smallest and the largest value"),
        (["policy.tunable.wait_s=[-1,1]"], "wait_s=-1: give a finite number, 0 or more"),
        (["trials=0"], "trials=0: give a number from 1 to 10000"),
        (["trials=1000000000000"], "trials=1000000000000: give a number from 1 to 10000"),
        (["held_out_seeds=1"], "held_out_seeds=1: give a number from 2"),
        (["held_out=1"], "held_out=1.0: give a share from 0.05 to 0.95"),
        (["workers=0"], "workers=0: give a number from 1"),
        (["load=/nowhere.csv"], "/nowhere.csv cannot be read: No such file"),
        (["world.places=0"], "places=0"),
        (["trails=3"], "trails"),
        (["out=/tmp/x.csv", "table=/tmp/x.csv"], "name different files"),
        (["table=x.txt"], "name a file that ends in .csv or .parquet"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["tune", *SHORT[2:], *arguments, f"hydra.run.dir={tmp_path}"])

    error = capfd.readouterr().err
    assert told in error
    assert status == 2
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_a_trace_too_short_to_cut_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "one.csv"
    trace.write_text("5\n")

    assert main(["tune", f"load={trace}", f"hydra.run.dir={tmp_path}"]) == 2
    assert "both parts need some" in capfd.readouterr().err
