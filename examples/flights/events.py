"""The day as a stream of events in time order, and the passengers of its flights.

The data does not say when a cancellation became known nor who was on board. Both are drawn from a seed: a
cancellation is known 1 to 4 hours before the scheduled departure; 75 to 95 % of the seats are sold, to groups of
1 to 6.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from .day import SHORTEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .day import Flight

SCHEDULED_BEFORE_MIN = 360
KNOWN_BEFORE_MIN = (60, 240)
LOAD = (0.75, 0.95)
LARGEST_GROUP = 6


class Event(BaseModel):
    """One event of the day, as it comes in from outside.

    Attributes:
        event_id: Unique in the day.
        at_min: When, in minutes since midnight.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_id: int = Field(ge=0)
    at_min: int = Field(ge=0, le=6000)
    kind: Literal["scheduled", "cancelled", "departed", "arrived", "diverted"]
    flight_id: str = Field(min_length=SHORTEST_ID)


class Group(BaseModel):
    """Passengers who travel together on one flight."""

    model_config = ConfigDict(frozen=True)

    group_id: str
    flight_id: str
    size: int = Field(ge=1, le=LARGEST_GROUP)


def events_of(flights: Iterable[Flight], seed: int) -> list[Event]:
    """All events in the order of their time; of one flight always in the order of its life."""
    drawn: list[tuple[int, int, str, str]] = []
    for flight in flights:
        chance = random.Random(f"{seed}/{flight.flight_id}/known")
        scheduled_at = max(0, flight.sched_dep - SCHEDULED_BEFORE_MIN)
        drawn.append((scheduled_at, 0, "scheduled", flight.flight_id))
        if flight.dep is None:
            known_at = max(scheduled_at, flight.sched_dep - chance.randint(*KNOWN_BEFORE_MIN))
            drawn.append((known_at, 1, "cancelled", flight.flight_id))
            continue
        dep = max(scheduled_at, flight.dep)
        drawn.append((dep, 1, "departed", flight.flight_id))
        if flight.arr is None:
            drawn.append((max(dep, flight.sched_arr), 2, "diverted", flight.flight_id))
        else:
            drawn.append((max(dep, flight.arr), 2, "arrived", flight.flight_id))
    return [
        Event(event_id=number, at_min=at, kind=kind, flight_id=flight_id)
        for number, (at, _, kind, flight_id) in enumerate(sorted(drawn))
    ]


def groups_of(flight: Flight, seed: int) -> list[Group]:
    """The passengers of a flight."""
    chance = random.Random(f"{seed}/{flight.flight_id}/groups")
    left = int(flight.seats * chance.uniform(*LOAD))
    groups: list[Group] = []
    while left > 0:
        size = min(left, chance.randint(1, LARGEST_GROUP))
        groups.append(Group(group_id=f"{flight.flight_id}/{len(groups)}", flight_id=flight.flight_id, size=size))
        left -= size
    return groups


def sold_seats(flight: Flight, seed: int) -> int:
    """Seats sold before the day began."""
    return sum(group.size for group in groups_of(flight, seed))
