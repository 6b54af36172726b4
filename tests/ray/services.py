"""Services for the tests on Ray."""

import asyncio
import os
import time

from raybeam.actors import CallFailed, Exit, GenServer, ServiceError, Stop, UsageError, call, cast, process, query
from raybeam.cluster import peers


class Refused(ServiceError):
    """An answer."""


class Counter(GenServer):
    async def init(self, start: int = 0) -> None:
        self.total = start

    @call
    async def add(self, amount: int) -> int:
        if amount < 0:
            raise Refused(f"{amount} is below 0")
        self.total += amount
        return self.total

    @cast
    async def note(self, amount: int) -> None:
        self.total += amount

    @query
    async def read(self) -> int:
        return self.total

    @query(timeout_s=30.0)
    async def where(self) -> tuple[str, int]:
        return self.runtime.name, os.getpid()

    @call
    async def crash(self) -> None:
        raise RuntimeError("boom")

    @query
    async def ratio(self, divisor: int) -> int:
        return self.total // divisor

    @call(timeout_s=60.0)
    def block(self, seconds: float) -> None:
        time.sleep(seconds)


class Desk(GenServer):
    @call(timeout_s=20.0)
    async def serve(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return self.runtime.name


class Broken(GenServer):
    async def init(self) -> None:
        raise Exit("no licence")


class Short(GenServer):
    """Ends by itself when told to."""

    @call
    async def crash(self) -> None:
        raise RuntimeError("boom")

    @call
    async def finish(self) -> str:
        process.send(self.pid, "end")
        return "done"

    async def handle_info(self, message: object) -> Stop:
        return Stop("normal")


class Slow(GenServer):
    async def init(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @query
    async def incarnation(self) -> str:
        return self.runtime.name


class Caller(GenServer):
    @call(timeout_s=20.0)
    async def add_there(self, amount: int) -> int:
        return await peers.ref(Counter).add(amount)

    @call(timeout_s=20.0)
    def add_there_blocking(self, amount: int) -> int:
        return peers.ref(Counter).add.sync(amount)

    @call
    async def reach_stranger(self) -> str:
        try:
            peers.ref(Broken)
        except UsageError as error:
            return str(error)
        return "reached"

    @call
    async def crash_there(self) -> str:
        try:
            await peers.ref(Counter).crash()
        except CallFailed as failed:
            return str(failed.cause)
        return "no failure"
