"""A cluster from Python, before anything runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from raybeam.actors import UsageError
from raybeam.cluster.ray_up import LocalRayUp
from raybeam.cluster.ray_up.environment import PROCESSES
from raybeam.cluster.ray_up.processes import MACHINE_VARIABLE

CONFIG: dict[str, Any] = {
    "cluster_name": "c",
    "provider": {"type": "external", "module": "m.C", "folder": "/tmp/rb-no"},
}


def test_a_cluster_that_is_not_up_has_no_machines_and_ends_in_silence() -> None:
    cluster = LocalRayUp(CONFIG)

    assert cluster.workers() == {}
    with pytest.raises(UsageError, match="machine 3: there are none"):
        cluster.crash(3)
    cluster.down()
    assert not Path("/tmp/rb-no").exists()


def test_drivers_and_commands_are_told_the_way_in() -> None:
    cluster = LocalRayUp(CONFIG)
    connection = cluster.connection

    assert cluster.environment == {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": "/tmp/rb-no/c/auth_token",
        "RAY_ADDRESS": "127.0.2.1:6379",
        "RAY_API_SERVER_ADDRESS": "http://127.0.2.1:8265",
    }
    assert (connection.address, connection.node_address) == ("127.0.2.1:6379", "127.0.2.1")
    assert connection.environment == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/tmp/rb-no/c/auth_token"}


def test_a_wrong_configuration_is_told_before_ray_is_asked() -> None:
    with pytest.raises(UsageError, match=r"provider\.port=-1"):
        LocalRayUp({**CONFIG, "provider": {"port": -1}})


def test_the_guard_ends_all_machines_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    (folder / "1").mkdir(parents=True)
    inside, outside = (
        subprocess.Popen(["sleep", "300"], env={**os.environ, MACHINE_VARIABLE: str(machine)})
        for machine in (folder / "1", tmp_path / "cluster-2" / "1")
    )
    driver = subprocess.Popen(
        ["bash", "-c", f"sleep 300 | {sys.executable} -P {PROCESSES} {folder} guard & echo $!; wait"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert driver.stdout is not None
    guard = psutil.Process(int(driver.stdout.readline()))
    for process in psutil.Process(driver.pid).children():
        if process != guard:
            process.kill()

    assert inside.wait(timeout=30) == -signal.SIGKILL
    driver.wait(timeout=30)
    assert not folder.exists()
    assert outside.poll() is None
    outside.kill()
    outside.wait()
    driver.stdout.close()
