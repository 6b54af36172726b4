"""What the root tells of its system: replicas, families, and what happened lately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybeam.actors import RegulationCounters
    from raybeam.autoscaler.history import Entry

    from .kernel.health import Health
    from .kernel.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to a replica or to the system.

    Attributes:
        at: Wall-clock time, seconds since the epoch.
        kind: `"up"`, `"down"`, `"health"`, `"placement"`, `"scale"`, `"scaling"` (what keeps it from working) or
            `"system"`.
        subject: The replica's name, the family or the system.
        text: What.
    """

    at: float
    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica as the root sees it; see `Beat` for the numbers.

    Attributes:
        draining: Whether it takes no new calls and ends when it has served those it has.
    """

    name: str
    machine: str
    health: Health
    depth: int
    served: int
    crashes: int
    stuck_s: float
    draining: bool = False


@dataclass(frozen=True, slots=True)
class FamilyStatus:
    """One family.

    Attributes:
        replicas: Those that are up.
        wanted: How many there should be: the number of the blueprint, or what it was scaled to.
        restarts: Replicas replaced since the start of the system.
        waits: Waiting times of all calls served, by replicas that live or lived.
        services: Times in the handlers, likewise.
        regulation: What their regulators have done, likewise; `None`: none is regulated.
        scaling: The latest decision about how many there should be; `None`: there was none.
    """

    replicas: tuple[ReplicaStatus, ...]
    wanted: int
    restarts: int
    waits: Histogram
    services: Histogram
    regulation: RegulationCounters | None = None
    scaling: Entry | None = None

    @property
    def depth(self) -> int:
        """Messages that wait in all replicas."""
        return sum(replica.depth for replica in self.replicas)


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """The whole system.

    Attributes:
        name: Of the system.
        failed: Why the system gave up, `None` while it runs.
        families: By name.
        occurrences: The latest, oldest first.
    """

    name: str
    failed: str | None
    families: dict[str, FamilyStatus]
    occurrences: tuple[Occurrence, ...] = field(repr=False, default=())
