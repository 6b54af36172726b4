"""The alarm handler: set, clear, list, other handlers, and what happens without the default one."""

import logging

import pytest

from raybeam.actors import (
    ChildSpec,
    EventHandler,
    HandlerError,
    NoProcess,
    Pid,
    Reply,
    Runtime,
    StartError,
    Supervisor,
    SupervisorSpec,
    UsageError,
    alarm_handler,
    gen_event,
    gen_server,
    process,
    supervisor,
)
from raybeam.actors.alarm_handler import Alarm, AlarmHandler, AlarmManager, ClearAlarm, SetAlarm
from raybeam.actors.testing import run, settle


class Watch(EventHandler):
    """Takes over the alarms that there are, and takes down those that come."""

    async def init(self, seen: list[object]) -> None:
        self.seen = seen

    async def init_swapped(self, handed_over: object, seen: list[object]) -> None:
        self.seen = seen
        seen.append(handed_over)

    async def handle_event(self, event: object) -> None:
        self.seen.append(event)

    async def handle_call(self, request: object) -> Reply:
        return Reply(self.seen)


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


def test_alarms_are_listed_the_newest_first_until_they_are_cleared() -> None:
    async def main() -> list[list[Alarm]]:
        async with quiet():
            await alarm_handler.start()
            seen = [await alarm_handler.get_alarms()]
            alarm_handler.set_alarm("disk", "full")
            alarm_handler.set_alarm(("machine", 3), {"load": 0.9})
            seen.append(await alarm_handler.get_alarms())
            alarm_handler.clear_alarm("disk")
            alarm_handler.clear_alarm("unknown")
            return [*seen, await alarm_handler.get_alarms()]

    disk, machine = Alarm("disk", "full"), Alarm(("machine", 3), {"load": 0.9})
    assert run(main()) == [[], [machine, disk], [machine]]


def test_the_same_id_set_twice_is_listed_twice_and_one_clear_takes_the_newest() -> None:
    async def main() -> list[Alarm]:
        async with quiet():
            await alarm_handler.start()
            for description in ("one", "two"):
                alarm_handler.set_alarm("disk", description)
            alarm_handler.clear_alarm("disk")
            return await alarm_handler.get_alarms()

    assert run(main()) == [Alarm("disk", "one")]


def test_alarms_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with quiet():
            await alarm_handler.start()
            alarm_handler.set_alarm("disk", "full")
            alarm_handler.clear_alarm("disk")
            await settle()

    with caplog.at_level(logging.INFO, "raybeam"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == ["alarm set: 'disk' 'full'", "alarm cleared: 'disk'"]


def test_another_handler_gets_the_alarms_too_until_it_is_deleted() -> None:
    async def main() -> tuple[list[object], list[Alarm]]:
        seen: list[object] = []
        async with quiet():
            await alarm_handler.start()
            await alarm_handler.add_alarm_handler(Watch, seen)
            alarm_handler.set_alarm("disk", "full")
            alarm_handler.clear_alarm("disk")
            await settle()
            await alarm_handler.delete_alarm_handler(Watch)
            alarm_handler.set_alarm("memory")
            return seen, await alarm_handler.get_alarms()

    seen, alarms = run(main())

    assert seen == [SetAlarm(Alarm("disk", "full")), ClearAlarm("disk")]
    assert alarms == [Alarm("memory", "")]


def test_swapping_the_default_handler_hands_the_alarms_over_and_get_alarms_says_that_it_is_gone() -> None:
    async def main() -> tuple[object, HandlerError]:
        async with quiet():
            await alarm_handler.start()
            alarm_handler.set_alarm("disk", "full")
            await gen_event.swap_handler(alarm_handler.NAME, AlarmHandler, "swap", Watch, [])
            alarm_handler.set_alarm("memory")
            seen = await gen_event.call(alarm_handler.NAME, Watch, "seen")
            with pytest.raises(HandlerError, match="AlarmHandler is not installed in alarm_handler") as caught:
                await alarm_handler.get_alarms()
            return seen, caught.value

    seen, error = run(main())

    assert seen == [("alarm_handler", [Alarm("disk", "full")]), SetAlarm(Alarm("memory", ""))]
    assert error.reason == "bad_module"


def test_deleting_the_default_handler_loses_the_alarms_and_hands_nothing_over() -> None:
    async def main() -> tuple[object, list[Alarm]]:
        async with quiet():
            await alarm_handler.start()
            alarm_handler.set_alarm("disk", "full")
            value = await alarm_handler.delete_alarm_handler(AlarmHandler)
            with pytest.raises(HandlerError):
                await alarm_handler.get_alarms()
            await alarm_handler.add_alarm_handler(AlarmHandler)
            return value, await alarm_handler.get_alarms()

    assert run(main()) == (None, [])


def test_a_crashing_handler_leaves_the_default_one_and_its_alarms_alone() -> None:
    class Broken(EventHandler):
        async def handle_event(self, event: object) -> None:
            raise ValueError("bang")

    async def main() -> tuple[list[object], list[Alarm]]:
        async with quiet():
            await alarm_handler.start()
            await alarm_handler.add_alarm_handler(Broken)
            alarm_handler.set_alarm("disk", "full")
            return await gen_event.which_handlers(alarm_handler.NAME), await alarm_handler.get_alarms()

    assert run(main()) == ([AlarmHandler], [Alarm("disk", "full")])


def test_foreign_messages_and_questions_do_no_harm() -> None:
    async def main() -> tuple[object, list[Alarm]]:
        async with quiet():
            manager = await alarm_handler.start()
            gen_event.notify(manager, "strange")
            process.send(manager, "hello")
            answer = await gen_event.call(manager, AlarmHandler, "what?")
            return answer, await alarm_handler.get_alarms()

    assert run(main()) == (("error", "bad_query"), [])


def test_there_is_one_to_a_runtime() -> None:
    async def main() -> bool:
        async with quiet():
            manager = await alarm_handler.start()
            with pytest.raises(StartError) as caught:
                await alarm_handler.start()
            await gen_event.stop(manager)
            again = await alarm_handler.start()
            return caught.value.reason == ("already_started", manager) and again != manager

    assert run(main())


def test_without_an_alarm_handler_everybody_is_told() -> None:
    async def main() -> None:
        async with quiet():
            with pytest.raises(UsageError, match="nobody has the name 'alarm_handler'"):
                alarm_handler.set_alarm("disk")
            with pytest.raises(UsageError, match="nobody has the name 'alarm_handler'"):
                alarm_handler.clear_alarm("disk")
            with pytest.raises(NoProcess):
                await alarm_handler.get_alarms()

    run(main())


@pytest.mark.parametrize("start", [AlarmManager, alarm_handler.start_link])
def test_a_supervisor_restarts_it_without_alarms(start: object) -> None:
    class Top(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("alarms", start)])

    async def main() -> tuple[int, list[Alarm]]:
        async with quiet():
            top = await gen_server.start(Top)
            alarm_handler.set_alarm("disk")
            before = len(await alarm_handler.get_alarms())
            [info] = await supervisor.which_children(top)
            assert isinstance(info.child, Pid)
            process.exit_process(info.child, "kill")
            await settle()
            return before, await alarm_handler.get_alarms()

    assert run(main()) == (1, [])
