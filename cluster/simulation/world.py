"""The simulated world of a system: what `raybeam.cluster.host` asks for, without Ray."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from raybeam.autoscaler.fleet import MachinesReading

from .. import envelope
from ..host import HostError, Room, Unavailable
from ..lane import LinkDown, LinkLost
from ..names import RootName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ..blueprint import Blueprint
    from ..host import Directory, ReplicaHandle
    from ..kernel.views import Table
    from ..large import Exchanged
    from ..names import ReplicaName
    from ..replica import Beat, End, Replica
    from ..root import Root
    from .cluster import SimulatedCluster
    from .loop import OsProcess

R = TypeVar("R")
ASKS_WORLD_S = (0.001, 0.01)
CREATES_S = (0.01, 0.1)
KILLS_S = (0.001, 0.02)
ROOT_MISSED_S = 0.05
MACHINE_CPUS = 4.0
EPOCH_S = 1_700_000_000.0


@dataclass
class Machine:
    """A simulated machine.

    Attributes:
        name: Its id.
        alive: Whether it runs.
        seen_alive: Whether the world knows that it does: a loss is noticed late.
    """

    name: str
    alive: bool = True
    seen_alive: bool = True


@dataclass
class Actor:
    """What a replica is in the simulated world: a process with a `Replica` in it."""

    name: ReplicaName
    process: OsProcess
    replica: Replica | None = None


@dataclass
class Registry:
    """What the world remembers, as Ray's GCS does; it outlives every process.

    Attributes:
        actors: Replicas by name, until their death is noticed.
        incarnations: The last number given, by place.
        generation: The last number given to a root.
        kept: What roots have kept, by name.
        requested: The bundles that machines were asked for last.
        root: The root and its process, while it lives.
    """

    actors: dict[str, Actor] = field(default_factory=dict)
    incarnations: dict[tuple[str, int], int] = field(default_factory=dict)
    generation: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)
    requested: tuple[Mapping[str, float], ...] = ()
    root: tuple[OsProcess, Root] | None = None

    def next_incarnation(self, family: str, index: int) -> int:
        """A number that was not given for this place before."""
        number = self.incarnations[family, index] = self.incarnations.get((family, index), 0) + 1
        return number

    def next_generation(self, least: int) -> int:
        """A number above all that were given to roots."""
        self.generation = max(least, self.generation + 1)
        return self.generation


class SimulatedHandle:
    """See `raybeam.cluster.host.ReplicaHandle`."""

    def __init__(self, cluster: SimulatedCluster, holder: OsProcess, actor: Actor) -> None:
        self._cluster = cluster
        self._holder = holder
        self._actor = actor

    async def start(self) -> str:
        """See `ReplicaHandle`."""
        return await self._ask(self._replica().start)

    async def stop(self) -> None:
        """See `ReplicaHandle`."""
        await self._ask(self._replica().stop)

    async def renew(self) -> None:
        """See `ReplicaHandle`."""
        await self._ask(self._replica().renew)

    async def beat(self) -> Beat:
        """See `ReplicaHandle`."""
        return await self._ask(self._replica().beat)

    async def lifeline(self) -> End | None:
        """See `ReplicaHandle`."""
        return await self._ask(self._replica().lifeline)

    async def machine(self) -> str:
        """See `ReplicaHandle`."""
        return await self._ask(self._replica().machine)

    async def kill(self) -> None:
        """See `ReplicaHandle`."""
        self._cluster.kill_later(self._actor.process, self._cluster.network.drawn(KILLS_S))

    def _replica(self) -> Replica:
        if self._actor.replica is None:
            raise HostError(f"{self._actor.name} could not be created: {self._actor.process.machine} is lost")
        return self._actor.replica

    async def _ask(self, method: Callable[[], Awaitable[R]]) -> R:
        try:
            return await self._cluster.network.request(self._holder, self._actor.process, method)
        except LinkLost as error:
            raise Unavailable(str(error)) from None
        except LinkDown as error:
            raise HostError(str(error)) from None
        except Exception as error:
            raise HostError(f"{type(error).__name__}: {error}") from error


class SimulatedRootHost:
    """See `raybeam.cluster.host.RootHost`."""

    def __init__(self, cluster: SimulatedCluster, process: OsProcess, *, restarted: bool) -> None:
        self._cluster = cluster
        self._process = process
        self.restarted = restarted
        self.directory: Directory = SimulatedDirectory(cluster, process)
        self.seed: int | None = cluster.random.getrandbits(64)

    def now(self) -> float:
        """See `RootHost`."""
        return self._cluster.loop.time()

    def wall_clock(self) -> float:
        """See `RootHost`."""
        return EPOCH_S + self._cluster.loop.time()

    async def next_incarnation(self, family: str, index: int) -> int:
        """See `RootHost`."""
        await self._ask_world()
        return self._cluster.registry.next_incarnation(family, index)

    async def next_generation(self, least: int) -> int:
        """See `RootHost`."""
        await self._ask_world()
        return self._cluster.registry.next_generation(least)

    async def remember(self, name: str, data: bytes) -> None:
        """See `RootHost`."""
        await self._ask_world()
        self._cluster.registry.kept[name] = data

    async def recall(self, name: str) -> bytes | None:
        """See `RootHost`."""
        await self._ask_world()
        return self._cluster.registry.kept.get(name)

    async def forget(self) -> None:
        """See `RootHost`."""

    async def prepare(self, families: Sequence[str]) -> None:
        """See `RootHost`."""
        await self._ask_world()

    async def room(self, family: str, index: int) -> Room | None:
        """The machine with the fewest replicas of the family, then of all."""
        await self._ask_world()
        return Room(self._cluster.place(family))

    async def free(self, family: str, index: int) -> None:
        """See `RootHost`."""
        await self._ask_world()

    async def remove_placements(self) -> None:
        """See `RootHost`."""

    async def find(self) -> Sequence[tuple[ReplicaName, ReplicaHandle]]:
        """See `RootHost`."""
        await self._ask_world()
        return [
            (actor.name, SimulatedHandle(self._cluster, self._process, actor))
            for actor in self._cluster.registry.actors.values()
        ]

    async def create(self, name: ReplicaName, blueprint: Blueprint, room: Room) -> ReplicaHandle:
        """See `RootHost`."""
        await asyncio.sleep(self._cluster.network.drawn(CREATES_S))
        actor = self._cluster.create_replica(name, room.machine)
        return SimulatedHandle(self._cluster, self._process, actor)

    async def living_machines(self) -> Sequence[str]:
        """See `RootHost`."""
        await self._ask_world()
        return [machine.name for machine in self._cluster.machines.values() if machine.seen_alive]

    async def machines(self) -> MachinesReading:
        """See `RootHost`."""
        return MachinesReading({name: {"CPU": MACHINE_CPUS} for name in await self.living_machines()})

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        """Written down: no machine comes of it."""
        await self._ask_world()
        self._cluster.registry.requested = tuple(shape)

    def end(self) -> None:
        """See `RootHost`."""
        self._cluster.kill(self._process)

    async def _ask_world(self) -> None:
        await asyncio.sleep(self._cluster.network.drawn(ASKS_WORLD_S))


class SimulatedLease:
    """See `raybeam.cluster.host.Lease`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float, on_expiry: Callable[[], None]) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._on_expiry = on_expiry
        self._renewed_at = loop.time()
        self._arm()

    def renew(self) -> None:
        """See `Lease`."""
        self._renewed_at = self._loop.time()

    def _arm(self) -> None:
        self._loop.call_at(self._renewed_at + self._timeout_s, self._check)

    def _check(self) -> None:
        if self._loop.time() >= self._renewed_at + self._timeout_s:
            self._on_expiry()
        else:
            self._arm()


class SimulatedReplicaHost:
    """See `raybeam.cluster.host.ReplicaHost`."""

    def __init__(self, cluster: SimulatedCluster, process: OsProcess, seed: int) -> None:
        self._cluster = cluster
        self._process = process
        self.seed: int | None = seed
        self.directory: Directory = SimulatedDirectory(cluster, process)

    @property
    def machine(self) -> str:
        """See `ReplicaHost`."""
        return self._process.machine

    def now(self) -> float:
        """See `ReplicaHost`."""
        return self._cluster.loop.time()

    def lease(self, timeout_s: float, on_expiry: Callable[[], None]) -> SimulatedLease:
        """See `ReplicaHost`."""
        return SimulatedLease(self._cluster.loop, timeout_s, on_expiry)

    def stack(self) -> str | None:
        """See `ReplicaHost`."""
        return "simulated"

    def end_orphan(self) -> None:
        """See `ReplicaHost`."""
        self._cluster.recorder.event("orphan", f"{self._process.name} ends itself")
        self._cluster.kill(self._process)


class SimulatedDirectory:
    """See `raybeam.cluster.host.Directory`."""

    def __init__(self, cluster: SimulatedCluster, process: OsProcess) -> None:
        self._cluster = cluster
        self._process = process

    async def watch(self, version: int) -> Table:
        """See `DirectorySource`."""
        found = self._cluster.registry.root
        if found is None:
            await asyncio.sleep(ROOT_MISSED_S)
            raise LinkLost("the root is being restarted")
        process, root = found
        return await self._cluster.network.request(self._process, process, lambda: root.watch(version))

    async def link(self, name: str) -> SimulatedLink | SimulatedRootLink:
        """See `PeerSource`."""
        await asyncio.sleep(self._cluster.network.drawn(ASKS_WORLD_S))
        root = RootName.parse(name)
        if root is not None:
            return SimulatedRootLink(self._cluster, self._process, root.generation)
        actor = self._cluster.registry.actors.get(name)
        if actor is None or actor.replica is None:
            raise LookupError(f"no replica is named {name!r}")
        return SimulatedLink(self._cluster, self._process, actor, actor.replica)


class SimulatedLink:
    """See `raybeam.cluster.mesh.PeerLink`."""

    def __init__(self, cluster: SimulatedCluster, process: OsProcess, actor: Actor, replica: Replica) -> None:
        self._cluster = cluster
        self._process = process
        self._actor = actor
        self._replica = replica
        self._sent = 0

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """See `Link`."""
        self._note_sent(data)
        replica = self._replica
        return await self._cluster.network.request(
            self._process, self._actor.process, lambda: replica.exchange(data, *large), repeatable=True
        )

    async def ended(self) -> None:
        """See `PeerLink`."""
        while True:
            try:
                ended = await self._cluster.network.request(self._process, self._actor.process, self._replica.lifeline)
            except LinkLost:
                await asyncio.sleep(ROOT_MISSED_S)
            else:
                if ended is not None:
                    return

    def _note_sent(self, data: bytes) -> None:
        """Write down which invocations this batch sends for the first time."""
        lane, batch, rows, _, _ = envelope.load_batch(data)
        last = batch.first + len(rows) - 1
        if last <= self._sent:
            return
        sent = self._cluster.recorder.history.sent
        for seq in range(max(self._sent + 1, batch.first), last + 1):
            row: Any = rows[seq - batch.first]
            if row[0] in (envelope.CALL, envelope.CAST):
                number = getattr(envelope.load_request(row[2]).method, "number", None)
                if number is not None and not self._cluster.recorder.closed:
                    sent.append((lane, seq, number))
        self._sent = last


class SimulatedRootLink:
    """A link to one process of the root; see `raybeam.cluster.mesh.PeerLink`."""

    def __init__(self, cluster: SimulatedCluster, process: OsProcess, generation: int) -> None:
        self._cluster = cluster
        self._process = process
        self._generation = generation

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """See `Link`."""
        reply = await self._ask(lambda root: root.exchange(self._generation, data, *large), repeatable=True)
        if reply is None:
            raise LinkDown("the root was restarted")
        return reply

    async def ended(self) -> None:
        """See `PeerLink`."""
        while True:
            try:
                if await self._ask(lambda root: root.lifeline(self._generation)):
                    raise LinkDown("the root was restarted")
            except LinkLost:
                await asyncio.sleep(ROOT_MISSED_S)

    async def _ask(self, method: Callable[[Root], Awaitable[R]], *, repeatable: bool = False) -> R:
        found = self._cluster.registry.root
        if found is None:
            await asyncio.sleep(ROOT_MISSED_S)
            raise LinkLost("the root is being restarted")
        process, root = found
        try:
            return await self._cluster.network.request(
                self._process, process, lambda: method(root), repeatable=repeatable
            )
        except LinkDown as error:  # another process of the root will come: who was meant, it will say
            raise LinkLost(str(error)) from None
