"""The verdict notices each rule that is broken."""

from dataclasses import replace

import pytest

from examples.flights.checks import Check, verdict
from examples.flights.day import Flight
from examples.flights.events import Event
from examples.flights.services import AirportsLedger, Booking, FeedLedger, FlightsLedger

FLIGHTS = [
    Flight("X1-A", "X", "A", "C", 5, 100, 200, None, None),
    Flight("X2-A", "X", "A", "C", 5, 150, 250, 150, 250),
]
EVENTS = [
    Event(event_id=0, at_min=0, kind="cancelled", flight_id="X1-A"),
    Event(event_id=1, at_min=1, kind="departed", flight_id="X2-A"),
]
FEED = FeedLedger(accepted=[0, 1], repeated=0)
BOOKINGS = {
    "X1-A/0": Booking(group_id="X1-A/0", size=2, seats={"X2-A": [4, 5]}),
    "X1-A/1": Booking(group_id="X1-A/1", size=1),
}
BOARD = FlightsLedger(
    applied={0: 1, 1: 1},
    states={"X1-A": "cancelled", "X2-A": "arrived"},
    outcomes=BOOKINGS,
    passengers_of_cancelled=3,
)
AIRPORTS = AirportsLedger(seats={"X1-A": 5, "X2-A": 5}, sold_before={"X1-A": 3, "X2-A": 3}, bookings=BOOKINGS)


def broken(feed: FeedLedger = FEED, board: FlightsLedger = BOARD, airports: AirportsLedger = AIRPORTS) -> list[Check]:
    return [check for check in verdict(FLIGHTS, EVENTS, feed, board, airports) if not check.held]


def booked(*seats: int) -> AirportsLedger:
    other = Booking(group_id="X1-A/1", size=1, seats={"X2-A": list(seats)})
    return AIRPORTS.model_copy(update={"bookings": BOOKINGS | {"X1-A/1": other}})


def test_a_right_run_breaks_no_rule() -> None:
    assert broken() == []


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (broken(feed=FeedLedger(accepted=[0], repeated=0)), "event 1: accepted 0 times, applied 1 times"),
        (broken(board=BOARD.model_copy(update={"applied": {0: 2, 1: 1}})), "applied 2 times"),
        (broken(board=BOARD.model_copy(update={"applied": {0: 1, 1: 1, 7: 1}})), "event 7 was applied but never sent"),
        (
            broken(board=BOARD.model_copy(update={"states": {"X1-A": "cancelled", "X2-A": "departed"}})),
            "X2-A ended 'departed', the data says 'arrived'",
        ),
        (broken(airports=booked(5)), "X2-A: seats [5] were sold twice, again to X1-A/1"),
        (broken(airports=booked(6)), "X2-A sold seat 6 of 5"),
        (broken(airports=booked()), "X1-A/1 has 0 seats on X2-A for 1"),
        (broken(board=BOARD.model_copy(update={"passengers_of_cancelled": 4})), "2 rebooked + 1 stranded is not 4"),
    ],
)
def test_a_broken_rule_is_told_with_an_example(check: list[Check], told: str) -> None:
    assert any(told in example for each in check for example in each.broken_by)


def test_flights_and_airports_must_agree_on_every_group() -> None:
    lost = AIRPORTS.model_copy(update={"bookings": {"X1-A/0": BOOKINGS["X1-A/0"]}})
    extra = AIRPORTS.model_copy(update={"bookings": BOOKINGS | {"X9": Booking(group_id="X9", size=1)}})

    assert [check.rule for check in broken(airports=lost)] == [
        "rebooked and stranded are the passengers of cancelled flights"
    ]
    assert broken(airports=extra)[0].broken_by == ("group X9 is known to the airports alone",)
    assert replace(broken(airports=extra)[0], broken_by=()).held is False
