"""The command line: user mistakes are one clear line and exit status 2, never a traceback; no cluster is started."""

import contextlib
import socket
from pathlib import Path

import pytest

from raybeam.actors import ClusterError
from raybeam.cluster import app
from raybeam.cluster.cli import LONGEST_LINE, main, one_line
from raybeam.cluster.local import Connection

pytestmark = pytest.mark.usefixtures("logging_stays_as_it_was")
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
        (["run", "cluster.start_timeout_s=inf"], "cluster.start_timeout_s=inf: seconds above 0, at most 3600"),
        (["run", "cluster.kind=cloud"], "cluster.kind='cloud': 'local', 'ray_up' or 'existing'"),
        (["run", "workload.speedup=inf"], "workload.speedup=inf: Input should be a finite number"),
        (["run", "workload.speedup=true"], "workload.speedup=True: Input should be a valid number"),
        (["run", "~workload.day"], "workload.day is missing"),
        (["run", "workload.speedup=fast"], "workload.speedup='fast'"),
        (["run", "workload.day=[unclosed"], "no viable alternative at input '[unclosed'"),
        (["run", "workload.day=2013-01-01"], "no file"),
        (["run", "workload.data=/nowhere"], "no file /nowhere"),
        (["run", "system=null"], "Config group override must be a string or a list"),
        (["run", "workload.day=${nope}"], "Interpolation key 'nope' not found"),
        (["run", "summary="], "summary='' is a folder: name a file, or null for none"),
        (["run", "summary=/tmp"], "summary='/tmp' is a folder"),
        (["run", "report=new/"], "report='new/' is a folder"),
        (["run", "summary=/dev/null/x.json"], "summary='/dev/null/x.json' cannot be written: /dev/null is no folder"),
        (["run", f"report={'x' * 300}"], "cannot be written: File name too long"),
        (["run", "report=/tmp/x", "summary=/tmp/x"], "summary and report are both /tmp/x: name two files"),
        (["run", "system.job=examples.flights.job:Nothing"], "has no 'Nothing'"),
        (["run", "system.job=no.such.module:Job"], "cannot be imported: ModuleNotFoundError: No module named 'no'"),
        (["run", "system.job=examples.none:Job"], "the examples need a checkout"),
        (["run", "system.job=.x:Y"], "'.x:Y' is no import path: write it as 'package.module:Class'"),
        (["run", "system.job=null"], "write it as 'package.module:Class'"),
        (["run", "system.job=os:getcwd"], "system.job='os:getcwd' is no job"),
        (["run", "system.job=collections:Counter"], "system.job='collections:Counter' is no job"),
        (["run", "cluster=existing", "cluster.address=127.0.0.1:1"], "nobody answers at 127.0.0.1:1"),
        (["run", "cluster=existing", "cluster.address=a..b:6379"], "nobody answers at a..b:6379"),
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
    assert len(error.strip().splitlines()) == 1 or arguments == ["runn"]  # with the usage
    assert len(error.splitlines()[0]) < 600


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


def test_a_run_folder_that_cannot_be_made_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "hydra.run.dir=/dev/null/out"]) == 2

    error = capfd.readouterr().err
    assert "the folder of the run, hydra.run.dir or hydra.sweep.dir, cannot be made" in error
    assert len(error.strip().splitlines()) == 1


def test_mistakes_in_the_jobs_of_a_sweep_are_told_with_the_job(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["run", "-m", "workload.day=2013-01-01,2013-01-02", f"hydra.sweep.dir={tmp_path}"])

    lines = capfd.readouterr().err.strip().splitlines()
    assert status == 2
    assert len(lines) == 2
    for number, line in enumerate(lines):
        assert line.startswith(f"raybeam: job {number} (workload.day=2013-01-0{number + 1}): ")


JOB = """
from raybeam.actors import UsageError
from raybeam.cluster.app import Outcome


class Job:
    def __init__(self, system, workload, seed):
        self.day = workload["day"]

    def check_report(self):
        raise UsageError("no report can be drawn here")

    def play(self, context):
        if self.day == "bad":
            raise KeyError("a mistake of the job")
        context.summary.write_text(self.day)
        return Outcome(True, self.day)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments that play a job of our own, as if it were on a cluster."""
    (tmp_path / "stand_in_job.py").write_text(JOB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(app, "existing", lambda address: Connection("here"))
    monkeypatch.setattr(app, "connect", contextlib.nullcontext)
    return [
        "run",
        "cluster=existing",
        "system.job=stand_in_job:Job",
        f"hydra.run.dir={tmp_path}",
        f"hydra.sweep.dir={tmp_path}",
    ]


def test_each_job_of_a_sweep_writes_a_summary_of_its_own(stand_in: list[str], tmp_path: Path) -> None:
    for summary in ("new/out.json", "${workload.day}.json"):
        assert main([*stand_in, "workload.day=a,b", "report=null", f"summary={tmp_path}/{summary}", "-m"]) == 0

    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.json")}
    assert written == {"new/out-0.json": "a", "new/out-1.json": "b", "a.json": "a", "b.json": "b"}


def test_a_job_alone_writes_its_summary_where_it_was_told(stand_in: list[str], tmp_path: Path) -> None:
    assert main([*stand_in, "report=null", f"summary={tmp_path}/out.json", "workload.day=a"]) == 0

    assert (tmp_path / "out.json").read_text() == "a"


def test_a_report_that_cannot_be_drawn_is_told_before_the_cluster_is_asked_for(
    stand_in: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "existing", lambda address: pytest.fail("the cluster was asked for"))

    assert main(stand_in) == 2
    assert capfd.readouterr().err == "raybeam: no report can be drawn here\n"


def test_an_unexpected_error_in_a_job_of_a_sweep_is_no_success(
    stand_in: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main([*stand_in, "report=null", f"summary={tmp_path}/out.json", "workload.day=bad,good", "-m"])

    error = capfd.readouterr().err
    assert status == 1
    assert "KeyError: 'a mistake of the job'" in error
    assert "job 0 (" in error
    assert (tmp_path / "out-1.json").read_text() == "good"


REMOTE = """the root of 'shop' did not come up: \x1b[36mray::Root.wait_ready()\x1b[39m (pid=7, ip=127.0.1.1)
  File "/site/concurrent/futures/_base.py", line 449, in result
    return self.__get_result()
           ^^^^^^^^^^^^^^^^^^^
ValueError: first

During handling of the above exception, another exception occurred:

ray::Root.wait_ready() (pid=7, ip=127.0.1.1)
  File "/site/raybeam/cluster/root.py", line 12, in wait_ready
    raise StartError(reason)
raybeam.actors.errors.StartError: no machine has
  2 CPUs
"""


def test_of_a_remote_traceback_the_first_line_and_the_last_words_are_told() -> None:
    assert one_line(ClusterError(REMOTE)) == (
        "the root of 'shop' did not come up: ray::Root.wait_ready() (pid=7, ip=127.0.1.1) "
        "raybeam.actors.errors.StartError: no machine has 2 CPUs"
    )


def test_a_long_error_is_told_with_its_beginning_and_its_end() -> None:
    told = one_line(ClusterError("first words\n" + "and more\n" * 1000 + "last words"))

    assert told is not None
    assert told.startswith("first words and more")
    assert told.endswith("last words")
    assert len(told) <= LONGEST_LINE
