"""What the replicas of a system have told at their heartbeats, those that are gone included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kernel.histogram import Histogram
from .service_regulation import together
from .status import FamilyStatus, ReplicaStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybeam.actors import RegulationCounters
    from raybeam.autoscaler.history import Entry

    from .kernel.views import View
    from .names import ReplicaName
    from .replica import Beat


class ReplicaRecords:
    """The latest beat of each replica, and the sums over those that are gone.

    Args:
        families: Their names.

    Attributes:
        beats: The latest, by the name of the replica.
        heard_at: When it came.
        restarts: Replicas replaced since the start of the system, by family.
    """

    def __init__(self, families: Iterable[str]) -> None:
        names = list(families)
        self.beats: dict[str, Beat] = {}
        self.heard_at: dict[str, float] = {}
        self.restarts = dict.fromkeys(names, 0)
        self._waits: dict[str, Histogram] = {name: Histogram() for name in names}
        self._services: dict[str, Histogram] = {name: Histogram() for name in names}
        self._regulation: dict[str, RegulationCounters | None] = dict.fromkeys(names)

    def heard(self, name: ReplicaName, beat: Beat, now: float) -> Beat | None:
        """Keep a beat; the one before it."""
        before = self.beats.get(str(name))
        self.beats[str(name)] = beat
        self.heard_at[str(name)] = now
        return before

    def gone(self, name: ReplicaName) -> None:
        """A replica is gone: what it did counts on."""
        self.heard_at.pop(str(name), None)
        beat = self.beats.pop(str(name), None)
        if beat is None:
            return
        family = name.family
        self._waits[family].merge(beat.waits)
        self._services[family].merge(beat.services)
        if beat.regulation is not None:
            self._regulation[family] = together(self._regulation[family], beat.regulation.past())

    def status(self, view: View, wanted: int, scaling: Entry | None) -> FamilyStatus:
        """How a family stands.

        Args:
            view: Its view.
            wanted: How many replicas there should be.
            scaling: The latest decision about that, if there was one.
        """
        family = view.family
        waits, services = self._waits[family].copy(), self._services[family].copy()
        regulation = self._regulation[family]
        replicas = []
        for member in view.members:
            beat = self.beats.get(member.name)
            if beat is not None:
                waits.merge(beat.waits)
                services.merge(beat.services)
                regulation = together(regulation, beat.regulation)
            replicas.append(
                ReplicaStatus(
                    member.name,
                    member.machine,
                    member.health,
                    beat.depth if beat else 0,
                    beat.served if beat else 0,
                    beat.crashes if beat else 0,
                    beat.stuck_s if beat else 0.0,
                    member.draining,
                )
            )
        return FamilyStatus(tuple(replicas), wanted, self.restarts[family], waits, services, regulation, scaling)
