"""Processes: signals, links, monitors, names, receive."""

import asyncio
import itertools

import pytest

from raybeam.actors import (
    Down,
    Exit,
    ExitMessage,
    NotAProcessError,
    Pid,
    Registry,
    Runtime,
    UsageError,
    gen_server,
    process,
    registry,
)
from raybeam.actors.testing import run, settle


async def sleeper() -> None:
    await process.receive()


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


def test_a_linked_process_dies_with_the_reason_of_the_other() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():

            async def parent() -> None:
                process.spawn_link(fail)
                await process.receive()

            async def fail() -> None:
                raise Exit("boom")

            return await process.wait_exit(process.spawn(parent)), None

    assert run(main())[0] == "boom"


def test_a_normal_end_does_not_kill_the_linked() -> None:
    async def main() -> bool:
        async with quiet():

            async def done() -> None:
                return

            async def parent() -> None:
                process.spawn_link(done)
                await process.receive()

            pid = process.spawn(parent)
            await settle()
            return process.is_alive(pid)

    assert run(main())


def test_a_process_that_traps_exits_gets_a_message() -> None:
    async def main() -> list[tuple[object, Pid]]:
        async with quiet():
            seen: list[tuple[object, Pid]] = []

            async def fail() -> None:
                raise Exit("boom")

            async def parent() -> None:
                process.trap_exit(True)
                child = process.spawn_link(fail)
                message = await process.receive()
                seen.append((message, child))

            await process.wait_exit(process.spawn(parent))
            return seen

    [(message, child)] = run(main())

    assert message == ExitMessage(child, "boom")


def test_kill_cannot_be_trapped_and_links_see_killed() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():

            async def stubborn() -> None:
                process.trap_exit(True)
                while True:
                    await process.receive()

            pids: list[Pid] = []

            async def parent() -> None:
                pids.append(process.spawn_link(stubborn))
                await process.receive()

            parent_pid = process.spawn(parent)
            await settle()
            process.exit_process(pids[0], "polite")
            await settle()
            assert process.is_alive(pids[0])
            ended = asyncio.ensure_future(process.wait_exit(parent_pid))
            await settle()
            process.exit_process(pids[0], "kill")
            return await ended, process.is_alive(pids[0])

    assert run(main()) == ("killed", False)


def test_a_killed_process_stops_in_the_middle_of_what_it_does() -> None:
    async def main() -> list[str]:
        async with quiet():
            seen: list[str] = []

            async def worker() -> None:
                try:
                    await asyncio.sleep(10)
                    seen.append("woke")
                finally:
                    seen.append("cleaned up")

            pid = process.spawn(worker)
            await settle()
            process.exit_process(pid, "kill")
            await asyncio.sleep(20)
            return seen

    assert run(main()) == ["cleaned up"]


def test_a_monitor_tells_once_and_a_dead_target_at_once() -> None:
    async def main() -> list[object]:
        async with quiet():
            seen: list[object] = []

            async def watcher() -> None:
                pid = process.spawn(sleeper)
                ref = process.monitor(pid)
                process.exit_process(pid, "boom")
                seen.append(await process.receive() == Down(ref, pid, "boom"))
                ref = process.monitor(pid)
                seen.append(await process.receive() == Down(ref, pid, "noproc"))
                ref = process.monitor("nobody")
                seen.append(await process.receive() == Down(ref, "nobody", "noproc"))
                with pytest.raises(TimeoutError):
                    await process.receive(timeout_s=1)

            await process.wait_exit(process.spawn(watcher))
            return seen

    assert run(main()) == [True, True, True]


def test_who_links_and_monitors_gets_the_exit_message_before_the_down_whatever_the_end_happens_within() -> None:
    async def main() -> list[object]:
        async with quiet():
            seen: list[object] = []
            refs: dict[object, str] = {}

            async def owner() -> None:
                process.trap_exit(True)
                dies, falls, trigger = (process.spawn(sleeper) for _ in range(3))
                process.spawn(lambda: tie(falls, trigger))
                await settle()
                for pid, name in ((dies, "dies"), (falls, "falls")):
                    refs[process.monitor(pid)] = name
                    process.link(pid)
                process.exit_process(dies, "boom")
                process.exit_process(trigger, "boom")  # `tie` ends by this signal, and `falls` by that of `tie`
                for _ in range(4):
                    message = await process.receive()
                    seen.append(("down", refs[message.ref]) if isinstance(message, Down) else type(message).__name__)

            async def tie(one: Pid, other: Pid) -> None:
                process.link(one)
                process.link(other)
                await process.receive()

            await process.wait_exit(process.spawn(owner))
            return seen

    assert run(main()) == ["ExitMessage", ("down", "dies"), "ExitMessage", ("down", "falls")]


def test_a_chain_of_ten_thousand_links_falls_without_exhausting_the_stack() -> None:
    async def main() -> int:
        async with quiet() as runtime:
            pids = [process.spawn(sleeper) for _ in range(10_000)]
            for one, other in itertools.pairwise(pids):
                cell = runtime.cell(one)
                assert cell is not None
                runtime.link(cell, other)
            process.exit_process(pids[0], "boom")
            return len(runtime.processes())

    assert run(main()) == 0


def test_receive_takes_the_first_message_that_matches_and_leaves_the_others() -> None:
    async def main() -> list[object]:
        async with quiet():
            seen: list[object] = []

            async def reader() -> None:
                seen.append(await process.receive(lambda message: message == 2))
                seen.append(await process.receive())
                seen.append(await process.receive())

            pid = process.spawn(reader)
            for number in (1, 2, 3):
                process.send(pid, number)
            await process.wait_exit(pid)
            return seen

    assert run(main()) == [2, 1, 3]


def test_a_name_is_free_again_after_the_death_of_its_process() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            first, second = process.spawn(sleeper), process.spawn(sleeper)
            process.register("clerk", first)
            with pytest.raises(UsageError, match="taken"):
                process.register("clerk", second)
            process.exit_process(first, "kill")
            before = process.whereis("clerk")
            process.register("clerk", second)
            return before, process.whereis("clerk") == second

    assert run(main()) == (None, True)


def test_what_only_processes_can_do_is_refused_elsewhere() -> None:
    async def main() -> None:
        async with quiet():
            for act in (process.self_pid, lambda: process.trap_exit(True), lambda: process.monitor("x")):
                with pytest.raises(NotAProcessError):
                    act()

    run(main())
    with pytest.raises(NotAProcessError, match="async with Runtime"):
        process.spawn(sleeper)


def test_a_closed_runtime_leaves_no_task_behind() -> None:
    async def main() -> int:
        async with quiet():
            for _ in range(10):
                process.spawn(sleeper)
            await settle()
        return len(asyncio.all_tasks()) - 1

    assert run(main()) == 0


@pytest.mark.parametrize("act", ["spawn_link", "link", "monitor", "spawn_monitor", "trap_exit", "register a key"])
def test_a_process_that_has_ended_cannot_act_while_its_code_unwinds(act: str) -> None:
    acted: list[object] = []

    async def main() -> tuple[int, int]:
        async with quiet() as runtime:
            await gen_server.start(Registry, name="keys")
            other = process.spawn(sleeper)
            unwound: list[Pid] = []

            async def body() -> None:
                ref = process.monitor(other)
                try:
                    await process.receive()
                finally:
                    unwound.append(process.self_pid())
                    process.demonitor(ref)  # to look and to undo does no harm
                    process.unlink(other)
                    match act:
                        case "spawn_link":
                            acted.append(process.spawn_link(sleeper))
                        case "spawn_monitor":
                            acted.append(process.spawn_monitor(sleeper))
                        case "link":
                            process.link(other)
                        case "monitor":
                            acted.append(process.monitor(other))
                        case "trap_exit":
                            process.trap_exit(True)
                        case _:
                            registry.register("keys", "ghost")
                    acted.append("went on")

            pid = process.spawn(body)
            await settle()
            before = len(runtime.processes())
            process.exit_process(pid, "kill")
            await settle()
            assert unwound == [pid]
            cell = runtime.cell(other)
            assert cell is not None
            assert not cell.links
            return before - len(runtime.processes()), registry.count("keys")

    assert run(main()) == (1, 0)
    assert acted == []


def test_two_tasks_of_one_process_cannot_wait_for_a_message_at_once() -> None:
    async def main() -> object:
        async with quiet():

            async def body() -> None:
                waiting = asyncio.ensure_future(process.receive())
                await settle()
                try:
                    await process.receive()
                finally:
                    process.send(process.self_pid(), "message")
                    assert await waiting == "message"

            return getattr(await process.wait_exit(process.spawn(body)), "error", None)

    error = run(main())

    assert isinstance(error, UsageError)
    assert "two tasks of one process wait in receive()" in str(error)
