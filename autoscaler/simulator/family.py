"""Who is simulated: a family with its load, its policy, and the requests that it sends to others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from raybeam.actors import UsageError

from .station import Dispatch
from .world import MOST_REPLICAS, check

if TYPE_CHECKING:
    from ..kernel.policy import Policy
    from ..workload.service import Service
    from ..workload.trace import Trace


@dataclass(frozen=True, slots=True)
class Calls:
    """Requests that a family sends to another one, each when one of its own has been served.

    They are sent and not waited for: the caller's slot is free meanwhile.

    Attributes:
        to: Name of the family that is called.
        mean: Requests per request, on average.
        service: How long they take there.
    """

    to: str
    mean: float
    service: Service

    def __post_init__(self) -> None:
        check(self, ["mean"])


@dataclass(frozen=True, slots=True)
class Family:
    """One family of replicas.

    Attributes:
        name: Its name.
        trace: The requests that come to it from outside.
        policy: Who says how many replicas there are.
        slots: Requests that a replica serves at once. Default 1.
        initial: Replicas that are ready at the beginning. Default 1.
        min_replicas: The policy gets no fewer. Default 0.
        max_replicas: Nor more. Default 1000.
        calls: What it asks of other families.
        dispatch: Which replica gets a request: `"one_queue"` or `"two_choices"`, see `Dispatch`. Default: one queue.
    """

    name: str
    trace: Trace
    policy: Policy[Any]
    slots: int = 1
    initial: int = 1
    min_replicas: int = 0
    max_replicas: int = 1000
    calls: tuple[Calls, ...] = field(default=())
    dispatch: Dispatch = "one_queue"

    def __post_init__(self) -> None:
        check(self, ["slots"], 1)
        check(self, ["initial", "min_replicas", "max_replicas"])
        for name in ("initial", "max_replicas"):
            if getattr(self, name) > MOST_REPLICAS:
                raise UsageError(f"{name}={getattr(self, name)!r}: at most {MOST_REPLICAS:,} are played")
        if self.max_replicas < self.min_replicas:
            raise UsageError(f"{self.name}: max_replicas={self.max_replicas} is below min_replicas={self.min_replicas}")
        if self.dispatch not in get_args(Dispatch):
            raise UsageError(f"{self.name}: dispatch={self.dispatch!r}: give {' or '.join(get_args(Dispatch))}")


def in_order_of_calls(families: tuple[Family, ...]) -> list[int]:
    """Places of the families, callers before those whom they call.

    Raises:
        UsageError: A name is given twice or not at all, or calls go in a circle.
    """
    names = [family.name for family in families]
    if len(set(names)) < len(names):
        raise UsageError(f"families {names}: each name once")
    left = dict(enumerate(families))
    order: list[int] = []
    for family in families:
        for call in family.calls:
            if call.to not in names:
                raise UsageError(f"{family.name} calls {call.to!r}: there is no such family")
    while left:
        called = {call.to for family in left.values() for call in family.calls}
        first = [place for place, family in left.items() if family.name not in called]
        if not first:
            raise UsageError(f"calls go in a circle: {', '.join(sorted(family.name for family in left.values()))}")
        order += first
        for place in first:
            del left[place]
    return order
