"""ConsumerSupervisor: a process for each event, so many at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from raybeam.actors import (
    ChildSpec,
    ConsumerSpec,
    ConsumerSupervisor,
    Exit,
    GenServer,
    Ignore,
    Pid,
    Runtime,
    StartError,
    SubscribeTo,
    consumer_supervisor,
    dynamic_supervisor,
    gen_stage,
    process,
)
from raybeam.actors.testing import run, settle

T = TypeVar("T")


def played(main: Callable[[], Awaitable[T]], reports: list[object] | None = None) -> T:
    async def body() -> T:
        async with Runtime(reports=(lambda report: None) if reports is None else reports.append):
            return await main()

    return run(body())


class Work:
    """What is done with events, and how much of it at once."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.done: list[object] = []

    async def __call__(self, event: float) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(abs(event))
            if event < 0:
                raise RuntimeError("boom")
            self.done.append(event)
        finally:
            self.running -= 1


async def supervisor_of(
    events: list[float], template: ChildSpec, max_demand: int = 1000, min_demand: int | None = None
) -> Pid:
    numbers = await gen_stage.from_iterable(events)
    return await gen_stage.start(
        ConsumerSupervisor, ConsumerSpec(template, [SubscribeTo(numbers, max_demand, min_demand)])
    )


def test_each_event_has_a_process_and_no_more_run_at_once_than_max_demand() -> None:
    work = Work()

    async def main() -> object:
        events = [float(seconds) for seconds in range(1, 11)]
        return await process.wait_exit(await supervisor_of(events, consumer_supervisor.each(work), max_demand=3))

    assert played(main) == "normal"
    assert work.most == 3
    assert sorted(work.done, key=str) == sorted([float(seconds) for seconds in range(1, 11)], key=str)


def test_events_are_asked_for_again_when_only_min_demand_processes_are_left() -> None:
    async def main() -> list[object]:
        asked: list[float] = []

        def events() -> object:
            for seconds in (1.0, 2.0, 3.0, 4.0, 9.0, 9.0):
                asked.append(seconds)
                yield seconds

        await supervisor_of(events(), consumer_supervisor.each(Work()), max_demand=4, min_demand=2)  # type: ignore[arg-type]
        counts = []
        for _ in range(3):
            await asyncio.sleep(0.9)
            counts.append(len(asked))
        return counts  # type: ignore[return-value]

    assert played(main) == [4, 4, 6]


def test_an_event_whose_process_crashes_is_lost_or_tried_again() -> None:
    async def main() -> list[object]:
        lost = Work()
        first = await supervisor_of([-1.0, 2.0], consumer_supervisor.each(lost))
        again = Work()
        second = await supervisor_of([-1.0, 50.0], consumer_supervisor.each(again, restart="transient"))
        return [await process.wait_exit(first), lost.done, await process.wait_exit(second), again.done]

    reports: list[object] = []
    assert played(main, reports) == ["normal", [2.0], "shutdown", []]
    assert reports


class Session(GenServer):
    async def init(self, prefix: str, event: object) -> Ignore | None:
        if event == "bad":
            raise Exit("bad event")
        return Ignore() if event == "skip" else None


def test_events_whose_process_does_not_start_make_room_at_once() -> None:
    async def main() -> list[object]:
        events: list[object] = ["bad", "skip", "bad", "skip", "good", "more"]
        numbers = await gen_stage.from_iterable(events)
        template = ChildSpec("session", (Session, "s"), restart="temporary")
        spec = ConsumerSpec(template, [SubscribeTo(numbers, max_demand=1, cancel="temporary")])
        sessions = await gen_stage.start(ConsumerSupervisor, spec)
        await settle()
        active = [(await dynamic_supervisor.count_children(sessions)).active]
        [only] = await dynamic_supervisor.which_children(sessions)
        assert isinstance(only.child, Pid)
        await dynamic_supervisor.terminate_child(sessions, only.child)
        await settle()
        [other] = await dynamic_supervisor.which_children(sessions)
        return [active, other.child != only.child]

    assert played(main) == [[1], True]


def test_it_may_subscribe_at_run_time_and_its_processes_survive_a_producer() -> None:
    work = Work()

    async def main() -> list[object]:
        spec = ConsumerSpec(consumer_supervisor.each(work))
        supervisor = await gen_stage.start(ConsumerSupervisor, spec)
        numbers = await gen_stage.from_iterable([5.0, 6.0])
        await gen_stage.sync_subscribe(supervisor, numbers, max_demand=2, min_demand=1, cancel="temporary")
        await asyncio.sleep(1.0)
        process.exit_process(numbers, "kill")
        await asyncio.sleep(10.0)
        return [process.is_alive(supervisor), work.done]

    assert played(main) == [True, [5.0, 6.0]]


def test_a_crash_of_a_producer_ends_it_and_its_processes_at_once() -> None:
    work = Work()

    async def main() -> object:
        numbers = await gen_stage.from_iterable([5.0, 6.0], demand="accumulate")
        spec = ConsumerSpec(consumer_supervisor.each(work), [SubscribeTo(numbers, max_demand=2, min_demand=1)])
        supervisor = await gen_stage.start(ConsumerSupervisor, spec)
        gen_stage.demand(numbers, "forward")
        await asyncio.sleep(1.0)
        process.exit_process(numbers, "kill")
        return await process.wait_exit(supervisor)

    assert played(main) == "killed"
    assert (work.done, work.running) == ([], 0)


def test_a_process_for_an_event_is_not_permanent() -> None:
    class Fixed(ConsumerSupervisor):
        async def init(self, result: object) -> object:  # type: ignore[override]
            return result

    async def main() -> list[str]:
        seen = []
        for result in (ConsumerSpec(ChildSpec("session", Session)), "nonsense"):
            with pytest.raises(StartError) as failed:
                await gen_stage.start(Fixed, result)
            seen.append(str(failed.value.reason))
        return seen

    permanent, nonsense = played(main)
    assert "transient" in permanent
    assert nonsense == str(("bad_return", ("Fixed", "init", "nonsense")))
