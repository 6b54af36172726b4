"""Ray's node provider for machines that are groups of processes on this one: `ray up` without clouds and ssh.

In a cluster file: `provider: {type: external, module: raybeam.cluster.ray_up.provider.LocalMachines}`, and what
`LocalMachinesOptions` has.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
import psutil
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_STATUS,
)

from raybeam.actors import ClusterError, RaybeamError

from ..kernel.machine_table import HEAD_NUMBER, Life, Machine, MachineTable, ProcessId, is_lost
from ..local.ports import free_ports, why_refused
from .command_runner import LocalCommandRunner
from .environment import (
    AGENT_PORT,
    AUTOSCALER_PORT,
    METRICS_PORT,
    TO_SOURCE,
    machine_environment,
    machine_folder,
    make_access,
    make_cluster_folder,
    make_machine_folder,
    remove_folder,
)
from .options import PORTS, LocalMachinesOptions
from .processes import MACHINE_VARIABLE, end_processes_of, machines_with_raylet, process_lives
from .table_file import LockedTable, TableFile

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

OWN_PORTS: Final = (AGENT_PORT, METRICS_PORT, AUTOSCALER_PORT)


class LocalMachines(NodeProvider):
    """The machines of one cluster.

    The truth is on disk and in the process table, so any number of these objects, in any process, agree: that of
    `ray up`, that of the autoscaler on the head, that of `ray down`.

    Args:
        provider_config: The section `provider` of the cluster file.
        cluster_name: Of the cluster.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self.options = LocalMachinesOptions.parse(provider_config)
        self.folder = self.options.folder_of(cluster_name)
        self._file = TableFile(self.folder)
        self._sweeping = threading.Lock()

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Refuse what these machines cannot do; nothing of this machine goes into the configuration."""
        try:
            LocalMachinesOptions.parse(cluster_config["provider"]).folder_of(cluster_config["cluster_name"])
        except RaybeamError as error:
            _abort(error)
        if cluster_config.get("cluster_synced_files"):
            _abort("cluster_synced_files: local machines share one disk, there is nothing to sync; leave it empty")
        return cluster_config

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        """The machines that live. What has ended by itself is noticed here, and cleared away."""
        if not self.folder.exists():
            return []
        with self._file.locked() as locked:
            raylets = machines_with_raylet(str(self.folder))
            lost = {machine.serial for machine in locked.table.living({}) if self._is_lost(machine, raylets)}
            if lost:
                locked.write(locked.table.with_ended(lost, lost=True))
            living = locked.table.living(tag_filters)
        self._clear_away()
        return [self._id(machine) for machine in living]

    def nodes_for_teardown(self, tag_filters: dict[str, str]) -> list[str]:
        """The machines that live, and those that ended but have processes left."""
        living = set(self.non_terminated_nodes(tag_filters))
        ended = {self._id(machine) for machine in self._file.read().ended()}
        return sorted(living | ended)

    def is_running(self, node_id: str) -> bool:
        """Whether a machine lives."""
        machine = self._file.read().machines.get(self._serial(node_id))
        return machine is not None and not machine.ended

    def is_terminated(self, node_id: str) -> bool:
        """Whether a machine has ended."""
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> dict[str, str]:
        """The tags of a machine."""
        return dict(self.machine(node_id).tags)

    def internal_ip(self, node_id: str) -> str:
        """The address of a machine."""
        return self.options.address_of(self.machine(node_id).number)

    def external_ip(self, node_id: str) -> str:
        """The same address: it is reached from this machine alone."""
        return self.internal_ip(node_id)

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        """Set tags; whoever changes the status is the one that sets the machine up."""
        with self._file.locked() as locked:
            machine = self._find(locked.table, node_id)
            status = tags.get(TAG_RAY_NODE_STATUS)
            up = machine.up if status is None else status == STATUS_UP_TO_DATE
            installer = None if status is None else _myself()
            locked.write(locked.table.with_tags(machine.serial, tags, installer, up))

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> dict[str, Any]:
        """Make machines, on which nothing runs yet."""
        is_head = tags.get(TAG_RAY_NODE_KIND) == NODE_KIND_HEAD
        try:
            if is_head:
                self._prepare_for_head()
            with self._file.locked() as locked:
                made = [self._make(locked, is_head, tags) for _ in range(count)]
        except RaybeamError as error:
            if is_head:
                _abort(error)
            raise
        return {self._id(machine): {"address": self.options.address_of(machine.number)} for machine in made}

    def terminate_node(self, node_id: str) -> None:
        """End a machine: exactly its processes. Does nothing when that is done."""
        self.terminate_nodes([node_id])

    def terminate_nodes(self, node_ids: Sequence[str]) -> None:
        """End machines, the head first: it would start new ones."""
        if not self.folder.exists():
            return
        with self._file.locked() as locked:
            locked.write(locked.table.with_ended({self._serial(node_id) for node_id in node_ids}))
        self._clear_away()

    def cleanup_cluster_resources(self) -> None:
        """What `ray down` does last: nothing of the cluster stays, its token included."""
        left = end_processes_of(str(self.folder))
        if left:
            raise ClusterError(f"processes of {self.folder} cannot be killed: {', '.join(map(str, left))}")
        remove_folder(self.folder)

    def get_command_runner(self, log_prefix: str, node_id: str, *others: object, **more: object) -> LocalCommandRunner:
        """Runs commands on a machine."""
        return LocalCommandRunner(_Host(self, node_id))

    def machine(self, node_id: str) -> Machine:
        """A machine.

        Raises:
            ClusterError: It has ended.
        """
        return self._find(self._file.read(), node_id)

    def spawn(self, node_id: str, start: Callable[[Mapping[str, str]], subprocess.Popen[str]]) -> subprocess.Popen[str]:
        """Start a process on a machine, but not once the machine's end has begun, so that none is missed.

        Raises:
            ClusterError: The machine has ended.
        """
        with self._file.locked() as locked:
            machine = self._find(locked.table, node_id)
            return start(machine_environment(self.folder, machine, self.options, os.environ))

    def home(self, node_id: str) -> Path:
        """The folder of a machine."""
        return self.folder / str(self._serial(node_id))

    def _prepare_for_head(self) -> None:
        """Clear away what a head that is gone has left, and see that the new one can listen."""
        make_cluster_folder(self.folder)
        with self._file.locked() as locked:
            locked.write(locked.table.with_ended(set(locked.table.machines)))
        self._clear_away()
        address = self.options.address_of(HEAD_NUMBER)
        for name in PORTS:
            port = getattr(self.options, name)
            refusal = why_refused(address, port)
            if refusal is not None:
                raise ClusterError(
                    f"provider.{name}={port} {refusal} on {address}: name another in the cluster file, "
                    "or another provider.network"
                )
        make_access(self.folder, self.options)
        cli_logger.print("To reach the cluster from a shell:")
        cli_logger.print("  . {}", str(self.folder / TO_SOURCE))

    def _make(self, locked: LockedTable, is_head: bool, tags: dict[str, str]) -> Machine:
        number = HEAD_NUMBER if is_head else locked.table.free_number()
        if number is None:
            raise ClusterError(f"no address is left in {self.options.network}.0: lower max_workers")
        ports = dict(zip(OWN_PORTS, free_ports(self.options.address_of(number), len(OWN_PORTS)), strict=True))
        table, machine = locked.table.with_new(number, tags, ports, _myself())
        locked.write(table)
        make_machine_folder(self.folder, machine)
        return machine

    def _is_lost(self, machine: Machine, raylets: set[str]) -> bool:
        home = str(machine_folder(self.folder, machine))
        if home == os.environ.get(MACHINE_VARIABLE):
            return False  # it runs this
        installer = machine.installer
        return is_lost(machine, Life(home in raylets, process_lives(installer.pid, installer.started)))

    def _clear_away(self) -> None:
        """End the processes of the machines that have ended. A lost one's folder stays: its logs say why."""
        with self._sweeping:
            ended = sorted(self._file.read().ended(), key=lambda machine: not machine.is_head)
            if not ended:
                return
            gone = set()
            for machine in ended:
                home = machine_folder(self.folder, machine)
                if not end_processes_of(str(home)):
                    gone.add(machine.serial)
                    if not machine.lost:
                        remove_folder(home)
            with self._file.locked() as locked:
                locked.write(locked.table.without(gone))

    def _find(self, table: MachineTable, node_id: str) -> Machine:
        machine = table.machines.get(self._serial(node_id))
        if machine is None or machine.ended:
            raise ClusterError(f"the machine {node_id} has ended")
        return machine

    def _id(self, machine: Machine) -> str:
        return f"{self.cluster_name}-{machine.serial}"

    def _serial(self, node_id: str) -> int:
        serial = node_id.removeprefix(f"{self.cluster_name}-")
        if not serial.isdecimal():
            raise ClusterError(f"{node_id!r} is no machine of {self.cluster_name!r}")
        return int(serial)


class _Host:
    """One machine of a provider."""

    def __init__(self, provider: LocalMachines, node_id: str) -> None:
        self._provider = provider
        self._node_id = node_id
        self.home = provider.home(node_id)

    def spawn(self, start: Callable[[Mapping[str, str]], subprocess.Popen[str]]) -> subprocess.Popen[str]:
        return self._provider.spawn(self._node_id, start)

    def power_off(self) -> None:
        self._provider.terminate_node(self._node_id)


def _myself() -> ProcessId:
    return ProcessId(os.getpid(), psutil.Process().create_time())


def _abort(error: object) -> NoReturn:
    """End Ray's command with one line, as Ray does."""
    raise click.ClickException(str(error)) from None
