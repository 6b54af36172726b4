"""The client of a system in one event loop: follows the directory, keeps the lanes, finds a replica for each call."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from raybeam.actors import GenServer, Overloaded, RaybeamError
from raybeam.actors.kernel.once import CallNumbers
from raybeam.actors.reference import reference
from raybeam.actors.runtime import log

from .breakers import BreakerSwitch, breakers_of
from .family_channel import FamilyChannel
from .family_lookup import family_that_runs
from .family_state import FamilyState
from .kernel.health import Health
from .kernel.routing import Router, router
from .kernel.views import Member, Table, View, newer
from .lane import NO_EPOCH, Lane
from .telemetry.client_telemetry import ClientTelemetry
from .telemetry.telemetry import NO_TELEMETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from .blueprint import Blueprint
    from .lane import Link
    from .telemetry.telemetry import Telemetry

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
        breakers: The breakers of families that have one. Default: those of the blueprint, for this client alone.
        telemetry: Where its calls are counted and traced. Default: nowhere.

    Attributes:
        observed: Where its calls are counted and traced.
        shunned: Replicas that have said that they are overloaded, and until when they want not to be asked.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        source: DirectorySource,
        run: Callable[[Coroutine[object, object, object]], object],
        seed: int | None = None,
        on_table: Callable[[Table], None] = lambda table: None,
        breakers: Mapping[str, BreakerSwitch] | None = None,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self.random = random.Random(seed)  # noqa: S311 (spreading load, not secrets)
        self.shunned: dict[str, float] = {}
        self.breakers = breakers_of(blueprint) if breakers is None else breakers
        self._states: dict[str, FamilyState] = {}
        self._numbers: dict[str, CallNumbers] = {}
        self._on_table = on_table
        self.blueprint = blueprint
        self.run = run
        self._source = source
        self._views: dict[str, View] = {}
        self._routers: dict[str, Router] = {}
        self._lanes: dict[str, Lane] = {}
        self._opening: dict[str, asyncio.Task[Lane]] = {}
        self._changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._over: RaybeamError | None = None
        self.observed = ClientTelemetry(telemetry, blueprint, self._lanes, self.breakers)

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
        """The name of the family that runs a service; see `family_that_runs`."""
        return family_that_runs(service, self.blueprint.families, family)

    async def lane(self, family: str, key: object, until: float, avoid: str | None = None) -> Lane:
        """A lane to the replica of the family for a key, waiting for one while there is none.

        Args:
            family: Which.
            key: What the method says where the call belongs; `None`: anywhere.
            until: Loop time until which to wait.
            avoid: A replica that has the call already.

        Raises:
            TimeoutError: There was none until then.
            Overloaded: Those that there are have said that they are overloaded, and want to be left alone for a while.
            RaybeamError: Why the client has ended.
        """
        while True:
            if self._over is not None:
                raise self._over
            router = self._routers.get(family)
            chosen = None if router is None else router.choose(key, self, avoid)
            if isinstance(chosen, str):
                lane = self._lanes.get(chosen)
                if lane is None:
                    async with asyncio.timeout_at(until):
                        lane = await self._open_lane(chosen)
                if lane is None:
                    continue  # it is suspected now, so another is chosen
                return lane
            if chosen is not None:
                raise Overloaded(retry_after_s=max(0.001, chosen.until - self.now()))
            self._changed.clear()
            async with asyncio.timeout_at(until):
                await self._changed.wait()

    def open_lane(self, family: str, key: object) -> Lane | None:
        """The lane to the replica for a key if it is open already, which it mostly is; else `None`, see `lane`."""
        router = self._routers.get(family)
        if router is None or self._over is not None:
            return None
        chosen = router.choose(key, self)
        return self._lanes.get(chosen) if isinstance(chosen, str) else None

    async def lane_to(self, name: str, until: float) -> Lane | None:
        """A lane to one replica; `None` when it is not there any more.

        Raises:
            TimeoutError: Nobody could say until then.
            RaybeamError: Why the client has ended.
        """
        while self.has(name):
            if self._over is not None:
                raise self._over
            lane = self._lanes.get(name)
            if lane is None:
                async with asyncio.timeout_at(until):
                    lane = await self._open_lane(name)
            if lane is not None:
                return lane
        return None

    def has(self, name: str | None) -> bool:
        """Whether a replica of that name is there, as far as this client knows."""
        return any(member.name == name for view in self._views.values() for member in view.members)

    async def members(self, family: str, until: float) -> tuple[Member, ...]:
        """The replicas of a family that calls may be sent to, waiting for the first while there is none.

        Raises:
            TimeoutError: There was none until then (loop time).
            RaybeamError: Why the client has ended.
        """
        while True:
            if self._over is not None:
                raise self._over
            if alive := self._alive(family):
                return alive
            self._changed.clear()
            async with asyncio.timeout_at(until):
                await self._changed.wait()

    def replicas(self, family: str) -> int:
        """How many replicas of a family calls may be sent to."""
        return len(self._alive(family))

    def _alive(self, family: str) -> tuple[Member, ...]:
        view = self._views.get(family)
        if view is None:
            return ()
        return tuple(member for member in view.members if member.health is not Health.DOWN and not member.draining)

    def state(self, family: str) -> FamilyState:
        """What this client remembers of its calls to a family."""
        state = self._states.get(family)
        if state is None:
            state = self._states[family] = FamilyState(self.breakers.get(family))
        return state

    def numbers(self, name: str) -> CallNumbers:
        """The numbers of the calls that one replica must do once."""
        numbers = self._numbers.get(name)
        if numbers is None:
            numbers = self._numbers[name] = CallNumbers(self._unique_name())
        return numbers

    def shun(self, name: str, seconds: float) -> None:
        """A replica wants not to be asked for so long."""
        now = self.now()
        self.shunned = {other: until for other, until in self.shunned.items() if until > now}
        self.shunned[name] = now + seconds
        asyncio.get_running_loop().call_later(seconds, self._unshun, name)

    def now(self) -> float:
        """The time of the loop."""
        return asyncio.get_running_loop().time()

    def _unique_name(self) -> str:
        return f"{self.random.getrandbits(128):032x}"

    def _unshun(self, name: str) -> None:
        if self.shunned.get(name, 0.0) <= self.now():
            self.shunned.pop(name, None)

    def depth(self, name: str) -> int:
        """How much waits at a replica, as far as this client knows; old news counts for nothing."""
        lane = self._lanes.get(name)
        if lane is None:
            return 0
        fresh = self.now() - lane.heard_at < DEPTH_HOLDS_S
        return lane.outstanding + (lane.depth if fresh else 0)

    async def _open_lane(self, name: str) -> Lane | None:
        task = self._opening.get(name)
        if task is None:
            task = self._opening[name] = asyncio.get_running_loop().create_task(self._connect(name))
            task.add_done_callback(lambda opened: self._opened(name, opened))
        try:
            return await asyncio.shield(task)
        except LookupError:
            self._suspect(name)
        except Exception as error:  # noqa: BLE001 (Ray's head may be away: the deadline of the call decides)
            log.info("%s cannot be looked up: %s", name, error)
            await asyncio.sleep(LOOK_UP_AGAIN_S)
        return None

    def _opened(self, name: str, task: asyncio.Task[Lane]) -> None:
        self._opening.pop(name, None)
        if not task.cancelled():
            task.exception()  # taken: those that waited for it may have given up

    async def _connect(self, name: str) -> Lane:
        link = await self._source.link(name)
        family = next((view.family for view in self._views.values() if _has(view, name)), "")
        lane = Lane(
            link,
            name,
            on_end=lambda dead: self._lane_ended(lane, dead),
            epoch=lambda: self._epoch(family),
            on_view=self._corrected,
            lane_id=self._unique_name(),
            traffic=self.observed.traffic(family),
        )
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

    def _lane_ended(self, lane: Lane, dead: bool) -> None:
        if self._lanes.get(lane.name) is lane:  # a retired one may have a successor already
            del self._lanes[lane.name]
        if dead:
            self._suspect(lane.name)

    def _epoch(self, family: str) -> int:
        view = self._views.get(family)
        return NO_EPOCH if view is None else view.epoch

    def _corrected(self, view: View) -> None:
        """A replica knows a newer view of its family than this client."""
        if view.family in self._views and newer(self._views[view.family], view) is view:
            self._install(view)
            self._drop_lanes()
            self._changed.set()

    def _suspect(self, name: str) -> None:
        """A member turned out to be dead: do without it before the directory says so."""
        for view in list(self._views.values()):
            if _has(view, name):
                members = tuple(member for member in view.members if member.name != name)
                self._install(replace(view, members=members))

    def _install(self, view: View) -> None:
        self._views[view.family] = view
        family = self.blueprint.families.get(view.family)
        if family is not None:
            self._routers[view.family] = router(family.pattern, view, family.bounded_load)

    def _drop_lanes(self) -> None:
        """Retire the lanes to replicas that are gone, and those that nobody has used for long."""
        members = {member.name for view in self._views.values() for member in view.members}
        idle_since = self.now() - IDLE_LANE_S
        for name, lane in list(self._lanes.items()):
            if name not in members or (lane.used_at < idle_since and not lane.outstanding):
                del self._lanes[name]
                self._retire(lane)
        for name in [name for name in self._numbers if name not in members]:
            del self._numbers[name]

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
            self._drop_lanes()
            self._changed.set()


def _has(view: View, name: str) -> bool:
    return any(member.name == name for member in view.members)
