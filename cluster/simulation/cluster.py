"""A whole system in one OS process: machines, a root, replicas and drivers, each a simulated process of its own."""

from __future__ import annotations

import contextvars
from random import Random
from typing import TYPE_CHECKING, TypeVar

from raybeam.actors import GenServer, UsageError
from raybeam.actors.reference import reference

from .. import peers
from ..client import Client
from ..family_channel import FamilyChannel
from ..names import SERVICE, root_name
from ..replica import Replica
from ..root import Root
from ..telemetry.options import TelemetryOptions
from .loop import OsProcess, SimulationLoop
from .network import Network
from .recorder import RecordedChannel, Recorder, recorded
from .world import Actor, Machine, Registry, SimulatedDirectory, SimulatedReplicaHost, SimulatedRootHost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine

    from raybeam.actors.kernel.reason import ExitReason

    from ..blueprint import Blueprint
    from ..kernel.views import View
    from ..names import ReplicaName

G = TypeVar("G", bound=GenServer)
R = TypeVar("R")
MACHINE_LOSS_NOTICED_S = (1.0, 3.0)
DEATH_REGISTERED_S = 0.02


class Driver:
    """A simulated driver: a process of its own with a client of the system.

    Attributes:
        name: Of its process.
        index: Which driver it is, from 0; one that comes after a crash has the same.
        random: Randomness for the workload.
        client: Its client.
    """

    def __init__(self, cluster: SimulatedCluster, process: OsProcess, index: int, seed: int) -> None:
        self.name = process.name
        self.index = index
        self.process = process
        self.random = Random(seed)  # noqa: S311 (a workload, not secrets)
        self._cluster = cluster
        directory = SimulatedDirectory(cluster, process)
        self.client = Client(cluster.blueprint, directory, _refuse, self.random.getrandbits(64))
        cluster._watch_views(self.client, self.name)
        self.client.open()

    def ref(self, service: type[G], family: str | None = None) -> G:
        """A typed reference to a family, as `System.ref` gives; what goes over it is written into the history."""
        return self._cluster._recorded_reference(self.client, self.name, service, family)


class SimulatedCluster:
    """Machines and one system on them, under virtual time. Make it inside a `SimulationLoop`.

    Args:
        loop: The loop.
        seed: Seeds everything that is drawn.
        blueprint: Of the system. It must not end with its drivers: there is no lease between them and the root.
        machines: How many there are besides those of the drivers.
        drivers: How many there are, each on a machine of its own.

    Attributes:
        network: Between all processes.
        recorder: Writes the history.
        machines: By name: `m0`, `m1`, ...; those of drivers are `d0`, `d1`, ...
        registry: What the world remembers.
        drivers: Those that live, by index.
        processes: All that ever were.
    """

    def __init__(self, loop: SimulationLoop, seed: int, blueprint: Blueprint, machines: int, drivers: int) -> None:
        self.loop = loop
        self.random = Random(seed)  # noqa: S311 (faults, not secrets)
        self.network = Network(loop, Random(self.random.getrandbits(64)))  # noqa: S311 (the same)
        self.recorder = Recorder(loop)
        loop.recorder = self.recorder
        watched = {
            name: family.model_copy(update={"service": recorded(family.service_class())})
            for name, family in blueprint.families.items()
        }
        silent = TelemetryOptions(metrics=False, spans=False)  # its threads would be none of the simulation
        self.blueprint = blueprint.model_copy(update={"families": watched, "telemetry": silent})
        self.machines = {f"m{number}": Machine(f"m{number}") for number in range(machines)}
        self.driver_machines = tuple(f"d{number}" for number in range(drivers))
        self.registry = Registry()
        self.drivers: dict[int, Driver] = {}
        self.processes: list[OsProcess] = []
        self.started_drivers = 0

    # -- processes ---------------------------------------------------------------------------------

    def process(self, name: str, machine: str) -> OsProcess:
        """A new process."""
        made = OsProcess(name, machine)
        self.processes.append(made)
        return made

    def task(self, process: OsProcess, running: Coroutine[object, object, R]) -> asyncio.Task[R]:
        """Run a coroutine in a process. Whoever waits for it from another breaks the simulation."""
        return self.loop.within(process, lambda: self.loop.create_task(running, context=contextvars.Context()))

    def kill(self, process: OsProcess, noticed_s: float | None = None) -> None:
        """End a process at once (SIGKILL); others learn of it after a moment, or after `noticed_s`."""
        if not process.alive:
            return
        self.loop.kill(process)
        self.recorder.history.ended[process.name] = self.loop.time()
        self.network.died(process, noticed_s)
        registered_s = DEATH_REGISTERED_S if noticed_s is None else noticed_s
        self.loop.at(self.loop.outside, registered_s, self.registry.actors.pop, process.name, None)

    def kill_later(self, process: OsProcess, delay_s: float) -> None:
        """The same after a while."""
        self.loop.at(self.loop.outside, delay_s, self.kill, process)

    # -- root --------------------------------------------------------------------------------------

    def start_root(self, *, restarted: bool) -> None:
        """Start a root on a machine that lives; tried again while there is none."""
        if self.registry.root is not None:
            return
        living = [machine.name for machine in self.machines.values() if machine.alive]
        if not living:
            self.loop.at(self.loop.outside, 0.2, lambda: self.start_root(restarted=restarted))
            return
        process = self.process(root_name(self.blueprint.name), self.network.random.choice(living))
        host = SimulatedRootHost(self, process, restarted=restarted)
        root = self.loop.within(process, lambda: Root(self.blueprint, attached=False, host=host))
        self.registry.root = (process, root)
        self.recorder.event("root", f"starts on {process.machine}")
        self.task(process, root.described())

    def kill_root(self) -> OsProcess | None:
        """Kill the root's process, if there is one."""
        found, self.registry.root = self.registry.root, None
        if found is None:
            return None
        self.kill(found[0])
        return found[0]

    def scale(self, family: str, replicas: int) -> None:
        """Ask the root, if there is one, to let a family have so many replicas."""
        if self.registry.root is not None:
            process, root = self.registry.root
            self.task(process, root.scale(family, replicas))

    # -- replicas ----------------------------------------------------------------------------------

    def place(self, family: str) -> str:
        """The machine, of those thought alive, with the fewest replicas of the family, then of all."""
        there = [actor for actor in self.registry.actors.values() if actor.process.alive]
        thought = [machine.name for machine in self.machines.values() if machine.seen_alive] or list(self.machines)

        def burden(machine: str) -> tuple[int, int, str]:
            here = [actor for actor in there if actor.process.machine == machine]
            return sum(actor.name.family == family for actor in here), len(here), machine

        return min(thought, key=burden)

    def create_replica(self, name: ReplicaName, machine: str) -> Actor:
        """Create a replica's process."""
        process = self.process(str(name), machine)
        actor = Actor(name, process)
        self.recorder.history.replicas.append(str(name))
        if not self.machines[machine].alive:
            self.loop.kill(process)
            return actor
        host = SimulatedReplicaHost(self, process, self.random.getrandbits(64))
        actor.replica = self.loop.within(process, lambda: _SimulatedReplica(self, str(name), host))
        self.registry.actors[str(name)] = actor
        return actor

    def replicas(self) -> dict[str, Replica]:
        """The replicas that live, by name."""
        actors = self.registry.actors.items()
        return {name: actor.replica for name, actor in actors if actor.process.alive and actor.replica is not None}

    def actor_at(self, family: str, index: int) -> Actor | None:
        """The newest replica that lives at a place."""
        found = [
            actor
            for actor in self.registry.actors.values()
            if (actor.name.family, actor.name.place) == (family, index) and actor.process.alive
        ]
        return max(found, key=lambda actor: actor.name.incarnation) if found else None

    def crash_service(self, actor: Actor, reason: ExitReason) -> None:
        """Crash the service's process of a replica."""
        replica = actor.replica
        assert replica is not None
        runtime = replica._runtime
        pid = runtime.whereis(SERVICE) if runtime.processes() else None
        if pid is not None:
            self.loop.within(actor.process, lambda: runtime.exit(None, pid, reason))

    # -- drivers -----------------------------------------------------------------------------------

    def start_driver(self, index: int, main: Callable[[Driver], Awaitable[None]]) -> None:
        """Start a driver that runs `main`."""
        self.started_drivers += 1
        process = self.process(f"driver{index}.{self.started_drivers}", self.driver_machines[index])
        seed = self.random.getrandbits(64)
        driver = self.loop.within(process, lambda: Driver(self, process, index, seed))
        self.drivers[index] = driver

        async def run() -> None:
            await main(driver)

        self.task(process, run())

    # -- inside ------------------------------------------------------------------------------------

    def _recorded_reference(self, client: Client, caller: str, service: type[G], family: str | None) -> G:
        name = client.family_of(service, family)
        family_spec = self.blueprint.families[name]
        served = family_spec.service_class()
        regulated = family_spec.regulation or served.regulation
        out_of_turn = frozenset(known for known, method in served.interface.items() if regulated or method.concurrent)
        channel = RecordedChannel(FamilyChannel(client, name), self.recorder, caller, name, out_of_turn)
        return reference(service, channel)

    def _watch_views(self, client: Client, name: str) -> None:
        install = client._install

        def installed(view: View) -> None:
            install(view)
            self.recorder.installed(name, view.family, view.epoch)

        client._install = installed  # type: ignore[method-assign]  # the client is watched


class _SimulatedReplica(Replica):
    """A replica whose calls to other families are written into the history too."""

    def __init__(self, cluster: SimulatedCluster, name: str, host: SimulatedReplicaHost) -> None:
        super().__init__(name, cluster.blueprint, host)
        self._cluster = cluster

    async def start(self) -> str:
        """See `Replica`."""
        cluster, name = self._cluster, self._runtime.name
        machine = await super().start()
        client = peers.client_of(self._runtime)
        cluster._watch_views(client, name)

        def ref(service: type[G], family: str | None = None) -> G:
            return cluster._recorded_reference(client, name, service, family)

        client.ref = ref  # type: ignore[method-assign]  # what goes over it is written down
        return machine


def _refuse(coroutine: Coroutine[object, object, object]) -> object:
    coroutine.close()
    raise UsageError("a simulation has one thread: use async handlers, and await instead of .sync()")
