"""Requests: sent first, answered later, by waiting or into the mailbox."""

import asyncio

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    From,
    GenServer,
    NoProcess,
    NoReply,
    NotAProcessError,
    Pid,
    Reply,
    Response,
    Runtime,
    ServiceError,
    Stop,
    gen_server,
    process,
)
from raybeam.actors.testing import run, settle


class Oracle(GenServer):
    async def init(self) -> None:
        self.waiting: list[From] = []

    async def handle_call(self, request: object, sender: From) -> Reply | NoReply | Stop:
        if request == "later":
            self.waiting.append(sender)
            return NoReply()
        return Stop("tired") if request == "die" else Reply(request)

    async def handle_cast(self, request: object) -> None:
        self.waiting.pop().reply(request)


class Asker(GenServer):
    """Goes on while its question is under way."""

    async def init(self, oracle: Pid, question: object) -> None:
        self.seen: list[object] = []
        self.request = gen_server.send_request(oracle, question, deliver=True)

    async def handle_info(self, message: object) -> None:
        assert isinstance(message, Response)
        assert message.request is self.request
        try:
            self.seen.append(message.answer())
        except CallFailed as failed:
            self.seen.append(failed.cause)

    async def handle_call(self, request: object, sender: From) -> Reply:
        return Reply(list(self.seen))


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


def test_an_answer_comes_to_the_mailbox_while_others_are_served() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            oracle = await gen_server.start(Oracle)
            asker = await gen_server.start(Asker, oracle, "later")
            before = await gen_server.request(asker, "seen")
            gen_server.tell(oracle, 42)
            await settle()
            return before, await gen_server.request(asker, "seen")

    assert run(main()) == ([], [42])


def test_the_end_of_the_callee_comes_to_the_mailbox_too() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            oracle = await gen_server.start(Oracle)
            asker = await gen_server.start(Asker, oracle, "die")
            await settle()
            late = await gen_server.start(Asker, oracle, "anything")
            return await gen_server.request(asker, "seen"), await gen_server.request(late, "seen")

    assert run(main()) == (["tired"], ["noproc"])


def test_an_abandoned_request_is_never_answered() -> None:
    async def main() -> object:
        async with quiet():
            oracle = await gen_server.start(Oracle)

            async def ask() -> object:
                request = gen_server.send_request(oracle, "later", deliver=True)
                request.abandon()
                gen_server.tell(oracle, "late")
                try:
                    return await process.receive(timeout_s=1)
                except TimeoutError:
                    return "nothing"

            answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

            async def body() -> None:
                answer.set_result(await ask())

            process.spawn(body)
            return await answer

    assert run(main()) == "nothing"


@pytest.mark.parametrize(("taken", "seen"), [(False, ["one", "two"]), (True, ["one"])], ids=["untaken", "taken"])
def test_a_second_answer_is_delivered_until_the_first_is_taken(taken: bool, seen: list[object]) -> None:
    class Twice(GenServer):
        async def handle_call(self, request: object, sender: From) -> NoReply:
            self.sender = sender
            sender.reply("one")
            return NoReply()

        async def handle_cast(self, request: object) -> None:
            self.sender.reply("two")

    async def main() -> list[object]:
        async with quiet():
            twice = await gen_server.start(Twice)
            answers: list[object] = []

            async def ask() -> None:
                gen_server.send_request(twice, "x", deliver=True)
                first = await process.receive()
                assert isinstance(first, Response)
                if taken:
                    answers.append(first.answer())
                gen_server.tell(twice, "again")
                await settle()
                if not taken:
                    answers.append(first.answer())
                try:
                    second = await process.receive(timeout_s=0)
                except TimeoutError:
                    return
                assert isinstance(second, Response)
                answers.append(second.answer())

            await process.wait_exit(process.spawn(ask))
            return answers

    assert run(main()) == seen


def test_delivery_needs_a_mailbox() -> None:
    async def main() -> None:
        async with quiet():
            oracle = await gen_server.start(Oracle)
            with pytest.raises(NotAProcessError):
                gen_server.send_request(oracle, "x", deliver=True)

    run(main())


def test_waiting_can_be_tried_again_and_receiving_cannot() -> None:
    async def main() -> object:
        async with quiet():
            oracle = await gen_server.start(Oracle)
            patient = gen_server.send_request(oracle, "later")
            with pytest.raises(TimeoutError):
                await gen_server.wait_response(patient, 1)
            gen_server.tell(oracle, "at last")
            answer = await gen_server.wait_response(patient, 1)
            impatient = gen_server.send_request(oracle, "later")
            with pytest.raises(CallTimeout):
                await gen_server.receive_response(impatient, 1)
            with pytest.raises(NoProcess):
                await gen_server.receive_response(gen_server.send_request("nobody", "x"))
            return answer

    assert run(main()) == "at last"


def test_a_watcher_of_the_runtime_learns_of_each_end() -> None:
    async def main() -> list[tuple[Pid, object]]:
        ends: list[tuple[Pid, object]] = []
        async with quiet() as runtime:
            oracle = await gen_server.start(Oracle)
            runtime.on_ended = lambda pid, reason: ends.append((pid, reason))
            await gen_server.stop(oracle, "done")
            assert ends == [(oracle, "done")]
        return ends

    assert len(run(main())) == 1


class OutOfInk(ServiceError):
    """An answer that is an error."""


def test_one_who_answers_by_an_error_does_not_cost_the_answers_of_the_others() -> None:
    class Scribe(GenServer):
        async def init(self, ink: bool) -> None:
            self.ink = ink
            self.asked = 0

        async def handle_call(self, request: object, sender: From) -> Reply:
            self.asked += 1
            if not self.ink:
                raise OutOfInk("empty")
            return Reply((request, self.asked))

    async def main() -> tuple[object, list[tuple[bool, type]]]:
        async with quiet():
            writes, empty = await gen_server.start(Scribe, True), await gen_server.start(Scribe, False)
            slow = await gen_server.start(Oracle)
            replies, failures = await gen_server.multi_call([writes, empty, "nobody", writes], "later", 1)
            late, too_late = await gen_server.multi_call([slow, writes], "later", 1)
            assert list(late) == [writes]
            assert isinstance(too_late[slow], CallTimeout)
            return replies == {writes: ("later", 1)}, [
                (destination == expected, type(error))
                for (destination, error), expected in zip(failures.items(), (empty, "nobody"), strict=True)
            ]

    assert run(main()) == (True, [(True, OutOfInk), (True, NoProcess)])
