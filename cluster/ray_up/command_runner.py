"""Runs the commands of a machine: where Ray's cluster launcher would use ssh, a shell in the machine's folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
from ray.autoscaler.command_runner import CommandRunnerInterface

from raybeam.actors import UsageError

from .environment import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Host(Protocol):
    """A machine, as the runner sees it."""

    home: Path

    def spawn(self, start: Callable[[Mapping[str, str]], subprocess.Popen[str]]) -> subprocess.Popen[str]:
        """Start a process with the machine's environment, unless the machine has ended."""
        ...

    def power_off(self) -> None:
        """End the machine."""
        ...


class LocalCommandRunner(CommandRunnerInterface):
    """Runs commands as processes of a machine.

    Args:
        host: The machine.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(
        self,
        cmd: str | None = None,
        timeout: int = 120,
        exit_on_fail: bool = False,
        port_forward: object = None,
        with_output: bool = False,
        environment_variables: dict[str, object] | None = None,
        run_env: str = "auto",
        ssh_options_override_ssh_key: str = "",
        shutdown_after_run: bool = False,
    ) -> str:
        """Run a command in the machine's folder, or without one an interactive shell; what it printed, if wanted.

        Ports need no forwarding here, and `timeout` is about getting to the machine, not about the command.

        Raises:
            ClickException: It failed; Ray's cluster launcher tells it.
            ClusterError: The machine has ended.
        """
        variables = {name: as_text(value) for name, value in (environment_variables or {}).items()}
        command = ["bash"] if cmd is None else ["bash", "-c", cmd]

        def start(environment: Mapping[str, str]) -> subprocess.Popen[str]:
            return subprocess.Popen(
                command,
                cwd=self._host.home,
                env={**environment, **variables},
                stdin=None if cmd is None else subprocess.DEVNULL,
                stdout=subprocess.PIPE if with_output else None,
                text=True,
                start_new_session=cmd is not None,
            )

        process = self._host.spawn(start)
        try:
            printed, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if shutdown_after_run:
            self._host.power_off()
        if process.returncode != 0:
            raise click.ClickException(f"exit status {process.returncode} of: {cmd or 'bash'}")
        return printed or ""

    def run_rsync_up(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        """Copy a file, or the contents of a folder, onto the machine."""
        _copy(Path(source), self._path(target), with_folder=not source.endswith("/"))

    def run_rsync_down(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        """Copy a file, or the contents of a folder, from the machine."""
        _copy(self._path(source), Path(target), with_folder=not source.endswith("/"))

    def remote_shell_command_str(self) -> str:
        """A command that opens a shell in the machine's folder."""
        return f"cd {self._host.home} && bash"

    def _path(self, path: str) -> Path:
        """Where a path of the machine is: all machines share one disk, so what is no home of theirs is none's."""
        relative = path.removeprefix("~").removeprefix("/") if path == "~" or path.startswith("~/") else path
        found = Path(os.path.normpath(self._host.home / relative))
        if not found.is_relative_to(self._host.home):
            raise UsageError(f"{path} is not under the home of a machine: write it as ~/...")
        return found


def _copy(source: Path, target: Path, with_folder: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target / source.name if with_folder else target, dirs_exist_ok=True, symlinks=True)
        return
    if target.is_dir():
        target /= source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
