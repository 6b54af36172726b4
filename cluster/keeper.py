"""The keeper of a replica: a light process in the root that stands for one replica, on Ray an actor.

It creates the replica, watches it through a pending call and heartbeats, tells the directory, and ends when the
replica does. So the supervisor above it is an ordinary one: to restart the keeper is to restart the replica.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybeam.actors import GenServer, Ok, Stop, process

from .host import HostError, Unavailable
from .kernel.health import Health, HealthLimits, Pulse, check, heard, not_asked
from .kernel.views import Member
from .names import ReplicaName

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from raybeam.actors.kernel.reason import ExitReason
    from raybeam.actors.kernel.server import Result

    from .blueprint import Blueprint
    from .host import ReplicaHandle, Room, RootHost
    from .records import Records

ROOM_AGAIN_S = (0.05, 1.0)


@dataclass(frozen=True, slots=True)
class _Came:
    """The replica serves."""

    handle: ReplicaHandle
    machine: str
    adopted: bool


@dataclass(frozen=True, slots=True)
class _Failed:
    """The replica was lost or did not come up."""

    cause: str


@dataclass(frozen=True, slots=True)
class _Ended:
    """The service ended by itself, as it should."""


@dataclass(frozen=True, slots=True)
class EndReplica:
    """Tells a keeper to end its replica, which has drained, and then to wait for its own end."""


class Keeper(GenServer):
    """Keeps one replica."""

    async def init(self, blueprint: Blueprint, family: str, index: int, records: Records, host: RootHost) -> Ok:
        """Remember what to keep; the replica is created afterwards, so replicas come up side by side."""
        process.trap_exit(True)
        limits = blueprint.health
        self.blueprint = blueprint
        self.family = family
        self.index = index
        self.records = records
        self.host = host
        self.limits = HealthLimits(limits.beat_s, limits.unknown_after_s, limits.down_after_s)
        self.handle: ReplicaHandle | None = None
        self.name: ReplicaName | None = None
        self.creation: asyncio.Future[ReplicaHandle] | None = None
        self.came_up = False
        self.machine = ""
        self.told_down = False
        self.tasks: set[asyncio.Task[None]] = set()
        records.keeps(family, index, self.pid)
        return Ok(continue_with="start")

    async def handle_continue(self, term: object) -> Result:
        """Adopt a living replica or create one."""
        adopted = self.records.adoptable(self.family, self.index)
        if adopted is not None:
            self.name, self.handle = adopted
            self._spawn(self._adopt(self.handle))
            return None
        incarnation = await self.host.next_incarnation(self.family, self.index)
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
        if isinstance(message, EndReplica):
            await self._end_in_order()
            return None
        if isinstance(message, _Failed | _Ended) and self.records.is_leaving(self.family, self.index):
            await self._lost_while_leaving("ended" if isinstance(message, _Ended) else message.cause)
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
            with contextlib.suppress(HostError):  # then there is nothing to end
                self.handle = await self.creation
        if reason in ("shutdown", "normal") and self.handle is not None and self.came_up:
            await self._stop_replica(self.handle)
        if self.handle is not None:
            await self.handle.kill()

    async def _stop_replica(self, handle: ReplicaHandle) -> None:
        shutdown_s = self.blueprint.families[self.family].shutdown_s
        try:
            async with asyncio.timeout(shutdown_s):
                await handle.stop()
        except (TimeoutError, HostError):
            self.runtime.report(f"{self.name} did not end in order within {shutdown_s} s: killed")
        self._tell_down("stopped")

    async def _end_in_order(self) -> None:
        """End a replica that has drained, here, where it keeps nobody waiting.

        A caller who has not heard of it yet is told for one more beat that nobody is here, and goes elsewhere.
        """
        handle, self.handle = self.handle, None
        if handle is None:
            return
        await self._stop_replica(handle)
        await asyncio.sleep(self.limits.beat_s)
        await self._let_go(handle)

    async def _lost_while_leaving(self, cause: str) -> None:
        handle, self.handle = self.handle, None
        if handle is not None:
            self._tell_down(cause)
            await self._let_go(handle)

    async def _let_go(self, handle: ReplicaHandle) -> None:
        for task in self.tasks:
            task.cancel()
        await handle.kill()
        self.records.gone(self.family, self.index)

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
            room = await self._room(name)
            async with asyncio.timeout(timeout_s):
                self.creation = asyncio.ensure_future(self.host.create(name, self.blueprint, room))
                self.handle = await asyncio.shield(self.creation)  # cancelled, it would come all the same
                starting = asyncio.ensure_future(self._renew_while_starting(self.handle))
                try:
                    machine = await self.handle.start()
                finally:
                    starting.cancel()
        except TimeoutError:
            self._tell(_Failed(f"did not come up within {timeout_s} s"))
        except HostError as error:
            self._tell(_Failed(str(error)))
        else:
            self._tell(_Came(self.handle, machine, adopted=False))

    async def _room(self, name: ReplicaName) -> Room:
        """Wait for room as long as it takes: machines may come."""
        self.records.starting(name)
        pause_s, longest_s = ROOM_AGAIN_S
        while True:
            room = await self.host.room(self.family, self.index)
            if room is not None:
                self.records.starting(name, room.machine)
                return room
            if pause_s == longest_s:
                self.records.waits(name)
            await asyncio.sleep(pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    async def _renew_while_starting(self, handle: ReplicaHandle) -> None:
        """A service may take longer to start than a lease lasts."""
        while True:
            with contextlib.suppress(HostError):
                await handle.renew()
            await asyncio.sleep(self.limits.beat_s)

    async def _adopt(self, handle: ReplicaHandle) -> None:
        try:
            async with asyncio.timeout(self.limits.down_after_s):
                machine = await handle.machine()
        except TimeoutError:
            self._tell(_Failed(f"did not answer within {self.limits.down_after_s} s after the root restarted"))
        except HostError as error:
            self._tell(_Failed(str(error)))
        else:
            came = _Came(handle, machine, adopted=True)
            self._tell(came if machine else _Failed("was not up when the root restarted"))

    async def _hold_lifeline(self, handle: ReplicaHandle) -> None:
        while True:
            try:
                end = await handle.lifeline()
            except Unavailable:
                await asyncio.sleep(self.limits.beat_s)
            except HostError as error:
                self._tell(_Failed(str(error)))
                return
            else:
                if end is not None:
                    self._tell(_Ended() if end.orderly else _Failed(f"its service ended: {end.reason}"))
                    return

    async def _heartbeats(self, handle: ReplicaHandle) -> None:
        assert self.name is not None
        pulse = Pulse(self.host.now())
        due = self.host.now()
        while True:
            began = self.host.now()
            pulse = not_asked(pulse, began - due)
            try:
                async with asyncio.timeout(self.limits.unknown_after_s):
                    beat = await handle.beat()
            except TimeoutError:
                now = self.host.now()
                pulse = not_asked(pulse, now - began - self.limits.unknown_after_s)
                judged = check(pulse, self.limits, now)
            except HostError:
                judged = check(pulse, self.limits, self.host.now())
            else:
                if self.told_down:
                    return  # the replica is gone; its actor outlives it for a while
                self.records.beat(self.name, beat)
                judged = heard(pulse, self.host.now())
            if judged.health is Health.DOWN:
                self._tell(_Failed(f"silent for {self.limits.down_after_s} s"))
                return
            if judged.health is not pulse.health:
                self.records.health(self.name, judged.health)
            pulse = judged
            due = max(began + self.limits.beat_s, self.host.now())
            await asyncio.sleep(due - self.host.now())

    async def _reason(self, cause: str) -> ExitReason:
        """Why the replica is lost; replicas lost with one machine share a reason, and count as one restart."""
        with contextlib.suppress(HostError):
            if self.machine and self.machine not in await self.host.living_machines():
                return ("noconnection", self.machine)
        return ("replica_lost", cause)

    def _tell_down(self, cause: str) -> None:
        if not self.told_down and self.name is not None:
            self.told_down = True
            self.records.down(self.name, cause)
