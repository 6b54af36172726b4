"""An embedded cluster: one head and more Ray nodes on this machine, ended to the last process with the driver."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from raybeam.actors import ClusterError, UsageError

from .connection import Connection
from .ports import free_ports, is_free

if TYPE_CHECKING:
    from types import TracebackType

LONGEST_FOLDER: Final = 40
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
        start_timeout_s: Seconds that the start of a machine may take. Default 90.
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
        if not self.start_timeout_s > 0:
            raise UsageError(f"cluster.start_timeout_s={self.start_timeout_s!r}: must be seconds above 0")


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
        self._machines = 0

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
        if options.port and not is_free(head_address, options.port):
            raise ClusterError(f"cluster.port={options.port} is in use: choose another, or 0 for a free one")
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
        self._machines = options.machines
        plan = {
            "folder": self._folder,
            "start_timeout_s": options.start_timeout_s,
            "environment": {**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            "head_address": head_address,
            "port": port,
            "head": head,
            "machines": [self._joining(address, index) for index in range(1, options.machines)],
        }
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "raybeam.cluster.local.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._send(plan)
        try:
            self._expect("ready")
        except BaseException:
            self.stop()
            raise
        dashboard = f"http://{head_address}:{ports[1]}" if options.dashboard else None
        self._connection = Connection(address, head_address, dashboard, environment)
        return self._connection

    def stop(self) -> None:
        """End every process of the cluster and remove its folder. Does nothing when that is done."""
        guard, self._guard, self._connection = self._guard, None, None
        if guard is None:
            return
        assert guard.stdin is not None
        assert guard.stdout is not None
        guard.stdin.close()  # the guard ends at the end of its input
        try:
            guard.wait(timeout=30)
            guard.stdout.close()
        except subprocess.TimeoutExpired:
            guard.kill()
            raise ClusterError(f"the guard of the local cluster (pid {guard.pid}) did not end: killed") from None

    def kill_machine(self, index: int) -> None:
        """SIGKILL everything on one machine (never 0, the head): for tests of machine loss."""
        if not 0 < index < self._machines:
            raise UsageError(f"machine {index}: choose one from 1 to {self._machines - 1}; 0 is the head")
        self._send({"do": "kill_machine", "index": index})
        self._expect("killed")

    def add_machine(self) -> int:
        """Start one more machine and wait until it is up; its index."""
        index = self._machines
        self._machines += 1
        self._send({"do": "add_machine", "index": index, "arguments": self._joining(self.connection.address, index)})
        self._expect("machine")
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
        self._guard.stdin.write(json.dumps(message) + "\n")
        self._guard.stdin.flush()

    def _expect(self, wanted: str) -> None:
        assert self._guard is not None
        assert self._guard.stdout is not None
        for line in self._guard.stdout:
            event = json.loads(line)
            if event["event"] == wanted:
                return
            if event["event"] == "failed":
                raise ClusterError(f"Ray cannot start here: {event['why']}")
        raise ClusterError("the guard of the local cluster ended unexpectedly; run it again")


def machine_address(index: int) -> str:
    """Machines of a local cluster have loopback addresses of their own.

    >>> machine_address(0), machine_address(2)
    ('127.0.1.1', '127.0.1.3')
    """
    return f"127.0.1.{index + 1}"


def _new_folder() -> str:
    """A new folder with a path short enough for Ray's sockets, readable by this user alone."""
    base = tempfile.gettempdir()
    if len(base) > LONGEST_FOLDER:
        base = "/tmp"  # noqa: S108 (mkdtemp makes a private folder in it)
    return str(Path(tempfile.mkdtemp(prefix="raybeam-", dir=base)))
