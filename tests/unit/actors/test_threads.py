"""Threads: a blocking handler does to processes what any other does.

The loops here check that nobody else touches them (asyncio's debug mode).
"""

import asyncio
import threading
from collections.abc import Callable

import pytest

from raybeam.actors import (
    Down,
    ExitMessage,
    From,
    GenServer,
    NoReply,
    Pid,
    Registry,
    Reply,
    Runtime,
    UsageError,
    alarm_handler,
    call,
    gen_server,
    process,
    registry,
)
from raybeam.actors.kernel.once import Origin
from raybeam.actors.message import Call


class Doer(GenServer):
    """Does in a thread what it is told, and notes what it gets."""

    async def init(self, trap: bool = False) -> None:
        process.trap_exit(trap)
        self.seen: list[object] = []
        self.owed: list[From] = []

    @call
    def do(self, work: object) -> object:
        assert callable(work)
        assert threading.current_thread() is not threading.main_thread()
        return work()

    @call
    async def notes(self) -> list[object]:
        return self.seen

    async def handle_call(self, request: object, sender: From) -> NoReply:
        self.owed.append(sender)
        return NoReply()

    async def handle_cast(self, request: object) -> None:
        self.seen.append(request)

    async def handle_info(self, message: object) -> None:
        self.seen.append(message)


def play(work: Callable[[Pid, Pid], object], *, trap: bool = False) -> tuple[object, list[object]]:
    """What `work(doer, other)` gives, done by the doer in a thread, and what the other has seen then."""

    async def main() -> tuple[object, list[object]]:
        async with Runtime(reports=lambda report: None):
            pid, other = await gen_server.start(Doer, trap), await gen_server.start(Doer)
            done = await gen_server.ref(Doer, pid).do(lambda: work(pid, other))
            return done, await gen_server.ref(Doer, other).notes() if process.is_alive(other) else []

    return asyncio.run(main(), debug=True)


def test_casts_and_messages_of_a_thread_arrive_in_order() -> None:
    def work(_: Pid, other: Pid) -> None:
        for number in range(100):
            gen_server.tell(other, number)
            process.send(other, -number)

    assert play(work)[1] == [sign * number for number in range(100) for sign in (1, -1)]


def test_a_message_to_a_name_that_nobody_has_is_told_in_the_thread() -> None:
    def work(_: Pid, __: Pid) -> str:
        with pytest.raises(UsageError, match="nobody has the name") as caught:
            process.send("nobody", 1)
        return type(caught.value).__name__

    assert play(work)[0] == "UsageError"


def test_a_thread_links_monitors_spawns_and_names() -> None:
    async def serve() -> None:
        await process.receive()

    def work(doer: Pid, other: Pid) -> list[object]:
        spawned, ref = process.spawn_monitor(serve)
        linked = process.spawn_link(serve)
        process.link(other)
        process.unlink(other)
        process.register("spawned", spawned)
        found = process.whereis("spawned") == spawned
        process.unregister("spawned")
        process.exit_process(linked, "kill")
        process.exit_process(spawned, "kill")
        return [process.self_pid() == doer, found, process.whereis("spawned"), spawned, ref, linked]

    async def main() -> tuple[list[object], list[object]]:
        async with Runtime():
            doer = gen_server.ref(Doer, await gen_server.start(Doer, trap=True))
            other = await gen_server.start(Doer)
            pid = await gen_server.start(Doer, trap=True)
            done = await gen_server.ref(Doer, pid).do(lambda: work(pid, other))
            assert isinstance(done, list)
            assert doer is not None
            return done, await gen_server.ref(Doer, pid).notes()

    done, seen = asyncio.run(main(), debug=True)
    here, found, gone, spawned, ref, linked = done

    assert (here, found, gone) == (True, True, None)
    assert isinstance(linked, Pid)
    assert seen == [ExitMessage(linked, "killed"), Down(ref, spawned, "killed")]  # type: ignore[arg-type]


def test_a_thread_answers_a_call_that_was_put_off() -> None:
    class Deferring(GenServer):
        async def init(self) -> None:
            self.owed: list[From] = []

        async def handle_call(self, request: object, sender: From) -> NoReply:
            self.owed.append(sender)
            return NoReply()

        @call
        def pay(self) -> None:
            first, second = self.owed
            first.reply("paid")
            second.fail(UsageError("not paid"))

    async def main() -> list[object]:
        async with Runtime():
            pid = await gen_server.start(Deferring)
            asked = [asyncio.ensure_future(gen_server.request(pid, "pay me", None)) for _ in range(2)]
            await asyncio.sleep(0)
            await gen_server.ref(Deferring, pid).pay()
            return await asyncio.gather(*asked, return_exceptions=True)

    paid, failed = asyncio.run(main(), debug=True)

    assert paid == "paid"
    assert str(failed) == "not paid"


def test_a_thread_answers_once_a_call_that_is_done_exactly_once() -> None:
    class Deferring(GenServer):
        async def init(self) -> None:
            self.owed: list[From] = []

        async def handle_call(self, request: object, sender: From) -> NoReply:
            self.owed.append(sender)
            return NoReply()

        @call
        def pay(self) -> int:
            for number, sender in enumerate(self.owed):
                sender.reply(number)
            return len(self.owed)

    async def main() -> tuple[int, list[object]]:
        async with Runtime() as runtime:
            pid = await gen_server.start(Deferring)
            cell = runtime.cell(pid)
            assert cell is not None
            origin = Origin("client", 1, 0, pid.serial)
            asked = [From(runtime.loop.create_future(), cell, None) for _ in range(2)]
            for sender in asked:
                cell.deliver_call(Call("pay me", sender, None, False, runtime.now(), None, origin))
            paid = await gen_server.ref(Deferring, pid).pay()
            return paid, await asyncio.gather(*(sender.future for sender in asked))

    assert asyncio.run(main(), debug=True) == (1, [0, 0])


def test_a_thread_sends_a_request_and_its_process_takes_the_answer_later() -> None:
    class Asking(GenServer):
        @call
        def ask(self, other: Pid) -> None:
            self.request = gen_server.send_request(other, "ask")

        @call
        async def taken(self) -> object:
            return await gen_server.receive_response(self.request, 10)

    class Echo(GenServer):
        async def handle_call(self, request: object, sender: From) -> Reply:
            return Reply(request)

    async def main() -> object:
        async with Runtime():
            asking = gen_server.ref(Asking, await gen_server.start(Asking))
            await asking.ask(await gen_server.start(Echo))
            return await asking.taken()

    assert asyncio.run(main(), debug=True) == "ask"


def test_a_thread_uses_registries_and_alarms() -> None:
    async def main() -> tuple[object, object]:
        async with Runtime():
            await gen_server.start(Registry, name="names")
            await alarm_handler.start()
            pid = await gen_server.start(Doer)

            def work() -> object:
                registry.register("names", "doer", 7)
                alarm_handler.set_alarm("hot")
                return registry.lookup("names", "doer")

            found = await gen_server.ref(Doer, pid).do(work)
            return found == [(pid, 7)], [alarm.id for alarm in await alarm_handler.get_alarms()]

    assert asyncio.run(main(), debug=True) == (True, ["hot"])


def test_the_thread_of_a_process_that_was_killed_cannot_act_for_it_any_more() -> None:
    begun, killed, went_on = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        begun.set()
        assert killed.wait(10)
        process.spawn_link(asyncio.sleep, 0)
        went_on.append("next statement")

    async def main() -> None:
        async with Runtime() as runtime:
            pid = await gen_server.start(Doer)
            asked = gen_server.send_request(pid, "ignored")
            doing = asyncio.ensure_future(gen_server.ref(Doer, pid).do(work))
            await asyncio.to_thread(begun.wait, 10)
            before = len(runtime.processes())
            process.exit_process(pid, "kill")
            killed.set()
            await asyncio.gather(doing, return_exceptions=True)
            asked.abandon()
            await asyncio.get_running_loop().shutdown_default_executor()
            assert len(runtime.processes()) == before - 1

    asyncio.run(main(), debug=True)

    assert went_on == []
