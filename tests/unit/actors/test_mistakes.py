"""What is wrong is told where it is written, with the name, the value and the mend; it neither hangs nor passes."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from raybeam.actors import (
    AtLeastOnce,
    Backoff,
    ChildError,
    ChildSpec,
    CoDel,
    Damper,
    ExactlyOnce,
    Fair,
    GenServer,
    GenStatem,
    Gradient,
    Hedge,
    InvalidSpecError,
    NextState,
    Ok,
    OptionError,
    Pid,
    Priorities,
    Rate,
    RegistrySpec,
    Regulation,
    Runtime,
    StartError,
    SubscribeTo,
    Supervisor,
    SupervisorSpec,
    UsageError,
    call,
    cast,
    dynamic_supervisor,
    gen_server,
    process,
    query,
    supervisor,
)
from raybeam.actors.testing import run, settle


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
        ({"queue_limit": 3}, r"regulation=\{'queue_limit': 3\}: give Regulation\(queue_limit=\.\.\.\)"),
        ({}, r"regulation=\{\}: give Regulation\(\)"),
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
        (ExactlyOnce, {"window": "x"}, "window='x': give a number"),
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
        (Ok, {"timeout_s": "x"}, "timeout_s='x': give seconds"),
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
    ("server", "told"), [(Machine, r"gen_server\.request\(destination, message\)"), (3, "no reference for 3: give")]
)
def test_only_servers_have_references(server: Any, told: str) -> None:
    async def body() -> None:
        with pytest.raises(UsageError, match=told):
            gen_server.ref(server, await gen_server.start(Plain))

    play(body)


# -- system calls ----------------------------------------------------------------------------------------------------


def test_the_messages_of_a_suspended_process_are_counted() -> None:
    async def body() -> object:
        plain = await gen_server.start(Plain)
        await gen_server.suspend(plain)
        for number in range(5):
            process.send(plain, number)
        return (await gen_server.statistics(plain)).mailbox_depth

    assert play(body) == 5
