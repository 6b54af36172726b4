"""The embedded cluster with stand-ins for Ray's nodes: whatever fails, only that ends, and nothing is left."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from raybeam.actors import ClusterError, UsageError
from raybeam.cluster.local import LocalCluster, LocalClusterOptions, local_cluster

STAND_IN = Path(__file__).with_name("stand_in_node.py")


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cluster, "_START_NODE", [sys.executable, str(STAND_IN)])


def behave(monkeypatch: pytest.MonkeyPatch, **machines: str) -> None:
    """What machines do instead of coming up, as `machine_3="fails"`."""
    monkeypatch.setenv("STAND_IN", json.dumps({name.removeprefix("machine_"): how for name, how in machines.items()}))


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Two machines."""
    with LocalCluster(LocalClusterOptions(machines=2, dashboard=False)) as started:
        yield started


def processes(cluster: LocalCluster) -> list[psutil.Process]:
    """The guard and all its descendants."""
    assert cluster._guard is not None
    guard = psutil.Process(cluster._guard.pid)
    return [guard, *guard.children(recursive=True)]


def still_there(those: list[psutil.Process], within_s: float = 10.0) -> list[psutil.Process]:
    """Those that live on, after some time in which they may end. A zombie is dead."""
    _, left = psutil.wait_procs(those, timeout=within_s)
    return [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_nothing_of_a_cluster_is_left_after_its_end() -> None:
    cluster = LocalCluster(LocalClusterOptions(machines=2, dashboard=False))
    cluster.start()
    started, folder = processes(cluster), Path(cluster._folder)
    assert len(started) >= 5
    assert folder.is_dir()

    cluster.stop()
    cluster.stop()

    assert still_there(started) == []
    assert not folder.exists()


@pytest.mark.parametrize("index", [0, 1])
def test_a_machine_that_fails_at_the_start_ends_the_cluster(
    index: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, **{f"machine_{index}": "fails"})
    cluster = LocalCluster(LocalClusterOptions(machines=2, dashboard=False))

    with pytest.raises(ClusterError, match=f"machine {index} ended with status 1: no memory for the object store"):
        cluster.start()

    assert not Path(cluster._folder).exists()
    assert psutil.Process().children() == []
    assert capfd.readouterr().err == ""


def test_a_machine_that_is_late_at_the_start_ends_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, machine_0="hangs")
    cluster = LocalCluster(LocalClusterOptions(machines=1, dashboard=False, start_timeout_s=0.05))

    with pytest.raises(ClusterError, match=r"machine 0 was not up within 0\.05 s"):
        cluster.start()

    assert psutil.Process().children() == []


def test_a_machine_that_fails_to_be_added_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, machine_2="fails")
    with LocalCluster(LocalClusterOptions(machines=2, dashboard=False)) as cluster:
        before = processes(cluster)

        with pytest.raises(ClusterError, match="machine 2 ended with status 1: no memory for the object store"):
            cluster.add_machine()

        assert cluster.add_machine() == 3
        assert set(before) < set(processes(cluster))
        with pytest.raises(UsageError, match="machine 2: there are 1, 3 besides the head"):
            cluster.kill_machine(2)


def test_a_killed_machine_is_gone_with_all_its_processes_and_only_that(cluster: LocalCluster) -> None:
    before = processes(cluster)
    cluster.add_machine()
    added = set(processes(cluster)) - set(before)

    cluster.kill_machine(2)

    assert len(added) == 2
    assert still_there(list(added)) == []
    assert set(processes(cluster)) == set(before)
    for index in (0, 2, 7):
        with pytest.raises(UsageError, match=f"machine {index}: there are 1 besides the head"):
            cluster.kill_machine(index)


def test_what_a_stuck_guard_holds_is_ended_by_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_cluster, "GUARD_ENDS_WITHIN_S", 0.1)
    monkeypatch.setattr("raybeam.cluster.local.guard.KILLED_WITHIN_S", 0.1)  # a stuck guard buries no dead
    cluster = LocalCluster(LocalClusterOptions(machines=2, dashboard=False))
    cluster.start()
    started, folder = processes(cluster), Path(cluster._folder)
    started[0].send_signal(signal.SIGSTOP)

    cluster.stop()

    assert still_there(started) == []
    assert not folder.exists()


def test_nodes_die_with_their_guard(cluster: LocalCluster) -> None:
    guard, *others = processes(cluster)
    nodes = [process for process in others if process.ppid() == guard.pid]
    folder = Path(cluster._folder)
    assert len(nodes) == 2

    guard.kill()

    assert still_there([guard, *nodes]) == []
    for act in (cluster.add_machine, lambda: cluster.kill_machine(1)):
        with pytest.raises(ClusterError, match="the guard of the local cluster ended unexpectedly"):
            act()
    cluster.stop()
    assert not folder.exists()
    for orphan in others:  # a raylet dies with its `ray start`, by a wish of its own; the stand-in's does not
        if orphan.is_running():
            orphan.kill()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 0.0, -1.0, 3601.0])
def test_a_start_may_take_some_time_but_no_other_than_that(wrong: float) -> None:
    with pytest.raises(UsageError, match=r"cluster\.start_timeout_s=.* seconds above 0, at most 3600"):
        LocalClusterOptions(start_timeout_s=wrong)


def test_a_folder_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")

    with pytest.raises(ClusterError, match="no folder for the cluster can be made in /dev/null: Not a directory"):
        LocalCluster().start()


def test_a_command_shares_the_fate_of_its_parent_or_does_not_start() -> None:
    fate_share = str(Path(local_cluster.__file__).with_name("fate_share.py"))

    orphan = subprocess.run([sys.executable, fate_share, "1", "true"], capture_output=True, text=True, check=False)
    absent = subprocess.run(
        [sys.executable, fate_share, str(psutil.Process().pid), "no-such-command"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (orphan.returncode, orphan.stderr) == (1, "the process 1 that wanted true is gone\n")
    assert (absent.returncode, absent.stderr) == (1, "no-such-command cannot be run: No such file or directory\n")
