"""The world of a system on Ray: actors, placement groups, counters in the GCS; see `raybeam.cluster.host`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from .gcs_notes import forget, keep, kept, next_generation, next_incarnation
from .host import HostError, Room, Unavailable
from .lease import Lease
from .machine_spec import machines_of
from .names import NAMESPACE, ReplicaName, root_name
from .placement import (
    ensure_group,
    ensure_own_group,
    is_shared,
    placed_on,
    remove_group,
    remove_groups,
)
from .ray_directory import RayDirectory
from .ray_errors import in_one_line
from .ray_machines import living_machines, reading, request
from .turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ray.actor import ActorHandle

    from raybeam.autoscaler.fleet import MachinesReading

    from .blueprint import Blueprint
    from .host import Directory, ReplicaHandle
    from .replica import Beat, End

P = ParamSpec("P")
R = TypeVar("R")
STACK_FRAMES = 5


class RayReplica:
    """A replica's actor; see `raybeam.cluster.host.ReplicaHandle`."""

    def __init__(self, actor: ActorHandle[Any]) -> None:
        self._actor = actor

    async def start(self) -> str:
        """See `ReplicaHandle`."""
        return await _told(self._actor.start.remote())

    async def stop(self) -> None:
        """See `ReplicaHandle`."""
        await _told(self._actor.stop.remote())

    async def renew(self) -> None:
        """See `ReplicaHandle`."""
        await _told(self._actor.renew.remote())

    async def beat(self) -> Beat:
        """See `ReplicaHandle`."""
        return await _told(self._actor.beat.remote())

    async def lifeline(self) -> End | None:
        """See `ReplicaHandle`."""
        return await _told(self._actor.lifeline.remote())

    async def machine(self) -> str:
        """See `ReplicaHandle`."""
        return await _told(self._actor.machine.remote())

    async def kill(self) -> None:
        """See `ReplicaHandle`."""
        await asyncio.to_thread(ray.kill, self._actor)


class RayRootHost:
    """The world of a root; made in its actor. See `raybeam.cluster.host.RootHost`."""

    def __init__(
        self, blueprint: Blueprint, create: Callable[[ReplicaName, Blueprint, object], ActorHandle[Any]]
    ) -> None:
        self._blueprint = blueprint
        self._system = blueprint.name
        self._create = create
        self.directory: Directory = RayDirectory(self._system)
        self.seed: int | None = None
        self._placing = Turns()  # each knows where those before went, and none makes a group that is given back already
        self.restarted = ray.get_runtime_context().was_current_actor_reconstructed

    def now(self) -> float:
        """See `RootHost`."""
        return time.monotonic()

    def wall_clock(self) -> float:
        """See `RootHost`."""
        return time.time()

    async def next_incarnation(self, family: str, index: int) -> int:
        """See `RootHost`."""
        return await asyncio.to_thread(next_incarnation, self._system, family, index)

    async def next_generation(self, least: int) -> int:
        """See `RootHost`."""
        return await asyncio.to_thread(next_generation, self._system, least)

    async def remember(self, name: str, data: bytes) -> None:
        """See `RootHost`."""
        await _done(keep, self._system, name, data)

    async def recall(self, name: str) -> bytes | None:
        """See `RootHost`."""
        return await _done(kept, self._system, name)

    async def forget(self) -> None:
        """See `RootHost`."""
        await asyncio.to_thread(forget, self._system)

    async def prepare(self, families: Sequence[str]) -> None:
        """Make the placement groups of families that do not scale."""
        for name in families:
            if self._blueprint.families[name].scaling is None:
                await asyncio.to_thread(ensure_group, self._system, name, self._blueprint.families[name])

    async def room(self, family: str, index: int) -> Room | None:
        """A bundle of a placement group, once it is placed on a machine that lives."""
        return await self._placing.take(lambda: _done(self._room, family, index))

    async def free(self, family: str, index: int) -> None:
        """Remove the replica's own placement group, if it has one."""
        if not is_shared(self._blueprint.families[family], index):
            await self._placing.take(lambda: _done(remove_group, self._system, family, index))

    async def remove_placements(self) -> None:
        """See `RootHost`."""
        await self._placing.take(lambda: asyncio.to_thread(remove_groups, self._system))

    async def find(self) -> Sequence[tuple[ReplicaName, ReplicaHandle]]:
        """See `RootHost`."""
        return await asyncio.to_thread(self._find)

    async def create(self, name: ReplicaName, blueprint: Blueprint, room: Room) -> ReplicaHandle:
        """See `RootHost`."""
        return RayReplica(await _done(self._create, name, blueprint, room.claim))

    async def living_machines(self) -> Sequence[str]:
        """See `RootHost`."""
        return await _done(living_machines)

    async def machines(self) -> MachinesReading:
        """See `RootHost`."""
        return await _done(reading)

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        """See `RootHost`."""
        await _done(request, self._system, shape, machines_of(self._blueprint), self.wall_clock())

    def end(self) -> None:
        """End this actor for good; `ray.kill` works whatever calls are pending."""
        ray.kill(ray.get_runtime_context().current_actor)

    def _room(self, family: str, index: int) -> Room | None:
        spec = self._blueprint.families[family]
        if is_shared(spec, index):
            group, bundle = ensure_group(self._system, family, spec), index
        else:
            group, bundle = ensure_own_group(self._system, family, index, spec), 0
        machine = placed_on(group, bundle)
        if machine is None:
            return None
        return Room(machine, PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=bundle))

    def _find(self) -> list[tuple[ReplicaName, ReplicaHandle]]:
        pattern = re.compile(re.escape(self._system) + r"/[^/]+/\d+#\d+")
        found: list[tuple[ReplicaName, ReplicaHandle]] = []
        for entry in ray.util.list_named_actors(all_namespaces=True):
            if entry["namespace"] != NAMESPACE or not pattern.fullmatch(entry["name"]):
                continue
            replica = ReplicaName.parse(entry["name"])
            with contextlib.suppress(ValueError):
                found.append((replica, RayReplica(ray.get_actor(str(replica), NAMESPACE))))
        return found


class RayReplicaHost:
    """The world of a replica; made in its actor. See `raybeam.cluster.host.ReplicaHost`."""

    seed: int | None = None

    def __init__(self, name: ReplicaName) -> None:
        self._name = name
        self._loop_thread = 0
        self.directory: Directory = RayDirectory(name.system)

    @property
    def machine(self) -> str:
        """Ray's id of the machine."""
        return str(ray.get_runtime_context().get_node_id())

    def now(self) -> float:
        """See `ReplicaHost`."""
        return time.monotonic()

    def lease(self, timeout_s: float, on_expiry: Callable[[], None]) -> Lease:
        """See `ReplicaHost`."""
        return Lease(timeout_s, on_expiry)

    def runs_here(self) -> None:
        """The calling thread runs the event loop of the replica."""
        self._loop_thread = threading.get_ident()

    def stack(self) -> str | None:
        """See `ReplicaHost`."""
        frame = sys._current_frames().get(self._loop_thread)
        return None if frame is None else "".join(traceback.format_stack(frame)[-STACK_FRAMES:])

    def end_orphan(self) -> None:
        """Nobody has asked for a beat for too long: leave nothing behind.

        While there is a root it was only forgotten, and the placement groups are its siblings'. Without one all
        replicas of the system are orphans, and nobody else gives back the room that waits for its machine.
        """
        try:
            if not root_is_there(self._name.system):
                remove_groups(self._name.system)
        finally:
            os._exit(1)


def root_is_there(system: str) -> bool:
    """Whether Ray knows a root of that system, if only one that is being restarted. Blocks on Ray."""
    try:
        ray.get_actor(root_name(system), NAMESPACE)
    except ValueError:
        return False
    return True


async def _done(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run something that blocks on Ray, its failures in the words of `raybeam.cluster.host`."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except (RayError, ValueError) as error:
        raise HostError(in_one_line(error)) from error


async def _told(asked: Awaitable[R]) -> R:
    """The answer of an actor, its failures in the words of `raybeam.cluster.host`."""
    try:
        return await asked
    except ActorUnavailableError as error:
        raise Unavailable(in_one_line(error)) from error
    except RayError as error:
        raise HostError(in_one_line(error)) from error
