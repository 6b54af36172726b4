"""What the controller needs of the system that it scales: readings, and the few things that it may do.

Whoever implements `Fleet` holds no decision: on Ray it is the root, in tests and on paper it is a simulated one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ReplicaReading:
    """What a replica told at its latest heartbeat. Its counters begin at 0 when it comes up.

    Attributes:
        name: `system/family/index#incarnation`, never used again.
        machine: The id of its machine; empty: it waits for one.
        ready: Whether it serves.
        draining: Whether it takes no new requests and is about to end.
        heard_s: When it told this, seconds on the fleet's clock; 0: never.
        waiting: Requests that wait in it.
        in_flight: Requests that it is serving.
        arrivals: Requests that came to it, those it refused included.
        completions: Requests that it served.
        service_total_s: Seconds of service of these.
        service_square_s2: Sum of the squares of these seconds.
        oldest_wait_s: How long the oldest request that waits has waited.
    """

    name: str
    machine: str = ""
    ready: bool = False
    draining: bool = False
    heard_s: float = 0.0
    waiting: int = 0
    in_flight: int = 0
    arrivals: int = 0
    completions: int = 0
    service_total_s: float = 0.0
    service_square_s2: float = 0.0
    oldest_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FamilyReading:
    """One family at one time.

    Attributes:
        wanted: How many replicas there should be, by the latest `Fleet.scale`.
        slots: Requests that one replica serves at once.
        replicas: Those that there are, those that are starting and those that drain included.
    """

    wanted: int
    slots: int = 1
    replicas: tuple[ReplicaReading, ...] = ()


@dataclass(frozen=True, slots=True)
class MachinesReading:
    """The machines of the cluster.

    Attributes:
        ready: Those that are up: their resources, by id.
        pending: How many are being started.
    """

    ready: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    pending: int = 0


class Fleet(Protocol):
    """A running system, as the controller sees it."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall_clock(self) -> float:
        """Seconds since the epoch."""
        ...

    def read(self) -> Mapping[str, FamilyReading]:
        """The latest readings of all families that scale; costs no message."""
        ...

    async def machines(self) -> MachinesReading:
        """The machines that there are and that come."""
        ...

    async def scale(self, family: str, replicas: int, reason: str) -> None:
        """Let a family have so many replicas: starts some, or drains and ends some; returns before that is done.

        Args:
            family: Its name.
            replicas: How many.
            reason: Why, in words, for the record.
        """
        ...

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        """Ask for machines that hold all these bundles; a floor that holds until the next request. Empty: none."""
        ...

    async def recall(self) -> bytes | None:
        """What was remembered last, also by a former process of the root."""
        ...

    async def remember(self, data: bytes) -> None:
        """Keep this beyond the root's own process."""
        ...
