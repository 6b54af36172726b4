"""What is wrong with a specification, an option or a start function is told with what to write instead."""

from collections.abc import Callable
from typing import Any

import pytest

from raybeam.actors import (
    ChildError,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisor,
    GenServer,
    InvalidSpecError,
    Pid,
    Registry,
    Runtime,
    StartError,
    Supervisor,
    SupervisorReport,
    SupervisorSpec,
    TaskSupervisor,
    UsageError,
    call,
    dynamic_supervisor,
    gen_server,
    process,
    registry,
    supervisor,
    task_supervisor,
)
from raybeam.actors.testing import run, settle


class Worker(GenServer):
    async def init(self, size: int = 1) -> None:
        self.size = size


class Tree(Supervisor):
    async def init(self, spec: Any) -> Any:
        return spec


class Pool(DynamicSupervisor):
    async def init(self, spec: Any = None) -> Any:
        return spec


async def started_nothing() -> None:
    """Forgets to return the pid."""
    await gen_server.start_link(Worker)


def plain() -> str:
    return "no coroutine"


def trees(*children: object) -> SupervisorSpec:
    return SupervisorSpec(children)


def why(server: type[Supervisor | DynamicSupervisor], spec: object) -> str:
    """What is told of a supervisor that does not start."""

    async def main() -> str:
        async with Runtime(reports=lambda report: None):
            with pytest.raises(StartError) as failed:
                await gen_server.start(server, spec)
            return str(failed.value)

    return run(main())


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ([ChildSpec("a", Worker)], "Tree.init() returned [ChildSpec("),
        ([ChildSpec("a", Worker)], "return a SupervisorSpec, or Ignore()"),
        (trees(ChildSpec("a", Worker, "forever")), "Tree: child 'a': restart='forever': 'permanent', 'transient' or"),
        (trees(ChildSpec("a", Worker(), "forever")), "give an async function, or (function or class, *arguments)"),
        (trees({"id": "a", "strat": Worker}), "has no key 'strat'; it has: backoff, id, modules, restart, shutdown,"),
        (trees({"start": Worker}), "'id' is missing"),
        (trees("a"), "child spec 'a': write ChildSpec(id, start, ...)"),
        (trees(ChildSpec("a", Worker), ChildSpec("a", Worker)), "two children have the id 'a': give each its own"),
        (trees(ChildSpec(["a"], Worker)), "its id is not hashable: give a string or a number, or a tuple"),
        (SupervisorSpec(ChildSpec("a", Worker)), "give a list of ChildSpecs"),  # type: ignore[arg-type]
        (SupervisorSpec(strategy="one_for_two"), "Tree: strategy='one_for_two': use 'one_for_one', 'one_for_all' or"),
        (SupervisorSpec(domain_window_s="5"), "domain_window_s='5': seconds, 0 or more"),  # type: ignore[arg-type]
        (trees(ChildSpec("a", started_nothing)), "its start function started_nothing() returned None: return the Pid"),
        (trees(ChildSpec("a", plain)), "its start function plain() is a plain def: write async def, and return"),
    ],
)
def test_a_supervisor_that_cannot_start_says_what_to_write_instead(spec: object, told: str) -> None:
    assert told in why(Tree, spec)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (SupervisorSpec(), "Pool.init() returned SupervisorSpec("),
        (SupervisorSpec(), "return a DynamicSpec, or Ignore()"),
        (DynamicSpec(max_children="9"), "max_children='9': a whole number from 0"),  # type: ignore[arg-type]
        (DynamicSpec(period_s=0), "Pool: period_s=0: seconds above 0"),
        (DynamicSpec(template=ChildSpec("a", Worker, shutdown=-1)), "Pool: child 'a': shutdown=-1: seconds,"),
    ],
)
def test_a_dynamic_supervisor_that_cannot_start_says_what_to_write_instead(spec: object, told: str) -> None:
    assert told in why(Pool, spec)


def refused(act: Callable[[Pid], Any]) -> str:
    async def main() -> str:
        async with Runtime(reports=lambda report: None):
            tree = await gen_server.start(Tree, trees(ChildSpec("a", Worker)))
            with pytest.raises((ChildError, InvalidSpecError)) as failed:
                await act(tree)
            assert process.is_alive(tree)
            return str(failed.value)

    return run(main())


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda tree: supervisor.restart_child(tree, "b"), "not_found: no such child; which_children() tells"),
        (lambda tree: supervisor.restart_child(tree, ["a"]), "not_found: no such child"),
        (lambda tree: supervisor.delete_child(tree, "a"), "running: the child runs: terminate_child() it first"),
        (lambda tree: supervisor.start_child(tree, ChildSpec(["c"], Worker)), "its id is not hashable"),
        (lambda tree: supervisor.start_child(tree, ChildSpec("c", Worker, shutdown="slow")), "seconds, 'brutal_kill'"),
        (lambda tree: supervisor.start_child(tree, ChildSpec("c", started_nothing)), "returned None: return the Pid"),
    ],
)
def test_a_refused_operation_on_a_child_says_what_to_do_instead(act: Callable[[Pid], Any], told: str) -> None:
    assert told in refused(act)


def test_a_tree_that_fails_deep_down_reports_what_to_write_instead() -> None:
    async def main() -> list[str]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            inner = ChildSpec("inner", (Tree, trees(ChildSpec("leaf", Worker, "forever"))), type="supervisor")
            with pytest.raises(StartError):
                await gen_server.start(Tree, trees(inner))
            return [str(report) for report in reports if isinstance(report, SupervisorReport)]

    [report] = run(main())

    assert "child 'inner': Tree: child 'leaf': restart='forever'" in report


def test_a_restart_that_fails_reports_what_to_write_instead() -> None:
    starts: list[int] = []

    async def once() -> object:
        starts.append(1)
        return await gen_server.start_link(Worker) if len(starts) == 1 else None

    async def main() -> list[str]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            pool = await dynamic_supervisor.start()
            child = await dynamic_supervisor.start_child(pool, ChildSpec("child", once))
            assert child.pid is not None
            process.exit_process(child.pid, "kill")
            await settle()
            return [str(report) for report in reports if "start_error" in str(report)]

    assert "its start function " in run(main())[0]


@pytest.mark.parametrize("timeout_s", [0, None, "5", True])
def test_a_wrong_deadline_is_told_where_the_method_is_written(timeout_s: Any) -> None:
    with pytest.raises(UsageError, match="a call needs a deadline in seconds above 0"):
        call(timeout_s=timeout_s)


def test_a_wrong_retry_is_told_where_the_method_is_written() -> None:
    with pytest.raises(UsageError, match=r"retry='often': give AtMostOnce\(\), AtLeastOnce"):
        call(retry="often")  # type: ignore[call-overload]


def test_what_is_no_class_and_what_is_no_destination_are_named() -> None:
    async def main() -> None:
        async with Runtime():
            with pytest.raises(UsageError, match="give the class itself"):
                await gen_server.start(Worker())  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="None is no destination: give a pid, a name"):
                await gen_server.request(None, "x")  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="is no destination"):
                process.send(gen_server.ref(Worker, "name"), "x")  # type: ignore[arg-type]

    run(main())


@pytest.mark.parametrize(
    ("module", "kind"),
    [(dynamic_supervisor, DynamicSupervisor), (task_supervisor, TaskSupervisor), (registry, Registry)],
)
def test_the_module_of_a_behaviour_starts_it(module: Any, kind: type[GenServer]) -> None:
    class Own(kind):  # type: ignore[misc, valid-type]
        pass

    async def main() -> tuple[list[str], bool]:
        async with Runtime() as runtime:
            await module.start(name="plain")
            await module.start(Own, name="own")
            linked: list[Pid] = []

            async def parent() -> None:
                linked.append(await module.start_link(Own))
                await process.receive()

            pid = process.spawn(parent)
            await settle()
            process.exit_process(pid, "kill")
            await settle()
            cells = [runtime.cell(name) for name in ("plain", "own")]
            return [cell.description() for cell in cells if cell is not None], process.is_alive(linked[0])

    names, lives = run(main())

    assert [name.rpartition(".")[2] for name in names] == [kind.__name__, "Own"]
    assert not lives


def test_an_option_in_the_class_statement_is_told_where_it_belongs() -> None:
    with pytest.raises(UsageError, match=r"mailbox_limit=5\): options are class attributes, mailbox_limit = \.\.\."):
        type("Narrow", (GenServer,), {}, mailbox_limit=5)
