"""What happens in a system, as its root writes it down: replicas that come and go, and what else is worth telling."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from raybeam.actors.runtime import log

from .host import HostError
from .kernel.views import Member, member_down, member_health, member_up
from .root_scaling import RootScaling
from .scaling import kept_apart
from .status import Occurrence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybeam.actors import Pid

    from .blueprint import Blueprint
    from .host import ReplicaHandle, RootHost
    from .kernel.health import Health
    from .names import ReplicaName
    from .replica import Beat
    from .replica_records import ReplicaRecords
    from .root_directory import RootDirectory

EVENTS_KEPT = 1000


class RootRecords:
    """See `raybeam.cluster.records.Records`.

    Args:
        blueprint: Of the system.
        host: The world that it runs in.
        replicas: What the replicas have told.

    Attributes:
        directory: The directory, once it is there.
        scaling: Keeps as many replicas as are wanted.
        occurrences: What happened lately, oldest first.
        counts: How often something of a kind happened.
    """

    directory: RootDirectory

    def __init__(self, blueprint: Blueprint, host: RootHost, replicas: ReplicaRecords) -> None:
        self._blueprint = blueprint
        self._host = host
        self._replicas = replicas
        self.occurrences: list[Occurrence] = []
        self.counts: Counter[str] = Counter()
        self.scaling = RootScaling(blueprint, host, self, replicas, self.occurred)
        self._came_up: set[tuple[str, int]] = set()
        self._adoptable: dict[tuple[str, int], tuple[ReplicaName, ReplicaHandle]] = {}

    def occurred(self, kind: str, subject: str, text: str) -> None:
        """Write down that something happened, see `Occurrence`."""
        self.counts[kind] += 1
        self.occurrences.append(Occurrence(self._host.wall_clock(), kind, subject, text))
        del self.occurrences[:-EVENTS_KEPT]
        log.info("%s %s: %s", kind, subject, text)

    def found(self, living: Sequence[tuple[ReplicaName, ReplicaHandle]]) -> dict[str, list[Member]]:
        """Take in the replicas that a former process of this root left; the members that they are, by family."""
        rosters = self.scaling.rosters
        if self._host.restarted:
            self._came_up = {(name, place) for name, roster in rosters.items() for place in roster.places}
        for name, handle in living:
            if name.family not in rosters or name.place not in rosters[name.family].places:
                continue  # nobody asks for its beats: it ends by its lease
            key = (name.family, name.place)
            known = self._adoptable.get(key)
            if known is None or known[0].incarnation < name.incarnation:  # an older one ends by its lease
                self._adoptable[key] = (name, handle)
        members: dict[str, list[Member]] = {name: [] for name in rosters}
        for name, _ in self._adoptable.values():
            leaving = self.scaling.is_leaving(name.family, name.place)
            members[name.family].append(Member(str(name), name.place, name.incarnation, draining=leaving))
        return members

    def adoptable(self, family: str, index: int) -> tuple[ReplicaName, ReplicaHandle] | None:
        """See `Records`."""
        return self._adoptable.pop((family, index), None)

    async def up(self, family: str, member: Member, *, adopted: bool) -> None:
        """See `Records`."""
        place = (family, member.index)
        if not adopted and place in self._came_up:
            self._replicas.restarts[family] += 1
        self._came_up.add(place)
        member = replace(member, draining=self.scaling.is_leaving(*place))
        self.directory.install(member_up(self.directory.table, family, member))
        self.occurred("up", member.name, f"serves on machine {member.machine[:8]}")
        spec = self._blueprint.families[family]
        if spec.spread == "pack":
            return
        with contextlib.suppress(HostError):
            there = len(await self._host.living_machines())
            machines = [other.machine for other in self.directory.table.view(family).members]
            # One that is still to come may be the one on another machine.
            if len(machines) >= self.scaling.wanted(family) and doubled_up(machines, there, kept_apart(spec)):
                self.occurred("placement", family, "replicas share a machine although there are others")

    def down(self, name: ReplicaName, cause: str) -> None:
        """See `Records`."""
        self.directory.install(member_down(self.directory.table, name.family, str(name)))
        self._replicas.gone(name)
        self.occurred("down", str(name), cause)

    def health(self, name: ReplicaName, health: Health) -> None:
        """See `Records`."""
        self.directory.install(member_health(self.directory.table, name.family, str(name), health))
        self.occurred("health", str(name), health.value)

    def beat(self, name: ReplicaName, beat: Beat) -> None:
        """See `Records`."""
        before = self._replicas.heard(name, beat, self._host.now())
        self.scaling.beat(name, beat)
        if beat.stack is not None and (before is None or before.stack is None):
            self.occurred("health", str(name), f"stuck for {beat.stuck_s:.1f} s at\n{beat.stack}")

    def keeps(self, family: str, index: int, keeper: Pid) -> None:
        """See `Records`."""
        self.scaling.keeps(family, index, keeper)

    def starting(self, name: ReplicaName, machine: str = "") -> None:
        """See `Records`."""
        self.scaling.starts(name, machine)

    def waits(self, name: ReplicaName) -> None:
        """See `Records`."""
        if str(name) not in self.scaling.waiting:
            self.scaling.waiting.add(str(name))
            self.occurred("placement", str(name), "waits for room on a machine")

    def is_leaving(self, family: str, index: int) -> bool:
        """See `Records`."""
        return self.scaling.is_leaving(family, index)

    def gone(self, family: str, index: int) -> None:
        """See `Records`."""
        self.scaling.gone(family, index)

    def forget(self, family: str, index: int) -> None:
        """See `Records`."""
        self._came_up.discard((family, index))

    def adoptable_places(self) -> set[tuple[str, int]]:
        """Places with a replica from before a restart of the root that nobody has adopted yet."""
        return set(self._adoptable)


def doubled_up(machines: list[str], machines_there: int, apart: int) -> bool:
    """Whether replicas share a machine though there are machines enough to keep them apart.

    Args:
        machines: Of the replicas.
        machines_there: How many machines there are.
        apart: How many replicas should be kept apart; any others may share.

    >>> doubled_up(["a", "a"], 3, 2), doubled_up(["a", "b"], 3, 2), doubled_up(["a", "b", "a"], 2, 3)
    (True, False, False)
    >>> doubled_up(["a", "b", "b"], 3, 2)
    False
    """
    return len(set(machines)) < min(len(machines), machines_there, apart)
