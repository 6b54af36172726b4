"""Scaling of families: the root starts and ends replicas until there are as many as are wanted.

One that is to go drains first: callers are told to send it nothing new, it serves what it has, and then it is ended in
order. Which places have a replica is remembered by the world, so that a restarted root goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
from typing import TYPE_CHECKING

from raybeam.actors import ChildSpec, RaybeamError, supervisor
from raybeam.actors.runtime import ambient_runtime, log
from raybeam.autoscaler import Candidate

from .host import HostError
from .keeper import EndReplica, Keeper
from .kernel.roster import Drain, Roster, drained, ended, ending, resized
from .kernel.views import member_draining, places_changed
from .scaling import drain_timeout_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine

    from raybeam.actors import Pid, Runtime

    from .blueprint import Blueprint
    from .host import RootHost
    from .names import ReplicaName
    from .records import Records
    from .replica import Beat
    from .replica_records import ReplicaRecords
    from .root_directory import RootDirectory

ROSTERS = "rosters"
ASK_AGAIN_S = 1.0
Place = tuple[str, int]


class RootScaling:
    """Keeps the roster of each family, and what there is in step with it.

    Args:
        blueprint: Of the system.
        host: The world that it runs in.
        records: Where keepers tell what they see.
        replicas: What the replicas have told.
        occurred: Is told what happens: kind, subject and text.

    Attributes:
        rosters: By family.
        starting: The replicas that started last: their names and their machines; empty: it waits for one.
        waiting: Names of those that have waited for one for some time.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        host: RootHost,
        records: Records,
        replicas: ReplicaRecords,
        occurred: Callable[[str, str, str], None],
    ) -> None:
        self._blueprint = blueprint
        self._host = host
        self._records = records
        self._replicas = replicas
        self._occurred = occurred
        self.rosters = {name: Roster(tuple(range(family.replicas))) for name, family in blueprint.families.items()}
        self.starting: dict[Place, tuple[str, str]] = {}
        self.waiting: set[str] = set()
        self._supervisors: dict[str, Pid] = {}
        self._children: dict[str, set[int]] = {}
        self._keepers: dict[Place, Pid] = {}
        self._drains: dict[Place, Drain] = {}
        self._timers: dict[Place, asyncio.TimerHandle] = {}
        self._removing: set[Place] = set()
        self._remembering = asyncio.Lock()
        self._context = contextvars.Context()  # of the root, whoever asks: a keeper ends while its place is cleared
        self._directory: RootDirectory
        self._runtime: Runtime
        self._tasks: set[asyncio.Task[None]] = set()

    async def recall(self) -> None:
        """Go on with the rosters of a former process of this root; a new system begins with its blueprint."""
        data = await self._host.recall(ROSTERS) if self._host.restarted else None
        if data is None:
            return
        for name, (kept, draining) in json.loads(data).items():
            if name in self.rosters:
                self.rosters[name] = Roster(tuple(kept), tuple(draining))

    def start(self, directory: RootDirectory, runtime: Runtime) -> None:
        """Begin, before the tree does."""
        self._directory = directory
        self._runtime = runtime
        self._context.run(ambient_runtime.set, runtime)

    def wanted(self, family: str) -> int:
        """How many replicas there should be."""
        return self.rosters[family].wanted

    def is_leaving(self, family: str, index: int) -> bool:
        """Whether the replica at a place drains or is being ended."""
        return index in self.rosters[family].leaving

    async def scale(self, family: str, replicas: int, reason: str) -> None:
        """Let a family have so many replicas; returns when it is on its way."""
        roster = self.rosters[family]
        if replicas == roster.wanted:
            return
        self.rosters[family] = resized(roster, replicas, self._candidates(family))
        self._occurred("scale", family, f"{roster.wanted} -> {replicas}: {reason}")
        await self._remember()
        await asyncio.shield(self._spawn(self._settle(family)))

    def close(self) -> None:
        """The system ends: nothing more is done."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    # -- what the tree and its keepers tell ----------------------------------------------------------

    def opened(self, family: str, pid: Pid, adoptable: Collection[Place]) -> tuple[int, ...]:
        """The supervisor of a family starts, perhaps again: the places that it begins with.

        What was draining has ended with a former one, unless it lives on from before a restart of the root.
        """
        roster = self.rosters[family]
        self._supervisors[family] = pid
        lives = tuple(place for place in roster.draining if (family, place) in adoptable)
        for place in roster.leaving:
            if place in lives:
                self._began(family, place)
            else:
                self.gone(family, place)
        children = (*roster.kept, *lives)
        self._children[family] = set(children)
        return children

    def child(self, family: str, index: int) -> ChildSpec:
        """The keeper for a place."""
        spec = self._blueprint.families[family]
        return ChildSpec(
            index,
            (Keeper, self._blueprint, family, index, self._records, self._host),
            restart=spec.restart,
            shutdown=spec.shutdown_s + 5.0,
        )

    def keeps(self, family: str, index: int, keeper: Pid) -> None:
        """A keeper has begun."""
        self._keepers[family, index] = keeper

    def starts(self, name: ReplicaName, machine: str) -> None:
        """A replica starts, on this machine; empty: it has none yet."""
        before, _ = self.starting.get((name.family, name.place), ("", ""))
        self.waiting -= {before, str(name)}
        self.starting[name.family, name.place] = (str(name), machine)

    def beat(self, name: ReplicaName, beat: Beat) -> None:
        """A replica has told how it is: one that drains may be done."""
        place = (name.family, name.place)
        if name.place not in self.rosters[name.family].draining or place not in self._drains:
            return
        self._drains[place], over = drained(self._drains[place], beat.load.left, beat.arrivals)
        if over:
            self._end(*place)

    def gone(self, family: str, index: int) -> None:
        """The replica at a place that was to go is gone: ended in order, or lost."""
        if not self.is_leaving(family, index):
            return
        self._ending(family, index)
        self._spawn(self._remove(family, index))

    # -- inside --------------------------------------------------------------------------------------

    def _candidates(self, family: str) -> list[Candidate]:
        members = {member.index: member for member in self._directory.table.view(family).members}
        found = []
        for place in self.rosters[family].kept:
            member = members.get(place)
            if member is None:
                found.append(
                    Candidate(str(place), self.starting.get((family, place), ("", ""))[1] or None, ready=False)
                )
            else:
                beat = self._replicas.beats.get(member.name)
                found.append(Candidate(str(place), member.machine, busy=0 if beat is None else beat.load.left))
        return found

    async def _settle(self, family: str) -> None:
        """Bring what there is in step with the roster."""
        directory = self._directory
        roster = self.rosters[family]
        table = places_changed(directory.table, family, roster.kept)
        up = {member.index for member in table.view(family).members}
        for place in roster.kept:
            self._drains.pop((family, place), None)
            self._call_off(family, place)
            table = member_draining(table, family, place, draining=False)
        for place in roster.draining:
            table = member_draining(table, family, place, draining=True)
        directory.install(table)
        directory.wake()
        for place in roster.draining:
            if place in up:
                self._began(family, place)
            else:
                self._end(family, place)
        for place in roster.kept:
            if place in self.rosters[family].kept and place not in self._children.get(family, ()):
                await self._start(family, place)

    async def _start(self, family: str, place: int) -> None:
        self._children[family].add(place)
        try:
            await supervisor.start_child(self._supervisors[family], self.child(family, place))
        except RaybeamError as error:  # the supervisor restarts: it begins with the roster
            log.info("%s/%s: %s", family, place, error)

    def _began(self, family: str, place: int) -> None:
        """A replica drains, for at most so long."""
        if (family, place) not in self._drains:
            self._drains[family, place] = Drain()
            self._timers[family, place] = asyncio.get_running_loop().call_later(
                drain_timeout_s(self._blueprint.families[family]), self._end, family, place
            )

    def _call_off(self, family: str, place: int) -> None:
        timer = self._timers.pop((family, place), None)
        if timer is not None:
            timer.cancel()

    def _ending(self, family: str, place: int) -> None:
        self._call_off(family, place)
        self._drains.pop((family, place), None)
        self.rosters[family] = ending(self.rosters[family], place)

    def _end(self, family: str, place: int) -> None:
        """End a replica that drains: in order if it serves, which its keeper does; at once if it does not yet."""
        if place not in self.rosters[family].draining:
            return  # it has been taken back
        self._ending(family, place)
        keeper = self._keepers.get((family, place))
        serves = any(member.index == place for member in self._directory.table.view(family).members)
        cell = None if keeper is None else self._runtime.cell(keeper)
        if serves and cell is not None:
            self._runtime.deliver(cell, EndReplica())
        else:
            self._spawn(self._remove(family, place))

    async def _remove(self, family: str, place: int) -> None:
        """Forget a place whose replica is gone, or ends by this."""
        if (family, place) in self._removing:
            return
        self._removing.add((family, place))
        pid = self._supervisors[family]
        for forget in (supervisor.terminate_child, supervisor.delete_child):
            with contextlib.suppress(RaybeamError):  # it has ended with its supervisor
                await forget(pid, place)
        self._children[family].discard(place)
        self._keepers.pop((family, place), None)
        name, _ = self.starting.pop((family, place), ("", ""))
        self.waiting.discard(name)
        self._records.forget(family, place)
        await self._at_last(lambda: self._host.free(family, place))
        self._removing.discard((family, place))
        self.rosters[family] = ended(self.rosters[family], place)
        await self._remember()
        self._directory.wake()

    async def _remember(self) -> None:
        async with self._remembering:
            told = {name: (roster.kept, roster.leaving) for name, roster in self.rosters.items()}
            await self._at_last(lambda: self._host.remember(ROSTERS, json.dumps(told).encode()))

    async def _at_last(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask the world until it has done as asked: Ray's head may be away for a while."""
        while True:
            try:
                await ask()
            except HostError as error:
                log.warning("%s: asked again in %.0f s", error, ASK_AGAIN_S)
                await asyncio.sleep(ASK_AGAIN_S)
            else:
                return

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
