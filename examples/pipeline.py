"""A pipeline that cannot be overrun: python examples/pipeline.py

Readings come from a source that could give them much faster than they can be stored. Three stages of checks share the
work, and one store takes what they pass on; it is slow, so all the others wait for it, and no queue grows.
"""

import asyncio
from collections.abc import Iterator

from raybeam.actors import (
    Consumer,
    Emit,
    GenStage,
    Pid,
    ProducerConsumer,
    Runtime,
    Stop,
    SubscribeTo,
    Subscription,
    gen_stage,
    process,
)

produced = stored = most_ahead = 0


def readings(count: int) -> Iterator[float]:
    """What the source gives: read only when somebody asks."""
    global produced
    for produced in range(1, count + 1):
        yield produced * 0.5


class Check(GenStage):
    """Passes on the readings that make sense."""

    async def init(self, source: Pid) -> ProducerConsumer:
        return ProducerConsumer(subscribe_to=[SubscribeTo(source, max_demand=10)])

    async def handle_events(self, events: list[float], subscription: Subscription) -> Emit:
        await asyncio.sleep(0.001)
        return Emit(reading for reading in events if reading % 10)


class Store(GenStage):
    """Takes a while for each batch; ends when all that it subscribes to have ended."""

    async def init(self, *checks: Pid) -> Consumer:
        self.left = len(checks)
        return Consumer(subscribe_to=[SubscribeTo(check, max_demand=10, cancel="transient") for check in checks])

    async def handle_events(self, events: list[float], subscription: Subscription) -> None:
        global stored, most_ahead  # noqa: PLW0603
        await asyncio.sleep(0.005)
        stored += len(events)
        most_ahead = max(most_ahead, produced - stored * 20 // 19)

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> Stop | None:
        self.left -= 1
        return None if self.left else Stop(reason)


async def main() -> None:
    async with Runtime():
        source = await gen_stage.from_iterable(readings(1000), demand="accumulate")
        checks = [await gen_stage.start(Check, source) for _ in range(3)]
        store = await gen_stage.start(Store, *checks)
        gen_stage.demand(source, "forward")  # all stages are there
        await process.wait_exit(store)


if __name__ == "__main__":
    asyncio.run(main())
    print(f"produced {produced}, stored {stored}, never more than {most_ahead} ahead")
