"""What newcomers get wrong is told at once, in words that say what to write instead."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from raybeam.actors import (
    CallFailed,
    ChildSpec,
    EventHandler,
    Exit,
    GenServer,
    GenStatem,
    NextState,
    Ok,
    Pid,
    Ref,
    Runtime,
    Supervisor,
    SupervisorSpec,
    TaskSupervisor,
    UsageError,
    call,
    gen_event,
    gen_server,
    process,
    query,
    registry,
    task_supervisor,
)
from raybeam.actors.testing import run


class Lamp(GenServer):
    @call
    async def itself(self) -> None:
        await gen_server.ref(Lamp, self.pid).itself()

    @call
    async def wrong(self) -> int:
        return "one"  # type: ignore[return-value]


class PlainInit(GenServer):
    def init(self) -> None:  # type: ignore[override]
        return None


class PlainHandler(EventHandler):
    def init(self) -> None:  # type: ignore[override]
        return None


class PoorTime(GenServer):
    async def init(self) -> Ok:
        return Ok(timeout_s=untyped("1"))


class PlainMachineInit(GenStatem):
    def init(self) -> NextState:  # type: ignore[override]
        return NextState("off")


class PlainSupervisorInit(Supervisor):
    def init(self) -> SupervisorSpec:  # type: ignore[override]
        return SupervisorSpec([ChildSpec("lamp", Lamp)])


def untyped(value: Any) -> Any:
    """What the types would not let through."""
    return value


async def sleeper() -> None:
    await process.receive()


def plain(number: int) -> int:
    return number


async def seen(mistake: Callable[[], Awaitable[object]]) -> tuple[str, str]:
    """What is raised, and what is reported."""
    reports: list[object] = []
    async with Runtime(reports=reports.append):
        try:
            told = f"returned {await mistake()}"
        except Exception as error:  # noqa: BLE001 (the test judges)
            told = f"{type(error).__name__}: {error}"
    return told, "\n".join(map(str, reports))


async def waiting(**options: Any) -> object:
    async def body() -> None:
        await process.receive(**options)

    return await process.wait_exit(process.spawn(body))


async def handled() -> None:
    await gen_event.add_handler(await gen_event.start(), PlainHandler)


async def task(*work: Any) -> object:
    supervisor = await gen_server.start(TaskSupervisor)

    async def owner() -> None:
        task = await task_supervisor.async_nolink(supervisor, *work)
        await task.result()

    return await process.wait_exit(process.spawn(owner))


async def in_process(act: Callable[[], object]) -> object:
    async def body() -> None:
        act()

    return await process.wait_exit(process.spawn(body))


async def timed() -> object:
    return await gen_server.request(await gen_server.start(Lamp), "on", "5")  # type: ignore[arg-type]


async def to_a_reference() -> object:
    pid = await gen_server.start(Lamp)
    return await gen_server.request(untyped(Ref(*pid)), "on")


async def taken_back() -> None:
    process.unregister(registry.via("names", "lamp"))  # type: ignore[arg-type]


async def named(name: object) -> None:
    process.register(name, await gen_server.start(Lamp))  # type: ignore[arg-type]


async def typed(method: str) -> object:
    lamp = gen_server.ref(Lamp, await gen_server.start(Lamp))
    return await getattr(lamp, method)()


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda: gen_server.start(PlainInit), "StartError: PlainInit.init() must be an async def"),
        (lambda: gen_server.start(PlainMachineInit), "StartError: PlainMachineInit.init() must be an async def"),
        (lambda: gen_server.start(PlainSupervisorInit), "StartError: PlainSupervisorInit.init() must be an async def"),
        (lambda: gen_server.start(Lamp, restart="permanent"), "with arguments (restart='permanent') but has no init()"),
        (lambda: gen_server.start(Lamp, timeout_s=-1), "UsageError: timeout_s=-1: give the seconds that init() may"),
        (
            lambda: gen_server.start(Lamp, regulation=untyped({"rate": 1})),
            "UsageError: regulation={'rate': 1}: give a Regulat",
        ),
        (lambda: gen_server.start(Lamp, name=untyped(5)), "UsageError: 5 cannot name a process: give a string"),
        (
            lambda: gen_server.start(Lamp, name=untyped(("a", 1))),
            "UsageError: ('a', 1) cannot name a process: give a string",
        ),
        (lambda: named(("a", 1)), "UsageError: ('a', 1) cannot name a process: give a string"),
        (timed, "UsageError: timeout_s='5': give the seconds to wait"),
        (to_a_reference, "is no destination: give a pid"),
        (taken_back, "is no local name: take it back where it is kept"),
        (
            lambda: in_process(lambda: process.link(untyped("lamp"))),
            "UsageError: link('lamp'): give a pid; process.whereis",
        ),
        (lambda: in_process(lambda: process.unlink(untyped("lamp"))), "UsageError: unlink('lamp'): give a pid"),
        (
            lambda: in_process(lambda: process.exit_process(untyped("lamp"), "x")),
            "UsageError: exit_process('lamp'): give a pid",
        ),
        (
            lambda: in_process(lambda: process.spawn(untyped(5))),
            "UsageError: cannot spawn 5: give an async function and then",
        ),
        (
            lambda: process.wait_exit(process.spawn(untyped(plain), 3)),
            "plain() must be an async def; it is a plain def",
        ),
        (
            lambda: in_process(partial(gen_server.ref, untyped(int), "lamp")),
            "UsageError: ref(<class 'int'>, ...): give",
        ),
        (lambda: gen_server.replace_state("lamp", untyped(5)), "UsageError: replace_state(..., 5): give a function"),
        (lambda: gen_server.start(PoorTime), "ValueError: timeout_s='1': give seconds, 0 or more"),
        (lambda: waiting(match="on"), "UsageError: receive('on'): give a function that says which messages to take"),
        (lambda: waiting(timeout_s="1"), "UsageError: receive(timeout_s='1'): give the seconds to wait"),
        (handled, "PlainHandler.init() must be an async def; it is a plain def"),
        (lambda: task(plain, 3), "plain() must be an async def; it is a plain def"),
        (lambda: task(5), "UsageError: 5 cannot be a task: give an async function and then its arguments"),
        (lambda: typed("wrong"), "Lamp.wrong() returned 'one', which is not what its annotation says: Input should be"),
    ],
)
def test_a_mistake_is_told_with_the_mend(mistake: Callable[[], Awaitable[object]], told: str) -> None:
    assert re.search(re.escape(told), run(seen(mistake))[0])


def test_a_process_that_calls_itself_is_reported_with_the_mend() -> None:
    told, reported = run(seen(lambda: typed("itself")))

    assert told.startswith(CallFailed.__name__)
    assert "called itself and would wait for ever" in reported
    assert "await self.method()" in reported


def test_a_constructor_with_arguments_is_refused_where_the_class_is_written() -> None:
    with pytest.raises(UsageError, match=r"Shelf.__init__\(self, items\).*write async def init\(self, items\)"):

        class Shelf(GenServer):
            def __init__(self, items: int) -> None:
                self.items = items


def test_options_of_a_decorator_are_given_by_name_and_must_be_what_they_are() -> None:
    with pytest.raises(UsageError, match=r"@call\(5\): options are given by name, such as @call\(timeout_s=1.0\)"):
        call(5)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match=r"hedge=5: give Hedge"):
        query(hedge=5)  # type: ignore[call-overload]


def test_what_is_only_equal_to_a_pid_is_none() -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            pid = await gen_server.start(Lamp)
            assert runtime.cell(Pid(*pid)) is not None
            with pytest.raises(UsageError):
                runtime.cell(tuple(pid))  # type: ignore[arg-type]

    asyncio.run(main())


def test_the_crash_of_a_spawned_function_is_reported_and_an_exit_is_not() -> None:
    async def fails() -> None:
        raise KeyError("lamp")

    async def leaves() -> None:
        raise Exit("bye")

    assert "fails" in run(seen(lambda: process.wait_exit(process.spawn(fails))))[1]
    assert run(seen(lambda: process.wait_exit(process.spawn(leaves)))) == ("returned bye", "")


def test_a_spawned_function_is_described_by_its_own_name() -> None:
    async def main() -> str:
        async with Runtime() as runtime:
            cell = runtime.cell(process.spawn(sleeper))
            assert cell is not None
            return cell.description()

    assert run(main()) == "sleeper"
