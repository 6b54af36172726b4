"""The command line: user mistakes are one clear line and exit status 2, never a traceback; no cluster is started."""

import socket
from pathlib import Path

import pytest

from raybeam.cluster.cli import main

EXTRACT = Path(__file__).parents[3] / "examples" / "flights" / "data"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["runn"], "there is no command 'runn'; did you mean 'run'?"),
        (["run", "workload.dya=2013-02-08"], "workload.dya"),
        (["run", "cluster=local4"], "local4"),
        (["run", "seed=many"], "seed"),
        (["run", "cluster.machines=three"], "three"),
        (["run", "cluster.machines=0"], "cluster.machines=0: must be from 1 to 16"),
        (["run", "workload.speedup=fast"], "workload.speedup='fast'"),
        (["run", "workload.day=[unclosed"], "no viable alternative at input '[unclosed'"),
        (["run", "workload.day=2013-01-01"], "no file"),
        (["run", "workload.data=/nowhere"], "no file /nowhere"),
        (["run", "system.job=examples.flights.job:Nothing"], "has no 'Nothing'"),
        (["run", "system.job=no.such.module:Job"], "cannot be imported: ModuleNotFoundError: No module named 'no'"),
        (["run", "system.job=examples.none:Job"], "the examples need a checkout"),
        (["run", "system.job=.x:Y"], "'.x:Y' is no import path: write it as 'package.module:Class'"),
        (["run", "system.job=null"], "write it as 'package.module:Class'"),
        (["run", "system.job=os:getcwd"], "system.job='os:getcwd' is no job"),
        (["run", "system.job=collections:Counter"], "system.job='collections:Counter' is no job"),
        (["run", "cluster=existing", "cluster.address=127.0.0.1:1"], "nobody answers at 127.0.0.1:1"),
        (["run", "cluster=existing", "cluster.address=here"], "write host:port"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = main([*arguments, f"hydra.run.dir={tmp_path}"] if arguments[0] == "run" else arguments)

    error = capfd.readouterr().err
    assert status == 2
    assert told in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1 or arguments == ["runn"]


def test_a_malformed_row_is_told_with_its_line(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("2013-05-15.csv", "airports.csv"):
        (tmp_path / name).write_text((EXTRACT / name).read_text())
    lines = (tmp_path / "2013-05-15.csv").read_text().splitlines()
    lines[6] = lines[6].replace(",", ",x", 4)
    (tmp_path / "2013-05-15.csv").write_text("\n".join(lines))

    status = main(["run", "workload=calm", f"workload.data={tmp_path}", f"hydra.run.dir={tmp_path}/out"])

    error = capfd.readouterr().err
    assert status == 2
    assert "2013-05-15.csv:7: seats='x" in error
    assert len(error.strip().splitlines()) == 1


def test_a_job_that_fails_when_it_is_imported_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "failing_job.py").write_text("class Job:\n  def play(:")
    monkeypatch.syspath_prepend(tmp_path)

    status = main(["run", "system.job=failing_job:Job", f"hydra.run.dir={tmp_path}/out"])

    error = capfd.readouterr().err
    assert status == 2
    assert "'failing_job:Job' cannot be imported: SyntaxError: invalid syntax (failing_job.py, line 2)" in error
    assert len(error.strip().splitlines()) == 1


def test_a_port_in_use_is_told(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.1.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status = main(["run", f"cluster.port={port}", f"hydra.run.dir={tmp_path}"])

    assert status == 2
    assert f"cluster.port={port} is in use" in capfd.readouterr().err


def test_without_a_command_the_help_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "raybeam COMMAND" in capfd.readouterr().out


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capfd.readouterr().out.strip() == "0.1.0"
