"""The keeper of a replica: a light process in the root that stands for one Ray actor.

It creates the actor, watches it through a pending call and heartbeats, tells the directory, and ends when the
actor does. So the supervisor above it is an ordinary one: to restart the keeper is to restart the replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import ray
from ray.exceptions import ActorUnavailableError, RayError

from raybeam.actors import GenServer, Ok, Stop, process

from .kernel.health import Health, HealthLimits, Pulse, check, heard, not_asked
from .kernel.views import Member
from .names import ReplicaName
from .placement import living_machines
from .ray_errors import in_one_line
from .replica import Beat, End, create_replica

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ray.actor import ActorHandle

    from raybeam.actors.kernel.reason import ExitReason
    from raybeam.actors.kernel.server import Result

    from .blueprint import Blueprint


class Records(Protocol):
    """Where a keeper tells what it sees."""

    async def next_incarnation(self, family: str, index: int) -> int:
        """A number that no replica at this place had before."""
        ...

    def adoptable(self, family: str, index: int) -> tuple[ReplicaName, ActorHandle[Any]] | None:
        """A living replica at this place from before a restart of the root; taken at most once."""
        ...

    async def up(self, family: str, member: Member, *, adopted: bool) -> None:
        """The replica serves; `adopted`: it did before a restart of the root."""
        ...

    def down(self, name: ReplicaName, cause: str) -> None:
        """The replica is gone, or did not come up."""
        ...

    def health(self, name: ReplicaName, health: Health) -> None:
        """Its health changed."""
        ...

    def beat(self, name: ReplicaName, beat: Beat) -> None:
        """What it told at a heartbeat."""
        ...

    async def placement(self, family: str, index: int) -> object:
        """Ray's scheduling strategy for the replica at this place."""
        ...


@dataclass(frozen=True, slots=True)
class _Came:
    """The replica serves."""

    handle: ActorHandle[Any]
    machine: str
    adopted: bool


@dataclass(frozen=True, slots=True)
class _Failed:
    """The replica was lost or did not come up."""

    cause: str


@dataclass(frozen=True, slots=True)
class _Ended:
    """The service ended by itself, as it should."""


class Keeper(GenServer):
    """Keeps one replica."""

    async def init(self, blueprint: Blueprint, family: str, index: int, records: Records) -> Ok:
        """Remember what to keep; the replica is created afterwards, so replicas come up side by side."""
        process.trap_exit(True)
        limits = blueprint.health
        self.blueprint = blueprint
        self.family = family
        self.index = index
        self.records = records
        self.limits = HealthLimits(limits.beat_s, limits.unknown_after_s, limits.down_after_s)
        self.handle: ActorHandle[Any] | None = None
        self.name: ReplicaName | None = None
        self.creation: asyncio.Future[ActorHandle[Any]] | None = None
        self.came_up = False
        self.machine = ""
        self.told_down = False
        self.tasks: set[asyncio.Task[None]] = set()
        return Ok(continue_with="start")

    async def handle_continue(self, term: object) -> Result:
        """Adopt a living replica or create one."""
        adopted = self.records.adoptable(self.family, self.index)
        if adopted is not None:
            self.name, self.handle = adopted
            self._spawn(self._adopt(self.handle))
            return None
        incarnation = await self.records.next_incarnation(self.family, self.index)
        self.name = ReplicaName(self.blueprint.name, self.family, self.index, incarnation)
        self._spawn(self._bring_up(self.name))
        return None

    async def handle_info(self, message: object) -> Result:
        """The replica came up or ended."""
        assert self.name is not None
        if isinstance(message, _Came):
            self.came_up = True
            self.machine = message.machine
            member = Member(str(self.name), self.index, self.name.incarnation, Health.UP, message.machine)
            await self.records.up(self.family, member, adopted=message.adopted)
            self._spawn(self._hold_lifeline(message.handle))
            self._spawn(self._heartbeats(message.handle))
            return None
        if isinstance(message, _Failed):
            self._tell_down(message.cause)
            return Stop(await self._reason(message.cause))
        if isinstance(message, _Ended):
            self._tell_down("ended")
            return Stop("normal")
        return await super().handle_info(message)

    async def terminate(self, reason: ExitReason) -> None:
        """End the replica: in order if asked to, at once if it is lost; nothing of it may stay behind."""
        for task in self.tasks:
            task.cancel()
        if self.handle is None and self.creation is not None:
            with contextlib.suppress(RayError, ValueError):  # then there is nothing to end
                self.handle = await self.creation
        if reason in ("shutdown", "normal") and self.handle is not None and self.came_up:
            shutdown_s = self.blueprint.families[self.family].shutdown_s
            try:
                async with asyncio.timeout(shutdown_s):
                    await self.handle.stop.remote()
            except (TimeoutError, RayError):
                self.runtime.report(f"{self.name} did not end in order within {shutdown_s} s: killed")
            self._tell_down("stopped")
        if self.handle is not None:
            await asyncio.to_thread(ray.kill, self.handle)

    # -- watching, in tasks beside the process -----------------------------------------------------

    def _spawn(self, watching: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(watching)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _tell(self, message: object) -> None:
        cell = self.runtime.cell(self.pid)
        if cell is not None:
            cell.deliver(message)

    async def _bring_up(self, name: ReplicaName) -> None:
        timeout_s = self.blueprint.families[self.family].start_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                placement = await self.records.placement(self.family, self.index)
                self.creation = asyncio.ensure_future(create_replica(name, self.blueprint, placement))
                self.handle = await asyncio.shield(self.creation)  # cancelled, the actor would come all the same
                starting = asyncio.ensure_future(self._renew_while_starting(self.handle))
                try:
                    machine = await self.handle.start.remote()
                finally:
                    starting.cancel()
        except TimeoutError:
            self._tell(_Failed(f"did not come up within {timeout_s} s"))
        except (RayError, ValueError) as error:
            self._tell(_Failed(in_one_line(error)))
        else:
            self._tell(_Came(self.handle, machine, adopted=False))

    async def _renew_while_starting(self, handle: ActorHandle[Any]) -> None:
        """A service may take longer to start than a lease lasts."""
        while True:
            with contextlib.suppress(RayError):
                await handle.renew.remote()
            await asyncio.sleep(self.limits.beat_s)

    async def _adopt(self, handle: ActorHandle[Any]) -> None:
        try:
            async with asyncio.timeout(self.limits.down_after_s):
                machine = await handle.machine.remote()
        except (TimeoutError, RayError) as error:
            self._tell(_Failed(in_one_line(error)))
        else:
            came = _Came(handle, machine, adopted=True)
            self._tell(came if machine else _Failed("was not up when the root restarted"))

    async def _hold_lifeline(self, handle: ActorHandle[Any]) -> None:
        while True:
            try:
                end: End | None = await handle.lifeline.remote()
            except ActorUnavailableError:
                await asyncio.sleep(self.limits.beat_s)
            except RayError as error:
                self._tell(_Failed(in_one_line(error)))
                return
            else:
                if end is not None:
                    self._tell(_Ended() if end.orderly else _Failed(f"its service ended: {end.reason}"))
                    return

    async def _heartbeats(self, handle: ActorHandle[Any]) -> None:
        assert self.name is not None
        pulse = Pulse(time.monotonic())
        due = time.monotonic()
        while True:
            began = time.monotonic()
            pulse = not_asked(pulse, began - due)
            try:
                async with asyncio.timeout(self.limits.unknown_after_s):
                    beat: Beat = await handle.beat.remote()
            except TimeoutError:
                now = time.monotonic()
                pulse = not_asked(pulse, now - began - self.limits.unknown_after_s)
                judged = check(pulse, self.limits, now)
            except RayError:
                judged = check(pulse, self.limits, time.monotonic())
            else:
                self.records.beat(self.name, beat)
                judged = heard(pulse, time.monotonic())
            if judged.health is Health.DOWN:
                self._tell(_Failed(f"silent for {self.limits.down_after_s} s"))
                return
            if judged.health is not pulse.health:
                self.records.health(self.name, judged.health)
            pulse = judged
            due = max(began + self.limits.beat_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _reason(self, cause: str) -> ExitReason:
        """Why the replica is lost; replicas lost with one machine share a reason, and count as one restart."""
        if self.machine and self.machine not in await asyncio.to_thread(living_machines):
            return ("noconnection", self.machine)
        return ("replica_lost", cause)

    def _tell_down(self, cause: str) -> None:
        if not self.told_down and self.name is not None:
            self.told_down = True
            self.records.down(self.name, cause)
