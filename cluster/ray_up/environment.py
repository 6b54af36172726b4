"""The environment in which the commands of a machine run, and the files that a cluster has on disk."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import site
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from raybeam.actors import ClusterError

from .processes import MACHINE_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..kernel.machine_table import Machine
    from .options import LocalMachinesOptions

TOKEN: Final = "auth_token"  # noqa: S105 (the name of its file)
TO_SOURCE: Final = "env"
AGENT_PORT: Final = "agent"
METRICS_PORT: Final = "metrics"
AUTOSCALER_PORT: Final = "autoscaler"
PROCESSES: Final = Path(__file__).with_name("processes.py")
_RAY: Final = """\
#!/bin/sh
if [ "$1" = stop ]; then exec {python} -P {stop} {stopped}; fi
exec {python} -P -m ray.scripts.scripts "$@"
"""


def machine_folder(cluster: Path, machine: Machine) -> Path:
    """The folder of a machine, which is its home and its name in the environment of its processes."""
    return cluster / str(machine.serial)


def machine_environment(
    cluster: Path, machine: Machine, options: LocalMachinesOptions, base: Mapping[str, str]
) -> dict[str, str]:
    """What the processes of a machine find in their environment.

    Args:
        cluster: The folder of the cluster.
        machine: Which machine.
        options: Of the cluster.
        base: The environment of the caller. What it has for Ray is left out, as ssh would: it is about another machine.
    """
    home, address = machine_folder(cluster, machine), options.address_of(machine.number)
    kept = {name: value for name, value in base.items() if not name.startswith("RAY_")}
    here = f"{cluster}{os.sep}"
    path = [part for part in base.get("PATH", os.defpath).split(os.pathsep) if not part.startswith(here)]
    imports = [os.path.abspath(part) for part in base.get("PYTHONPATH", "").split(os.pathsep) if part]
    node = [
        f"--node-ip-address={address}",
        f"--temp-dir={home}/t",
        f"--dashboard-agent-listen-port={machine.ports[AGENT_PORT]}",
        f"--metrics-export-port={machine.ports[METRICS_PORT]}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--disable-usage-stats",
    ]
    head = [
        f"--port={options.port}",
        f"--dashboard-host={address}",
        f"--dashboard-port={options.dashboard_port}",
        f"--ray-client-server-port={options.client_port}",
    ]
    return {
        **kept,
        "PYTHONUSERBASE": base.get("PYTHONUSERBASE") or site.getuserbase(),  # it must not follow HOME
        **({"PYTHONPATH": os.pathsep.join(imports)} if imports else {}),
        MACHINE_VARIABLE: str(home),
        "HOME": str(home),
        "PATH": os.pathsep.join(dict.fromkeys([f"{home}/bin", os.path.dirname(sys.executable), *path])),
        "NODE_IP": address,
        "NODE_ARGUMENTS": shlex.join(node),
        "HEAD_ADDRESS": f"{options.address_of(1)}:{options.port}",
        "HEAD_ARGUMENTS": shlex.join(head),
        "AUTOSCALER_METRIC_PORT": str(machine.ports[AUTOSCALER_PORT]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(cluster / TOKEN),
    }


def driver_environment(cluster: Path, options: LocalMachinesOptions) -> dict[str, str]:
    """What a driver, `ray job submit` or `ray status` needs to get into a cluster from outside."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(cluster / TOKEN),
        "RAY_ADDRESS": f"{options.address_of(1)}:{options.port}",
        "RAY_API_SERVER_ADDRESS": f"http://{options.address_of(1)}:{options.dashboard_port}",
    }


def as_text(value: object) -> str:
    """The value of a variable: what is no text already is written as JSON, which is how Ray reads it.

    >>> as_text({"CPU": 2}), as_text("any"), as_text(1)
    ('{"CPU": 2}', 'any', '1')
    """
    return value if isinstance(value, str) else json.dumps(value)


def make_cluster_folder(cluster: Path) -> None:
    """Make the folder of a cluster, for this user alone.

    Raises:
        ClusterError: It cannot be made, or the folder that it is in belongs to somebody else.
    """
    try:
        cluster.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(cluster.parent)
        if found.st_uid != os.getuid():
            raise ClusterError(f"{cluster.parent} belongs to somebody else: name another folder by provider.folder")
        cluster.mkdir(mode=0o700, exist_ok=True)
        if os.lstat(cluster).st_mode & 0o077:
            raise ClusterError(f"{cluster} is open to others: chmod 700 {cluster}")
    except OSError as error:
        raise ClusterError(f"{error.filename} cannot be made: {error.strerror}; see provider.folder") from None


def make_access(cluster: Path, options: LocalMachinesOptions) -> None:
    """Make the cluster's token, if it has none, and the file by which a shell finds it; for this user alone."""
    with contextlib.suppress(FileExistsError):
        _write_private(cluster / TOKEN, secrets.token_hex(32), os.O_EXCL)
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in driver_environment(cluster, options).items()]
    _write_private(cluster / TO_SOURCE, "".join(lines), os.O_TRUNC)


def make_machine_folder(cluster: Path, machine: Machine) -> None:
    """Make the home of a machine, with a `ray` of its own whose `stop` ends no other machine's processes.

    Ray's head does not outlive its own stop: then all machines of the cluster are stopped.
    """
    home = machine_folder(cluster, machine)
    home.mkdir(mode=0o700)
    (home / "bin").mkdir()
    stopped = cluster if machine.is_head else home
    ray = home / "bin" / "ray"
    ray.write_text(_RAY.format(python=shlex.quote(sys.executable), stop=shlex.quote(str(PROCESSES)), stopped=stopped))
    ray.chmod(0o700)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def _write_private(path: Path, text: str, flag: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600), "w") as file:
        file.write(text)
