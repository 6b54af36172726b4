"""The ports between a system and the world that it runs in: Ray (`ray_host`), or a simulated cluster (`simulation`).

Root, keepers and replicas hold the decisions; whoever implements these protocols holds none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .client import DirectorySource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raybeam.autoscaler.fleet import MachinesReading

    from .blueprint import Blueprint
    from .mesh import PeerLink
    from .names import ReplicaName
    from .replica import Beat, End


class HostError(Exception):
    """The world did not do as asked: the other end is dead, refused, or failed. The text says why, in one line."""


class Unavailable(HostError):
    """The other end cannot be reached at the moment: it may be alive, and what was asked may have been done."""


@dataclass(frozen=True, slots=True)
class Room:
    """Room for one replica.

    Attributes:
        machine: The id of the machine.
        claim: What the world calls it.
    """

    machine: str
    claim: object = None


class ReplicaHandle(Protocol):
    """A replica as its keeper holds it; see `raybeam.cluster.replica.Replica` for what each asks.

    All raise `Unavailable` when the outcome is unknown, `HostError` when the replica is dead or the call failed there.
    """

    async def start(self) -> str:
        """Bring the service up; the id of its machine."""
        ...

    async def stop(self) -> None:
        """End the service in order."""
        ...

    async def renew(self) -> None:
        """Renew its lease."""
        ...

    async def beat(self) -> Beat:
        """A sign of life."""
        ...

    async def lifeline(self) -> End | None:
        """Returns when its service has ended, or with `None` after a while."""
        ...

    async def machine(self) -> str:
        """The id of its machine, empty before its start."""
        ...

    async def kill(self) -> None:
        """End it at once, whatever it is doing. Nothing happens when it is dead."""
        ...


class Directory(DirectorySource, Protocol):
    """The directory as a replica or the root reaches it: views, and links that also tell of the other's end."""

    async def link(self, name: str) -> PeerLink:
        """A link to the replica, or to the process of the root, with that name.

        Raises:
            LookupError: There is no such process any more.
        """
        ...


class RootHost(Protocol):
    """What a root and its keepers need of the world.

    Attributes:
        directory: Of its system.
        seed: Seeds everything that the root draws; `None`: from the OS.
        restarted: Whether another process of this root came before this one.
    """

    directory: Directory
    seed: int | None
    restarted: bool

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall_clock(self) -> float:
        """Seconds since the epoch."""
        ...

    async def next_incarnation(self, family: str, index: int) -> int:
        """A number that no replica at this place had before, counted from 1."""
        ...

    async def next_generation(self, least: int) -> int:
        """A number above those of all former processes of this root, and not below `least`."""
        ...

    async def remember(self, name: str, data: bytes) -> None:
        """Keep something under a name beyond the root's own process, until `forget`.

        Raises:
            HostError: It may not have been kept.
        """
        ...

    async def recall(self, name: str) -> bytes | None:
        """What was kept last under a name."""
        ...

    async def forget(self) -> None:
        """Remove all numbers and all that was kept: the system has ended."""
        ...

    async def prepare(self, families: Sequence[str]) -> None:
        """Make room for the replicas of these families, where it is made for all of them together."""
        ...

    async def room(self, family: str, index: int) -> Room | None:
        """Room for the replica at this place; `None`: there is none yet, and it is noted that some is needed.

        Raises:
            HostError: Nobody can say at the moment.
        """
        ...

    async def free(self, family: str, index: int) -> None:
        """The replica at this place is gone for good: give its room back.

        Raises:
            HostError: It may not have been given back.
        """
        ...

    async def remove_placements(self) -> None:
        """Give all room of the system back."""
        ...

    async def find(self) -> Sequence[tuple[ReplicaName, ReplicaHandle]]:
        """All replicas of the system that live."""
        ...

    async def create(self, name: ReplicaName, blueprint: Blueprint, room: Room) -> ReplicaHandle:
        """Create a replica, which does nothing until `start`.

        Raises:
            HostError: It cannot be created.
        """
        ...

    async def living_machines(self) -> Sequence[str]:
        """The ids of the machines that live.

        Raises:
            HostError: Nobody can say at the moment.
        """
        ...

    async def machines(self) -> MachinesReading:
        """The machines that live, and how many come.

        Raises:
            HostError: Nobody can say at the moment.
        """
        ...

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        """Ask for machines that hold all these bundles, until the next request.

        Raises:
            HostError: It may not have been asked.
        """
        ...

    def end(self) -> None:
        """End the root's own process for good."""
        ...


class Lease(Protocol):
    """Ends its holder when it is not renewed for long enough."""

    def renew(self) -> None:
        """The owner lives."""
        ...


class ReplicaHost(Protocol):
    """What a replica needs of the world.

    Attributes:
        directory: Of its system.
        seed: Seeds everything that the replica draws; `None`: from the OS.
    """

    directory: Directory
    seed: int | None

    @property
    def machine(self) -> str:
        """The id of the machine that it runs on."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def lease(self, timeout_s: float, on_expiry: Callable[[], None]) -> Lease:
        """A lease that calls `on_expiry` once when it is not renewed for `timeout_s` seconds."""
        ...

    def stack(self) -> str | None:
        """Where the replica's event loop is stuck; `None` when nobody can say."""
        ...

    def end_orphan(self) -> None:
        """End the replica's process, which nobody keeps any more, and leave nothing behind."""
        ...
