"""One flight: a state machine that says what may happen to it, and notices when it is late."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from examples.flights.day import Flight, load_day
from examples.flights.events import Event, Group, groups_of
from examples.flights.services import (
    LATE_AFTER_MIN,
    Booking,
    FlightProcess,
    Flights,
    FlightsLedger,
    ImpossibleEvent,
)
from raybeam.actors import Disconnected, GenServer, Pid, Runtime, gen_server, gen_statem
from raybeam.actors.testing import run, settle
from raybeam.cluster import peers

FLIGHT = Flight("X1-A", "X", "A", "C", 5, 100, 200, None, None)
MINUTE_S = 1.0
SCHEDULED_AT_MIN = 40
LATE_DEPARTURE_S = FLIGHT.sched_dep - SCHEDULED_AT_MIN + LATE_AFTER_MIN
LATE_ARRIVAL_S = FLIGHT.sched_arr - FLIGHT.sched_dep + LATE_AFTER_MIN


class Board(GenServer):
    async def init(self, notices: list[object]) -> None:
        self.notices = notices

    async def handle_info(self, message: object) -> None:
        self.notices.append((self.runtime.now(), message))


def notices_of(play: Callable[[Pid], Awaitable[None]]) -> list[object]:
    """What the board is told, and when, while `play` acts on a flight; then a day passes."""

    async def main() -> list[object]:
        notices: list[object] = []
        async with Runtime():
            board = await gen_server.start(Board, notices)
            await play(await gen_statem.start(FlightProcess, FLIGHT, board, MINUTE_S, SCHEDULED_AT_MIN))
            await asyncio.sleep(24 * 60 * MINUTE_S)
            await settle()
        return notices

    return run(main())


async def happens(flight: Pid, *kinds: str) -> None:
    for kind in kinds:
        assert await gen_server.request(flight, kind) == kind


@pytest.mark.parametrize("kinds", [["cancelled"], ["departed", "arrived"], ["departed", "diverted"]])
def test_a_flight_that_is_in_time_is_not_noticed(kinds: list[str]) -> None:
    async def play(flight: Pid) -> None:
        await happens(flight, *kinds)

    assert notices_of(play) == []


def test_a_flight_that_should_have_left_is_noticed_once() -> None:
    async def play(flight: Pid) -> None:
        await asyncio.sleep(LATE_DEPARTURE_S - 1)

    assert notices_of(play) == [(LATE_DEPARTURE_S, ("late", "X1-A", "scheduled"))]


def test_a_flight_that_should_have_landed_is_noticed_from_its_departure_on() -> None:
    async def play(flight: Pid) -> None:
        await asyncio.sleep(10)
        await happens(flight, "departed")

    assert notices_of(play) == [(10 + LATE_ARRIVAL_S, ("late", "X1-A", "departed"))]


def test_what_cannot_follow_is_refused_and_changes_nothing() -> None:
    async def play(flight: Pid) -> None:
        with pytest.raises(ImpossibleEvent, match="X1-A is scheduled: it cannot have arrived"):
            await gen_server.request(flight, "arrived")
        await happens(flight, "departed", "arrived")
        with pytest.raises(ImpossibleEvent, match="X1-A is arrived: it cannot have cancelled"):
            await gen_server.request(flight, "cancelled")

    assert notices_of(play) == []


def test_a_group_that_nobody_could_rebook_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    flights = load_day("2013-05-15")
    flight = next(flight for flight in flights if groups_of(flight, 1))
    asked: list[str] = []

    class Others:
        """Airports, and a family for rebooking that fails each group the first time."""

        async def close(self, flight_id: str) -> None: ...

        async def rebook(self, group: Group, origin: str, destination: str, ready_min: int) -> Booking:
            asked.append(group.group_id)
            if asked.count(group.group_id) == 1:
                raise Disconnected(("flights/rebooking", "rebook"))
            return Booking(group_id=group.group_id, size=group.size)

    monkeypatch.setattr(peers, "ref", lambda service: Others())

    async def main() -> FlightsLedger:
        async with Runtime():
            board = gen_server.ref(Flights, await gen_server.start(Flights, "2013-05-15", 1, MINUTE_S))
            for number, kind in enumerate(("scheduled", "cancelled")):
                await board.apply(Event(event_id=number, at_min=10, kind=kind, flight_id=flight.flight_id))
            await asyncio.sleep(60.0)
            return await board.ledger()

    ledger = run(main())

    groups = [group.group_id for group in groups_of(flight, 1)]
    assert sorted(ledger.outcomes) == sorted(groups)
    assert sorted(asked) == sorted(groups * 2)
