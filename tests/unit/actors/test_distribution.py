"""Processes of different runtimes deal with each other as if they were at home."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    Disconnected,
    Down,
    ExitMessage,
    From,
    GenServer,
    InvalidArgumentsError,
    NoProcess,
    NoReply,
    PeerDown,
    PeerUp,
    Pid,
    RemoteName,
    Reply,
    Runtime,
    ServiceError,
    Stop,
    UsageError,
    call,
    cast,
    gen_server,
    pg,
    process,
)
from raybeam.actors.runtime import ambient_runtime
from raybeam.actors.testing import Network, run, settle

T = TypeVar("T")


class Refused(ServiceError):
    """An answer."""


class Counter(GenServer):
    async def init(self) -> None:
        self.total = 0
        self.later: From | None = None

    @call
    async def add(self, amount: int) -> int:
        if amount < 0:
            raise Refused(f"{amount} is below 0")
        self.total += amount
        return self.total

    @cast
    async def note(self, amount: int) -> None:
        self.total += amount

    @call
    async def crash(self) -> None:
        raise RuntimeError("boom")

    async def handle_call(self, request: object, sender: From) -> Reply | NoReply | Stop:
        match request:
            case "later":
                self.later = sender
                return NoReply()
            case "caller":
                return Reply(sender.caller)
            case "end":
                return Stop("done", "bye")
            case _:
                return Reply(request)

    async def handle_info(self, message: object) -> None:
        if message == "answer now" and self.later is not None:
            self.later.reply("at last")


class World:
    """Two runtimes on one network."""

    def __init__(self, network: Network, one: Runtime, two: Runtime) -> None:
        self.network = network
        self.one = one
        self.two = two

    async def there(self, name: str | None = None) -> Pid:
        """A counter in the other runtime."""
        return await self.within(self.two, lambda: gen_server.start(Counter, name=name))

    async def within(self, runtime: Runtime, function: Callable[[], Awaitable[T]]) -> T:
        """Run something outside any process of a runtime."""

        async def body() -> T:
            ambient_runtime.set(runtime)
            return await function()

        return await asyncio.create_task(body())

    async def as_process(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run something as a process of the first runtime; what it returns."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def body() -> None:
            try:
                outcome.set_result(await function())
            except Exception as error:  # noqa: BLE001 (the test judges)
                outcome.set_exception(error)

        self.one.spawn(body)
        return await outcome


def play(scene: Callable[[World], Awaitable[T]]) -> T:
    async def main() -> T:
        network = Network(seed=7)
        reports: list[object] = []
        async with Runtime("one", reports=reports.append) as one, Runtime("two", reports=reports.append) as two:
            network.join(one)
            network.join(two)
            return await scene(World(network, one, two))

    return run(main())


def test_a_typed_reference_reaches_a_process_elsewhere() -> None:
    async def scene(world: World) -> list[object]:
        pid = await world.there()

        async def body() -> list[object]:
            counter = gen_server.ref(Counter, pid)
            await counter.note(5)
            answers: list[object] = [await counter.add(1)]
            with pytest.raises(Refused, match="-1 is below 0"):
                await counter.add(-1)
            return [*answers, await gen_server.request(pid, "caller") == process.self_pid()]

        return await world.as_process(body)

    assert play(scene) == [6, True]


def test_a_name_elsewhere_is_a_destination() -> None:
    async def scene(world: World) -> list[object]:
        await world.there(name="counter")
        there = RemoteName("two", "counter")

        async def body() -> list[object]:
            gen_server.tell(RemoteName("two", "nobody"), "lost")
            return [
                await gen_server.request(there, "hello"),
                await gen_server.request(RemoteName("one", "here"), "hi"),
            ]

        await world.within(world.one, lambda: gen_server.start(Counter, name="here"))
        return await world.as_process(body)

    assert play(scene) == ["hello", "hi"]


def test_nobody_elsewhere_is_no_process() -> None:
    async def scene(world: World) -> object:
        with pytest.raises(NoProcess):
            await world.as_process(lambda: gen_server.request(RemoteName("two", "nobody"), "hello"))
        with pytest.raises(NoProcess):
            await world.as_process(lambda: gen_server.request(Pid("two", 999), "hello"))
        return True

    assert play(scene)


def test_a_late_answer_from_elsewhere_is_dropped_and_a_deferred_one_arrives() -> None:
    async def scene(world: World) -> object:
        pid = await world.there()

        async def body() -> object:
            with pytest.raises(CallTimeout):
                await gen_server.request(pid, "later", timeout_s=1.0)
            process.send(pid, "answer now")
            await asyncio.sleep(1.0)
            asked = gen_server.send_request(pid, "later")
            process.send(pid, "answer now")
            answer = await gen_server.receive_response(asked)
            with pytest.raises(TimeoutError):
                await process.receive(timeout_s=0)
            return answer

        return await world.as_process(body)

    assert play(scene) == "at last"


def test_the_reason_of_a_crash_elsewhere_reaches_caller_link_and_monitor() -> None:
    async def scene(world: World) -> list[object]:
        pid = await world.there()

        async def body() -> list[object]:
            process.trap_exit(True)
            process.link(pid)
            ref = process.monitor(pid)
            with pytest.raises(CallFailed, match="RuntimeError: boom"):
                await gen_server.ref(Counter, pid).crash()
            seen = [await process.receive(timeout_s=1), await process.receive(timeout_s=1)]
            exits = [message for message in seen if isinstance(message, ExitMessage)]
            downs = [message for message in seen if isinstance(message, Down)]
            assert exits[0].pid == pid
            assert downs[0].ref == ref
            return [str(exits[0].reason), str(downs[0].reason)]

        return await world.as_process(body)

    assert play(scene) == ["RuntimeError: boom", "RuntimeError: boom"]


def test_links_work_in_both_directions_and_can_be_undone() -> None:
    async def scene(world: World) -> list[bool]:
        linked, spared = await world.there(), await world.there()

        async def body() -> None:
            process.link(linked)
            process.link(spared)
            process.unlink(spared)
            await gen_server.request(spared, "order")
            raise RuntimeError("the end")

        await world.one.ended(world.one.spawn(body))
        await asyncio.sleep(1.0)
        return [world.two.cell(linked) is not None, world.two.cell(spared) is not None]

    assert play(scene) == [False, True]


def test_a_link_to_a_dead_process_elsewhere_is_an_exit_signal() -> None:
    async def scene(world: World) -> object:
        async def body() -> object:
            process.trap_exit(True)
            process.link(Pid("two", 999))
            return await process.receive(timeout_s=1)

        return await world.as_process(body)

    assert play(scene) == ExitMessage(Pid("two", 999), "noproc")


def test_monitors_elsewhere_see_names_ends_and_absence() -> None:
    async def scene(world: World) -> list[object]:
        pid = await world.there(name="counter")

        async def body() -> list[object]:
            absent = process.monitor(Pid("two", 999))
            named = process.monitor(RemoteName("two", "counter"))
            undone = process.monitor(pid)
            first = await process.receive(timeout_s=1)
            process.demonitor(undone)
            assert await gen_server.request(pid, "end") == "bye"
            second = await process.receive(timeout_s=1)
            assert first == Down(absent, Pid("two", 999), "noproc")
            assert second == Down(named, RemoteName("two", "counter"), "done")
            with pytest.raises(TimeoutError):
                await process.receive(timeout_s=1)
            return []

        return await world.as_process(body)

    assert play(scene) == []


def test_exit_signals_and_system_calls_reach_elsewhere() -> None:
    async def scene(world: World) -> list[object]:
        first, second = await world.there(), await world.there()

        async def body() -> list[object]:
            state = await gen_server.get_state(first)
            assert isinstance(state, dict)
            await gen_server.stop(first, "shutdown")
            ended = asyncio.ensure_future(process.wait_exit(second))
            await asyncio.sleep(0)
            process.exit_process(second, "kill")
            reason = await ended
            return [state["total"], reason, await process.wait_exit(first)]

        return await world.as_process(body)

    assert play(scene) == [0, "killed", "noproc"]


@pytest.mark.parametrize("how", ["cut", "crash"])
def test_a_lost_runtime_is_noconnection_for_links_monitors_and_calls(how: str) -> None:
    async def scene(world: World) -> list[object]:
        pid = await world.there()

        async def body() -> list[object]:
            process.trap_exit(True)
            process.link(pid)
            ref = process.monitor(pid)
            asked = gen_server.send_request(pid, "later")
            await gen_server.request(pid, "order")
            if how == "cut":
                world.network.cut("one", "two")
            else:
                await world.network.crash("two")
            with pytest.raises(Disconnected):
                await gen_server.receive_response(asked, timeout_s=5)
            seen = {await process.receive(timeout_s=1), await process.receive(timeout_s=1)}
            assert seen == {ExitMessage(pid, "noconnection"), Down(ref, pid, "noconnection")}
            return []

        return await world.as_process(body)

    assert play(scene) == []


@pytest.mark.parametrize("how", ["ends", "lost"])
def test_who_links_and_monitors_elsewhere_gets_the_exit_message_before_the_down(how: str) -> None:
    async def scene(world: World) -> list[object]:
        there = await world.there("counter")

        async def both() -> list[object]:
            process.trap_exit(True)
            process.monitor(RemoteName("two", "counter"))
            process.monitor(there)
            process.link(there)
            await settle()
            if how == "ends":
                process.exit_process(there, "boom")
            else:
                world.network.cut("one", "two")
            return [type(await process.receive()) for _ in range(3)]

        return await world.as_process(both)

    assert play(scene) == [ExitMessage, Down, Down]


def test_both_sides_of_a_cut_lose_their_links_and_find_each_other_again() -> None:
    async def scene(world: World) -> list[object]:
        pid = await world.there()
        ends: list[object] = []

        async def body() -> None:
            process.link(pid)
            await asyncio.sleep(100.0)

        here = world.one.spawn(body)
        await asyncio.sleep(1.0)
        world.network.cut("one", "two")
        ends += [await world.one.ended(here), world.two.cell(pid)]
        again = await world.there()
        with pytest.raises(Disconnected):
            await world.as_process(lambda: gen_server.request(again, "hello"))
        world.network.heal("one", "two")
        return [*ends, await world.as_process(lambda: gen_server.request(again, "hello"))]

    assert play(scene) == ["noconnection", None, "hello"]


def test_what_cannot_travel_is_told_to_the_sender() -> None:
    async def scene(world: World) -> object:
        pid = await world.there()

        async def body() -> object:
            with pytest.raises(InvalidArgumentsError, match="cannot be sent to another runtime"):
                process.send(pid, lambda: None)
            with pytest.raises(InvalidArgumentsError, match="cannot be sent to another runtime"):
                await gen_server.request(pid, lambda: None)
            return await gen_server.request(pid, "alive")

        return await world.as_process(body)

    assert play(scene) == "alive"


def test_nothing_is_remembered_of_processes_elsewhere_that_nobody_depends_on() -> None:
    async def scene(world: World) -> list[int]:
        pids = [await world.there() for _ in range(5)]

        async def body() -> None:
            for pid in pids:
                process.link(pid)
                ref = process.monitor(pid)
                await gen_server.request(pid, "hello")
                process.demonitor(ref)
                process.unlink(pid)
                process.send(pid, "hello")

        await world.as_process(body)
        await asyncio.sleep(1.0)
        kept = []
        for runtime in (world.one, world.two):
            assert runtime.distribution is not None
            kept.append(len(runtime.distribution._kept))
        return kept

    assert play(scene) == [0, 0]


def test_processes_are_told_of_runtimes_that_come_and_go() -> None:
    async def scene(world: World) -> list[object]:
        async def body() -> list[object]:
            assert world.one.distribution is not None
            world.one.distribution.monitor_peers(process.self_pid())
            seen = [await process.receive(timeout_s=1)]
            world.network.cut("one", "two")
            seen.append(await process.receive(timeout_s=1))
            world.network.heal("one", "two")
            return [*seen, await process.receive(timeout_s=1)]

        return await world.as_process(body)

    assert play(scene) == [PeerUp("two"), PeerDown("two"), PeerUp("two")]


def test_process_groups_span_runtimes_and_heal_after_a_cut() -> None:
    async def scene(world: World) -> list[object]:
        seen: list[object] = []
        for runtime in (world.one, world.two):
            await world.within(runtime, pg.start)
        here = await world.within(world.one, lambda: gen_server.start(Counter))
        there = await world.there()

        async def both() -> list[set[Pid]]:
            await asyncio.sleep(2.0)

            async def members() -> set[Pid]:
                return set(pg.get_members("counters"))

            return [await world.within(runtime, members) for runtime in (world.one, world.two)]

        await world.within(world.one, lambda: pg.join("counters", here))
        await world.within(world.two, lambda: pg.join("counters", there))
        seen.append(await both() == [{here, there}, {here, there}])
        world.network.cut("one", "two")
        seen.append(await both() == [{here}, {there}])
        world.network.heal("one", "two")
        seen.append(await both() == [{here, there}, {here, there}])
        world.two.exit(None, there, "kill")
        seen.append(await both() == [{here}, {here}])
        return seen

    assert play(scene) == [True, True, True, True]


def test_without_a_network_processes_elsewhere_are_not_there() -> None:
    async def main() -> object:
        async with Runtime("one"):
            with pytest.raises(NoProcess):
                await gen_server.request(Pid("two", 1), "hello")
            return True

    assert run(main())


def remembered(runtime: Runtime) -> int:
    """How many calls a runtime remembers: its own of processes elsewhere, and those of others that it serves."""
    distribution = runtime.distribution
    assert distribution is not None
    cells = [runtime.cell(pid) for pid in runtime.processes()]
    return (
        len(distribution._asked)
        + sum(len(calls) for calls in distribution._answering.values())
        + sum(len(cell.calls) for cell in cells if cell is not None)
    )


@pytest.mark.parametrize("how", ["request", "send first", "typed", "stop"])
def test_a_call_that_timed_out_is_forgotten_on_both_sides(how: str) -> None:
    async def scene(world: World) -> tuple[int, int]:
        pid = await world.there()

        class Deaf(GenServer):
            @call(timeout_s=1)
            async def wait(self) -> None:
                await asyncio.sleep(1000)

            async def handle_call(self, request: object, sender: From) -> NoReply:
                return NoReply()

            async def terminate(self, reason: object) -> None:
                await asyncio.sleep(1000)

        pid = await world.within(world.two, lambda: gen_server.start(Deaf))

        async def ask() -> object:
            match how:
                case "request":
                    return await gen_server.request(pid, "later", 1)
                case "send first":
                    return await gen_server.receive_response(gen_server.send_request(pid, "later"), 1)
                case "typed":
                    await gen_server.ref(Deaf, pid).wait()
                case _:
                    await gen_server.stop(pid, "normal", 1)
            return None

        async def body() -> None:
            with pytest.raises(CallFailed, match="timeout"):
                await ask()

        await world.as_process(body)
        before = remembered(world.one)
        await asyncio.sleep(1)
        return before, 0 if how == "stop" else remembered(world.two)

    assert play(scene) == (0, 0)


def test_calls_from_a_runtime_that_is_lost_are_forgotten_and_not_answered() -> None:
    async def scene(world: World) -> tuple[int, int, bool]:
        pid = await world.there()
        asked = await world.within(world.one, lambda: _sent(pid))
        await asyncio.sleep(1)
        before = remembered(world.two)
        await world.network.crash("one")
        await asyncio.sleep(1)
        after = remembered(world.two)
        assert asked is not None
        world.network.send = _no_more  # type: ignore[method-assign]
        await world.within(world.two, lambda: _answer(pid))
        return before, after, await world.within(world.two, lambda: _lives(pid))

    async def _sent(pid: Pid) -> object:
        return gen_server.send_request(pid, "later")

    async def _answer(pid: Pid) -> None:
        process.send(pid, "answer now")
        await asyncio.sleep(1)

    async def _lives(pid: Pid) -> bool:
        return process.is_alive(pid)

    def _no_more(sender: str, peer: str, signal: object) -> None:
        raise AssertionError(f"sent to the lost {peer}: {signal}")

    before, after, lives = play(scene)

    assert before == 2  # the call, and who is owed its answer
    assert after == 0
    assert lives


def test_a_name_elsewhere_can_be_stopped() -> None:
    async def scene(world: World) -> tuple[bool, object]:
        pid = await world.there("counter")

        async def body() -> object:
            await gen_server.stop(RemoteName("two", "counter"), timeout_s=5)
            with pytest.raises(NoProcess):
                await gen_server.request(RemoteName("two", "counter"), "caller")
            with pytest.raises(CallFailed) as failed:
                await gen_server.stop(RemoteName("two", "counter"), timeout_s=5)
            return failed.value.cause

        cause = await world.as_process(body)
        return world.two.cell(pid) is None, cause

    assert play(scene) == (True, "noproc")


def test_who_lives_elsewhere_must_be_asked_there() -> None:
    async def scene(world: World) -> list[object]:
        pid = await world.there("counter")
        name, nobody = RemoteName("two", "counter"), RemoteName("two", "nobody")

        async def body() -> list[object]:
            with pytest.raises(UsageError, match=r"in another runtime.*await process\.locate"):
                process.is_alive(pid)
            with pytest.raises(UsageError, match=r"await process\.locate\(<'counter' in two>\)"):
                process.whereis(name)  # type: ignore[arg-type]
            here = process.self_pid()
            found = [await process.locate(asked) == pid for asked in (pid, name)]
            own = await process.locate(here) == here
            await gen_server.stop(pid)
            return [*found, own, *[await process.locate(asked) for asked in (pid, name, nobody, "nobody")]]

        return await world.as_process(body)

    assert play(scene) == [True, True, True, None, None, None, None]


def test_who_cannot_be_asked_is_neither_dead_nor_alive() -> None:
    async def scene(world: World) -> str:
        pid = await world.there()
        world.network.cut("one", "two")

        async def body() -> str:
            with pytest.raises(Disconnected):
                await process.locate(pid)
            return "disconnected"

        return await world.as_process(body)

    assert play(scene) == "disconnected"
