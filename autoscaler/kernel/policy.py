"""What a scaling policy is: one method, called with a snapshot now and then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .snapshot import Snapshot

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there should be, and why.

    Attributes:
        replicas: How many should serve or be on their way.
        machines: How many machines should be there for them; `None`: as many as the replicas need.
        reason: The term that decided, in words.
        terms: The numbers it was decided by, by name.
    """

    replicas: int
    machines: int | None = None
    reason: str = ""
    terms: Mapping[str, float] = field(default_factory=dict)


class Policy(Protocol[S]):
    """A scaling policy. All that it remembers is in its state, so that a decision can be replayed from a log."""

    def start(self) -> S:
        """The state before the first snapshot."""
        ...

    def decide(self, snapshot: Snapshot, state: S) -> tuple[Decision, S]:
        """How many replicas there should be now, and the state for the next snapshot."""
        ...
