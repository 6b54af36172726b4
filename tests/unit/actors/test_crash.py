"""A crash is told and served alike, whatever exception it is: terminate, report, exit reason, restart."""

import sys

import pytest

from raybeam.actors import (
    CallFailed,
    ChildSpec,
    Crashed,
    CrashReport,
    EventHandler,
    Exit,
    GenServer,
    GenStatem,
    HandlerReport,
    NextState,
    Pid,
    Reply,
    Runtime,
    StartError,
    Supervisor,
    SupervisorSpec,
    UsageError,
    call,
    cast,
    gen_event,
    gen_server,
    process,
    query,
    supervisor,
)
from raybeam.actors.testing import run, settle


class Panic(BaseException):
    """What a library of another language raises when it gives up; no Exception."""


EVIL = [Panic("boo"), SystemExit(3), KeyboardInterrupt("stop"), GeneratorExit("gone")]
terminated: list[object] = []


class Fragile(GenServer):
    async def init(self, error: BaseException) -> None:
        self.error = error

    async def handle_call(self, request: object, sender: object) -> Reply:
        if request == "ping":
            return Reply("pong")
        raise self.error

    async def handle_cast(self, request: object) -> None:
        raise self.error

    async def handle_info(self, message: object) -> None:
        raise self.error

    @call
    async def marked(self) -> int:
        raise self.error

    @call
    def blocking(self) -> int:
        raise Panic("boo")

    @query(concurrent=True)
    async def beside(self) -> int:
        raise self.error

    @cast
    async def told(self) -> None:
        raise self.error

    async def terminate(self, reason: object) -> None:
        terminated.append(reason)


class Top(Supervisor):
    async def init(self, error: BaseException) -> SupervisorSpec:
        return SupervisorSpec([ChildSpec("fragile", (Fragile, error))])


async def _child(top: Pid) -> Pid:
    child = (await supervisor.which_children(top))[0].child
    assert isinstance(child, Pid)
    return child


@pytest.mark.parametrize("error", EVIL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("way", ["request", "tell", "send", "marked", "blocking", "beside", "told"])
def test_whatever_a_callback_raises_is_a_crash_with_terminate_report_and_restart(
    error: BaseException, way: str
) -> None:
    reports: list[object] = []
    terminated.clear()

    async def main() -> None:
        async with Runtime(reports=reports.append):
            top = await gen_server.start(Top, error)
            first = await _child(top)
            fragile = gen_server.ref(Fragile, first)
            failure: object = None
            try:
                match way:
                    case "request":
                        await gen_server.request(first, "fail")
                    case "tell":
                        gen_server.tell(first, "fail")
                    case "send":
                        process.send(first, "fail")
                    case _:
                        await getattr(fragile, way)()
            except CallFailed as raised:
                failure = raised.cause
            await settle()
            second = await _child(top)

            assert not process.is_alive(first)
            assert second != first
            assert await gen_server.request(second, "ping") == "pong"
            reason = Crashed(Panic("boo") if way == "blocking" else error)
            assert terminated == [reason]
            assert failure in (None, reason)
            assert [report.reason for report in reports if isinstance(report, CrashReport)] == [reason]
            await gen_server.stop(top)

    run(main())


@pytest.mark.parametrize("error", EVIL, ids=lambda error: type(error).__name__)
def test_whatever_init_raises_fails_the_start(error: BaseException) -> None:
    class Never(GenServer):
        async def init(self) -> None:
            raise error

    class NeverMachine(GenStatem):
        async def init(self) -> NextState:
            raise error

    async def main() -> None:
        async with Runtime(reports=lambda report: None) as runtime:
            with pytest.raises(StartError) as server:
                await gen_server.start(Never)
            with pytest.raises(StartError) as machine:
                await gen_server.start(NeverMachine)

            assert server.value.reason == Crashed(error)
            assert machine.value.reason is error
            assert runtime.processes() == []

    run(main())


@pytest.mark.parametrize("error", EVIL, ids=lambda error: type(error).__name__)
def test_whatever_terminate_raises_becomes_the_exit_reason(error: BaseException) -> None:
    class Clumsy(GenServer):
        async def terminate(self, reason: object) -> None:
            raise error

    async def main() -> None:
        async with Runtime(reports=lambda report: None):
            clumsy = await gen_server.start(Clumsy)
            with pytest.raises(CallFailed) as failure:
                await gen_server.stop(clumsy, timeout_s=1)

            assert failure.value.cause == Crashed(error)

    run(main())


@pytest.mark.parametrize("error", EVIL, ids=lambda error: type(error).__name__)
def test_whatever_a_state_function_raises_ends_the_machine(error: BaseException) -> None:
    class Machine(GenStatem):
        async def init(self) -> NextState:
            return NextState("idle")

        async def idle(self, event: object) -> None:
            raise error

    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            machine = await gen_server.start(Machine)
            with pytest.raises(CallFailed) as failure:
                await gen_server.request(machine, "go")

            assert failure.value.cause == Crashed(error)
            assert [type(report) for report in reports] == [CrashReport]

    run(main())


@pytest.mark.parametrize("error", EVIL, ids=lambda error: type(error).__name__)
def test_whatever_an_event_handler_raises_removes_it_alone(error: BaseException) -> None:
    class Deaf(EventHandler):
        async def handle_event(self, event: object) -> None:
            raise error

    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            manager = await gen_event.start()
            await gen_event.add_handler(manager, Deaf)
            await gen_event.sync_notify(manager, "noise")

            assert await gen_event.which_handlers(manager) == []
            assert [report.reason for report in reports if isinstance(report, HandlerReport)] == [
                ("EXIT", Crashed(error))
            ]

    run(main())


def test_sys_exit_in_a_handler_ends_its_process_only() -> None:
    class Leaver(GenServer):
        @call
        async def leave(self) -> None:
            sys.exit("enough")

    async def main() -> None:
        async with Runtime(reports=lambda report: None):
            with pytest.raises(CallFailed, match="SystemExit: enough"):
                await gen_server.ref(Leaver, await gen_server.start(Leaver)).leave()

    run(main())


@pytest.mark.parametrize("error", [ValueError("why"), *EVIL], ids=lambda error: type(error).__name__)
def test_a_spawned_function_that_crashes_is_reported(error: BaseException) -> None:
    async def work(argument: int) -> None:
        raise error

    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            ended = process.wait_exit(pid := process.spawn(work, 1))
            assert await ended == Crashed(error)
            [report] = reports
            assert isinstance(report, CrashReport)
            assert (report.pid, report.reason) == (pid, Crashed(error))
            assert report.behaviour.endswith("work")

    run(main())


def test_a_spawned_function_that_exits_on_purpose_is_not_reported() -> None:
    async def leave() -> None:
        raise Exit("enough")

    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            assert await process.wait_exit(process.spawn(leave)) == "enough"

    run(main())

    assert reports == []


def test_only_what_can_be_called_is_spawned() -> None:
    async def main() -> None:
        async with Runtime(reports=lambda report: None):
            with pytest.raises(UsageError, match="cannot spawn 3: give an async function"):
                process.spawn(3)  # type: ignore[arg-type]
            reason = await process.wait_exit(process.spawn(lambda: 3))  # type: ignore[arg-type, return-value]
            assert isinstance(reason, Crashed)
            assert isinstance(reason.error, UsageError)
            assert "must be an async def; it is a plain def that returned 3" in str(reason)

    run(main())


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    def __repr__(self) -> str:
        raise ValueError("no text")


def test_an_error_that_cannot_be_shown_is_told_nevertheless() -> None:
    class Server(GenServer):
        async def init(self) -> None:
            self.secret = (Unspeakable(),)

        async def handle_call(self, request: object, sender: object) -> Reply:
            raise Unspeakable(request)

    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=lambda report: reports.append(str(report))):
            server = await gen_server.start(Server)
            with pytest.raises(CallFailed) as failure:
                await gen_server.request(server, Unspeakable())

            assert "Unspeakable" in str(failure.value)
            assert "Unspeakable, whose __str__ raised ValueError" in str(reports[0])

    run(main())


def test_a_process_cannot_wait_for_its_own_end() -> None:
    async def wait() -> None:
        await process.wait_exit(process.self_pid())

    async def main() -> None:
        async with Runtime(reports=lambda report: None):
            assert "cannot wait for its own end" in str(await process.wait_exit(process.spawn(wait)))

    run(main())


def test_a_call_to_oneself_that_nobody_catches_tells_the_mend() -> None:
    class Narcissus(GenServer):
        async def init(self, early: bool) -> None:
            if early:
                await gen_server.request(self.pid, "mirror")

        async def handle_call(self, request: object, sender: object) -> Reply:
            return Reply(await gen_server.request(self.pid, "mirror"))

    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            with pytest.raises(StartError, match=r"await self\.method\(\)"):
                await gen_server.start(Narcissus, True)
            with pytest.raises(CallFailed):
                await gen_server.request(await gen_server.start(Narcissus, False), "look")

    run(main())

    assert "await self.method()" in str(reports[-1])
