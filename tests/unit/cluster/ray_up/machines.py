"""Machines without Ray: a process that is called `raylet` stands for it."""

import shutil
import socket
import time
from pathlib import Path
from typing import Any

from ray.autoscaler.tags import STATUS_UP_TO_DATE, TAG_RAY_NODE_KIND, TAG_RAY_NODE_STATUS

from raybeam.cluster.ray_up.processes import machines_with_raylet
from raybeam.cluster.ray_up.provider import LocalMachines

HEAD = {TAG_RAY_NODE_KIND: "head", TAG_RAY_NODE_STATUS: "uninitialized"}
WORKER = {TAG_RAY_NODE_KIND: "worker", TAG_RAY_NODE_STATUS: "uninitialized"}
UP = {TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE}
NETWORK = "127.0.77"


def free_ports() -> dict[str, int]:
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        ports = []
        for each in (one, two, three):
            each.bind((f"{NETWORK}.1", 0))
            ports.append(each.getsockname()[1])
    return dict(zip(("port", "dashboard_port", "client_port"), ports, strict=True))


def section(folder: Path) -> dict[str, Any]:
    """A section `provider` for a test."""
    return {"type": "external", "module": "x.y", "folder": str(folder), "network": NETWORK, **free_ports()}


def raylet_in(folder: Path) -> Path:
    """A program that does nothing, under Ray's name."""
    program = folder / "raylet"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    return program


def made(provider: LocalMachines, tags: dict[str, str], count: int = 1) -> list[str]:
    return list(provider.create_node({}, dict(tags), count))


def brought_up(provider: LocalMachines, node: str, raylet: Path) -> None:
    """Start a raylet on a machine, as `ray start` would, and leave it to itself."""
    provider.get_command_runner("", node).run(f"setsid {raylet} 300 >/dev/null 2>&1 &")
    while str(provider.home(node)) not in machines_with_raylet(str(provider.folder)):
        time.sleep(0.01)
    provider.set_node_tags(node, UP)
