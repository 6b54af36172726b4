"""`ray up` with local machines: a machine is added by demand, replaced when it crashes, given back when it is idle."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from raybeam.actors import ClusterError
from raybeam.cluster.ray_up import LocalRayUp
from raybeam.cluster.ray_up.processes import processes_of

from .conftest import wait_until

ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
NETWORK = "127.0.9"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRayUp]:
    """The shipped configuration, with an idle time-out that a test can wait for; the user has no token and no settings.

    At the end nothing may be left of it.
    """
    home = tmp_path_factory.mktemp("home")
    config = yaml.safe_load((ROOT / "configs" / "ray" / "local.yaml").read_text())
    config |= {"cluster_name": f"test-{os.getpid()}", "idle_timeout_minutes": 0.1}
    config["provider"] |= {"network": NETWORK}
    with pytest.MonkeyPatch.context() as user:
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            user.delenv(name)
        user.setenv("HOME", str(home))
        with LocalRayUp(config) as local:
            yield local
            wait_until(lambda: local.workers() == {}, 60)  # given back, as nobody uses them
            started = processes_of(str(local.folder))
        assert started
        assert processes_of(str(local.folder)) == []
        assert not local.folder.exists()
        assert list(home.iterdir()) == []


def test_a_port_that_is_taken_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "configs" / "ray" / "local.yaml").read_text())
    config["cluster_name"] = f"port-{os.getpid()}"
    config["provider"] |= {"network": NETWORK}
    local = LocalRayUp(config)
    with socket.socket() as taken:
        taken.bind((f"{NETWORK}.1", 6379))
        taken.listen()
        with pytest.raises(ClusterError, match=r"provider\.port=6379 is in use on 127\.0\.9\.1: name another in the"):
            local.up()

    assert processes_of(str(local.folder)) == []
    assert not local.folder.exists()


def submitted(cluster: LocalRayUp, script: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RAY, "job", "submit", "--working-dir", str(script.parent), "--", "python", script.name],
        env={**os.environ, **cluster.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_machine_comes_by_demand_and_goes_when_it_is_idle(cluster: LocalRayUp) -> None:
    assert cluster.workers() == {}

    with submitted(cluster, ROOT / "examples" / "grow.py") as job:
        printed, _ = job.communicate(timeout=90)

    assert job.returncode == 0, printed
    assert printed.index("machines: 1") < printed.index("answered by") < printed.index("machines: 2")
    assert len(cluster.workers()) == 1
    wait_until(lambda: cluster.workers() == {}, 60)


def test_a_machine_that_crashes_is_replaced(cluster: LocalRayUp) -> None:
    with submitted(cluster, Path(__file__).with_name("moving_job.py")) as job:
        assert job.stdout is not None
        assert any("first answer" in line for line in iter(job.stdout.readline, ""))
        [worker] = cluster.workers()
        cluster.crash(worker)
        wait_until(lambda: worker not in cluster.workers(), 20)
        wait_until(lambda: processes_of(str(cluster.folder / str(worker))) == [], 20)
        printed, _ = job.communicate(timeout=90)

    assert "answer of another machine" in printed
    assert job.returncode == 0


def test_the_token_is_told_to_this_user_alone(cluster: LocalRayUp) -> None:
    file = cluster.folder / "auth_token"
    token = file.read_text()

    assert len(token) == 64
    assert file.stat().st_mode & 0o077 == 0
    assert cluster.folder.stat().st_mode & 0o077 == 0
    assert not any(token in log.read_text(errors="replace") for log in cluster.folder.glob("*/t/session_*/logs/*.*"))
    without = {name: value for name, value in cluster.environment.items() if name == "RAY_API_SERVER_ADDRESS"}
    listed = subprocess.run(
        [*RAY, "job", "list"], env={**os.environ, **without}, capture_output=True, text=True, timeout=60, check=False
    )
    assert listed.returncode != 0
    assert "token" in listed.stderr.lower()
