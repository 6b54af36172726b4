"""DynamicSupervisor: children that come and go at run time."""

import asyncio

import pytest

from raybeam.actors import (
    ChildError,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisor,
    Exit,
    GenServer,
    Pid,
    Runtime,
    StartError,
    UsageError,
    dynamic_supervisor,
    gen_server,
    process,
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
            with pytest.raises(StartError, match="invalid_max_children"):
                await gen_server.start(DynamicSupervisor, DynamicSpec(max_children=-1))

    run(main())
