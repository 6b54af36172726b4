"""Several policies, one decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from .policy import Decision

if TYPE_CHECKING:
    from .policy import Policy
    from .snapshot import Snapshot

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Most(Generic[A, B]):
    """The larger of what two policies say; of machines too. Put one into another for more than two.

    Attributes:
        first: A policy.
        second: Another one.

    >>> from raybeam.autoscaler.kernel.snapshot import Snapshot
    >>> from raybeam.autoscaler.kernel.static import Static
    >>> both = Most(Static(3), Static(5))
    >>> both.decide(Snapshot(0.0), both.start())[0].replicas
    5
    """

    first: Policy[A]
    second: Policy[B]

    def start(self) -> tuple[A, B]:
        """What both know before the first snapshot."""
        return self.first.start(), self.second.start()

    def decide(self, snapshot: Snapshot, state: tuple[A, B]) -> tuple[Decision, tuple[A, B]]:
        """The larger number, with its reason."""
        one, first = self.first.decide(snapshot, state[0])
        two, second = self.second.decide(snapshot, state[1])
        most = one if one.replicas >= two.replicas else two
        machines = [each.machines for each in (one, two) if each.machines is not None]
        floor = max(machines) if machines else None
        return Decision(most.replicas, floor, most.reason, most.terms), (first, second)


@dataclass(frozen=True, slots=True)
class Unless(Generic[A, B]):
    """One policy, and another one while that has nothing to go by: no fresh numbers, or none has come yet.

    Attributes:
        first: Decides when the snapshot is fresh.
        second: Decides otherwise.

    >>> from raybeam.autoscaler.kernel.snapshot import Snapshot
    >>> from raybeam.autoscaler.kernel.static import Static
    >>> careful = Unless(Static(3), Static(5))
    >>> careful.decide(Snapshot(0.0, fresh=False), careful.start())[0].replicas
    5
    """

    first: Policy[A]
    second: Policy[B]

    def start(self) -> tuple[A, B]:
        """What both know before the first snapshot."""
        return self.first.start(), self.second.start()

    def decide(self, snapshot: Snapshot, state: tuple[A, B]) -> tuple[Decision, tuple[A, B]]:
        """The number of the first that knows."""
        one, first = self.first.decide(snapshot, state[0])
        two, second = self.second.decide(snapshot, state[1])
        return (one if snapshot.fresh else two), (first, second)
