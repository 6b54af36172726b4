"""A cluster of local machines from Python: `ray up`, and `ray down` at the end of the block."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import yaml

from raybeam.actors import ClusterError, UsageError

from ..kernel.machine_table import HEAD_NUMBER
from ..local.connection import Connection
from .environment import PROCESSES, driver_environment, machine_folder
from .options import LocalMachinesOptions
from .processes import RAYLET, processes_of
from .table_file import TableFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

UP_WITHIN_S: Final = 180.0
DOWN_WITHIN_S: Final = 60.0
WORDS_SHOWN: Final = 300
_RAY: Final = [sys.executable, "-P", "-m", "ray.scripts.scripts"]


class LocalRayUp:
    """A head and autoscaled workers on this machine, as `configs/ray/local.yaml` describes them.

    They end with this object, and when this process dies in any way.

    Args:
        config: What the cluster file holds; its provider is that of local machines.

    Example:
        ```python
        config = yaml.safe_load(Path("configs/ray/local.yaml").read_text())
        with LocalRayUp(config) as cluster, connect(cluster.connection):
            ray.autoscaler.sdk.request_resources(num_cpus=2)
        ```

    Raises:
        UsageError: The configuration is wrong.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.options = LocalMachinesOptions.parse(config["provider"])
        self.folder = self.options.folder_of(config["cluster_name"])
        self._config = dict(config)
        self._scratch: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalRayUp:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Bring the head up.

        Raises:
            ClusterError: It does not come up; nothing is left of it.
        """
        self._scratch = Path(tempfile.mkdtemp(prefix="raybeam-up-"))
        (self._scratch / "cluster.yaml").write_text(yaml.safe_dump(self._config))
        self._guard = subprocess.Popen(
            [sys.executable, "-P", str(PROCESSES), str(self.folder), "guard"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._ray("up", "-y", "--no-config-cache", within_s=UP_WITHIN_S)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End all machines. Does nothing when that is done.

        Raises:
            ClusterError: A process could not be ended.
        """
        guard, self._guard, scratch = self._guard, None, self._scratch
        if guard is None or scratch is None:
            return
        assert guard.stdin is not None
        try:
            self._ray("down", "-y", within_s=DOWN_WITHIN_S)
        finally:
            guard.stdin.close()
            left = guard.wait()
            shutil.rmtree(scratch, ignore_errors=True)
            self._scratch = None
        if left:
            raise ClusterError(f"processes of {self.folder} cannot be killed: see `ps`")

    @property
    def environment(self) -> dict[str, str]:
        """What a driver or a command of Ray needs in its environment to reach the cluster: addresses and token."""
        return driver_environment(self.folder, self.options)

    @property
    def connection(self) -> Connection:
        """How this process gets in; Ray reads the token of a process only once."""
        head = self.options.address_of(HEAD_NUMBER)
        access = self.environment
        variables = {name: access[name] for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")}
        return Connection(access["RAY_ADDRESS"], head, access["RAY_API_SERVER_ADDRESS"], variables)

    def workers(self) -> dict[int, bool]:
        """The workers that have not ended, by serial, and whether each is up."""
        machines = TableFile(self.folder).read().living({})
        return {machine.serial: machine.up for machine in machines if not machine.is_head}

    def crash(self, serial: int) -> None:
        """SIGKILL the raylet of a worker: for tests of machine loss.

        Raises:
            UsageError: There is no such worker.
        """
        machine = TableFile(self.folder).read().machines.get(serial)
        raylets = [] if machine is None else processes_of(str(machine_folder(self.folder, machine)), RAYLET)
        if not raylets:
            raise UsageError(f"machine {serial}: there are {', '.join(map(str, self.workers())) or 'none'}")
        for raylet in raylets:
            with contextlib.suppress(psutil.NoSuchProcess):
                raylet.kill()

    def _ray(self, command: str, *arguments: str, within_s: float) -> None:
        """Run one of Ray's commands. What it keeps in the temporary folder goes with ours."""
        assert self._scratch is not None
        output = self._scratch / f"{command}.log"
        temporary = {"TMPDIR": str(self._scratch)} if command == "down" else {}
        with output.open("w") as log:
            process = subprocess.Popen(
                [*_RAY, command, str(self._scratch / "cluster.yaml"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **temporary},
            )
            try:
                status = process.wait(within_s)
            except subprocess.TimeoutExpired:
                raise ClusterError(f"ray {command} did not end within {within_s:g} s") from None
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if status != 0:
            words = " ".join(output.read_text(errors="replace").split())[-WORDS_SHOWN:]
            raise ClusterError(f"ray {command} ended with status {status}: {words}")
