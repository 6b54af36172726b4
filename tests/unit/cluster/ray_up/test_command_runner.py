"""Commands of a machine: its home, its environment, files up and down, failures."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import ray

from raybeam.actors import UsageError
from raybeam.cluster.ray_up.command_runner import LocalCommandRunner
from raybeam.cluster.ray_up.processes import end_processes_of
from raybeam.cluster.ray_up.provider import LocalMachines

from .machines import HEAD, WORKER, made, section


@pytest.fixture
def provider() -> Iterator[LocalMachines]:
    folder = Path(tempfile.mkdtemp(prefix="rb-", dir="/tmp"))
    yield LocalMachines(section(folder), "c")
    assert end_processes_of(str(folder)) == []
    shutil.rmtree(folder)


@pytest.fixture
def runner(provider: LocalMachines) -> LocalCommandRunner:
    [head] = made(provider, HEAD)
    return provider.get_command_runner("", head)


def printed(runner: LocalCommandRunner, command: str, **variables: object) -> str:
    return runner.run(command, with_output=True, environment_variables=variables).strip()


def test_a_command_runs_at_home(runner: LocalCommandRunner, provider: LocalMachines) -> None:
    home = str(provider.home("c-1"))

    assert printed(runner, "pwd; echo $HOME; cd ~; pwd").splitlines() == [home, home, home]


def test_variables_that_are_no_text_are_json(runner: LocalCommandRunner) -> None:
    assert printed(runner, "echo $RAY_OVERRIDE_RESOURCES $N", RAY_OVERRIDE_RESOURCES={"CPU": 2}, N=1) == '{"CPU": 2} 1'


def test_what_the_caller_has_for_ray_stays_with_the_caller(
    provider: LocalMachines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of another cluster")
    monkeypatch.setenv("KEPT", "yes")
    [head], [worker] = made(provider, HEAD), made(provider, WORKER)

    for node in (head, worker):
        runner = provider.get_command_runner("", node)
        assert printed(runner, "echo $RAY_ADDRESS$RAY_AUTH_TOKEN$KEPT") == "yes"
        assert printed(runner, "echo $RAY_AUTH_MODE $RAY_AUTH_TOKEN_PATH") == f"token {provider.folder}/auth_token"


def test_python_and_its_packages_are_those_of_the_caller(
    runner: LocalCommandRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f".:{':'.join(sys.path)}")

    assert printed(runner, "python -c 'import sys; print(sys.prefix)'") == sys.prefix
    assert printed(runner, "echo $PYTHONPATH").split(":")[0] == str(tmp_path)
    assert printed(runner, "python -c 'import site; print(site.getuserbase())'").startswith("/")
    assert str(runner._path("~")) not in printed(runner, "python -c 'import site; print(site.getuserbase())'")


def test_a_worker_started_from_the_head_has_nothing_of_the_head(
    provider: LocalMachines, monkeypatch: pytest.MonkeyPatch
) -> None:
    [head], [worker] = made(provider, HEAD), made(provider, WORKER)
    of_head = printed(provider.get_command_runner("", head), "env")
    for line in of_head.splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)

    of_worker = printed(provider.get_command_runner("", worker), "env")

    assert f"{provider.home(head)}/" not in of_worker
    assert f"RAYBEAM_MACHINE={provider.home(worker)}" in of_worker
    assert "NODE_IP=127.0.77.2" in of_worker
    assert f"HEAD_ADDRESS=127.0.77.1:{provider.options.port}" in of_worker


def test_ray_is_that_of_the_caller(runner: LocalCommandRunner) -> None:
    assert printed(runner, "command -v ray") == str(runner._path("~/bin/ray"))
    assert printed(runner, "ray --version").endswith(f"version {ray.__version__}")


def test_a_failure_is_told_as_ray_tells_one(runner: LocalCommandRunner) -> None:
    with pytest.raises(click.ClickException, match="exit status 3 of: exit 3"):
        runner.run("exit 3")


def test_files_go_up_and_down(runner: LocalCommandRunner, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "file").write_text("x")

    runner.run_rsync_up(str(tmp_path / "folder" / "deep" / "file"), "~/new/file")
    runner.run_rsync_up(f"{tmp_path}/folder/", "~/contents/")
    runner.run_rsync_up(f"{tmp_path}/folder", "~/")
    assert printed(runner, "cat new/file contents/deep/file folder/deep/file") == "xxx"

    runner.run_rsync_down("~/new/file", str(tmp_path / "down"))
    assert (tmp_path / "down").read_text() == "x"


@pytest.mark.parametrize("target", ["/etc/x", "~/../x", "../../x"])
def test_files_stay_under_the_home_of_the_machine(runner: LocalCommandRunner, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(UsageError, match=r"is not under the home of a machine: write it as ~/\.\.\."):
        runner.run_rsync_up(str(tmp_path / "file"), target)


def test_a_machine_that_is_to_shut_down_afterwards_ends_alone(
    runner: LocalCommandRunner, provider: LocalMachines
) -> None:
    assert runner.run("echo last", with_output=True, shutdown_after_run=True) == "last\n"

    assert provider.is_terminated("c-1")


def test_a_shell_can_be_opened(runner: LocalCommandRunner, provider: LocalMachines) -> None:
    assert runner.remote_shell_command_str() == f"cd {provider.home('c-1')} && bash"
