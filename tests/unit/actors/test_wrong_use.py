"""What is wrong is told where it is written, with the name, the value and the mend; it neither hangs nor passes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from raybeam.actors import (
    AtLeastOnce,
    Backoff,
    CallFailed,
    CallTimeout,
    ChangeCallbackModule,
    ChildError,
    ChildSpec,
    CoDel,
    Damper,
    EventHandler,
    EventTimeout,
    ExactlyOnce,
    Exited,
    Fair,
    GenServer,
    GenStatem,
    Gradient,
    Hedge,
    Hibernate,
    InvalidSpecError,
    KeepState,
    NamedTimeout,
    NextEvent,
    NextState,
    Ok,
    OptionError,
    Overloaded,
    Pid,
    PopCallbackModule,
    Postpone,
    Priorities,
    Rate,
    RegistrySpec,
    Regulation,
    ReplyTo,
    Runtime,
    StartError,
    StateTimeout,
    Stop,
    SubscribeTo,
    Supervisor,
    SupervisorSpec,
    UsageError,
    call,
    cast,
    dynamic_supervisor,
    gen_event,
    gen_server,
    pg,
    process,
    query,
    supervisor,
    task_supervisor,
)
from raybeam.actors.testing import run, settle

X: Any = "x"
THREE: Any = 3
NONE: Any = None
NO_FUNCTION: Any = {}


def play(body: Callable[[], Awaitable[object]]) -> object:
    """Run a body in a runtime under virtual time."""

    async def main() -> object:
        async with Runtime(reports=lambda report: None):
            return await body()

    return run(main())


class Plain(GenServer):
    """Does nothing."""


class Tree(Supervisor):
    async def init(self) -> SupervisorSpec:
        return SupervisorSpec()


class Machine(GenStatem):
    async def init(self) -> NextState:
        return NextState("idle")

    async def idle(self, event: object) -> object:
        return NextState("idle")


# -- starts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"queue_limit": 3},
            r"regulation=\{'queue_limit': 3\}: give a Regulation, such as Regulation\(queue_limit=\.\.\.\)",
        ),
        ({}, r"regulation=\{\}: give a Regulation, such as Regulation\(\)"),
        (3, "regulation=3: give a Regulation, or None"),
    ],
)
def test_a_regulation_is_one(given: Any, told: str) -> None:
    async def body() -> None:
        with pytest.raises(UsageError, match=told):
            await gen_server.start(Plain, regulation=given)

    play(body)


def test_a_child_that_is_not_linked_to_its_supervisor_is_refused() -> None:
    class Tree(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("loose", (gen_server.start, Plain))])

    async def body() -> None:
        with pytest.raises(StartError, match="use start_link"):
            await gen_server.start(Tree)

    play(body)


def test_a_child_that_ended_at_once_is_taken_for_linked() -> None:
    async def short() -> Pid:
        async def nothing() -> None:
            return

        pid = process.spawn_link(nothing)
        await settle()
        return pid

    class Tree(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("short", short, restart="transient")])

    async def body() -> object:
        return (await supervisor.which_children(await gen_server.start(Tree)))[0].child

    assert play(body) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"listeners": [3]}, r"listeners=\[3\]: 3 is no destination"),
        ({"listeners": 3}, "listeners=3: give a list"),
        ({"listeners": Pid("r", 1)}, "give a list"),
        ({"meta": 3}, "meta=3: give a mapping"),
    ],
)
def test_the_options_of_a_registry_are_looked_at_before_it_starts(options: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        RegistrySpec(**options)


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (Backoff, {"factor": "x"}, "factor='x': give a number"),
        (Backoff, {"jitter": None}, "jitter=None: give a number"),
        (AtLeastOnce, {"budget": "x"}, "budget='x': give a number"),
        (ExactlyOnce, {"window": "x"}, "window='x': give a whole number"),
        (Hedge, {"after_s": "x"}, "after_s='x': give a number"),
        (Priorities, {"shares": ["a"]}, r"shares=\['a'\]: give a dict"),
        (Priorities, {"shares": {"a": "b"}}, r"shares\['a'\]='b': give a share"),
        (Damper, {"cpu": 3}, "cpu=3: give a tuple of shares"),
        (Damper, {"cut": "x"}, "cut='x': give a number"),
        (Fair, {"weights": 3}, "weights=3: give a dict"),
        (Rate, {"per_s": "x"}, "per_s='x': give a number"),
        (CoDel, {"target_s": "x"}, "target_s='x': give a number"),
        (Gradient, {"initial": "x"}, "initial='x': give a number"),
        (Regulation, {"queue_limit": "x"}, "queue_limit='x': give 1 or more"),
        (Ok, {"timeout_s": "x"}, "timeout_s='x': give"),
        (SubscribeTo, {"to": "p", "max_demand": "x"}, "max_demand='x': give 1 or more"),
    ],
)
def test_a_wrong_option_is_a_usage_error_and_a_value_error(kind: Any, options: Any, told: str) -> None:
    with pytest.raises(OptionError, match=told) as failure:
        kind(**options)

    assert isinstance(failure.value, UsageError)
    assert isinstance(failure.value, ValueError)


def test_a_wrong_specification_is_the_same_error_whoever_starts_the_child() -> None:
    wrong = ChildSpec("plain", Plain, restart="often")

    async def body() -> None:
        tree = await supervisor.start(Tree)
        pool = await dynamic_supervisor.start()
        for start in (supervisor.start_child(tree, wrong), dynamic_supervisor.start_child(pool, wrong)):
            with pytest.raises(InvalidSpecError, match="restart='often'") as failure:
                await start
            assert failure.value.reason == ("invalid_restart_type", "often")
            assert isinstance(failure.value, UsageError)

    play(body)


def test_children_of_a_dynamic_supervisor_are_named_by_pid() -> None:
    async def body() -> None:
        pool = await dynamic_supervisor.start()
        with pytest.raises(UsageError, match="named by pid"):
            await dynamic_supervisor.terminate_child(pool, "a")  # type: ignore[arg-type]
        with pytest.raises(ChildError, match="named by pid"):
            await supervisor.terminate_child(pool, "a")

    play(body)


# -- marked methods --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [call, cast, query])
def test_a_state_machine_has_no_marked_methods(mark: Any) -> None:
    with pytest.raises(UsageError, match=r"Marked\.ring is marked with @call.*gen_server\.request"):

        class Marked(GenStatem):
            @mark  # type: ignore[untyped-decorator]
            async def ring(self) -> None: ...


@pytest.mark.parametrize(
    ("server", "told"), [(Machine, r"gen_server\.request\(destination, message\)"), (3, r"ref\(3, \.\.\.\): give")]
)
def test_only_servers_have_references(server: Any, told: str) -> None:
    async def body() -> None:
        with pytest.raises(UsageError, match=told):
            gen_server.ref(server, await gen_server.start(Plain))

    play(body)


# -- callbacks -------------------------------------------------------------------------------------------------------


def told_of(server: type[GenServer] | type[GenStatem], *args: object) -> str:
    """What the crash report says of a process that gets one request, or why it did not start."""
    reports: list[object] = []

    async def main() -> None:
        async with Runtime(reports=reports.append):
            try:
                process.send(await gen_server.start(server, *args), "go")
            except StartError as error:
                reports.append(error)
            await settle()

    run(main())
    return str(reports[0])


class PlainInit(GenServer):
    def init(self) -> None: ...  # type: ignore[override]


class PlainMachine(GenStatem):
    def init(self) -> None: ...  # type: ignore[override]


class PlainEnd(GenServer):
    async def handle_info(self, message: object) -> Any:
        return Stop("enough")

    def terminate(self, reason: object) -> None: ...  # type: ignore[override]


class Acting(GenStatem):
    """Goes to a state, or stays with actions."""

    async def init(self, state: object, actions: Any = ()) -> NextState:
        self.actions = actions
        return NextState(state)

    async def idle(self, event: object) -> KeepState:
        return KeepState(self.actions)


@pytest.mark.parametrize(
    ("server", "args", "told"),
    [
        (PlainInit, (), "PlainInit.init() must be an async def; it is a plain def that returned None"),
        (PlainMachine, (), "PlainMachine.init() must be an async def"),
        (PlainEnd, (), "PlainEnd.terminate() must be an async def"),
        (Acting, ("terminate",), "'terminate', which is the name of a method of GenStatem: give the state another"),
        (Acting, ("init",), "'init', which is the name of a method of GenStatem"),
        (Acting, (5,), "in the state 5: with state functions, states are strings"),
        (Acting, ("nowhere",), "has no state function 'nowhere': write async def nowhere(self, event)"),
        (Acting, ("idle", StateTimeout(-1)), "StateTimeout.time=-1: give seconds, 0 or more"),
        (Acting, ("idle", EventTimeout("soon")), "EventTimeout.time='soon': give seconds"),  # type: ignore[arg-type]
        (Acting, ("idle", NamedTimeout([], 1)), "NamedTimeout.name=[]: give a hashable term"),
        (Acting, ("idle", StateTimeout("update", absolute=True)), "StateTimeout.absolute=True: 'update' keeps"),
        (Acting, ("idle", -3), "-3 as an event time-out: give seconds"),
        (Acting, ("idle", Postpone(3)), "Postpone.postpone=3: True or False"),  # type: ignore[arg-type]
        (Acting, ("idle", Hibernate(3)), "Hibernate.hibernate=3: True or False"),  # type: ignore[arg-type]
        (Acting, ("idle", NextEvent(3)), "NextEvent.event=3: give an event"),  # type: ignore[arg-type]
        (Acting, ("idle", ReplyTo(3, 4)), "ReplyTo.sender=3: give the sender"),  # type: ignore[arg-type]
        (Acting, ("idle", ChangeCallbackModule(int)), "ChangeCallbackModule.module=<class 'int'>: give a class"),
        (Acting, ("idle", PopCallbackModule()), "without a PushCallbackModule before"),
        (Acting, ("idle", "go"), "'go' is no action: give ReplyTo"),
    ],
)
def test_a_wrong_callback_is_told_with_its_mend(server: Any, args: tuple[object, ...], told: str) -> None:
    assert told in told_of(server, *args)


def test_a_task_runs_an_async_def() -> None:
    def plain() -> int:
        return 3

    async def streamed() -> object:
        tasks = await task_supervisor.start()
        stream: Any = task_supervisor.async_stream_nolink(tasks, [1], lambda _: 3)  # type: ignore[arg-type, return-value]
        [outcome] = [outcome async for outcome in stream]
        return str(outcome.reason) if isinstance(outcome, Exited) else outcome

    assert "must be an async def; it is a plain def that returned 3" in str(play(streamed))


# -- system calls ----------------------------------------------------------------------------------------------------


def test_the_messages_of_a_suspended_process_are_counted() -> None:
    async def body() -> object:
        plain = await gen_server.start(Plain)
        await gen_server.suspend(plain)
        for number in range(5):
            process.send(plain, number)
        return (await gen_server.statistics(plain)).mailbox_depth

    assert play(body) == 5


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda pid: gen_server.replace_state(pid, NO_FUNCTION), "replace_state.*give a function"),
        (lambda pid: gen_server.change_code(pid, THREE), r"change_code\(3\): give the class"),
        (lambda pid: gen_server.request(pid, 1, X), "timeout_s='x': give"),
        (lambda pid: gen_server.request(pid, 1, -1), "timeout_s=-1: give the seconds to wait, 0 or more"),
        (lambda pid: gen_server.get_state(pid, -1), "timeout_s=-1: give the seconds to wait, 0 or more"),
        (lambda pid: gen_server.stop(pid, timeout_s=-1), "timeout_s=-1"),
        (lambda pid: gen_server.start(Plain, timeout_s=-1), "timeout_s=-1"),
        (lambda pid: gen_server.multi_call("nobody", 1), r"multi_call\('nobody'\): give a list"),
        (lambda pid: gen_server.multi_call(pid, 1), "give a list"),
        (lambda pid: process.send_after(-1, pid, 1), "delay_s=-1: give the seconds"),
        (lambda pid: process.send_after(NONE, pid, 1), "delay_s=None: give seconds"),
        (lambda pid: process.exit_process(THREE, "x"), r"exit_process\(3\): give a pid"),
        (lambda pid: process.exit_process(X, "x"), r"give a pid; process\.whereis"),
        (lambda pid: pg.join("group", X), "'x' cannot be in a group: give a pid"),
        (lambda pid: pg.join("group", THREE), "3 cannot be in a group: give a pid"),
        (lambda pid: pg.join("group", [THREE]), "3 cannot be in a group: give a pid"),
        (lambda pid: gen_event.add_handler(pid, EventHandler), "is no event manager but Plain"),
        (lambda pid: gen_event.sync_notify(pid, 1), "is no event manager but Plain"),
        (lambda pid: gen_event.notify(pid, 1), "is no event manager but Plain"),
        (gen_event.which_handlers, "is no event manager but Plain"),
    ],
)
def test_a_wrong_argument_is_told_and_harms_nobody(act: Callable[[Pid], Any], told: str) -> None:
    async def body() -> object:
        await pg.start()
        plain = await gen_server.start(Plain)
        with pytest.raises(UsageError, match=told):
            await act(plain)
        await settle()
        return process.is_alive(plain)

    assert play(body) is True


def test_a_process_goes_on_with_a_class_of_its_own_behaviour_only() -> None:
    async def body() -> None:
        for pid, other in ((await gen_server.start(Plain), Machine), (await gen_server.start(Machine), Plain)):
            with pytest.raises(CallFailed, match="must be of the same behaviour"):
                await gen_server.change_code(pid, other)
            assert process.is_alive(pid)

    play(body)


class Named(GenServer):
    async def init(self, name: str = "", timeout_s: float = 1) -> None:
        self.known_as = name


@pytest.mark.parametrize("option", [{"name": "bob"}, {"timeout_s": 3.0}])
def test_an_option_of_the_start_that_init_may_have_meant_is_refused(option: Any) -> None:
    async def body() -> object:
        with pytest.raises(UsageError, match=f"has a parameter '{next(iter(option))}', which start"):
            await gen_server.start(Named, **option)
        await gen_server.start(Named, "bob", 2.0, name="robert", timeout_s=1.0)
        return process.whereis("robert") is not None

    assert play(body) is True


def test_a_taken_name_and_a_slow_init_tell_what_to_do() -> None:
    class Slow(GenServer):
        async def init(self) -> None:
            await asyncio.sleep(100)

    async def body() -> None:
        first = await gen_server.start(Plain, name="plain")
        with pytest.raises(StartError, match="the name 'plain' is taken by") as taken:
            await gen_server.start(Plain, name="plain")
        with pytest.raises(StartError, match="did not return within timeout_s") as late:
            await gen_server.start(Slow, timeout_s=1)

        assert taken.value.reason == ("already_started", first)
        assert late.value.reason == "timeout"

    play(body)


def test_a_stop_that_takes_too_long_is_a_call_timeout() -> None:
    class Clinging(GenServer):
        async def terminate(self, reason: object) -> None:
            await asyncio.sleep(100)

    async def body() -> None:
        with pytest.raises(CallTimeout):
            await gen_server.stop(await gen_server.start(Clinging), timeout_s=1)

    play(body)


def test_a_refused_call_says_why_and_when_to_come_again() -> None:
    assert str(Overloaded(("till", "pay"), 0.25, "rate")) == (
        "overloaded: refused, rate; try again after 0.25 s (calling ('till', 'pay'))"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_concurrency": "x"}, "max_concurrency='x': at least 1 task"),
        ({"max_concurrency": 0}, "max_concurrency=0: at least 1 task"),
        ({"timeout_s": "x"}, "timeout_s='x': give"),
        ({"on_timeout": "x"}, "on_timeout='x': use 'exit'"),
    ],
)
def test_a_wrong_option_of_a_stream_is_told_at_once(options: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        task_supervisor.async_stream_nolink("tasks", [1], asyncio.sleep, **options)
