"""A lane over a link that loses, delays, repeats and reorders batches keeps its promises."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.actors import (
    CallFailed,
    Disconnected,
    GenServer,
    Runtime,
    ServiceError,
    UnsendableAnswer,
    call,
    cast,
    gen_server,
)
from raybeam.actors.delivery import Invoke
from raybeam.actors.testing import run
from raybeam.cluster import envelope
from raybeam.cluster.lane import Lane, LinkDown, LinkLost
from raybeam.cluster.large import Exchanged
from raybeam.cluster.session import Sessions


class Recorder(GenServer):
    async def init(self) -> None:
        self.seen: list[int] = []

    @call
    async def record(self, number: int, pause_s: float = 0.0) -> int:
        self.seen.append(number)
        if pause_s:
            await asyncio.sleep(pause_s)
        return number

    @cast
    async def note(self, number: int) -> None:
        self.seen.append(number)


class FaultyLink:
    """Carries batches to `Sessions` of the same loop with faults drawn from a seed."""

    def __init__(self, sessions: Sessions, seed: int, loss: float, delay_s: float) -> None:
        self.sessions = sessions
        self.random = random.Random(seed)
        self.loss = loss
        self.delay_s = delay_s
        self.dead = False
        self.batches = 0

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        self.batches += 1
        await asyncio.sleep(self.random.random() * self.delay_s)
        if self.dead:
            raise LinkDown
        if self.random.random() < self.loss:
            raise LinkLost
        reply = await self.sessions.exchange(data, *large)
        if self.random.random() < self.loss:  # it was sent again by something underneath
            reply = await self.sessions.exchange(data, *large)
        await asyncio.sleep(self.random.random() * self.delay_s)
        if self.random.random() < self.loss:
            raise LinkLost
        return reply


def within(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def request(method: str, *args: object) -> bytes:
    return envelope.dump_request(Invoke(method, args, {}))[0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.1, 0.4]), count=st.integers(1, 120))
def test_every_message_is_handled_once_and_in_order_whatever_the_link_does(seed: int, loss: float, count: int) -> None:
    async def main() -> tuple[list[object], list[int]]:
        async with Runtime() as runtime:
            pid = await gen_server.start(Recorder, name="service")
            link = FaultyLink(Sessions(runtime, "service"), seed, loss, delay_s=0.05)
            lane = Lane(link, "test")
            choice = random.Random(seed)
            await gen_server.start(Recorder, name="slow")

            async def send(number: int) -> object:
                if choice.random() < 0.3:
                    await lane.cast("service", request("note", number), timeout_s=600)
                    return number
                if choice.random() < 0.2:
                    slow.append(asyncio.ensure_future(lane.call("slow", request("record", number, 20.0), within(600))))
                return await lane.call("service", request("record", number), within(600))

            async def all_sent() -> list[object]:
                tasks = []
                for number in range(count):
                    tasks.append(asyncio.ensure_future(send(number)))
                    if choice.random() < 0.3:
                        await asyncio.sleep(choice.random() * 0.1)
                return await asyncio.gather(*tasks)

            slow: list[asyncio.Future[object]] = []
            answers = await all_sent()
            await lane.call("service", request("record", count), within(600))
            await asyncio.gather(*slow)
            state = await gen_server.get_state(pid)
            await lane.close()
            assert isinstance(state, dict)
            return answers, state["seen"]

    answers, seen = run(main())

    assert answers == list(range(count))
    assert seen == list(range(count + 1))


def test_a_slow_call_does_not_hold_back_the_answer_of_a_fast_one() -> None:
    async def main() -> tuple[float, float]:
        async with Runtime() as runtime:
            await gen_server.start(Recorder, name="slow")
            await gen_server.start(Recorder, name="fast")
            lane = Lane(FaultyLink(Sessions(runtime, "slow"), 1, loss=0.0, delay_s=0.0), "test")
            loop = asyncio.get_running_loop()
            slow = asyncio.ensure_future(lane.call("slow", request("record", 1, 8.0), within(60)))
            await asyncio.sleep(1.0)
            await lane.call("fast", request("record", 2), within(60))
            fast_at = loop.time()
            await slow
            slow_at = loop.time()
            await lane.close()
            return fast_at, slow_at

    fast_at, slow_at = run(main())

    assert fast_at == pytest.approx(1.0, abs=0.01)
    assert slow_at == pytest.approx(8.0, abs=0.01)


def test_a_lost_batch_is_sent_again_at_once_though_another_is_held() -> None:
    class LosesTheSecond(FaultyLink):
        async def exchange(self, data: bytes, *large: object) -> Exchanged:
            if self.batches == 1:
                self.batches += 1
                raise LinkLost
            return await super().exchange(data, *large)

    async def main() -> float:
        async with Runtime() as runtime:
            await gen_server.start(Recorder, name="slow")
            await gen_server.start(Recorder, name="fast")
            lane = Lane(LosesTheSecond(Sessions(runtime, "slow"), 1, loss=0.0, delay_s=0.0), "test")
            loop = asyncio.get_running_loop()
            slow = asyncio.ensure_future(lane.call("slow", request("record", 1, 8.0), within(60)))
            await asyncio.sleep(1.0)
            await lane.call("fast", request("record", 2), within(60))
            answered_at = loop.time()
            await slow
            await lane.close()
            return answered_at

    assert run(main()) == pytest.approx(1.0, abs=0.1)


def test_casts_in_a_loop_wait_for_room() -> None:
    async def main() -> list[int]:
        async with Runtime() as runtime:
            pid = await gen_server.start(Recorder, name="service")
            lane = Lane(FaultyLink(Sessions(runtime, "service"), 1, loss=0.0, delay_s=0.01), "test")
            for number in range(30_000):
                await lane.cast("service", request("note", number), timeout_s=60)
            await lane.call("service", request("record", 30_000), within(60))
            state = await gen_server.get_state(pid)
            await lane.close()
            assert isinstance(state, dict)
            seen: list[int] = state["seen"]
            return seen

    assert run(main()) == list(range(30_001))


class Unpicklable:
    def __reduce__(self) -> str:
        raise RuntimeError("not to be sent")


class TwoParts(ServiceError):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Hider(GenServer):
    @call
    async def refuse(self) -> None:
        raise TwoParts("salt", "pepper")

    @call
    async def leave(self) -> None:
        raise SystemExit(4)

    @call
    async def hidden(self) -> object:
        return Unpicklable()

    @call
    async def plain(self) -> int:
        return 1


def test_an_answer_that_cannot_be_sent_is_told_and_its_process_lives_on() -> None:
    async def main() -> tuple[str, object]:
        async with Runtime() as runtime:
            await gen_server.start(Hider, name="service")
            lane = Lane(FaultyLink(Sessions(runtime, "service"), 1, loss=0.0, delay_s=0.0), "test")
            with pytest.raises(UnsendableAnswer) as told:
                await lane.call("service", request("hidden"), within(5))
            answer = await lane.call("service", request("plain"), within(5))
            await lane.close()
            return str(told.value), answer

    told, answer = run(main())

    assert "Unpicklable cannot be sent to another process: not to be sent" in told
    assert answer == 1


def test_an_error_that_cannot_be_read_again_is_told_in_words_as_the_answer_it_is() -> None:
    async def main() -> str:
        async with Runtime() as runtime:
            await gen_server.start(Hider, name="service")
            lane = Lane(FaultyLink(Sessions(runtime, "service"), 1, loss=0.0, delay_s=0.0), "test")
            with pytest.raises(ServiceError) as told:
                await lane.call("service", request("refuse"), within(5))
            await lane.close()
            return str(told.value)

    assert run(main()) == "TwoParts: salt and pepper"


def test_a_handler_that_wants_to_leave_the_program_ends_its_process_alone() -> None:
    async def main() -> tuple[str, object]:
        async with Runtime(reports=lambda report: None) as runtime:
            await gen_server.start(Hider, name="service")
            await gen_server.start(Hider, name="other")
            lane = Lane(FaultyLink(Sessions(runtime, "service"), 1, loss=0.0, delay_s=0.0), "test")
            with pytest.raises(CallFailed) as told:
                await lane.call("service", request("leave"), within(5))
            answer = await lane.call("other", request("plain"), within(5))
            await lane.close()
            return str(told.value.cause), answer

    assert run(main()) == ("SystemExit: 4", 1)


def test_calls_under_way_fail_as_unknown_when_the_other_end_dies() -> None:
    async def main() -> type[BaseException]:
        async with Runtime() as runtime:
            await gen_server.start(Recorder, name="service")
            link = FaultyLink(Sessions(runtime, "service"), 1, loss=0.0, delay_s=0.0)
            lane = Lane(link, "test")
            link.dead = True
            try:
                await lane.call("service", request("record", 1), within(60))
            except CallFailed as error:
                return type(error)
            raise AssertionError("the call was answered by a dead link")

    assert run(main()) is Disconnected


def test_a_lane_that_the_other_end_has_forgotten_ends_and_does_not_say_that_the_other_end_is_dead() -> None:
    async def main() -> tuple[type[BaseException], list[bool]]:
        async with Runtime() as runtime:
            await gen_server.start(Recorder, name="service")
            sessions = Sessions(runtime, "service")
            ends: list[bool] = []
            lane = Lane(FaultyLink(sessions, 1, loss=0.0, delay_s=0.0), "test", ends.append)
            await lane.call("service", request("record", 1), within(60))
            await asyncio.sleep(700.0)
            assert sessions.forget_silent(600.0) == 1
            try:
                await lane.call("service", request("record", 2), within(60))
            except CallFailed as error:
                return type(error), ends
            raise AssertionError("a forgotten lane took a message")

    assert run(main()) == (Disconnected, [False])


def test_callers_are_told_why_when_a_batch_cannot_be_read() -> None:
    class Garbling:
        async def exchange(self, data: bytes, *large: object) -> Exchanged:
            return b"not a reply"

    async def main() -> str:
        lane = Lane(Garbling(), "test")
        try:
            await lane.call("service", request("record", 1), within(60))
        except CallFailed as error:
            return str(error.cause)
        raise AssertionError("a garbled reply was taken for an answer")

    assert "UnpicklingError" in run(main())


def test_an_idle_lane_sends_nothing() -> None:
    async def main() -> int:
        async with Runtime() as runtime:
            await gen_server.start(Recorder, name="service")
            link = FaultyLink(Sessions(runtime, "service"), 1, loss=0.0, delay_s=0.0)
            lane = Lane(link, "test")
            await lane.call("service", request("record", 1), within(60))
            await asyncio.sleep(3600)
            await lane.close()
            return link.batches

    assert run(main()) == 1


class Keeper(GenServer):
    async def init(self) -> None:
        self.sizes: list[int] = []

    @call
    async def keep(self, data: bytes, more: bytes = b"") -> bytes:
        self.sizes.append(len(data) + len(more))
        return data[: len(data) // 2]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.3]), sizes=st.lists(st.integers(0, 400_000), max_size=8)
)
def test_large_values_arrive_beside_the_batch_whatever_the_link_does(seed: int, loss: float, sizes: list[int]) -> None:
    async def main() -> tuple[list[int], int]:
        async with Runtime() as runtime:
            await gen_server.start(Keeper, name="service")
            link = FaultyLink(Sessions(runtime, "service"), seed, loss, delay_s=0.01)
            lane = Lane(link, "test")

            async def keep(number: int, size: int) -> int:
                data = bytes([number % 256]) * size
                message, large = envelope.dump_request(Invoke("keep", (data,), {"more": b"small"}))
                half = await lane.call("service", message, within(600), None, None, large)
                assert half == data[: size // 2]
                return len(message)

            lengths = await asyncio.gather(*(keep(number, size) for number, size in enumerate(sizes)))
            kept = len(lane._large)
            await lane.close()
            return list(lengths), kept

    lengths, kept = run(main())

    assert kept == 0
    assert all(length < 100_300 for length in lengths)
