"""An embedded cluster: one head and more Ray nodes on this machine, ended to the last process with the driver."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from raybeam.actors import ClusterError, UsageError

from .connection import Connection
from .guard import end_descendants
from .ports import free_ports, why_refused

if TYPE_CHECKING:
    from types import TracebackType

LONGEST_FOLDER: Final = 40
LONGEST_START_S: Final = 3600.0
GUARD_ENDS_WITHIN_S: Final = 30.0
KILLED_WITHIN_S: Final = 10.0
GUARD_GONE: Final = "the guard of the local cluster ended unexpectedly, and the cluster with it; run it again"
_GUARD: Final = Path(__file__).with_name("guard.py")
_START_NODE: Final = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
_TOKEN: Final = secrets.token_hex(32)
"""Of all clusters of this process: Ray reads a process's token only once."""

# A lost machine is seen in about 1.2 s instead of 12-15 s.
_SYSTEM_CONFIG: Final = {
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
    "health_check_initial_delay_ms": 0,
}


@dataclass(frozen=True, slots=True)
class LocalClusterOptions:
    """How the embedded cluster looks.

    Attributes:
        machines: Ray nodes, the head included. Default 3.
        cpus_per_machine: Logical CPUs of each. Default 2.
        object_store_mb: Shared memory of each, in megabytes. Default 100.
        dashboard: Whether to start the Ray dashboard. Default yes.
        port: Of the head; 0 takes a free one. Default 0.
        start_timeout_s: Seconds that the start of a machine may take, at most an hour. Default 90.
    """

    machines: int = 3
    cpus_per_machine: int = 2
    object_store_mb: int = 100
    dashboard: bool = True
    port: int = 0
    start_timeout_s: float = 90.0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("machines", 1, 16),
            ("cpus_per_machine", 1, 64),
            ("object_store_mb", 80, 100_000),
            ("port", 0, 65535),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise UsageError(f"cluster.{name}={value!r}: must be from {least} to {most}")
        if not 0 < self.start_timeout_s <= LONGEST_START_S:
            raise UsageError(
                f"cluster.start_timeout_s={self.start_timeout_s!r}: seconds above 0, at most {LONGEST_START_S:g}"
            )


class LocalCluster:
    """One head and `machines - 1` more Ray nodes, with token authentication, on free ports, in a folder of their own.

    All their processes end with this object, with Ctrl-C, and when this process dies in any way.

    Example:
        ```python
        with LocalCluster() as cluster, connect(cluster.connection):
            ...
        ```
    """

    def __init__(self, options: LocalClusterOptions | None = None) -> None:
        self.options = options or LocalClusterOptions()
        self._guard: subprocess.Popen[str] | None = None
        self._connection: Connection | None = None
        self._folder = ""
        self._next_machine = 0
        self._living: set[int] = set()

    @property
    def connection(self) -> Connection:
        """How to get in.

        Raises:
            UsageError: The cluster is not started.
        """
        if self._connection is None:
            raise UsageError("the cluster is not started: use it as `with LocalCluster() as cluster:`")
        return self._connection

    def __enter__(self) -> LocalCluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Connection:
        """Start all machines and wait until they are up.

        Raises:
            ClusterError: A port is in use, or a machine did not come up; says why.
        """
        options = self.options
        head_address = machine_address(0)
        refusal = why_refused(head_address, options.port) if options.port else None
        if refusal is not None:
            raise ClusterError(f"cluster.port={options.port} {refusal}: choose another, or 0 for a free one")
        ports = free_ports(head_address, 3)
        port = options.port or ports[0]
        self._folder = _new_folder()
        environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN, "RAY_USAGE_STATS_ENABLED": "0"}
        head = [
            "--head",
            f"--port={port}",
            f"--include-dashboard={'true' if options.dashboard else 'false'}",
            f"--dashboard-host={head_address}",
            f"--dashboard-port={ports[1]}",
            f"--ray-client-server-port={ports[2]}",
            "--no-monitor",
            f"--system-config={json.dumps(_SYSTEM_CONFIG)}",
            *self._node_arguments(0),
        ]
        address = f"{head_address}:{port}"
        plan = {
            "folder": self._folder,
            "start_timeout_s": options.start_timeout_s,
            "environment": {**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            "command": _START_NODE,
            "head_address": head_address,
            "port": port,
            "head": head,
            "machines": [self._joining(address, index) for index in range(1, options.machines)],
        }
        self._guard = subprocess.Popen(
            [sys.executable, "-P", str(_GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self._send(plan)
            self._expect("ready")
        except BaseException:
            self.stop()
            raise
        self._next_machine = options.machines
        self._living = set(range(options.machines))
        dashboard = f"http://{head_address}:{ports[1]}" if options.dashboard else None
        self._connection = Connection(address, head_address, dashboard, environment)
        return self._connection

    def stop(self) -> None:
        """End every process of the cluster and remove its folder. Does nothing when that is done.

        Raises:
            ClusterError: A process could not be killed; says which.
        """
        guard, self._guard, self._connection = self._guard, None, None
        if guard is None:
            return
        assert guard.stdin is not None
        assert guard.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # the guard is gone
            guard.stdin.close()  # the guard ends at the end of its input
        left: list[int] = []
        try:
            guard.wait(timeout=GUARD_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            left = end_descendants(guard.pid, KILLED_WITHIN_S)  # before the guard: it is what holds them together
            guard.kill()
            guard.wait()
        guard.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if left:
            raise ClusterError(f"processes of the local cluster could not be killed: {', '.join(map(str, left))}")

    def kill_machine(self, index: int) -> None:
        """SIGKILL everything on one machine (never 0, the head): for tests of machine loss.

        Raises:
            UsageError: There is no such machine.
            ClusterError: The guard is gone.
        """
        if index not in self._living - {0}:
            there = ", ".join(map(str, sorted(self._living - {0})))
            raise UsageError(f"machine {index}: there are {there or 'none'} besides the head, which is 0")
        self._living.remove(index)
        self._send({"do": "kill_machine", "index": index})
        self._expect("killed")

    def add_machine(self) -> int:
        """Start one more machine and wait until it is up; its index.

        Raises:
            ClusterError: It did not come up; the others go on.
        """
        index = self._next_machine
        self._next_machine += 1
        self._send({"do": "add_machine", "index": index, "arguments": self._joining(self.connection.address, index)})
        self._expect("machine")
        self._living.add(index)
        return index

    def _node_arguments(self, index: int) -> list[str]:
        address = machine_address(index)
        agent, metrics = free_ports(address, 2)
        return [
            f"--node-ip-address={address}",
            f"--temp-dir={self._folder}/{index}",
            f"--num-cpus={self.options.cpus_per_machine}",
            "--num-gpus=0",
            f"--object-store-memory={self.options.object_store_mb * 1_000_000}",
            f"--dashboard-agent-listen-port={agent}",
            f"--metrics-export-port={metrics}",
            "--include-log-monitor=false",
            "--min-worker-port=0",
            "--max-worker-port=0",
            "--disable-usage-stats",
        ]

    def _joining(self, address: str, index: int) -> list[str]:
        return [f"--address={address}", *self._node_arguments(index)]

    def _send(self, message: dict[str, Any]) -> None:
        if self._guard is None:
            raise UsageError("the cluster is not started: use it as `with LocalCluster() as cluster:`")
        assert self._guard.stdin is not None
        try:
            self._guard.stdin.write(json.dumps(message) + "\n")
            self._guard.stdin.flush()
        except BrokenPipeError:
            raise ClusterError(GUARD_GONE) from None

    def _expect(self, wanted: str) -> None:
        assert self._guard is not None
        assert self._guard.stdout is not None
        for line in self._guard.stdout:
            event = json.loads(line)
            if event["event"] == wanted:
                return
            if event["event"] == "failed":
                raise ClusterError(f"Ray cannot start here: {event['why']}")
        raise ClusterError(GUARD_GONE)


def machine_address(index: int) -> str:
    """Machines of a local cluster have loopback addresses of their own.

    >>> machine_address(0), machine_address(2)
    ('127.0.1.1', '127.0.1.3')
    """
    return f"127.0.1.{index + 1}"


def _new_folder() -> str:
    """A new folder with a path short enough for Ray's sockets, readable by this user alone."""
    try:
        base = tempfile.gettempdir()
    except FileNotFoundError as error:
        raise ClusterError(f"no folder for the cluster can be made: {error.strerror}; set TMPDIR") from None
    if len(base) > LONGEST_FOLDER:
        base = "/tmp"  # noqa: S108 (mkdtemp makes a private folder in it)
    try:
        return tempfile.mkdtemp(prefix="raybeam-", dir=base)
    except OSError as error:
        raise ClusterError(f"no folder for the cluster can be made in {base}: {error.strerror}; set TMPDIR") from None
