"""The scenario that raybeam itself is held to: accounts, and tellers who call them, under every kind of retry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from raybeam.actors import (
    AtLeastOnce,
    CallFailed,
    ExactlyOnce,
    GenServer,
    Hedge,
    ServiceError,
    UsageError,
    call,
    cast,
    query,
)

from .. import peers
from ..kernel.routing import ring_of
from ..names import ReplicaName
from .promises import Broken
from .scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .cluster import Driver
    from .history import History
    from .promises import Promise

TELLERS = 2
LARGE_BYTES = 150_000
STEPS = 6
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

    @query(timeout_s=2.0, hedge=Hedge(after_s=0.2))
    async def first(self, echo: int) -> tuple[int, int]:
        """What was asked, and the first entry; of two replicas if one takes long."""
        return echo, self.entries[0] if self.entries else 0

    @call(timeout_s=2.0)
    async def attach(self, amount: int, image: bytes) -> tuple[int, bytes]:
        """Add with something large, which travels beside the batches, and comes back so."""
        self.entries.append(amount)
        return amount, image

    @query(timeout_s=2.0, concurrent=True)
    async def total(self, echo: int) -> tuple[int, int]:
        """What was asked, and how many entries there are; beside the turn of the process."""
        return echo, len(self.entries)

    @call(timeout_s=1.0)
    async def crash(self) -> None:
        """Crash."""
        raise RuntimeError("asked to")


class Teller(GenServer):
    """Adds to a ledger on behalf of others."""

    @call(timeout_s=4.0, key="amount")
    async def deposit(self, amount: int) -> tuple[str, int]:
        """Add by the way of a call between families."""
        return await peers.ref(Ledger).put.within(2.0)(amount)


def keys_at_home(history: History) -> Iterator[Broken]:
    """A call with a key runs at the place on the ring that the key belongs to, and nowhere else."""
    ring = ring_of(tuple(range(TELLERS)))
    keys = {made.number: made.args[0] for made in history.invocations if made.method == "deposit"}
    for execution in history.executions:
        if execution.number in keys:
            place, home = ReplicaName.parse(execution.replica).place, ring.place(keys[execution.number])
            if place != home:
                text = f"#{execution.number} with key {keys[execution.number]!r} ran at place {place}, not {home}"
                yield Broken(keys_at_home.__name__, text, execution.began_at, (execution.number,))


class LedgerScenario(Scenario):
    """Two drivers send calls, casts and queries, some at once and some one after another.

    Attributes:
        shares: How often each kind of call is made, relative to the others.
    """

    shares: ClassVar[Mapping[str, int]] = {
        "add": 20,
        "put": 15,
        "book": 15,
        "total": 10,
        "first": 7,
        "attach": 3,
        "note": 15,
        "deposit": 9,
        "refused": 2,
        "crash": 4,
    }

    blueprint: ClassVar[Mapping[str, object]] = {
        "name": "bank",
        "families": {
            "ledger": {"service": Ledger, "replicas": 2, "max_restarts": 1000, "process_restarts": 100},
            "teller": {
                "service": Teller,
                "pattern": "ring",
                "replicas": TELLERS,
                "calls": ["ledger"],
                "max_restarts": 1000,
                "process_restarts": 100,
            },
        },
        "health": {"beat_s": 0.5, "unknown_after_s": 1.0, "down_after_s": 1.8},
        "orphan_timeout_s": 15.0,
    }

    promises: ClassVar[Sequence[Promise]] = (keys_at_home,)

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
        [chosen] = random.choices(list(self.shares), list(self.shares.values()))
        if random.random() < 0.5:
            await asyncio.sleep(random.random() * 0.02)
        try:
            match chosen:
                case "add":
                    await ledger.add(amount, work_s)
                case "refused":
                    await ledger.add(-1)
                case "put":
                    await ledger.put(amount, work_s)
                case "book":
                    await ledger.book(amount, work_s)
                case "total":
                    await ledger.total(amount)
                case "first":
                    await ledger.first(amount)
                case "attach":
                    await ledger.attach(amount, bytes([amount % 256]) * LARGE_BYTES)
                case "note":
                    await ledger.note(amount)
                case "deposit":
                    await teller.deposit(amount)
                case "crash":
                    await ledger.crash()
        except (CallFailed, Refused, UsageError):
            pass  # the promises are about what it was told, not about success

    async def probe(self, driver: Driver) -> None:
        """Both families answer."""
        await driver.ref(Ledger).total(0)
        await driver.ref(Teller).deposit(1)
