"""The scenario that raybeam itself is held to: accounts, and tellers who call them, under every kind of retry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import (
    AtLeastOnce,
    CallFailed,
    ExactlyOnce,
    GenServer,
    ServiceError,
    UsageError,
    call,
    cast,
    query,
)

from .. import peers
from .scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cluster import Driver

STEPS = 8
CROWD = 3


class Refused(ServiceError):
    """An answer."""


class Ledger(GenServer):
    """Remembers what was added; begins anew after a crash."""

    async def init(self) -> None:
        """Nothing was added yet."""
        self.entries: list[int] = []

    @call(timeout_s=1.5)
    async def add(self, amount: int, work_s: float = 0.0) -> tuple[str, int]:
        """Add, after some work; at most once. Negative amounts are refused."""
        if amount < 0:
            raise Refused(f"{amount} is below 0")
        if work_s:
            await asyncio.sleep(work_s)
        self.entries.append(amount)
        return self.runtime.name, len(self.entries)

    @call(timeout_s=3.0, retry=AtLeastOnce())
    async def put(self, amount: int, work_s: float = 0.0) -> tuple[str, int]:
        """Add; at least once."""
        return await self.add(amount, work_s)

    @call(timeout_s=3.0, retry=ExactlyOnce())
    async def book(self, amount: int, work_s: float = 0.0) -> tuple[str, int]:
        """Add; exactly once."""
        return await self.add(amount, work_s)

    @cast(timeout_s=2.0)
    async def note(self, amount: int) -> None:
        """Add, and tell nobody."""
        self.entries.append(amount)

    @query(timeout_s=2.0)
    async def total(self, echo: int) -> tuple[int, int]:
        """What was asked, and how many entries there are."""
        return echo, len(self.entries)

    @call(timeout_s=1.0)
    async def crash(self) -> None:
        """Crash."""
        raise RuntimeError("asked to")


class Teller(GenServer):
    """Adds to a ledger on behalf of others."""

    @call(timeout_s=4.0)
    async def deposit(self, amount: int) -> tuple[str, int]:
        """Add by the way of a call between families."""
        return await peers.ref(Ledger).put.within(2.0)(amount)


class LedgerScenario(Scenario):
    """Two drivers send calls, casts and queries, some at once and some one after another."""

    blueprint: ClassVar[Mapping[str, object]] = {
        "name": "bank",
        "families": {
            "ledger": {"service": Ledger, "replicas": 2, "max_restarts": 1000, "process_restarts": 100},
            "teller": {
                "service": Teller,
                "pattern": "singleton",
                "calls": ["ledger"],
                "max_restarts": 1000,
                "process_restarts": 100,
            },
        },
        "health": {"beat_s": 0.6, "unknown_after_s": 1.5, "down_after_s": 4.0},
        "orphan_timeout_s": 15.0,
    }

    async def drive(self, driver: Driver) -> None:
        """Some steps, each a crowd of calls at once or nearly so, with pauses between them."""
        ledger, teller = driver.ref(Ledger), driver.ref(Teller)
        for step in range(STEPS):
            calls = [
                self._one(driver, ledger, teller, 100 * driver.index + 10 * step + place) for place in range(CROWD)
            ]
            await asyncio.gather(*calls)
            await asyncio.sleep(driver.random.random() * 0.8)

    async def _one(self, driver: Driver, ledger: Ledger, teller: Teller, amount: int) -> None:
        random = driver.random
        work_s = random.choice((0.0, 0.0, 0.01, 0.3))
        kind = random.random()
        if random.random() < 0.5:
            await asyncio.sleep(random.random() * 0.02)
        try:
            if kind < 0.2:
                await ledger.add(amount, work_s)
            elif kind < 0.35:
                await ledger.put(amount, work_s)
            elif kind < 0.5:
                await ledger.book(amount, work_s)
            elif kind < 0.7:
                await ledger.total(amount)
            elif kind < 0.85:
                await ledger.note(amount)
            elif kind < 0.94:
                await teller.deposit(amount)
            elif kind < 0.96:
                await ledger.add(-1)
            else:
                await ledger.crash()
        except (CallFailed, Refused, UsageError):
            pass  # the promises are about what it was told, not about success

    async def probe(self, driver: Driver) -> None:
        """Both families answer."""
        await driver.ref(Ledger).total(0)
        await driver.ref(Teller).deposit(1)
