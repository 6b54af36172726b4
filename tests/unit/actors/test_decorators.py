"""The typed face of a service: what a caller gets wrong is told to the caller, and harms nobody else."""

import logging

import pytest

from raybeam.actors import (
    CallFailed,
    GenServer,
    InvalidArgumentsError,
    Pid,
    Runtime,
    UnknownMethodError,
    UsageError,
    call,
    cast,
    gen_server,
    process,
)
from raybeam.actors.delivery import Invoke
from raybeam.actors.testing import run, settle


class Till(GenServer):
    total = 0

    @call
    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total

    @cast
    async def note(self, amount: int) -> None:
        self.total += amount

    @cast
    async def nested(self, other: Pid) -> None:
        await gen_server.request(other, Invoke("add", ("much",), {}))


class Newer(Till):
    @call
    async def undo(self) -> int:
        return 0

    @cast
    async def forget(self) -> None: ...


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


def test_a_call_of_a_method_that_the_callee_does_not_offer_is_answered_and_the_callee_lives_on() -> None:
    async def main() -> int:
        async with quiet():
            pid = await gen_server.start(Till)
            with pytest.raises(UnknownMethodError, match=r"Till offers no method 'undo'.*it offers: add, nested, note"):
                await gen_server.ref(Newer, pid).undo()
            return await gen_server.ref(Till, pid).add(1)

    assert run(main()) == 1
    assert issubclass(UnknownMethodError, UsageError)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (Invoke("forget", (), {}), "offers no method 'forget'"),
        (Invoke("note", ("much",), {}), "note: amount: Input should be a valid integer"),
        (Invoke("note", (), {"ammount": 1}), "Missing required argument; ammount: Unexpected keyword argument (got 1)"),
    ],
)
def test_a_cast_that_its_sender_got_wrong_is_logged_and_dropped(
    wrong: Invoke, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        async with quiet():
            pid = await gen_server.start(Till)
            gen_server.tell(pid, wrong)
            await settle()
            return await gen_server.ref(Till, pid).add(1)

    with caplog.at_level(logging.ERROR, "raybeam"):
        assert run(main()) == 1
    assert "cast dropped" in caplog.text
    assert told in caplog.text


def test_a_cast_whose_handler_gets_a_call_wrong_is_a_crash_of_that_handler() -> None:
    async def main() -> tuple[object, bool]:
        async with quiet():
            pid, other = await gen_server.start(Till), await gen_server.start(Till)
            ended = process.wait_exit(pid)
            await gen_server.ref(Till, pid).nested(other)
            return getattr(await ended, "error", None), process.is_alive(other)

    error, other_lives = run(main())

    assert isinstance(error, InvalidArgumentsError)
    assert other_lives


def test_annotations_that_cannot_be_validated_are_named_at_the_first_call() -> None:
    class Opaque:
        pass

    class Vague(GenServer):
        @call
        async def put(self, thing: Opaque) -> None: ...

    async def main() -> str:
        async with quiet():
            with pytest.raises(CallFailed) as failed:
                await gen_server.ref(Vague, await gen_server.start(Vague)).put(Opaque())
            return str(failed.value.cause)

    assert "put: its annotations cannot be validated" in run(main())


def test_a_blocking_handler_that_runs_out_of_items_is_a_crash_and_no_hang() -> None:
    class Drained(GenServer):
        @call(timeout_s=10)
        def take(self) -> int:
            return next(iter(list[int]()))

    async def main() -> tuple[str, bool]:
        async with quiet():
            pid = await gen_server.start(Drained)
            with pytest.raises(CallFailed) as failed:
                await gen_server.ref(Drained, pid).take()
            return str(failed.value.cause), process.is_alive(pid)

    told, alive = run(main())

    assert "StopIteration" in told
    assert not alive
