"""The stream of events, and the passengers."""

from examples.flights.day import load_day
from examples.flights.events import events_of, groups_of, sold_seats
from examples.flights.services import NEXT

FLIGHTS = load_day("2013-02-08")


def test_events_come_in_the_order_of_time_with_numbers_of_their_own() -> None:
    events = events_of(FLIGHTS, seed=1)

    assert [event.at_min for event in events] == sorted(event.at_min for event in events)
    assert [event.event_id for event in events] == list(range(len(events)))
    assert events == events_of(FLIGHTS, seed=1)
    assert events != events_of(FLIGHTS, seed=2)


def test_the_events_of_each_flight_lead_to_how_it_ended() -> None:
    states: dict[str, str] = {}
    for event in events_of(FLIGHTS, seed=1):
        before = states.get(event.flight_id)
        states[event.flight_id] = "scheduled" if before is None else NEXT[before, event.kind]

    assert states == {flight.flight_id: flight.outcome for flight in FLIGHTS}


def test_passengers_are_drawn_from_the_seed_and_fit_into_the_plane() -> None:
    for flight in FLIGHTS[:100]:
        groups = groups_of(flight, seed=1)

        assert groups == groups_of(flight, seed=1)
        assert int(0.75 * flight.seats) <= sold_seats(flight, seed=1) <= 0.95 * flight.seats
        assert len({group.group_id for group in groups}) == len(groups)
