"""The client of a system in one event loop: follows the directory, keeps the lanes, finds a replica for each call."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Protocol, TypeVar

from raybeam.actors import (
    AtLeastOnce,
    BlueprintError,
    CallTimeout,
    Disconnected,
    GenServer,
    Interrupted,
    NoProcess,
    RaybeamError,
)
from raybeam.actors.interface import Delivery, Invoke, reference
from raybeam.actors.runtime import log

from . import envelope
from .kernel.routing import two_choices
from .kernel.views import Table, View, newer
from .lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .blueprint import Blueprint
    from .lane import Link

SERVICE = "service"
LOOK_UP_AGAIN_S = 0.2
LAST_ANSWERS_S = 0.5
DEPTH_HOLDS_S = 1.0
IDLE_LANE_S = 300.0
"""After that long a lane is closed; replicas forget lanes not heard of for twice as long."""
G = TypeVar("G", bound=GenServer)
R = TypeVar("R")


class DirectoryGone(Exception):
    """There is no way to the directory any more: this process has left the cluster."""


class DirectorySource(Protocol):
    """Where views come from and how members are reached."""

    async def watch(self, version: int) -> Table:
        """The table, as soon as its version is above `version`.

        Raises:
            DirectoryGone: For good.
            Exception: The directory is out of reach at the moment.
        """
        ...

    async def link(self, name: str) -> Link:
        """A link to the member with that name.

        Raises:
            LookupError: There is no such member any more.
            Exception: It cannot be looked up at the moment.
        """
        ...


class Client:
    """Calls into a system from one event loop.

    Args:
        blueprint: Of the system.
        source: Of its directory.
        run: Runs a coroutine of this client from another thread.
        seed: Seeds the choice of replicas and the jitter. Default: from the OS.
        on_table: Gets each newer table of the directory. Default: nobody does.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        source: DirectorySource,
        run: Callable[[Coroutine[object, object, object]], object],
        seed: int | None = None,
        on_table: Callable[[Table], None] = lambda table: None,
    ) -> None:
        self._on_table = on_table
        self.blueprint = blueprint
        self.random = random.Random(seed)  # noqa: S311 (spreading load, not secrets)
        self.run = run
        self._source = source
        self._views: dict[str, View] = {}
        self._serving: dict[str, tuple[str, ...]] = {}
        self._lanes: dict[str, Lane] = {}
        self._opening: dict[str, asyncio.Task[Lane]] = {}
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._over: RaybeamError | None = None

    def open(self) -> None:
        """Begin to follow the directory."""
        if self._over is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def end(self, why: RaybeamError) -> None:
        """Let calls that wait for a replica, and all later ones, fail with `why`."""
        self._over = why
        self._changed.set()

    async def close(self, why: RaybeamError) -> None:
        """Stop following and close the lanes; see `end`."""
        self.end(why)
        tasks: list[asyncio.Task[object]] = [*self._opening.values(), *self._retiring]
        if self._watching is not None:
            tasks.append(self._watching)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        lanes = list(self._lanes.values())
        self._lanes.clear()
        for lane in lanes:
            await lane.close()

    def ref(self, service: type[G], family: str | None = None) -> G:
        """A typed reference to a family.

        Raises:
            BlueprintError: No family, or more than one, runs the service, or it does not run `family`.
        """
        return reference(service, FamilyChannel(self, self.family_of(service, family)))

    def family_of(self, service: type[GenServer], family: str | None = None) -> str:
        """The name of the family that runs a service."""
        families = self.blueprint.families
        if family is not None:
            if family not in families:
                raise BlueprintError(f"there is no family {family!r}; there are: {', '.join(families)}")
            return family
        wanted = (service.__module__, service.__qualname__)
        found = [
            name
            for name, candidate in families.items()
            if (candidate.service_class().__module__, candidate.service_class().__qualname__) == wanted
        ]
        if len(found) != 1:
            which = f"several families ({', '.join(found)}) run" if found else "no family runs"
            raise BlueprintError(
                f"{which} {service.__qualname__}: name the family, ref({service.__qualname__}, 'name')"
            )
        return found[0]

    async def lane(self, family: str, until: float) -> Lane:
        """A lane to a replica of the family, waiting for one while there is none.

        Raises:
            TimeoutError: There was none until then (loop time).
            RaybeamError: Why the client has ended.
        """
        while True:
            if self._over is not None:
                raise self._over
            view = self._views.get(family)
            chosen = None if view is None else two_choices(self._serving[family], self._depth, self.random)
            if chosen is not None:
                lane = self._lanes.get(chosen)
                if lane is None:
                    async with asyncio.timeout_at(until):
                        lane = await self._open_lane(chosen)
                if lane is None:
                    continue  # it is suspected now, so another is chosen
                return lane
            self._changed.clear()
            async with asyncio.timeout_at(until):
                await self._changed.wait()

    def _depth(self, name: str) -> int:
        """How much waits at a member, as far as this client knows; old news counts for nothing."""
        lane = self._lanes.get(name)
        if lane is None:
            return 0
        fresh = asyncio.get_running_loop().time() - lane.heard_at < DEPTH_HOLDS_S
        return lane.outstanding + (lane.depth if fresh else 0)

    async def _open_lane(self, name: str) -> Lane | None:
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.get_running_loop().create_task(self._connect(name))
            task.add_done_callback(lambda _: self._opening.pop(name, None))
        try:
            return await asyncio.shield(task)
        except LookupError:
            self._suspect(name)
        except Exception as error:  # noqa: BLE001 (Ray's head may be away: the deadline of the call decides)
            log.info("%s cannot be looked up: %s", name, error)
            await asyncio.sleep(LOOK_UP_AGAIN_S)
        return None

    async def _connect(self, name: str) -> Lane:
        link = await self._source.link(name)
        lane_id = f"{self.random.getrandbits(128):032x}"
        lane = Lane(link, name, lambda dead: self._lane_ended(name, dead), lane_id)
        self._lanes[name] = lane
        return lane

    def _retire(self, lane: Lane) -> None:
        """Close a lane; its last answers may be on their way when the directory says already that its member ends."""

        async def close() -> None:
            try:
                if lane.outstanding:
                    await asyncio.sleep(LAST_ANSWERS_S)
            finally:
                await lane.close()

        task = asyncio.get_running_loop().create_task(close())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _lane_ended(self, name: str, dead: bool) -> None:
        self._lanes.pop(name, None)
        if dead:
            self._suspect(name)

    def _suspect(self, name: str) -> None:
        """A member turned out to be dead: do without it before the directory says so."""
        for family, view in list(self._views.items()):
            if any(member.name == name for member in view.members):
                members = tuple(member for member in view.members if member.name != name)
                self._install(View(family, view.epoch, members))

    def _install(self, view: View) -> None:
        self._views[view.family] = view
        self._serving[view.family] = view.serving()

    async def _watch(self) -> None:
        version = 0
        while True:
            try:
                table = await self._source.watch(version)
            except DirectoryGone:
                return
            except Exception as error:  # noqa: BLE001 (the root restarts; views known so far go on to serve)
                log.info("the directory of %s is out of reach: %s", self.blueprint.name, error)
                await asyncio.sleep(LOOK_UP_AGAIN_S)
                continue
            version = table.version
            self._on_table(table)
            for family, view in table.views.items():
                self._install(newer(self._views.get(family), view))
            members = {member.name for view in self._views.values() for member in view.members}
            idle_since = asyncio.get_running_loop().time() - IDLE_LANE_S
            for name, lane in list(self._lanes.items()):
                if name not in members or (lane.used_at < idle_since and not lane.outstanding):
                    del self._lanes[name]
                    self._retire(lane)
            self._changed.set()


class FamilyChannel:
    """The channel of a reference to a family: routing, deadline, retry."""

    __slots__ = ("_client", "_family")

    def __init__(self, client: Client, family: str) -> None:
        self._client = client
        self._family = family

    def __repr__(self) -> str:
        return f"{self._client.blueprint.name}/{self._family}"

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Call a replica; again after an unknown outcome, if the method allows it.

        A call that is known not to have been done goes to another replica whatever the method allows. A call that
        the callee crashed of is never sent again: it would crash the next replica too.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + delivery.timeout_s
        described = (repr(self), request)
        payload = envelope.dump_request(request)
        attempt = 0
        while True:
            try:
                lane = await self._client.lane(self._family, until)
            except TimeoutError:
                raise CallTimeout(described) from None
            try:
                return await lane.call(SERVICE, payload, max(0.001, until - loop.time()), described)
            except NoProcess:
                pass  # known not to have been done
            except (Disconnected, Interrupted):
                if not isinstance(delivery.retry, AtLeastOnce):
                    raise
            attempt += 1
            policy = delivery.retry if isinstance(delivery.retry, AtLeastOnce) else AtLeastOnce()
            delay_s = policy.delay_s(attempt, self._client.random)
            if loop.time() + delay_s >= until:
                raise CallTimeout(described)
            await asyncio.sleep(delay_s)

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to a replica; returns when the cast is on its way."""
        loop = asyncio.get_running_loop()
        until = loop.time() + delivery.timeout_s
        payload = envelope.dump_request(request)
        described = (repr(self), request)
        while True:
            try:
                lane = await self._client.lane(self._family, until)
            except TimeoutError:
                raise CallTimeout(described) from None
            try:
                return await lane.cast(SERVICE, payload, max(0.001, until - loop.time()), described)
            except NoProcess:  # the lane has ended: another replica takes it
                await asyncio.sleep(LOOK_UP_AGAIN_S / 10)

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop."""
        return self._client.run(coroutine)  # type: ignore[return-value]  # what the coroutine gives
