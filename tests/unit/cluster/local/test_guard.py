"""The guard's answers to what happens to its nodes, in this process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from raybeam.cluster.local.guard import Guard


def guard(tmp_path: Path, *, ready: bool) -> Guard:
    made = Guard({"folder": str(tmp_path), "start_timeout_s": 90.0, "machines": []})
    made.ready = ready
    return made


def node(of: Guard, index: int, deadline: float) -> subprocess.Popen[str]:
    """A node that is not up yet."""
    started = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"], text=True)
    of.nodes[index] = started
    of.deadlines[index] = deadline
    return started


def told(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@pytest.mark.parametrize("ready", [True, False])
def test_a_late_machine_is_ended_and_told_and_ends_only_a_cluster_that_starts(
    ready: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keeps = guard(tmp_path, ready=ready)
    late = node(keeps, 3, deadline=time.monotonic() - 1)

    message = keeps.next_message()
    goes_on = keeps.handle(message)

    assert message == {"late": 3}
    assert goes_on is ready
    assert not psutil.pid_exists(late.pid)
    late.wait()
    assert told(capfd) == [{"event": "failed", "index": 3, "why": "machine 3 was not up within 90 s"}]
    assert not keeps.nodes
    assert not keeps.deadlines


def test_what_comes_in_is_served_before_a_late_machine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keeps = guard(tmp_path, ready=True)
    late = node(keeps, 3, deadline=time.monotonic() - 1)
    keeps.inbox.put({"up": 3})

    assert keeps.handle(keeps.next_message()) is True

    assert told(capfd) == [{"event": "machine", "index": 3}]
    late.kill()
    late.wait()


def test_a_machine_that_comes_up_after_it_was_given_up_is_not_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keeps = guard(tmp_path, ready=True)
    late = node(keeps, 3, deadline=time.monotonic() - 1)
    keeps.handle({"late": 3})
    late.wait()
    told(capfd)

    assert keeps.handle({"up": 3}) is True
    assert keeps.handle({"ended": 3, "code": -9, "log": ""}) is True

    assert told(capfd) == []


def test_a_machine_that_ended_by_itself_can_be_killed_no_more_and_that_ends_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keeps = guard(tmp_path, ready=True)

    assert keeps.handle({"ended": 1, "code": 1, "log": ""}) is True
    assert keeps.handle({"do": "kill_machine", "index": 1}) is True

    assert told(capfd) == [{"event": "killed", "index": 1}]
