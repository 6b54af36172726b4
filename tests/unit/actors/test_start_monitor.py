"""start_monitor: started unlinked and monitored, with the starter as parent; the same for every behaviour."""

from collections.abc import Awaitable, Callable

import pytest

from raybeam.actors import (
    Down,
    GenEvent,
    GenServer,
    GenStatem,
    NextState,
    NotAProcessError,
    Pid,
    Ref,
    Runtime,
    StartError,
    Stop,
    gen_event,
    gen_server,
    gen_statem,
    process,
)
from raybeam.actors.testing import run, settle

Started = tuple[Pid, Ref]


class Trapping(GenServer):
    async def init(self) -> None:
        process.trap_exit(True)


class Failing(GenServer):
    async def init(self) -> Stop:
        return Stop("no")


class Machine(GenStatem):
    async def init(self) -> NextState:
        return NextState("only")


def in_process(body: Callable[[], Awaitable[None]]) -> None:
    """Run a body in a process of its own and let its errors through."""
    errors: list[BaseException] = []

    async def guarded() -> None:
        try:
            await body()
        except BaseException as error:
            errors.append(error)
            raise

    async def main() -> None:
        async with Runtime(reports=lambda report: None):
            await process.wait_exit(process.spawn(guarded))

    run(main())
    if errors:
        raise errors[0]


@pytest.mark.parametrize(
    "start",
    [
        lambda: gen_server.start_monitor(GenServer),
        lambda: gen_statem.start_monitor(Machine),
        lambda: gen_event.start_monitor(GenEvent),
    ],
    ids=["gen_server", "gen_statem", "gen_event"],
)
def test_the_end_comes_as_a_down_with_the_reference_of_the_start(start: Callable[[], Awaitable[Started]]) -> None:
    async def body() -> None:
        pid, ref = await start()
        process.exit_process(pid, "kill")
        assert await process.receive() == Down(ref, pid, "killed")

    in_process(body)


def test_a_start_that_fails_leaves_no_down() -> None:
    async def body() -> None:
        with pytest.raises(StartError):
            await gen_server.start_monitor(Failing)
        await settle()
        with pytest.raises(TimeoutError):
            await process.receive(timeout_s=0)

    in_process(body)


def test_the_starter_is_the_parent_whose_signal_ends_it() -> None:
    async def body() -> None:
        pid, ref = await gen_server.start_monitor(Trapping)
        process.exit_process(pid, "normal")
        assert await process.receive() == Down(ref, pid, "normal")

    in_process(body)


def test_it_outlives_the_starter_as_it_is_not_linked() -> None:
    async def main() -> bool:
        async with Runtime():
            made: list[Pid] = []

            async def starter() -> None:
                made.append((await gen_server.start_monitor(GenServer))[0])
                raise RuntimeError("the starter ends of an error")

            await process.wait_exit(process.spawn(starter))
            await settle()
            return process.is_alive(made[0])

    assert run(main())


def test_only_a_process_can_start_and_monitor() -> None:
    async def main() -> None:
        async with Runtime():
            with pytest.raises(NotAProcessError):
                await gen_server.start_monitor(GenServer)

    run(main())
