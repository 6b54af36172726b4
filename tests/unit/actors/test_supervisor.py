"""Supervisor: strategies, restart types, intensity, orders, the API."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest

from raybeam.actors import (
    Backoff,
    CallFailed,
    ChildCounts,
    ChildError,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    GenServer,
    Ignore,
    InvalidSpecError,
    Pid,
    RestartWindow,
    Runtime,
    Started,
    StartError,
    Supervisor,
    SupervisorReport,
    SupervisorSpec,
    TaskSupervisor,
    UsageError,
    gen_server,
    process,
    supervisor,
)
from raybeam.actors.kernel.supervisorspec import check_flags
from raybeam.actors.testing import run, settle

Log = list[tuple[str, str]]
R = TypeVar("R")


class Worker(GenServer):
    """Logs its starts and ends; fails to start as often as told."""

    async def init(self, name: str, log: Log, failures: list[object] | None = None, hang_s: float = 0.0) -> object:
        process.trap_exit(True)
        self.name, self.log, self.hang_s = name, log, hang_s
        if failures:
            raise Exit(failures.pop(0))
        log.append(("start", name))
        return None

    async def handle_info(self, message: object) -> None:
        raise Exit(message)

    async def terminate(self, reason: object) -> None:
        self.log.append(("stop", self.name))
        await asyncio.sleep(self.hang_s)


class Tree(Supervisor):
    async def init(self, spec: SupervisorSpec | Ignore) -> SupervisorSpec | Ignore:
        return spec


def worker(name: str, log: Log, restart: str = "permanent", **options: object) -> ChildSpec:
    extra = {key: options.pop(key) for key in ("failures", "hang_s") if key in options}
    start = (Worker, name, log, extra.get("failures"), extra.get("hang_s", 0.0))
    return ChildSpec(name, start, restart=restart, **options)  # type: ignore[arg-type]


def supervised(
    test: Callable[[Pid, Log], Coroutine[object, object, R]], make: Callable[[Log], SupervisorSpec]
) -> tuple[R, Log]:
    """Run a test with a supervisor under virtual time; its result and the log of the workers."""

    async def main() -> tuple[R, Log]:
        log: Log = []
        async with Runtime(reports=lambda report: None):
            pid = await gen_server.start(Tree, make(log))
            return await test(pid, log), log

    return run(main())


async def pid_of(tree: Pid, name: str) -> Pid:
    [pid] = [info.child for info in await supervisor.which_children(tree) if info.id == name]
    assert isinstance(pid, Pid)
    return pid


async def crash(tree: Pid, name: str, reason: object = "boom") -> None:
    process.send(await pid_of(tree, name), reason)
    await settle()


@pytest.mark.parametrize(
    ("strategy", "restarted"),
    [
        ("one_for_one", [("start", "b")]),
        ("rest_for_one", [("stop", "c"), ("start", "b"), ("start", "c")]),
        ("one_for_all", [("stop", "c"), ("stop", "a"), ("start", "a"), ("start", "b"), ("start", "c")]),
    ],
)
def test_the_strategy_says_who_is_restarted_and_in_which_order(strategy: str, restarted: Log) -> None:
    async def test(tree: Pid, log: Log) -> None:
        log.clear()
        await crash(tree, "b")

    _, log = supervised(test, lambda log: SupervisorSpec([worker(name, log) for name in "abc"], strategy=strategy))

    assert log == [("stop", "b"), *restarted]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", 1), "boom"])
def test_the_restart_type_says_which_ends_are_mended(restart: str, reason: object) -> None:
    async def test(tree: Pid, log: Log) -> tuple[bool, bool]:
        await crash(tree, "a", reason)
        infos = await supervisor.which_children(tree)
        return bool(infos), bool(infos) and isinstance(infos[0].child, Pid)

    (known, alive), _ = supervised(test, lambda log: SupervisorSpec([worker("a", log, restart)]))

    assert alive == (restart == "permanent" or (restart == "transient" and reason == "boom"))
    assert known == (restart != "temporary")


def test_one_restart_more_than_the_intensity_within_the_period_and_it_gives_up() -> None:
    async def test(tree: Pid, log: Log) -> tuple[object, float]:
        ended = asyncio.ensure_future(process.wait_exit(tree))
        for _ in range(3):
            await crash(tree, "a")
        return await ended, asyncio.get_running_loop().time()

    (reason, _), log = supervised(
        test, lambda log: SupervisorSpec([worker("a", log), worker("b", log)], intensity=2, period_s=5)
    )

    assert reason == "shutdown"
    assert log[-2:] == [("stop", "a"), ("stop", "b")]


def test_restarts_older_than_the_period_are_forgotten() -> None:
    async def test(tree: Pid, log: Log) -> bool:
        for _ in range(10):
            await crash(tree, "a")
            await asyncio.sleep(5.01)
        return process.is_alive(tree)

    alive, _ = supervised(test, lambda log: SupervisorSpec([worker("a", log)], intensity=1, period_s=5))

    assert alive


def test_a_failed_restart_counts_and_is_tried_again() -> None:
    failures: list[object] = []

    async def test(tree: Pid, log: Log) -> bool:
        failures.extend(["no", "not yet"])
        await crash(tree, "a")
        return process.is_alive(await pid_of(tree, "a"))

    make = lambda log: SupervisorSpec([worker("a", log, failures=failures)], intensity=3)  # noqa: E731
    alive, _ = supervised(test, make)

    assert alive
    assert failures == []


def test_children_start_in_order_and_stop_in_reverse() -> None:
    async def test(tree: Pid, log: Log) -> None:
        await gen_server.stop(tree)

    _, log = supervised(test, lambda log: SupervisorSpec([worker(name, log) for name in "abc"]))

    assert log == [("start", name) for name in "abc"] + [("stop", name) for name in "cba"]


def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    async def test(tree: Pid, log: Log) -> float:
        await gen_server.stop(tree)
        return asyncio.get_running_loop().time()

    took, _ = supervised(test, lambda log: SupervisorSpec([worker("a", log, hang_s=100.0, shutdown=2.0)]))

    assert took == pytest.approx(2.0)


def test_when_one_does_not_start_those_before_it_are_stopped_and_the_reason_is_told() -> None:
    async def main() -> tuple[object, Log]:
        log: Log = []
        spec = SupervisorSpec([worker("a", log), worker("b", log, failures=["no"]), worker("c", log)])
        async with Runtime(reports=lambda report: None):
            with pytest.raises(StartError) as caught:
                await gen_server.start(Tree, spec)
        return caught.value.reason, log

    reason, log = run(main())

    assert reason == ("shutdown", ("failed_to_start_child", "b", "no"))
    assert log == [("start", "a"), ("stop", "a")]


def test_a_significant_child_ends_its_supervisor_by_its_own_normal_end() -> None:
    async def test(tree: Pid, log: Log) -> object:
        ended = asyncio.ensure_future(process.wait_exit(tree))
        await crash(tree, "a", "normal")
        return await ended

    reason, log = supervised(
        test,
        lambda log: SupervisorSpec(
            [worker("a", log, "transient", significant=True), worker("b", log)], auto_shutdown="any_significant"
        ),
    )

    assert reason == "shutdown"
    assert log[-1] == ("stop", "b")


def test_children_come_and_go_at_run_time() -> None:
    async def test(tree: Pid, log: Log) -> None:
        started = await supervisor.start_child(tree, worker("b", log))
        assert started.pid == await pid_of(tree, "b")
        for act, reason in (
            (supervisor.start_child(tree, worker("b", log)), ("already_started", started.pid)),
            (supervisor.delete_child(tree, "b"), "running"),
            (supervisor.restart_child(tree, "b"), "running"),
            (supervisor.terminate_child(tree, "nobody"), "not_found"),
        ):
            with pytest.raises(ChildError) as caught:
                await act
            assert caught.value.reason == reason
        await supervisor.terminate_child(tree, "b")
        with pytest.raises(ChildError, match="already_present"):
            await supervisor.start_child(tree, worker("b", log))
        assert isinstance(await supervisor.restart_child(tree, "b"), Started)
        await supervisor.terminate_child(tree, "b")
        await supervisor.delete_child(tree, "b")
        counts = await supervisor.count_children(tree)
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (1, 1, 0, 1)
        assert (await supervisor.get_childspec(tree, "a")).id == "a"

    supervised(test, lambda log: SupervisorSpec([worker("a", log)]))


def test_a_failed_start_at_run_time_is_answered_and_not_reported() -> None:
    async def main() -> list[object]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            tree = await gen_server.start(Tree, SupervisorSpec([]))
            with pytest.raises(ChildError) as caught:
                await supervisor.start_child(tree, worker("a", [], failures=["no"]))
            assert isinstance(caught.value.reason, tuple)
            assert caught.value.reason[0] == "no"
        return [report for report in reports if isinstance(report, SupervisorReport)]

    assert run(main()) == []


def test_the_strategy_of_a_dynamic_supervisor_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidSpecError, match="DynamicSupervisor"):
        check_flags(SupervisorSpec(strategy="simple_one_for_one"))


def test_the_supervisor_tells_what_it_sees() -> None:
    async def main() -> list[str]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            tree = await gen_server.start(Tree, SupervisorSpec([worker("a", [])], intensity=0))
            process.send(await pid_of(tree, "a"), "boom")
            await process.wait_exit(tree)
        return [report.context for report in reports if isinstance(report, SupervisorReport)]

    assert run(main()) == ["child_terminated", "shutdown"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (SupervisorSpec(strategy="one_for_two"), ("supervisor_data", ("invalid_strategy", "one_for_two"))),
        (SupervisorSpec(intensity=-1), ("supervisor_data", ("invalid_intensity", -1))),
        (SupervisorSpec(period_s=0), ("supervisor_data", ("invalid_period", 0))),
        (SupervisorSpec([ChildSpec("a", "nothing")]), ("start_spec", ("invalid_mfa", "nothing"))),
        (SupervisorSpec([{"start": Worker}]), ("start_spec", "missing_id")),
        (SupervisorSpec([ChildSpec("a", Worker, modules="m")]), ("start_spec", ("invalid_modules", "m"))),
        (SupervisorSpec([ChildSpec("a", Worker, modules=7)]), ("start_spec", ("invalid_modules", 7))),  # type: ignore[arg-type]
        (SupervisorSpec([ChildSpec("a", Worker, modules=["m", 7])]), ("start_spec", ("invalid_module", 7))),
        (
            SupervisorSpec([worker("a", []), worker("a", [])]),
            ("start_spec", ("duplicate_child_name", "a")),
        ),
    ],
)
def test_a_wrong_specification_starts_nothing(spec: SupervisorSpec, reason: object) -> None:
    async def main() -> object:
        async with Runtime(reports=lambda report: None) as runtime:
            with pytest.raises(StartError) as caught:
                await gen_server.start(Tree, spec)
            assert runtime.processes() == []
            return caught.value.reason

    assert run(main()) == reason


def test_a_specification_can_be_checked_beforehand_and_the_message_teaches() -> None:
    with pytest.raises(InvalidSpecError, match=r"child 'a': restart='forever': 'permanent', 'transient' or"):
        supervisor.check_childspecs([worker("a", [], "forever")])


def test_a_check_refuses_an_automatic_shutdown_that_there_is_not() -> None:
    with pytest.raises(InvalidSpecError, match="'never', 'any_significant' or 'all_significant'") as caught:
        supervisor.check_childspecs([], "sometimes")

    assert caught.value.reason == ("badarg", "sometimes")


def test_a_killed_supervisor_leaves_no_children() -> None:
    async def test(tree: Pid, log: Log) -> bool:
        child = await pid_of(tree, "a")
        process.exit_process(tree, "kill")
        await settle()
        with pytest.raises(CallFailed):
            await supervisor.which_children(tree)
        return process.is_alive(child)

    alive, log = supervised(test, lambda log: SupervisorSpec([worker("a", log)]))

    assert not alive
    assert log == [("start", "a"), ("stop", "a")]


def test_with_a_backoff_the_group_stops_at_once_and_starts_together_later() -> None:
    async def test(tree: Pid, log: Log) -> list[object]:
        await crash(tree, "a")
        await settle()
        shown: list[object] = [info.child for info in await supervisor.which_children(tree)]
        log.append(("now", str(asyncio.get_running_loop().time())))
        await asyncio.sleep(1.5)
        log.append(("now", str(asyncio.get_running_loop().time())))
        return shown

    shown, log = supervised(
        test,
        lambda log: SupervisorSpec(
            [worker("a", log), worker("b", log)], "one_for_all", backoff=Backoff(first_delay_s=1.0, jitter=0.0)
        ),
    )

    assert shown == [None, "restarting"]
    assert log[3:] == [("stop", "b"), ("now", "0.0"), ("start", "a"), ("start", "b"), ("now", "1.5")]


def test_failed_starts_back_off_too_and_each_counts() -> None:
    failures: list[object] = []

    async def test(tree: Pid, log: Log) -> tuple[float, RestartWindow]:
        failures.extend(["no", "not yet"])
        await crash(tree, "a")
        while not (await supervisor.count_children(tree)).active:
            await asyncio.sleep(0.5)
        return asyncio.get_running_loop().time(), await supervisor.restarts(tree)

    (took, window), _ = supervised(
        test,
        lambda log: SupervisorSpec(
            [worker("a", log, failures=failures, backoff=Backoff(first_delay_s=1.0, jitter=0.0))],
            intensity=3,
            period_s=60.0,
        ),
    )

    assert took == pytest.approx(1 + 2 + 4)
    assert (window.counted, window.intensity, window.period_s, window.by_child) == (3, 3, 60.0, {"a": 3})


def test_a_restart_that_was_called_off_does_not_come_by_its_old_timer() -> None:
    async def test(tree: Pid, log: Log) -> object:
        await crash(tree, "a")  # would be restarted at 10
        await asyncio.sleep(1)
        await supervisor.terminate_child(tree, "a")
        await supervisor.restart_child(tree, "a")
        await asyncio.sleep(8)
        await crash(tree, "a")  # will be restarted at 29
        await asyncio.sleep(19)
        [info] = await supervisor.which_children(tree)
        return info.child

    child, _ = supervised(
        test,
        lambda log: SupervisorSpec(
            [worker("a", log)], intensity=5, backoff=Backoff(first_delay_s=10, max_delay_s=100, jitter=0.0)
        ),
    )

    assert child == "restarting"


def test_jitter_is_drawn_from_the_runtimes_randomness() -> None:
    async def main(seed: int) -> float:
        async with Runtime(seed=seed, reports=lambda report: None) as runtime:
            spec = SupervisorSpec([worker("a", [])], backoff=Backoff(first_delay_s=1.0, jitter=0.5))
            tree = await gen_server.start(Tree, spec)
            await crash(tree, "a")
            while not (await supervisor.count_children(tree)).active:
                await asyncio.sleep(0.001)
            return runtime.now()

    first, again, other = run(main(1)), run(main(1)), run(main(2))

    assert first == again != other
    assert 0.5 <= first <= 1.0


def test_a_machines_death_counts_once_in_its_window_and_again_after_it() -> None:
    async def test(tree: Pid, log: Log) -> list[int]:
        seen = []
        for child, wait_s in (("a", 0.5), ("b", 2.0), ("a", 0.0)):
            process.send(await pid_of(tree, child), ("noconnection", "machine-3"))
            await settle()
            seen.append((await supervisor.restarts(tree)).counted)
            await asyncio.sleep(wait_s)
        return seen

    seen, _ = supervised(
        test, lambda log: SupervisorSpec([worker("a", log), worker("b", log)], intensity=2, domain_window_s=1.0)
    )

    assert seen == [1, 1, 2]


@pytest.mark.parametrize(
    "wrong",
    [{"first_delay_s": 0}, {"first_delay_s": 60}, {"factor": 0.5}, {"jitter": 2}, {"reset_after_s": -1}],
)
def test_a_backoff_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Backoff(**wrong)


@pytest.mark.parametrize("kind", ["supervisor", "dynamic", "tasks"])
def test_a_supervisor_refuses_no_call_however_many_wait(kind: str) -> None:
    class Tree(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec()

    async def main() -> set[type]:
        async with Runtime(reports=lambda report: None):
            servers: dict[str, type[GenServer]] = {
                "supervisor": Tree,
                "dynamic": DynamicSupervisor,
                "tasks": TaskSupervisor,
            }
            pid = await gen_server.start(servers[kind])
            calls = (supervisor.count_children(pid) for _ in range(1500))
            return {type(answer) for answer in await asyncio.gather(*calls, return_exceptions=True)}

    assert run(main()) == {ChildCounts}


@pytest.mark.parametrize("limit", [0, "10", True, 1.5])
def test_a_wrong_mailbox_limit_is_told_where_the_class_is_written(limit: object) -> None:
    with pytest.raises(UsageError, match=r"Narrow\.mailbox_limit=.*: give 1 or more, or None for any number"):
        type("Narrow", (GenServer,), {"mailbox_limit": limit})


def test_a_wrong_overflow_policy_is_told_where_the_class_is_written() -> None:
    with pytest.raises(UsageError, match=r"mailbox_overflow='reject': give one of Overflow\.REJECT, "):
        type("Narrow", (GenServer,), {"mailbox_overflow": "reject"})


@pytest.mark.parametrize(("strategy", "waits"), [("one_for_all", "b"), ("rest_for_one", "a")])
def test_siblings_come_back_when_the_child_that_they_wait_for_is_given_up(strategy: str, waits: str) -> None:
    async def test(tree: Pid, log: Log) -> list[object]:
        await crash(tree, waits)
        await supervisor.terminate_child(tree, waits)
        await supervisor.delete_child(tree, waits)
        await asyncio.sleep(100)
        return [(info.id, isinstance(info.child, Pid)) for info in await supervisor.which_children(tree)]

    left, _ = supervised(
        test,
        lambda log: SupervisorSpec(
            [worker(name, log) for name in "abc"], strategy, backoff=Backoff(first_delay_s=1.0, jitter=0.0)
        ),
    )

    assert left == [(name, True) for name in "cba" if name != waits]
