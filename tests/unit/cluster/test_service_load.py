"""What a replica tells of the load of its service."""

import asyncio

import pytest

from raybeam.actors import GenServer, Regulation, Runtime, call, cast, gen_server
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.testing import run
from raybeam.cluster.service_load import Load, ServiceLoad
from raybeam.cluster.service_regulation import ServiceRegulation


class Desk(GenServer):
    @call(timeout_s=60.0)
    async def serve(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @cast
    async def note(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("regulation", [None, Regulation(concurrency=1)])
def test_what_waits_what_is_worked_on_and_how_long_the_oldest_has_waited(regulation: Regulation | None) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            ambient_runtime.set(runtime)
            measured, counted = ServiceLoad(runtime, "service"), ServiceRegulation(runtime, "service")
            runtime.on_served = lambda cell, waited_s, served_s: measured.served(served_s)
            assert measured.now(None) == Load()
            desk = gen_server.ref(Desk, await gen_server.start(Desk, name="service", regulation=regulation))

            calls = [asyncio.ensure_future(desk.serve(2.0)) for _ in range(3)]
            await asyncio.sleep(0.5)
            measured.look()
            load = measured.now(counted.counters())
            assert (load.waiting, load.in_flight) == (2, 1)
            assert load.oldest_wait_s == pytest.approx(0.5, abs=0.01)

            await asyncio.gather(*calls)
            measured.look()
            load = measured.now(counted.counters())
            assert (load.waiting, load.in_flight, load.oldest_wait_s) == (0, 0, 0.0)
            assert load.service_total_s == pytest.approx(6.0, abs=0.01)
            assert load.service_square_s2 == pytest.approx(12.0, abs=0.01)

    run(main())


def test_a_cast_that_is_worked_on_counts_though_nobody_waits_for_it() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            ambient_runtime.set(runtime)
            measured = ServiceLoad(runtime, "service")
            desk = gen_server.ref(Desk, await gen_server.start(Desk, name="service"))

            await desk.note(1.0)
            await asyncio.sleep(0.5)
            assert measured.now(None).in_flight == 1
            await asyncio.sleep(1.0)
            assert measured.now(None).in_flight == 0

    run(main())
