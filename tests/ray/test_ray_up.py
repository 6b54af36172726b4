"""`ray up` with local machines: a machine is added by demand, replaced when it crashes, given back when it is idle."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from raybeam.cluster.ray_up import LocalRayUp
from raybeam.cluster.ray_up.processes import processes_of

from .conftest import wait_until

ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
NETWORK = "127.0.9"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a token, and without settings for Ray."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def cluster(home: Path) -> Iterator[LocalRayUp]:
    """The shipped configuration, with an idle time-out that a test can wait for."""
    config = yaml.safe_load((ROOT / "configs" / "ray" / "local.yaml").read_text())
    config |= {"cluster_name": f"test-{os.getpid()}", "idle_timeout_minutes": 0.1}
    config["provider"] |= {"network": NETWORK}
    with LocalRayUp(config) as local:
        yield local


def submitted(cluster: LocalRayUp, script: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RAY, "job", "submit", "--working-dir", str(script.parent), "--", "python", script.name],
        env={**os.environ, **cluster.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_machines_come_by_demand_are_replaced_and_go_when_idle(home: Path, cluster: LocalRayUp) -> None:
    folder = cluster.folder
    assert cluster.workers() == {}
    assert (folder / "auth_token").stat().st_mode & 0o077 == 0

    printed, _ = submitted(cluster, ROOT / "examples" / "grow.py").communicate(timeout=90)
    assert "CPUs at the start: 0" in printed
    assert "CPUs now: 2" in printed

    with submitted(cluster, Path(__file__).with_name("moving_job.py")) as moving:
        assert moving.stdout is not None
        assert any("first answer" in line for line in iter(moving.stdout.readline, ""))
        [worker] = cluster.workers()
        cluster.crash(worker)
        wait_until(lambda: worker not in cluster.workers(), 20)
        wait_until(lambda: processes_of(str(folder / str(worker))) == [], 20)
        printed, _ = moving.communicate(timeout=90)
    assert "answer of another machine" in printed
    assert moving.returncode == 0

    wait_until(lambda: cluster.workers() == {}, 60)
    token = (folder / "auth_token").read_text()
    assert not any(token in log.read_text(errors="replace") for log in folder.glob("*/t/**/*.log"))
    cluster.down()

    assert processes_of(str(folder)) == []
    assert not folder.exists()
    assert list(home.iterdir()) == []
