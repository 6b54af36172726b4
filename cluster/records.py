"""Where the keepers of replicas tell what they see, and learn what is to become of their replica."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from raybeam.actors import Pid

    from .host import ReplicaHandle
    from .kernel.health import Health
    from .kernel.views import Member
    from .names import ReplicaName
    from .replica import Beat


class Records(Protocol):
    """Where a keeper tells what it sees."""

    def adoptable(self, family: str, index: int) -> tuple[ReplicaName, ReplicaHandle] | None:
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

    def keeps(self, family: str, index: int, keeper: Pid) -> None:
        """A keeper for this place has begun."""
        ...

    def starting(self, name: ReplicaName, machine: str = "") -> None:
        """A replica starts, in room that it has found on this machine; empty: it has none yet."""
        ...

    def waits(self, name: ReplicaName) -> None:
        """There has been no room for it for some time."""
        ...

    def is_leaving(self, family: str, index: int) -> bool:
        """Whether the replica at this place is to go, so that it is not restarted when it is lost."""
        ...

    def gone(self, family: str, index: int) -> None:
        """The replica at a place that is to go has ended, or is lost."""
        ...

    def forget(self, family: str, index: int) -> None:
        """The place is given up: who comes to it later is no restart."""
        ...
