"""GenEvent: handlers come, go, fail alone, are supervised; the manager lives on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    ChildSpec,
    Crashed,
    Error,
    EventHandler,
    Exit,
    ExitMessage,
    GenEvent,
    HandlerError,
    HandlerExit,
    HandlerReport,
    HandlerState,
    NoProcess,
    NotAProcessError,
    Ok,
    Overloaded,
    Pid,
    RemoveHandler,
    Reply,
    Runtime,
    ServiceError,
    StartError,
    Supervisor,
    SupervisorSpec,
    SwapHandler,
    UsageError,
    gen_event,
    gen_server,
    process,
    supervisor,
)
from raybeam.actors.testing import run, settle

Seen = list[object]


class Recorder(EventHandler):
    """Takes down what it sees; does what it is told by an event, a request or a message that is a function."""

    async def init(self, seen: Seen, name: object = "r") -> None:
        self.seen, self.name = seen, name
        self.count = 0

    async def init_swapped(self, handed_over: object, seen: Seen, name: object = "r") -> None:
        await self.init(seen, name)
        seen.append((name, "instead of", handed_over))

    async def handle_event(self, event: object) -> Ok | RemoveHandler | SwapHandler | None:
        self.count += 1
        if callable(event):
            result: Ok | RemoveHandler | SwapHandler | None = await event(self)
            return result
        self.seen.append((self.name, event))
        return None

    async def handle_call(self, request: object) -> Reply | RemoveHandler | SwapHandler:
        self.seen.append((self.name, "call"))
        if callable(request):
            result: Reply | RemoveHandler | SwapHandler = await request(self)
            return result
        return Reply((self.name, request))

    async def handle_info(self, message: object) -> None:
        self.seen.append((self.name, "info", message))

    async def terminate(self, argument: object) -> object:
        self.seen.append((self.name, "terminate", argument))
        return ("state", self.count)


class Stubborn(EventHandler):
    async def init(self, failure: object) -> Error | str | None:
        if failure == "error":
            return Error("no")
        if failure == "exit":
            raise Exit("ex")
        if failure == "bad":
            return "rubbish"
        raise ValueError("bang")


async def fail(handler: Recorder) -> None:
    raise ValueError(f"bang in {handler.name}")


def only(name: str, act: Callable[[Recorder], Awaitable[object]]) -> Callable[[Recorder], Awaitable[object]]:
    """An event that only one of the recorders minds."""

    async def event(handler: Recorder) -> object:
        handler.seen.append((handler.name, "asked"))
        return await act(handler) if handler.name == name else None

    return event


async def remove(handler: Recorder) -> RemoveHandler:
    return RemoveHandler()


def quiet() -> Runtime:
    return Runtime(reports=lambda report: None)


async def manager_of(seen: Seen, *names: str) -> Pid:
    manager = await gen_event.start()
    for name in names:
        await gen_event.add_handler(manager, (Recorder, name), seen, name)
    return manager


# -- order -----------------------------------------------------------------------------------------------------------


def test_an_event_goes_to_the_handler_added_last_first() -> None:
    async def main() -> Seen:
        seen: Seen = []
        async with quiet():
            manager = await manager_of(seen, "a", "b")
            gen_event.notify(manager, 1)
            await gen_event.sync_notify(manager, 2)
            return seen

    assert run(main()) == [("b", 1), ("a", 1), ("b", 2), ("a", 2)]


def test_events_calls_and_other_messages_are_served_in_the_order_of_their_arrival() -> None:
    async def main() -> Seen:
        seen: Seen = []
        async with quiet():
            manager = await manager_of(seen, "a")
            gen_event.notify(manager, 1)
            process.send(manager, "plain")
            asked = gen_event.send_request(manager, (Recorder, "a"), "q")
            gen_event.notify(manager, 2)
            seen.append(await gen_event.receive_response(asked))
            await settle()
            return seen

    assert run(main()) == [("a", 1), ("a", "info", "plain"), ("a", "call"), ("a", 2), ("a", "q")]


def test_an_event_sent_by_a_handler_goes_behind_those_that_wait() -> None:
    async def main() -> Seen:
        seen: Seen = []

        async def echo(handler: Recorder) -> None:
            gen_event.notify(process.self_pid(), "echo")

        async with quiet():
            manager = await manager_of(seen, "a")
            gen_event.notify(manager, echo)
            gen_event.notify(manager, 1)
            await settle()
            return seen

    assert run(main()) == [("a", 1), ("a", "echo")]


def test_the_same_id_may_be_there_twice_and_a_deletion_takes_the_newest() -> None:
    async def main() -> tuple[Seen, object, object]:
        seen: Seen = []
        async with quiet():
            manager = await gen_event.start()
            await gen_event.add_handler(manager, Recorder, seen, "old")
            await gen_event.add_handler(manager, Recorder, seen, "new")
            await gen_event.sync_notify(manager, 1)
            await gen_event.delete_handler(manager, Recorder, "why")
            return seen, await gen_event.which_handlers(manager), await gen_event.call(manager, Recorder, "q")

    seen, left, answer = run(main())

    assert seen == [("new", 1), ("old", 1), ("new", "terminate", "why"), ("old", "call")]
    assert left == [Recorder]
    assert answer == ("old", "q")


def test_a_class_and_a_class_with_an_id_are_different_handlers() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            manager = await manager_of([], "a")
            with pytest.raises(HandlerError) as caught:
                await gen_event.call(manager, Recorder, "q")
            return caught.value.reason, await gen_event.call(manager, (Recorder, "a"), "q")

    assert run(main()) == ("bad_module", ("a", "q"))


# -- failures --------------------------------------------------------------------------------------------------------


def test_a_failing_handler_is_removed_alone_and_reported_and_the_others_get_the_event() -> None:
    async def main() -> tuple[Seen, list[object], list[object]]:
        seen: Seen = []
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            manager = await manager_of(seen, "a", "b", "c")
            await gen_event.sync_notify(manager, only("b", fail))
            return seen, reports, await gen_event.which_handlers(manager)

    seen, reports, left = run(main())

    crash = Crashed(ValueError("bang in b"))
    assert seen == [
        ("c", "asked"),
        ("b", "asked"),
        ("b", "terminate", ("error", ("EXIT", crash))),
        ("a", "asked"),
    ]
    assert left == [(Recorder, "c"), (Recorder, "a")]
    [report] = reports
    assert isinstance(report, HandlerReport)
    assert report.handler == (Recorder, "b")
    assert "bang in b" in str(report)
    assert "(Recorder, 'b')" in str(report)


def test_a_return_that_means_nothing_removes_the_handler_with_that_value() -> None:
    async def main() -> tuple[Seen, list[object]]:
        seen: Seen = []
        reports: list[object] = []

        async def nonsense(handler: Recorder) -> str:
            return "rubbish"

        async with Runtime(reports=reports.append):
            manager = await manager_of(seen, "a")
            await gen_event.sync_notify(manager, nonsense)
            return seen, [report.reason for report in reports if isinstance(report, HandlerReport)]

    assert run(main()) == ([("a", "terminate", ("error", "rubbish"))], ["rubbish"])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, None), (RemoveHandler(), RemoveHandler()), (Reply(1, timeout_s=1), Reply(1, timeout_s=1))],
    ids=["nothing", "removed without a reply", "with a time-out"],
)
def test_a_call_needs_a_reply(answer: object, reason: object) -> None:
    async def main() -> tuple[object, object]:
        async def give(handler: Recorder) -> object:
            return answer

        async with quiet():
            manager = await manager_of([], "a")
            with pytest.raises(HandlerError) as caught:
                await gen_event.call(manager, (Recorder, "a"), give)
            return caught.value.reason, await gen_event.which_handlers(manager)

    assert run(main()) == (reason, [])


def test_a_handler_that_fails_at_a_call_is_removed_and_the_caller_learns_why() -> None:
    async def main() -> tuple[HandlerError, object]:
        async with quiet():
            manager = await manager_of([], "a", "b")
            with pytest.raises(HandlerError, match="a") as caught:
                await gen_event.call(manager, (Recorder, "a"), fail)
            return caught.value, await gen_event.which_handlers(manager)

    error, left = run(main())

    assert isinstance(error.reason, tuple)
    assert error.reason[0] == "EXIT"
    assert isinstance(error.reason[1], Crashed)
    assert left == [(Recorder, "b")]


def test_a_service_error_is_an_answer_and_the_handler_stays() -> None:
    class Full(ServiceError):
        pass

    async def refuse(handler: Recorder) -> Reply:
        raise Full("no room")

    async def main() -> list[object]:
        async with quiet():
            manager = await manager_of([], "a")
            with pytest.raises(Full, match="no room"):
                await gen_event.call(manager, (Recorder, "a"), refuse)
            return await gen_event.which_handlers(manager)

    assert run(main()) == [(Recorder, "a")]


def test_a_service_error_at_an_event_is_a_failure_since_nobody_asked() -> None:
    async def refuse(handler: Recorder) -> None:
        raise ServiceError("no room")

    async def main() -> list[object]:
        async with quiet():
            manager = await manager_of([], "a")
            await gen_event.sync_notify(manager, refuse)
            return await gen_event.which_handlers(manager)

    assert run(main()) == []


def test_a_cancellation_of_a_handlers_own_is_its_failure_alone() -> None:
    async def cancel(handler: Recorder) -> None:
        raise asyncio.CancelledError

    async def main() -> list[object]:
        async with quiet():
            manager = await manager_of([], "a", "b")
            await gen_event.sync_notify(manager, only("b", cancel))
            return await gen_event.which_handlers(manager)

    assert run(main()) == [(Recorder, "a")]


def test_a_failed_clean_up_is_reported_and_nothing_else() -> None:
    class Messy(Recorder):
        async def terminate(self, argument: object) -> object:
            raise ValueError("spilt")

    async def main() -> tuple[list[object], list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            manager = await gen_event.start()
            await gen_event.add_handler(manager, Messy, [])
            await gen_event.sync_notify(manager, remove)
            return reports, await gen_event.which_handlers(manager)

    [report], left = run(main())

    assert isinstance(report, HandlerReport)
    assert report.last_message == "terminate"
    assert "spilt" in str(report)
    assert left == []


def test_a_handler_that_cannot_show_its_state_is_still_removed_alone() -> None:
    class Secretive(Recorder):
        def get_state(self) -> object:
            raise ValueError("none of your business")

    async def main() -> tuple[list[object], list[object]]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            manager = await manager_of([], "a")
            await gen_event.add_handler(manager, Secretive, [], "s")
            await gen_event.sync_notify(manager, only("s", fail))
            return reports, await gen_event.which_handlers(manager)

    [report], left = run(main())

    assert "none of your business" in str(report)
    assert left == [(Recorder, "a")]


def test_a_report_shows_only_what_redact_lets_out() -> None:
    class Discreet(Recorder):
        def redact(self, state: object) -> object:
            return "hidden"

    async def main() -> list[object]:
        reports: list[object] = []
        async with Runtime(reports=reports.append):
            manager = await gen_event.start()
            await gen_event.add_handler(manager, Discreet, [])
            await gen_event.sync_notify(manager, fail)
            return [report.state for report in reports if isinstance(report, HandlerReport)]

    assert run(main()) == ["hidden"]


# -- adding, deleting, swapping --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "reason"), [("error", ("error", "no")), ("exit", ("EXIT", "ex")), ("bad", "rubbish")]
)
def test_a_handler_whose_init_fails_is_not_added_and_the_adder_learns_why(failure: str, reason: object) -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            manager = await gen_event.start()
            with pytest.raises(HandlerError) as caught:
                await gen_event.add_handler(manager, Stubborn, failure)
            return caught.value.reason, await gen_event.which_handlers(manager)

    assert run(main()) == (reason, [])


def test_arguments_that_init_does_not_take_are_its_failure() -> None:
    class Plain(EventHandler):
        pass

    async def main() -> HandlerError:
        async with quiet():
            with pytest.raises(HandlerError) as caught:
                await gen_event.add_handler(await gen_event.start(), Plain, 1)
            return caught.value

    assert "no init() that takes them" in str(run(main()).reason)


@pytest.mark.parametrize("wrong", [int, (int, 1), "Recorder", GenEvent])
def test_what_is_no_handler_class_is_refused_at_once(wrong: object) -> None:
    async def main() -> None:
        async with quiet():
            manager = await gen_event.start()
            with pytest.raises(UsageError, match="subclass of EventHandler"):
                await gen_event.add_handler(manager, wrong)
            with pytest.raises(UsageError, match="subclass of EventHandler"):
                await gen_event.swap_handler(manager, Recorder, "x", wrong)

    run(main())


def test_a_swap_to_what_is_no_handler_class_takes_the_old_one_too() -> None:
    async def swap(handler: Recorder) -> SwapHandler:
        return SwapHandler("x", int)

    async def main() -> list[object]:
        async with quiet():
            manager = await manager_of([], "a")
            await gen_event.sync_notify(manager, swap)
            return await gen_event.which_handlers(manager)

    assert run(main()) == []


def test_delete_gives_the_value_of_terminate() -> None:
    async def main() -> tuple[object, object]:
        async with quiet():
            manager = await manager_of([], "a")
            await gen_event.sync_notify(manager, 1)
            value = await gen_event.delete_handler(manager, (Recorder, "a"), "why")
            with pytest.raises(HandlerError, match="not installed") as caught:
                await gen_event.delete_handler(manager, (Recorder, "a"))
            return value, caught.value.reason

    assert run(main()) == (("state", 1), "module_not_found")


def test_a_swap_hands_the_old_ones_value_to_the_new_one_which_comes_in_front() -> None:
    async def main() -> tuple[Seen, list[object]]:
        seen: Seen = []
        async with quiet():
            manager = await manager_of(seen, "a", "b")
            await gen_event.swap_handler(manager, (Recorder, "a"), "bye", (Recorder, "c"), seen, "c")
            return seen, await gen_event.which_handlers(manager)

    assert run(main()) == (
        [("a", "terminate", "bye"), ("c", "instead of", ("state", 0))],
        [(Recorder, "c"), (Recorder, "b")],
    )


def test_a_swap_of_a_missing_handler_installs_the_new_one_all_the_same() -> None:
    async def main() -> tuple[Seen, list[object]]:
        seen: Seen = []
        async with quiet():
            manager = await gen_event.start()
            await gen_event.swap_handler(manager, (Recorder, "ghost"), "bye", Recorder, seen)
            return seen, await gen_event.which_handlers(manager)

    assert run(main()) == ([("r", "instead of", "error")], [Recorder])


def test_a_swap_whose_new_handler_does_not_start_loses_both() -> None:
    async def main() -> tuple[object, list[object]]:
        async with quiet():
            manager = await manager_of([], "a", "b")
            with pytest.raises(HandlerError) as caught:
                await gen_event.swap_handler(manager, (Recorder, "a"), "bye", Stubborn, "error")
            return caught.value.reason, await gen_event.which_handlers(manager)

    assert run(main()) == (("error", "no"), [(Recorder, "b")])


def test_a_handler_may_put_another_in_its_place_and_keep_the_order() -> None:
    async def main() -> tuple[Seen, object, list[object]]:
        seen: Seen = []

        async def swap(handler: Recorder) -> SwapHandler:
            return SwapHandler("bye", (Recorder, "new"), (seen, "new"), reply="swapped")

        async with quiet():
            manager = await manager_of(seen, "a", "b", "c")
            reply = await gen_event.call(manager, (Recorder, "b"), swap)
            return seen, reply, await gen_event.which_handlers(manager)

    seen, reply, left = run(main())

    assert seen == [("b", "call"), ("b", "terminate", "bye"), ("new", "instead of", ("state", 0))]
    assert reply == "swapped"
    assert left == [(Recorder, "c"), (Recorder, "new"), (Recorder, "a")]


def test_a_swapped_in_handler_does_not_get_the_event_that_brought_it() -> None:
    async def main() -> Seen:
        seen: Seen = []

        async def swap(handler: Recorder) -> SwapHandler:
            return SwapHandler("bye", (Recorder, "new"), (seen, "new"))

        async with quiet():
            manager = await manager_of(seen, "a", "b")
            await gen_event.sync_notify(manager, only("b", swap))
            return seen

    assert run(main()) == [
        ("b", "asked"),
        ("b", "terminate", "bye"),
        ("new", "instead of", ("state", 1)),
        ("a", "asked"),
    ]


def test_by_default_a_swapped_in_handler_begins_as_an_added_one() -> None:
    class Plain(EventHandler):
        async def init(self, start: int) -> None:
            self.total = start

    async def main() -> object:
        async with quiet():
            manager = await manager_of([], "a")
            await gen_event.swap_handler(manager, (Recorder, "a"), "bye", Plain, 7)
            return await gen_event.get_state(manager)

    assert run(main()) == [HandlerState(Plain, {"total": 7})]


# -- supervised handlers ---------------------------------------------------------------------------------------------


class Owner:
    """A process that owns handlers and keeps what it is sent."""

    def __init__(self, manager: Pid, *handlers: str, seen: Seen | None = None) -> None:
        self.manager = manager
        self.handlers = handlers
        self.seen: Seen = [] if seen is None else seen
        self.mailbox: Seen = []
        self.pid = process.spawn(self.live)

    async def live(self) -> None:
        for name in self.handlers:
            await gen_event.add_sup_handler(self.manager, (Recorder, name), self.seen, name)
        while True:
            self.mailbox.append(await process.receive())

    @property
    def told(self) -> list[tuple[object, object]]:
        return [(message.handler, message.reason) for message in self.mailbox if isinstance(message, HandlerExit)]


def test_the_owner_is_told_when_its_handler_goes_and_why() -> None:
    async def main() -> tuple[list[tuple[object, object]], Pid]:
        async with quiet():
            manager = await gen_event.start()
            owner = Owner(manager, "a", "b", "c", "d")
            await settle()
            await gen_event.delete_handler(manager, (Recorder, "a"))
            await gen_event.sync_notify(manager, only("b", remove))
            await gen_event.sync_notify(manager, only("c", fail))
            await gen_event.stop(manager, "boom")
            await settle()
            assert all(isinstance(message, HandlerExit) and message.manager == manager for message in owner.mailbox)
            return owner.told, owner.pid

    told, _ = run(main())

    assert [handler for handler, _ in told] == [(Recorder, name) for name in "abcd"]
    assert [reason for _, reason in told[:2]] == ["normal", "normal"]
    assert isinstance(told[2][1], tuple)
    assert told[2][1][0] == "EXIT"
    assert told[3][1] == "shutdown"


def test_stopping_the_manager_does_not_take_the_owners_along_killing_it_does() -> None:
    async def main() -> tuple[bool, bool]:
        async with quiet():
            stopped, killed = await gen_event.start(), await gen_event.start()
            first, second = Owner(stopped, "a"), Owner(killed, "a")
            await settle()
            await gen_event.stop(stopped, "boom")
            process.exit_process(killed, "kill")
            return process.is_alive(first.pid), process.is_alive(second.pid)

    assert run(main()) == (True, False)


def test_the_death_of_an_owner_removes_its_handlers_and_the_others_see_it() -> None:
    async def main() -> tuple[Seen, Pid, list[object]]:
        seen: Seen = []
        async with quiet():
            manager = await manager_of(seen, "plain")
            owner = Owner(manager, "a", "b", seen=seen)
            await settle()
            process.exit_process(owner.pid, "boom")
            await settle()
            return seen, owner.pid, await gen_event.which_handlers(manager)

    seen, owner, left = run(main())

    assert seen == [
        ("b", "terminate", ("stop", "boom")),
        ("a", "terminate", ("stop", "boom")),
        ("plain", "info", ExitMessage(owner, "boom")),
    ]
    assert left == [(Recorder, "plain")]


def test_a_swap_keeps_the_owner_unless_the_swapper_takes_over() -> None:
    async def main() -> tuple[Seen, Seen, Pid]:
        async with quiet():
            manager = await gen_event.start()
            owner = Owner(manager, "a")
            await settle()
            await gen_event.swap_handler(manager, (Recorder, "a"), "x", (Recorder, "b"), [], "b")
            swapper_mailbox: Seen = []

            async def swapper() -> None:
                await gen_event.swap_sup_handler(manager, (Recorder, "b"), "x", (Recorder, "c"), [], "c")
                swapper_mailbox.append(await process.receive())

            taker = process.spawn(swapper)
            await settle()
            await gen_event.delete_handler(manager, (Recorder, "c"))
            await settle()
            own = [reason if reason[2] != owner.pid else "kept" for _, reason in owner.told]  # type: ignore[index]
            return own, [message.reason for message in swapper_mailbox if isinstance(message, HandlerExit)], taker

    own, swapper, taker = run(main())

    assert own == ["kept", ("swapped", (Recorder, "c"), taker)]
    assert swapper == ["normal"]


def test_the_owner_is_told_crash_when_the_swapped_in_handler_does_not_start() -> None:
    async def main() -> list[tuple[object, object]]:
        async def swap(handler: Recorder) -> SwapHandler:
            return SwapHandler("bye", Stubborn, ("error",))

        async with quiet():
            manager = await gen_event.start()
            owner = Owner(manager, "a")
            await settle()
            await gen_event.sync_notify(manager, swap)
            await settle()
            return [(handler, reason if reason == "crash" else reason[0]) for handler, reason in owner.told]  # type: ignore[index]

    assert run(main()) == [((Recorder, "a"), "swapped"), (Stubborn, "crash")]


def test_a_handler_that_takes_anothers_place_may_not_hibernate_at_once() -> None:
    class Sleepy(EventHandler):
        async def init(self) -> Ok:
            return Ok(hibernate=True)

    async def main() -> list[object]:
        async def swap(handler: Recorder) -> SwapHandler:
            return SwapHandler("bye", Sleepy)

        async with quiet():
            manager = await gen_event.start()
            await gen_event.add_handler(manager, Sleepy)
            await gen_event.add_handler(manager, Recorder, [])
            await gen_event.sync_notify(manager, swap)
            return await gen_event.which_handlers(manager)

    assert run(main()) == [Sleepy]


def test_an_owner_that_is_dead_already_loses_its_handler_at_once() -> None:
    async def main() -> list[object]:
        async with quiet():
            manager = await gen_event.start()
            await gen_event.suspend(manager)
            owner = Owner(manager, "a")
            await settle()
            process.exit_process(owner.pid, "kill")
            await gen_event.resume(manager)
            await settle()
            return await gen_event.which_handlers(manager)

    assert run(main()) == []


def test_only_a_process_can_own_a_handler() -> None:
    async def main() -> None:
        async with quiet():
            with pytest.raises(NotAProcessError):
                await gen_event.add_sup_handler(await gen_event.start(), Recorder, [])

    run(main())


# -- the manager -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["normal", "shutdown", "boom"])
def test_the_end_of_the_manager_is_stop_for_each_handler_whatever_the_reason(reason: str) -> None:
    async def main() -> Seen:
        seen: Seen = []
        async with quiet():
            manager = await manager_of(seen, "a", "b")
            await gen_event.stop(manager, reason)
            with pytest.raises(NoProcess):
                await gen_event.which_handlers(manager)
            return seen

    assert run(main()) == [("b", "terminate", "stop"), ("a", "terminate", "stop")]


def test_the_parents_exit_stops_the_manager_a_strangers_is_a_message_to_the_handlers() -> None:
    async def main() -> tuple[Seen, Pid, object]:
        seen: Seen = []
        async with quiet():
            pids: list[Pid] = []

            async def parent() -> None:
                pids.append(await gen_event.start_link())
                await gen_event.add_handler(pids[0], Recorder, seen)
                await process.receive()

            async def stranger() -> None:
                process.exit_process(pids[0], "shutdown")

            parent_pid = process.spawn(parent)
            await settle()
            stranger_pid = process.spawn(stranger)
            await settle()
            ended = asyncio.ensure_future(process.wait_exit(pids[0]))
            await settle()
            process.exit_process(parent_pid, "gone")
            return seen, stranger_pid, await ended

    seen, stranger, reason = run(main())

    assert seen == [("r", "info", ExitMessage(stranger, "shutdown")), ("r", "terminate", "stop")]
    assert reason == "gone"


def test_a_killed_manager_ends_even_within_a_handler_and_runs_no_terminate() -> None:
    async def main() -> tuple[Seen, object]:
        seen: Seen = []

        async def hang(handler: Recorder) -> None:
            await asyncio.sleep(3600)

        async with quiet():
            manager = await manager_of(seen, "a")
            gen_event.notify(manager, hang)
            await settle()
            waiting = asyncio.ensure_future(gen_event.sync_notify(manager, 1))
            await settle()
            process.exit_process(manager, "kill")
            with pytest.raises(CallFailed) as caught:
                await waiting
            return seen, (caught.value.cause, asyncio.get_running_loop().time())

    assert run(main()) == ([], ("killed", 0.0))


class Counter(EventHandler):
    async def init(self, start: int = 0) -> None:
        self.total = start

    async def handle_event(self, event: int) -> None:
        self.total += event

    async def handle_call(self, request: str) -> Reply:
        return Reply(self.total)


class Counting(GenEvent):
    async def init(self, start: int) -> None:
        await self.add_handler(Counter, start)


@pytest.mark.parametrize(("start", "first"), [((GenEvent, Counter), 0), ((Counting, 5), 5)])
def test_a_supervised_manager_comes_back_with_its_first_handlers(start: object, first: int) -> None:
    class Top(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("events", start)])

    async def main() -> list[object]:
        async with quiet():
            top = await gen_server.start(Top)

            async def manager() -> Pid:
                [info] = await supervisor.which_children(top)
                assert isinstance(info.child, Pid)
                return info.child

            before = await manager()
            await gen_event.sync_notify(before, 10)
            seen = [await gen_event.call(before, Counter, "total")]
            process.exit_process(before, "kill")
            await settle()
            return [*seen, await gen_event.call(await manager(), Counter, "total"), before == await manager()]

    assert run(main()) == [first + 10, first, False]


def test_a_supervisor_stops_a_manager_in_order() -> None:
    seen: Seen = []

    class Events(GenEvent):
        async def init(self) -> None:
            await self.add_handler(Recorder, seen)

    class Top(Supervisor):
        async def init(self) -> SupervisorSpec:
            return SupervisorSpec([ChildSpec("events", Events)])

    async def main() -> None:
        async with quiet():
            await gen_server.stop(await gen_server.start(Top), "shutdown")

    run(main())

    assert seen == [("r", "terminate", "stop")]


def test_a_first_handler_that_does_not_start_fails_the_start() -> None:
    async def main() -> StartError:
        async with quiet():
            with pytest.raises(StartError) as caught:
                await gen_event.start(GenEvent, Recorder)
            return caught.value

    reason = run(main()).reason

    assert isinstance(reason, Crashed)
    assert isinstance(reason.error, HandlerError)


def test_a_manager_with_a_name_is_found_by_it() -> None:
    async def main() -> tuple[Seen, object]:
        seen: Seen = []
        async with quiet():
            manager = await gen_event.start(name="events")
            await gen_event.add_handler("events", Recorder, seen)
            gen_event.notify("events", 1)
            await settle()
            with pytest.raises(StartError) as caught:
                await gen_event.start(name="events")
            return seen, caught.value.reason == ("already_started", manager)

    assert run(main()) == ([("r", 1)], True)


def test_an_event_to_the_dead_vanishes_one_to_a_name_that_nobody_has_is_an_error() -> None:
    async def main() -> None:
        async with quiet():
            manager = await gen_event.start()
            await gen_event.stop(manager)
            gen_event.notify(manager, 1)
            with pytest.raises(UsageError, match="nobody has the name"):
                gen_event.notify("nobody", 1)
            with pytest.raises(NoProcess):
                await gen_event.sync_notify(manager, 1)

    run(main())


def test_a_late_answer_is_dropped_unless_it_is_waited_for_again() -> None:
    async def slow(handler: Recorder) -> Reply:
        await asyncio.sleep(1)
        return Reply("late")

    async def main() -> tuple[object, float]:
        async with quiet():
            manager = await manager_of([], "a")
            with pytest.raises(CallTimeout):
                await gen_event.call(manager, (Recorder, "a"), slow, timeout_s=0.2)
            asked = gen_event.send_request(manager, (Recorder, "a"), slow)
            with pytest.raises(TimeoutError):
                await gen_event.wait_response(asked, 0.2)
            return await gen_event.wait_response(asked), asyncio.get_running_loop().time()

    assert run(main()) == ("late", 2.0)


def test_a_request_that_is_not_for_an_event_manager_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[object]:
        async with quiet():
            manager = await manager_of([], "a")
            with pytest.raises(UsageError, match=r"use gen_event.call"):
                await gen_server.request(manager, "what?")
            gen_server.tell(manager, "strange")
            return await gen_event.which_handlers(manager)

    with caplog.at_level(logging.WARNING):
        assert run(main()) == [(Recorder, "a")]
    assert "strange" in caplog.text


def test_events_that_wait_for_their_handlers_are_bounded() -> None:
    class Small(GenEvent):
        mailbox_limit = 2

    async def main() -> list[bool]:
        async with quiet():
            manager = await gen_event.start(Small, Counter)
            await gen_server.suspend(manager)
            telling = asyncio.gather(*(gen_event.sync_notify(manager, 1) for _ in range(3)), return_exceptions=True)
            await settle()
            await gen_server.resume(manager)
            return [isinstance(outcome, Overloaded) for outcome in await telling]

    assert run(main()) == [False, False, True]


def test_a_handler_without_handle_info_logs_and_drops_messages(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[object]:
        async with quiet():
            manager = await gen_event.start(GenEvent, Counter)
            process.send(manager, "hello")
            await settle()
            return await gen_event.which_handlers(manager)

    with caplog.at_level(logging.WARNING):
        assert run(main()) == [Counter]
    assert "hello" in caplog.text


# -- system calls ----------------------------------------------------------------------------------------------------


def test_get_state_shows_the_handlers_one_by_one_in_the_order_of_delivery() -> None:
    async def main() -> object:
        async with quiet():
            manager = await gen_event.start(GenEvent, Counter)
            await gen_event.add_handler(manager, (Counter, "late"), 3)
            await gen_event.sync_notify(manager, 1)
            return await gen_event.get_state(manager)

    assert run(main()) == [HandlerState((Counter, "late"), {"total": 4}), HandlerState(Counter, {"total": 1})]


def test_replace_state_changes_each_handler_and_leaves_those_where_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    def double(state: object) -> object:
        assert isinstance(state, HandlerState)
        assert isinstance(state.state, dict)
        if state.handler == (Counter, "b"):
            raise ValueError("not this one")
        if state.handler == (Counter, "c"):
            return HandlerState(Counter, {"total": 99})
        return HandlerState(state.handler, {"total": state.state["total"] * 2})

    async def main() -> object:
        async with quiet():
            manager = await gen_event.start()
            for number, name in enumerate("abc", start=1):
                await gen_event.add_handler(manager, (Counter, name), number)
            return await gen_event.replace_state(manager, double)

    assert run(main()) == [
        HandlerState((Counter, "c"), {"total": 3}),
        HandlerState((Counter, "b"), {"total": 2}),
        HandlerState((Counter, "a"), {"total": 2}),
    ]
    assert "not this one" in caplog.text


def test_a_suspended_manager_keeps_events_for_later_but_obeys_its_parent() -> None:
    async def main() -> tuple[Seen, Seen, object]:
        seen: Seen = []
        async with quiet():
            manager = await manager_of(seen, "a")
            await gen_event.suspend(manager)
            gen_event.notify(manager, 1)
            process.send(manager, "plain")
            await settle()
            before = list(seen)
            await gen_event.resume(manager)
            gen_event.notify(manager, 2)
            await settle()
            counted = await gen_event.statistics(manager)
            return before, seen, counted.mailbox_depth

    assert run(main()) == ([], [("a", 1), ("a", "info", "plain"), ("a", 2)], 0)


def test_a_code_change_runs_the_handlers_of_that_name_on_as_the_new_class() -> None:
    class Tally(EventHandler):
        async def init(self, start: int) -> None:
            self.total = start

    old = Tally

    class Newer(EventHandler):
        async def code_change(self, old_version: object, state: object, extra: object) -> object:
            assert isinstance(state, dict)
            return {"total": state["total"] + 100, "from": (old_version, extra)}

    Newer.__qualname__, Newer.__module__ = old.__qualname__, old.__module__

    async def main() -> object:
        async with quiet():
            manager = await gen_event.start(GenEvent, Counter)
            await gen_event.add_handler(manager, (old, 1), 1)
            await gen_event.add_handler(manager, old, 2)
            await gen_event.change_code(manager, Newer, "1.0", "extra")
            return await gen_event.get_state(manager)

    assert run(main()) == [
        HandlerState(Newer, {"total": 102, "from": ("1.0", "extra")}),
        HandlerState((Newer, 1), {"total": 101, "from": ("1.0", "extra")}),
        HandlerState(Counter, {"total": 0}),
    ]


def test_a_code_change_that_fails_for_one_handler_changes_none() -> None:
    class Worse(EventHandler):
        async def code_change(self, old_version: object, state: object, extra: object) -> object:
            assert isinstance(state, dict)
            if state["total"] == 2:
                raise ValueError("cannot")
            return state

    Worse.__qualname__, Worse.__module__ = Counter.__qualname__, Counter.__module__

    async def main() -> list[object]:
        async with quiet():
            manager = await gen_event.start()
            await gen_event.add_handler(manager, Counter, 2)
            await gen_event.add_handler(manager, Counter, 1)
            with pytest.raises(CallFailed):
                await gen_event.change_code(manager, Worse)
            return await gen_event.which_handlers(manager)

    assert run(main()) == [Counter, Counter]
