"""Calls between two processes of one OS process, against Pykka and xoscar: one after another, answered each."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pykka
import xoscar

from benchmarks.ratio import Ratio
from raybeam.actors import From, GenServer, Reply, Runtime, gen_server, process

CALLS = 3000
ROUNDS = 7


class Echo(GenServer):
    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply(request)


class PykkaEcho(pykka.ThreadingActor):
    def on_receive(self, message: Any) -> Any:
        return message


class PykkaCaller(pykka.ThreadingActor):
    def on_receive(self, message: Any) -> Any:
        echo, calls = message
        began = time.perf_counter()
        for number in range(calls):
            echo.ask(number)
        return calls / (time.perf_counter() - began)


class XoscarEcho(xoscar.Actor):
    async def echo(self, message: Any) -> Any:
        return message


class XoscarCaller(xoscar.Actor):
    async def measure(self, echo: Any, calls: int) -> float:
        began = time.perf_counter()
        for number in range(calls):
            await echo.echo(number)
        return calls / (time.perf_counter() - began)


async def raybeam_rate() -> float:
    async with Runtime():
        echo = await gen_server.start(Echo)
        rates: list[float] = []

        async def caller() -> None:
            began = time.perf_counter()
            for number in range(CALLS):
                await gen_server.request(echo, number)
            rates.append(CALLS / (time.perf_counter() - began))

        await process.wait_exit(process.spawn(caller))
        return rates[0]


def pykka_rate() -> float:
    echo, caller = PykkaEcho.start(), PykkaCaller.start()
    try:
        return float(caller.ask((echo, CALLS), timeout=None))
    finally:
        caller.stop()
        echo.stop()


async def xoscar_rate() -> float:
    address = "127.0.0.1:0"
    pool = await xoscar.create_actor_pool(address, n_process=0)
    async with pool:
        echo = await xoscar.create_actor(XoscarEcho, address=pool.external_address)
        caller = await xoscar.create_actor(XoscarCaller, address=pool.external_address)
        return float(await caller.measure(echo, CALLS))


def measure() -> list[Ratio]:
    """All ratios of this benchmark."""
    rounds = [(asyncio.run(raybeam_rate()), pykka_rate(), asyncio.run(xoscar_rate())) for _ in range(ROUNDS)]
    ours = [each[0] for each in rounds]
    what = "local calls/s between two processes"
    return [
        Ratio(what, "Pykka", ours, [each[1] for each in rounds], 3),
        Ratio(what, "xoscar", ours, [each[2] for each in rounds], 3),
    ]
