"""The verdict on a run: what must hold at its end, whatever was killed meanwhile."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .day import Flight
    from .events import Event
    from .services import AirportsLedger, FeedLedger, FlightsLedger

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: whether it held, what it counted, and examples of where it did not."""

    rule: str
    held: bool
    counted: str
    broken_by: tuple[str, ...] = ()


def verdict(
    flights: Sequence[Flight],
    events: Sequence[Event],
    feed: FeedLedger,
    board: FlightsLedger,
    airports: AirportsLedger,
) -> list[Check]:
    """All rules over the final ledgers."""
    return [
        _events_once(events, feed, board),
        _flights_ended_as_told(flights, board),
        _no_seat_twice(airports),
        _passengers_add_up(board, airports),
    ]


def _check(rule: str, counted: str, broken: list[str]) -> Check:
    return Check(rule, not broken, counted, tuple(broken[:EXAMPLES]))


def _events_once(events: Sequence[Event], feed: FeedLedger, board: FlightsLedger) -> Check:
    accepted = Counter(feed.accepted)
    broken = [
        f"event {event.event_id}: accepted {accepted[event.event_id]} times, "
        f"applied {board.applied.get(event.event_id, 0)} times"
        for event in events
        if accepted[event.event_id] != 1 or board.applied.get(event.event_id, 0) != 1
    ]
    strangers = board.applied.keys() - {event.event_id for event in events}
    broken += [f"event {event_id} was applied but never sent" for event_id in sorted(strangers)]
    return _check("every event was applied exactly once", f"{len(board.applied)} of {len(events)}", broken)


def _flights_ended_as_told(flights: Sequence[Flight], board: FlightsLedger) -> Check:
    broken = [
        f"{flight.flight_id} ended {board.states.get(flight.flight_id)!r}, the data says {flight.outcome!r}"
        for flight in flights
        if board.states.get(flight.flight_id) != flight.outcome
    ]
    right = len(flights) - len(broken)
    return _check("every flight ended as the data says", f"{right} of {len(flights)}", broken)


def _no_seat_twice(airports: AirportsLedger) -> Check:
    broken: list[str] = []
    taken: dict[str, set[int]] = {
        flight_id: set(range(1, sold + 1)) for flight_id, sold in airports.sold_before.items()
    }
    sold = 0
    for booking in airports.bookings.values():
        for flight_id, seats in booking.seats.items():
            sold += len(seats)
            if len(set(seats)) != booking.size:
                broken.append(f"{booking.group_id} has {len(set(seats))} seats on {flight_id} for {booking.size}")
            twice = taken[flight_id] & set(seats)
            if twice:
                broken.append(f"{flight_id}: seats {sorted(twice)} were sold twice, again to {booking.group_id}")
            taken[flight_id] |= set(seats)
    for flight_id, seats_taken in taken.items():
        if seats_taken and max(seats_taken) > airports.seats[flight_id]:
            broken.append(f"{flight_id} sold seat {max(seats_taken)} of {airports.seats[flight_id]}")
    return _check("no seat was sold twice", f"{sold} seats sold anew", broken)


def _passengers_add_up(board: FlightsLedger, airports: AirportsLedger) -> Check:
    rebooked = sum(booking.size for booking in board.outcomes.values() if booking.seats)
    stranded = sum(booking.size for booking in board.outcomes.values() if not booking.seats)
    broken = []
    if rebooked + stranded != board.passengers_of_cancelled:
        broken.append(f"{rebooked} rebooked + {stranded} stranded is not {board.passengers_of_cancelled}")
    for group_id, booking in board.outcomes.items():
        if airports.bookings.get(group_id) != booking:
            broken.append(f"group {group_id}: flights and airports do not agree")
    broken += [
        f"group {group_id} is known to the airports alone" for group_id in airports.bookings.keys() - board.outcomes
    ]
    counted = f"{rebooked} rebooked + {stranded} stranded = {board.passengers_of_cancelled}"
    return _check("rebooked and stranded are the passengers of cancelled flights", counted, broken)
