"""The embedded cluster: what it starts ends with its driver, however that ends."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from raybeam.actors import ClusterError
from raybeam.cluster.local import LocalCluster, LocalClusterOptions

DRIVER = textwrap.dedent(
    """
    import sys, time
    from raybeam.cluster.local import LocalCluster, LocalClusterOptions, connect
    with LocalCluster(LocalClusterOptions(machines=1, dashboard=False)) as cluster, connect(cluster.connection):
        print(cluster._guard.pid, cluster._folder, flush=True)
        sys.stdin.read()
    """
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_every_process_and_the_folder_are_gone_after_the_end_of_the_driver(
    number: signal.Signals, tmp_path: Path
) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | {"HOME": str(tmp_path)},
    )
    assert driver.stdout is not None
    assert driver.stdin is not None
    guard_pid, folder = driver.stdout.readline().split()
    guard = psutil.Process(int(guard_pid))
    started = [guard, *guard.children(recursive=True)]
    assert len(started) > 3

    driver.send_signal(number)
    driver.wait(timeout=30)
    driver.stdout.close()
    driver.stdin.close()
    _, alive = psutil.wait_procs(started, timeout=30)

    assert alive == []
    assert not Path(folder).exists()
    assert not (tmp_path / ".ray").exists()


def test_a_machine_that_is_not_up_in_time_is_told_and_nothing_is_left() -> None:
    cluster = LocalCluster(LocalClusterOptions(machines=1, dashboard=False, start_timeout_s=0.2))

    with pytest.raises(ClusterError, match=r"Ray cannot start here: machine 0 was not up within 0\.2 s"):
        cluster.start()

    children = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert not any("guard.py" in part for command in children for part in command)


def test_a_ray_that_cannot_start_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raybeam.cluster.local.local_cluster._SYSTEM_CONFIG", {"no_such_option": 1})

    with pytest.raises(ClusterError, match="Ray cannot start here: machine 0"):
        LocalCluster(LocalClusterOptions(machines=1, dashboard=False)).start()


def test_a_machine_that_cannot_be_added_leaves_the_cluster_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalCluster(LocalClusterOptions(machines=1, dashboard=False)) as cluster:
        with monkeypatch.context() as patched:
            patched.setattr(cluster, "_joining", lambda address, index: ["--no-such-option"])
            with pytest.raises(ClusterError, match=r"machine 1 ended with status 2: .*no-such-option"):
                cluster.add_machine()

        assert cluster.add_machine() == 2  # it joined a head that lives


def test_every_process_is_gone_after_the_guard_was_killed() -> None:
    cluster = LocalCluster(LocalClusterOptions(machines=2, dashboard=False))
    cluster.start()
    assert cluster._guard is not None
    guard, folder = psutil.Process(cluster._guard.pid), Path(cluster._folder)
    started = guard.children(recursive=True)
    assert len(started) > 6

    guard.kill()

    _, left = psutil.wait_procs(started, timeout=30)
    assert [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    cluster.stop()
    assert not folder.exists()
