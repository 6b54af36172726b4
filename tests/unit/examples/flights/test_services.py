"""The services of the operations centre, each in a runtime under virtual time."""

import asyncio

import pytest

from examples.flights.day import Flight
from examples.flights.events import SCHEDULED_BEFORE_MIN
from examples.flights.services import LATE_AFTER_MIN, FlightProcess
from raybeam.actors import Runtime, gen_server, process
from raybeam.actors.testing import run

MINUTE_S = 60.0


def flight(sched_dep: int) -> Flight:
    return Flight("AA1-JFK", "AA", "JFK", "BOS", 100, sched_dep, sched_dep + 70, None, None)


@pytest.mark.parametrize("sched_dep", [300, 360, 361, 1200])
def test_a_flight_that_has_not_left_is_noticed_a_quarter_of_an_hour_after_its_time(sched_dep: int) -> None:
    scheduled_at = max(0, sched_dep - SCHEDULED_BEFORE_MIN)

    async def main() -> tuple[object, float]:
        noticed: asyncio.Future[tuple[object, float]] = asyncio.get_running_loop().create_future()

        async def board() -> None:
            await gen_server.start_link(FlightProcess, flight(sched_dep), process.self_pid(), MINUTE_S, scheduled_at)
            noticed.set_result((await process.receive(), asyncio.get_running_loop().time()))

        async with Runtime(reports=lambda report: None):
            process.spawn(board)
            return await noticed

    message, after_s = run(main())

    assert message == ("late", "AA1-JFK", "scheduled")
    assert scheduled_at + after_s / MINUTE_S == pytest.approx(sched_dep + LATE_AFTER_MIN)


def test_a_flight_that_has_not_landed_is_noticed_a_quarter_of_an_hour_after_its_time_in_the_air() -> None:
    async def main() -> tuple[object, float]:
        noticed: asyncio.Future[tuple[object, float]] = asyncio.get_running_loop().create_future()

        async def board() -> None:
            pid = await gen_server.start_link(FlightProcess, flight(600), process.self_pid(), MINUTE_S, 240)
            await gen_server.request(pid, "departed")
            noticed.set_result((await process.receive(), asyncio.get_running_loop().time()))

        async with Runtime(reports=lambda report: None):
            process.spawn(board)
            return await noticed

    message, after_s = run(main())

    assert message == ("late", "AA1-JFK", "departed")
    assert after_s / MINUTE_S == pytest.approx(70 + LATE_AFTER_MIN)
