"""Earliest arrival over a day's timetable, with ground transfers between airports near each other.

The algorithm is the Connection Scan Algorithm (Dibbelt, Pajor, Strasser, Wagner: *Connection Scan Algorithm*,
ACM JEA 2018): one pass over the flights in the order of their departure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .day import Airport, Flight

GROUND_KM = 250.0
GROUND_KM_PER_MIN = 1.2
GROUND_OVERHEAD_MIN = 45
CHANGE_MIN = 40


@dataclass(frozen=True, slots=True)
class Connection:
    """A flight that can be taken."""

    departs: int
    arrives: int
    origin: str
    destination: str
    flight_id: str


@dataclass(frozen=True, slots=True)
class Itinerary:
    """How to get there: the flights in order, and when one arrives (minutes since midnight)."""

    flight_ids: tuple[str, ...]
    arrives: int


class Timetable:
    """The flights of a day and the ground transfers between airports near each other.

    Args:
        flights: Of the day.
        airports: Where the airports are.
    """

    def __init__(self, flights: Iterable[Flight], airports: Mapping[str, Airport]) -> None:
        self.connections = sorted(
            (
                Connection(flight.sched_dep, flight.sched_arr, flight.origin, flight.destination, flight.flight_id)
                for flight in flights
            ),
            key=lambda connection: (connection.departs, connection.flight_id),
        )
        used = {name for connection in self.connections for name in (connection.origin, connection.destination)}
        self.ground: dict[str, tuple[tuple[str, int], ...]] = {
            one: tuple(
                (other, minutes)
                for other in sorted(used - {one})
                if (minutes := ground_min(airports[one], airports[other])) is not None
            )
            for one in sorted(used)
        }

    def earliest_arrival(
        self, origin: str, destination: str, ready_min: int, has_room: Callable[[str], bool]
    ) -> Itinerary | None:
        """The way that arrives first, with at least one flight; `None`: there is none.

        Args:
            origin: Airport where the passengers are.
            destination: Airport where they want to be.
            ready_min: When they can leave, minutes since midnight.
            has_room: Whether a flight has seats for them.
        """
        never = 1 << 30
        reached: dict[str, int] = {origin: ready_min}
        legs: dict[str, tuple[str, ...]] = {origin: ()}
        for other, minutes in self.ground[origin]:
            reached[other] = ready_min + minutes
            legs[other] = ()
        best, best_legs = never, tuple[str, ...]()
        goals = dict(self.ground[destination])
        goals[destination] = 0
        for connection in self.connections:
            departs = connection.departs
            if departs < ready_min:
                continue
            if departs >= best:
                break
            there = reached.get(connection.origin, never)
            taken = legs.get(connection.origin, ())
            if there + (CHANGE_MIN if taken else 0) > departs or not has_room(connection.flight_id):
                continue
            way = (*taken, connection.flight_id)
            last = goals.get(connection.destination)
            if last is not None and connection.arrives + last < best:
                best, best_legs = connection.arrives + last, way
            for airport, minutes in ((connection.destination, 0), *self.ground[connection.destination]):
                arrives = connection.arrives + minutes
                if arrives < reached.get(airport, never):
                    reached[airport] = arrives
                    legs[airport] = way
        return Itinerary(best_legs, best) if best < never else None


def ground_min(one: Airport, other: Airport) -> int | None:
    """Minutes on the ground between two airports, `None` when they are too far apart."""
    km = distance_km(one, other)
    return None if km > GROUND_KM else GROUND_OVERHEAD_MIN + round(km / GROUND_KM_PER_MIN)


def distance_km(one: Airport, other: Airport) -> float:
    """Great-circle distance (haversine formula, Earth radius 6371 km)."""
    lat1, lon1, lat2, lon2 = map(radians, (one.latitude, one.longitude, other.latitude, other.longitude))
    h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * asin(sqrt(h))
