"""One flight: a state machine that says what may happen to it, and notices when it is late."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from examples.flights.day import Flight
from examples.flights.services import LATE_AFTER_MIN, FlightProcess, ImpossibleEvent
from raybeam.actors import GenServer, Pid, Runtime, gen_server, gen_statem
from raybeam.actors.testing import run, settle

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
