"""Living stages in two runtimes under random kills, cuts and subscriptions: only what was under way is lost."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.actors import Consumer, GenStage, Pid, Runtime, Subscription, gen_stage, process
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.testing import Network, run

NUMBERS = 300
MOST = 6
Got = dict[Pid, list[int]]


class Sink(GenStage):
    async def init(self, got: Got, delay_s: float) -> Consumer:
        self.got = got[self.pid] = []
        self.delay_s = delay_s
        return Consumer()

    async def handle_events(self, events: list[int], subscription: Subscription) -> None:
        self.got += events
        await asyncio.sleep(self.delay_s)


async def faults(seed: int, count: int) -> tuple[list[int], Got, int]:
    """What the source gave, what each consumer got, and how many times something was lost."""
    chance = random.Random(seed)
    network = Network(seed)
    given: list[int] = []
    got: Got = {}
    losses = 0

    def numbers() -> object:
        for number in range(NUMBERS):
            given.append(number)
            yield number

    async with Runtime("one", reports=lambda report: None) as one, Runtime("two", reports=lambda report: None) as two:
        network.join(one)
        network.join(two)
        ambient_runtime.set(one)
        source = await gen_stage.from_iterable(numbers())  # type: ignore[arg-type]

        async def subscribe(sink: Pid) -> None:
            await gen_stage.sync_subscribe(sink, source, max_demand=MOST, cancel="temporary", timeout_s=None)

        async def join(runtime: Runtime) -> Pid:
            ambient_runtime.set(runtime)
            sink = await gen_stage.start(Sink, got, chance.random())
            ambient_runtime.set(one)
            await subscribe(sink)
            return sink

        sinks = [await join(runtime) for runtime in (one, two, two)]
        for _ in range(count):
            await asyncio.sleep(chance.random() * 3)
            index = chance.randrange(3)
            if chance.random() < 0.5:
                losses += 1
                runtime = one if sinks[index].runtime == "one" else two
                runtime.exit(None, sinks[index], "kill")
                sinks[index] = await join(chance.choice([one, two]))
            else:
                losses += sum(sink.runtime == "two" for sink in sinks)
                network.cut("one", "two")
                await asyncio.sleep(chance.random())
                network.heal("one", "two")
                await asyncio.sleep(1.0)
                for sink in sinks:
                    if sink.runtime == "two":
                        await subscribe(sink)
        if process.is_alive(source):
            await process.wait_exit(source)
        await asyncio.sleep(60.0)
    return given, got, losses


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(0, 8))
def test_nothing_comes_twice_or_in_another_order_and_only_what_was_under_way_is_lost(seed: int, count: int) -> None:
    source, got, losses = run(faults(seed, count))

    everything = sorted(number for numbers in got.values() for number in numbers)
    assert source == list(range(NUMBERS))
    assert all(numbers == sorted(numbers) for numbers in got.values())
    assert len(everything) == len(set(everything))
    assert NUMBERS - len(everything) <= losses * MOST
