"""The system of a root as the autoscaler's controller sees it; see `raybeam.autoscaler.fleet`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raybeam.actors import UsageError
from raybeam.autoscaler.fleet import FamilyReading, MachinesReading, ReplicaReading

from .scaling import check_scale, slots_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .blueprint import Blueprint
    from .host import RootHost
    from .kernel.views import Table
    from .replica_records import ReplicaRecords
    from .root_directory import RootDirectory
    from .root_scaling import RootScaling

NOTE: Final = "controller"
MOST_REMEMBERED: Final = 1_000_000


class RootFleet:
    """See `raybeam.autoscaler.fleet.Fleet`.

    Args:
        blueprint: Of the system.
        host: The world that it runs in.
        scaling: Of its families.
        replicas: What the replicas have told.
        directory: Of the system.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        host: RootHost,
        scaling: RootScaling,
        replicas: ReplicaRecords,
        directory: RootDirectory,
    ) -> None:
        self._blueprint = blueprint
        self._host = host
        self._scaling = scaling
        self._replicas = replicas
        self._directory = directory
        self._remembered = False
        families = blueprint.families.items()
        self._slots = {name: slots_of(family) for name, family in families if family.scaling is not None}

    def now(self) -> float:
        """See `Fleet`."""
        return self._host.now()

    def wall_clock(self) -> float:
        """Seconds since the epoch."""
        return self._host.wall_clock()

    def read(self) -> Mapping[str, FamilyReading]:
        """See `Fleet`."""
        table = self._directory.table
        return {
            name: FamilyReading(self._scaling.wanted(name), slots, self._read(name, table))
            for name, slots in self._slots.items()
        }

    async def machines(self) -> MachinesReading:
        """See `Fleet`."""
        return await self._host.machines()

    async def scale(self, family: str, replicas: int, reason: str) -> None:
        """See `Fleet`."""
        check_scale(self._blueprint, family, replicas)
        await self._scaling.scale(family, replicas, reason)

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        """See `Fleet`."""
        await self._host.request_machines(shape)

    async def recall(self) -> bytes | None:
        """See `Fleet`. A new system begins without memory, if one of its name has left some."""
        return await self._host.recall(NOTE) if self._host.restarted or self._remembered else None

    async def remember(self, data: bytes) -> None:
        """See `Fleet`.

        Raises:
            UsageError: It is longer than `MOST_REMEMBERED` bytes.
        """
        if len(data) > MOST_REMEMBERED:
            raise UsageError(f"{len(data):,} bytes to remember: the cluster's store is for {MOST_REMEMBERED:,} at most")
        await self._host.remember(NOTE, data)
        self._remembered = True

    def _read(self, family: str, table: Table) -> tuple[ReplicaReading, ...]:
        members = {member.index: member for member in table.view(family).members}
        readings = []
        for place in self._scaling.rosters[family].places:
            member = members.get(place)
            draining = self._scaling.is_leaving(family, place)
            if member is None:
                name, machine = self._scaling.starting.get((family, place), ("", ""))
                if name:
                    readings.append(ReplicaReading(name, machine, draining=draining))
                continue
            beat = self._replicas.beats.get(member.name)
            if beat is None:
                readings.append(ReplicaReading(member.name, member.machine, ready=True, draining=draining))
                continue
            readings.append(
                ReplicaReading(
                    member.name,
                    member.machine,
                    ready=True,
                    draining=draining,
                    heard_s=self._replicas.heard_at[member.name],
                    waiting=beat.load.waiting,
                    in_flight=beat.load.in_flight,
                    arrivals=beat.arrivals,
                    completions=beat.served,
                    service_total_s=beat.load.service_total_s,
                    service_square_s2=beat.load.service_square_s2,
                    oldest_wait_s=beat.load.oldest_wait_s,
                )
            )
        return tuple(readings)
