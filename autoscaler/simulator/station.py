"""What serves the requests of a family: replicas that come and go, and a rule which of them gets a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from array import array
    from collections.abc import Sequence

    from .demand import Demand

Dispatch: TypeAlias = Literal["one_queue", "two_choices"]
"""The rule: all wait in one queue for the slot that is free first; or each goes at once, and for good, to the less
loaded of two replicas drawn at random."""


class Completed(NamedTuple):
    """What was served in a while.

    Attributes:
        requests: How many.
        work_s: Sum of their service times, seconds.
        work_squared: Sum of the squares of these.
    """

    requests: int
    work_s: float
    work_squared: float


class Station(Protocol):
    """Replicas and their requests. All times are on one clock, and never before one that was given earlier.

    Attributes:
        demand: The requests.
        waits: Seconds that each of the first so many requests waits until it is started, as far as that is known.
    """

    demand: Demand
    waits: list[float]

    def advance(self, until: float) -> None:
        """Serve what comes and starts before `until`."""
        ...

    def add(self, replica: int, now: float) -> None:
        """A replica begins to serve."""
        ...

    def busy(self, now: float) -> dict[int, int]:
        """How many requests each replica has, those that wait in it included; those that have none are left out."""
        ...

    def drain(self, replica: int, now: float) -> float:
        """A replica takes no more requests; when it will have answered those that it has."""
        ...

    def take_back(self, replica: int, now: float) -> None:
        """A replica that drains serves new requests again."""
        ...

    def drained(self, replica: int, now: float) -> None:
        """A replica that drained has ended."""
        ...

    def kill(self, replica: int, now: float) -> None:
        """A replica dies; the requests that it has are served anew elsewhere."""
        ...

    def completed(self, now: float) -> Completed:
        """What was served since this was asked before; asked once for each interval."""
        ...

    def started(self, now: float) -> int:
        """How many requests were started, and not lost since."""
        ...

    def oldest_wait_s(self, now: float) -> float:
        """How long the request that waits longest has waited; 0: none waits."""
        ...

    def outcome(self, horizon_s: float) -> tuple[array[float], array[float], Sequence[float]]:
        """When those came that were started, how long each of them waited, and how long each other one has so far."""
        ...
