"""DynamicSupervisor: children that come and go at run time."""

import asyncio

import pytest

from raybeam.actors import (
    Backoff,
    ChildError,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisor,
    Exit,
    GenServer,
    Pid,
    Restarting,
    Runtime,
    StartError,
    SupervisorReport,
    SupervisorSpec,
    UsageError,
    dynamic_supervisor,
    gen_server,
    process,
    supervisor,
)
from raybeam.actors.testing import run, settle


class Worker(GenServer):
    async def init(self, hang_s: float = 0.0, failures: list[object] | None = None) -> None:
        process.trap_exit(True)
        self.hang_s = hang_s
        if failures:
            raise Exit(failures.pop(0))

    async def handle_info(self, message: object) -> None:
        raise Exit(message)

    async def terminate(self, reason: object) -> None:
        await asyncio.sleep(self.hang_s)


async def started(pool: Pid, restart: str = "permanent", *args: object) -> Pid:
    child = await dynamic_supervisor.start_child(pool, ChildSpec("w", (Worker, *args), restart=restart))
    assert child.pid is not None
    return child.pid


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


def test_a_crashed_child_is_restarted_alone() -> None:
    async def main() -> tuple[bool, int, list[int]]:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor)
            one, other = await started(pool), await started(pool)
            process.send(one, "boom")
            await settle()
            infos = await dynamic_supervisor.which_children(pool)
            return process.is_alive(other), len(infos), [info.restarts for info in infos]

    assert run(main()) == (True, 2, [1, 0])


def test_a_temporary_child_and_a_normal_end_are_forgotten() -> None:
    async def main() -> int:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor)
            process.send(await started(pool, "temporary"), "boom")
            process.send(await started(pool, "transient"), "normal")
            await settle()
            return (await dynamic_supervisor.count_children(pool)).specs

    assert run(main()) == 0


def test_the_intensity_is_shared_by_all_children() -> None:
    async def main() -> object:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor, DynamicSpec(intensity=1, period_s=5))
            ended = asyncio.ensure_future(process.wait_exit(pool))
            for pid in (await started(pool), await started(pool)):
                process.send(pid, "boom")
                await settle()
            return await ended

    assert run(main()) == "shutdown"


def test_a_restart_that_fails_is_tried_again() -> None:
    async def main() -> tuple[int, list[object]]:
        async with quiet():
            failures: list[object] = []
            pool = await gen_server.start(DynamicSupervisor)
            pid = await started(pool, "permanent", 0.0, failures)
            failures.append("not yet")
            process.send(pid, "boom")
            await settle()
            return (await dynamic_supervisor.count_children(pool)).active, failures

    assert run(main()) == (1, [])


def test_children_stop_at_the_same_time() -> None:
    async def main() -> float:
        async with quiet() as runtime:
            pool = await gen_server.start(DynamicSupervisor)
            for _ in range(10):
                await started(pool, "permanent", 2.0)
            await gen_server.stop(pool)
            return runtime.now()

    assert run(main()) == pytest.approx(2.0)


def test_no_more_children_than_may_be() -> None:
    async def main() -> None:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor, DynamicSpec(max_children=1))
            pid = await started(pool)
            with pytest.raises(ChildError, match="max_children"):
                await started(pool)
            await dynamic_supervisor.terminate_child(pool, pid)
            await started(pool)
            with pytest.raises(ChildError, match="not_found"):
                await dynamic_supervisor.terminate_child(pool, pid)
            with pytest.raises(UsageError, match="restart='often'"):
                await started(pool, "often")

    run(main())


def test_wrong_options_start_nothing() -> None:
    async def main() -> None:
        async with quiet():
            with pytest.raises(StartError, match="max_children=-1: a whole number from 0, or None for any number"):
                await gen_server.start(DynamicSupervisor, DynamicSpec(max_children=-1))

    run(main())


def templated(restart: str = "permanent", shutdown: float | str = 5.0) -> DynamicSpec:
    return DynamicSpec(template=ChildSpec("session", Worker, restart, shutdown))


async def member(pool: Pid, *args: object) -> Pid:
    child = await dynamic_supervisor.start_child(pool, *args)
    assert child.pid is not None
    return child.pid


def test_with_a_template_a_start_only_adds_arguments_and_a_restart_has_them_too() -> None:
    class Named(GenServer):
        async def init(self, kind: str, name: str) -> None:
            self.name = f"{kind} {name}"

        async def handle_info(self, message: object) -> None:
            raise Exit(message)

    async def main() -> tuple[object, object]:
        async with quiet():
            spec = DynamicSpec(template=ChildSpec("session", (Named, "session")))
            pool = await gen_server.start(DynamicSupervisor, spec)
            process.send(await member(pool, "of ann"), "boom")
            await settle()
            [info] = await dynamic_supervisor.which_children(pool)
            assert isinstance(info.child, Pid)
            return info.id, await gen_server.get_state(info.child)

    assert run(main()) == (None, {"name": "session of ann"})


def test_with_a_template_pids_name_the_children_and_ids_are_refused() -> None:
    async def main() -> None:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor, templated())
            pid = await member(pool)
            for refused in (
                supervisor.terminate_child(pool, "session"),
                supervisor.restart_child(pool, pid),
                supervisor.delete_child(pool, pid),
            ):
                with pytest.raises(ChildError, match="simple_one_for_one"):
                    await refused
            assert (await supervisor.get_childspec(pool, "session")).id == "session"
            assert (await supervisor.get_childspec(pool, pid)).id == "session"
            await dynamic_supervisor.terminate_child(pool, pid)
            await dynamic_supervisor.terminate_child(pool, pid)
            with pytest.raises(ChildError, match="not_found"):
                await dynamic_supervisor.terminate_child(pool, pool)
            counts = await supervisor.count_children(pool)
            assert (counts.specs, counts.active, counts.workers) == (1, 0, 0)

    run(main())


def test_those_that_do_not_end_in_time_are_killed_together_and_reported_as_a_number() -> None:
    async def main() -> tuple[float, list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append) as runtime:
            pool = await gen_server.start(DynamicSupervisor, templated(shutdown=2.0))
            slow = [await member(pool, 10.0), await member(pool, 0.0), await member(pool, 10.0)]
            await gen_server.stop(pool)
            [report] = reports
            assert isinstance(report, SupervisorReport)
            assert (report.context, report.reason, report.pid) == ("shutdown_error", "killed", [slow[0], slow[2]])
            return runtime.now(), reports

    took, _ = run(main())
    assert took == pytest.approx(2.0)


def test_a_child_between_two_attempts_is_shown_as_restarting_and_can_be_terminated() -> None:
    class Stubborn(GenServer):
        starts = 0

        async def init(self) -> None:
            Stubborn.starts += 1
            if Stubborn.starts > 1:
                await asyncio.sleep(1)
                raise Exit("not yet")

    async def main() -> tuple[object, int, list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            spec = DynamicSpec(template=ChildSpec("session", Stubborn), intensity=10)
            pool = await gen_server.start(DynamicSupervisor, spec)
            pid = await member(pool)
            process.exit_process(pid, "kill")
            await asyncio.sleep(0.5)
            [info] = await dynamic_supervisor.which_children(pool)
            await dynamic_supervisor.terminate_child(pool, pid)
            await settle()
            pids = [report.pid for report in reports if isinstance(report, SupervisorReport)]
            assert pids == [pid, pid, Restarting(pid)]
            return info.child, (await dynamic_supervisor.count_children(pool)).workers, pids

    assert run(main())[:2] == ("restarting", 0)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (SupervisorSpec([], "simple_one_for_one"), ("bad_start_spec", [])),
        (
            SupervisorSpec([ChildSpec("a", Worker)], "simple_one_for_one", auto_shutdown="any_significant"),
            (
                "supervisor_data",
                ("bad_combination", [("auto_shutdown", "any_significant"), ("strategy", "simple_one_for_one")]),
            ),
        ),
        (
            SupervisorSpec([ChildSpec("a", Worker, "often")], "simple_one_for_one"),
            ("start_spec", ("invalid_restart_type", "often")),
        ),
        (SupervisorSpec(intensity=-1, strategy="simple_one_for_one"), ("supervisor_data", ("invalid_intensity", -1))),
        (templated(restart="often"), ("start_spec", ("invalid_restart_type", "often"))),
    ],
)
def test_a_wrong_template_starts_nothing(spec: object, reason: object) -> None:
    async def main() -> object:
        async with quiet() as runtime:
            with pytest.raises(StartError) as caught:
                await gen_server.start(DynamicSupervisor, spec)
            assert runtime.processes() == []
            return caught.value.reason

    assert run(main()) == reason


def test_without_a_template_each_child_needs_its_specification() -> None:
    async def main() -> None:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor)
            with pytest.raises(UsageError, match="takes one child specification, not 2"):
                await dynamic_supervisor.start_child(pool, Worker, 1)

    run(main())


def test_a_backoff_puts_restarts_off_longer_each_time_until_the_child_has_recovered() -> None:
    async def main() -> list[float]:
        waited: list[float] = []
        async with quiet() as runtime:
            backoff = Backoff(first_delay_s=1.0, jitter=0.0, reset_after_s=50.0)
            spec = DynamicSpec(intensity=10, period_s=100, backoff=backoff, template=ChildSpec("session", Worker))
            pool = await gen_server.start(DynamicSupervisor, spec)
            await member(pool)
            for ran_s in (0.0, 0.0, 0.0, 60.0):
                await asyncio.sleep(ran_s)
                [info] = await dynamic_supervisor.which_children(pool)
                assert isinstance(info.child, Pid)
                process.send(info.child, "boom")
                await settle()
                began = runtime.now()
                [info] = await dynamic_supervisor.which_children(pool)
                assert info.child == "restarting"
                while (await dynamic_supervisor.count_children(pool)).active == 0:
                    await asyncio.sleep(0.25)
                waited.append(runtime.now() - began)
        return waited

    assert run(main()) == [1.0, 2.0, 4.0, 1.0]


def test_a_child_that_is_terminated_during_its_backoff_does_not_come_back() -> None:
    async def main() -> int:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor, DynamicSpec(backoff=Backoff(first_delay_s=1.0)))
            pid = await started(pool)
            process.send(pid, "boom")
            await settle()
            await dynamic_supervisor.terminate_child(pool, pid)
            await asyncio.sleep(10)
            return (await dynamic_supervisor.count_children(pool)).specs

    assert run(main()) == 0


def test_one_machines_death_is_one_restart_however_many_children_it_took() -> None:
    async def main() -> object:
        async with quiet():
            pool = await gen_server.start(DynamicSupervisor, DynamicSpec(intensity=2))
            for pid in [await started(pool) for _ in range(10)]:
                process.send(pid, ("noconnection", "machine-3"))
            await settle()
            lost = await dynamic_supervisor.restarts(pool)
            assert (lost.counted, lost.intensity) == (1, 2)
            [first, *_] = await dynamic_supervisor.which_children(pool)
            assert lost.by_child == {first.child: 1}
            return (await dynamic_supervisor.count_children(pool)).active

    assert run(main()) == 10
