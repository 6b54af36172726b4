"""The event manager's kernel: what each result of a callback means, and what follows in which order."""

from __future__ import annotations

import pytest

from raybeam.actors import Error, NoReply, Ok, Pid, RemoveHandler, Reply, SwapHandler
from raybeam.actors.kernel.event import (
    Add,
    Answer,
    Ask,
    Delete,
    Effect,
    Failed,
    Handler,
    Init,
    Link,
    LinkedEnded,
    Notify,
    Refuse,
    Refused,
    Report,
    Returned,
    Run,
    Stop,
    Swap,
    Table,
    Tell,
    Terminate,
    Unlink,
    step,
    upgraded,
)

OWNER, OTHER, PARENT = Pid("here", 1), Pid("here", 2), Pid("here", 3)
A, B, C = Handler("a", "the a", OWNER), Handler("b", "the b"), Handler("c", "the c", OTHER)
TABLE = Table((C, B, A))


def ids(table: Table) -> str:
    return "".join(str(handler.id) for handler in table.handlers)


def test_an_event_runs_the_handlers_one_by_one_and_then_answers() -> None:
    table, first = step(TABLE, Notify("e"))
    table, second = step(table, Returned(None))
    table, third = step(table, Returned(Ok(hibernate=True)))
    table, last = step(table, Returned(None))

    assert (first, second, third) == (
        (Run(C, "handle_event", "e"),),
        (Run(B, "handle_event", "e"),),
        (Run(A, "handle_event", "e"),),
    )
    assert last == (Answer(True),)
    assert table == TABLE


def test_without_handlers_an_event_is_answered_at_once() -> None:
    assert step(Table(), Notify("e")) == (Table(), (Answer(True),))


@pytest.mark.parametrize(
    "value", [Reply(1), NoReply(), "ok", RemoveHandler(reply=1), SwapHandler(1, 2, (), 3), Ok(timeout_s=1), Error(1)]
)
def test_at_an_event_anything_but_nothing_ok_remove_and_swap_is_a_failure(value: object) -> None:
    table, _ = step(Table((A,)), Notify("e"))
    table, ending = step(table, Returned(value))
    table, ended = step(table, Returned(None))

    assert ending == (Terminate(A, ("error", value)),)
    assert ended == (Report("a", "the a", value, "e"), Tell(OWNER, "a", value), Answer(True))
    assert table == Table()


@pytest.mark.parametrize("value", [None, Ok(), "ok", RemoveHandler(), SwapHandler(1, 2), Reply(1, continue_with=2)])
def test_at_a_call_what_has_no_reply_is_a_failure_that_the_caller_is_told(value: object) -> None:
    table, _ = step(Table((B,)), Ask("b", "q"))
    table, ending = step(table, Returned(value))
    table, ended = step(table, Returned(None))

    assert ending == (Terminate(B, ("error", value)),)
    assert ended == (Report("b", "the b", value, "q"), Answer(False, value))
    assert table == Table()


def test_a_failed_callback_ends_its_handler_with_its_reason_and_the_next_one_runs() -> None:
    table, _ = step(Table((A, B)), Notify("e"))
    table, ending = step(table, Failed("boom"))
    table, ended = step(table, Failed("worse"))

    assert ending == (Terminate(A, ("error", ("EXIT", "boom"))),)
    assert ended == (
        Report("a", "the a", ("EXIT", "boom"), "e"),
        Tell(OWNER, "a", ("EXIT", "boom")),
        Report("a", "the a", ("EXIT", "worse"), "terminate"),
        Run(B, "handle_event", "e"),
    )
    assert ids(table) == "b"


def test_an_error_that_is_an_answer_leaves_the_handler_there() -> None:
    error = ValueError("no")
    table, _ = step(Table((B,)), Ask("b", "q"))

    assert step(table, Refused(error)) == (Table((B,)), (Refuse(error),))


def test_a_call_goes_to_the_newest_with_the_id_and_to_nobody_else() -> None:
    newest, oldest = Handler("x", 2), Handler("x", 1)

    assert step(Table((B, newest, oldest)), Ask("x", "q"))[1] == (Run(newest, "handle_call", "q"),)
    assert step(TABLE, Ask("x", "q")) == (TABLE, (Answer(False, "bad_module"),))


def test_a_handler_removed_at_a_call_answers_after_its_terminate() -> None:
    table, _ = step(TABLE, Ask("a", "q"))
    table, ending = step(table, Returned(RemoveHandler("bye")))
    table, ended = step(table, Returned("dropped"))

    assert ending == (Terminate(A, "remove_handler"),)
    assert ended == (Tell(OWNER, "a", "normal"), Answer(True, "bye"))
    assert ids(table) == "cb"


def test_a_swap_by_a_handler_keeps_place_and_owner() -> None:
    table, _ = step(TABLE, Ask("a", "q"))
    table, ending = step(table, Returned(SwapHandler("x", "d", (1, 2), "reply")))
    table, starting = step(table, Returned("state"))
    table, started = step(table, Returned(None, "the d"))

    assert ending == (Terminate(A, "x"),)
    assert starting == (Tell(OWNER, "a", ("swapped", "d", OWNER)), Init("d", (1, 2), ("state",)))
    assert started == (Answer(True, "reply"),)
    assert ids(table) == "cbd"
    assert (table.handlers[2].handle, table.handlers[2].owner) == ("the d", OWNER)


@pytest.mark.parametrize(
    ("outcome", "why"), [(Failed("boom"), ("EXIT", "boom")), (Returned(Error("no")), ("error", "no"))]
)
def test_a_swap_by_a_handler_that_fails_is_reported_and_told_as_crash(outcome: Returned | Failed, why: object) -> None:
    table, _ = step(Table((A, B)), Notify("e"))
    table, _ = step(table, Returned(SwapHandler("x", "d")))
    table, _ = step(table, Returned(None))
    table, failed = step(table, outcome)

    assert failed == (Report("d", None, why, "init"), Tell(OWNER, "d", "crash"), Run(B, "handle_event", "e"))
    assert ids(table) == "b"


def test_a_new_handler_comes_in_front_and_is_linked_with_its_owner_before_it_starts() -> None:
    table, starting = step(Table((B,)), Add("d", (1,), OWNER))
    table, started = step(table, Returned(None, "the d"))

    assert starting == (Link(OWNER), Init("d", (1,), None))
    assert started == (Answer(True),)
    assert ids(table) == "db"


@pytest.mark.parametrize(
    ("outcome", "why"),
    [(Failed("boom"), ("EXIT", "boom")), (Returned(Error("no"), "h"), ("error", "no")), (Returned("odd", "h"), "odd")],
)
def test_a_handler_that_does_not_start_is_not_there_and_the_adder_learns_why(
    outcome: Returned | Failed, why: object
) -> None:
    table, _ = step(TABLE, Add("d"))

    assert step(table, outcome) == (TABLE, (Answer(False, why),))


def test_delete_answers_with_the_value_of_terminate_or_its_failure() -> None:
    table, ending = step(TABLE, Delete("b", "why"))

    assert ending == (Terminate(B, "why"),)
    assert step(table, Returned(7)) == (Table((C, A)), (Answer(True, 7),))
    assert step(table, Failed("boom")) == (Table((C, A)), (Answer(False, ("EXIT", "boom")),))
    assert step(TABLE, Delete("x")) == (TABLE, (Answer(False, "module_not_found"),))


@pytest.mark.parametrize(("swapper", "owner"), [(None, OWNER), (OTHER, OTHER)])
def test_a_swap_asked_for_comes_in_front_and_has_the_swapper_or_the_old_owner(swapper: Pid | None, owner: Pid) -> None:
    table, ending = step(TABLE, Swap("a", "x", "d", (1,), swapper))
    table, starting = step(table, Failed("boom"))
    table, started = step(table, Returned(None, "the d"))

    assert ending == (Terminate(A, "x"),)
    assert starting == (
        Tell(OWNER, "a", ("swapped", "d", owner)),
        Link(owner),
        Init("d", (1,), (("EXIT", "boom"),)),
    )
    assert started == (Answer(True),)
    assert ids(table) == "dcb"
    assert table.handlers[0].owner == owner


def test_a_swap_of_what_is_not_there_starts_the_new_one_with_error() -> None:
    assert step(TABLE, Swap("x", "arg", "d"))[1] == (Init("d", (), ("error",)),)


def test_the_end_of_an_owner_ends_its_handlers_first_and_then_goes_to_the_others() -> None:
    table, first = step(TABLE, LinkedEnded(OWNER, "boom", "message"))
    table, second = step(table, Returned(None))
    table, third = step(table, Returned(None))
    table, last = step(table, Returned(None))

    assert first == (Terminate(A, ("stop", "boom")),)
    assert second == (Tell(OWNER, "a", "shutdown"), Run(C, "handle_info", "message"))
    assert third == (Run(B, "handle_info", "message"),)
    assert last == ()
    assert ids(table) == "cb"


def test_the_end_of_the_manager_ends_all_the_newest_first_and_unlinks_owners_but_the_parent() -> None:
    child = Handler("d", "the d", PARENT)
    table, effects = step(Table((child, *TABLE.handlers)), Stop(PARENT))
    done: list[Effect] = [*effects]
    while effects and isinstance(effects[-1], Terminate):
        table, effects = step(table, Returned(None))
        done += effects

    assert [effect.handler.id for effect in done if isinstance(effect, Terminate)] == ["d", "c", "b", "a"]
    assert {effect.argument for effect in done if isinstance(effect, Terminate)} == {"stop"}
    assert [effect for effect in done if isinstance(effect, Tell)] == [
        Tell(PARENT, "d", "shutdown"),
        Tell(OTHER, "c", "shutdown"),
        Tell(OWNER, "a", "shutdown"),
    ]
    assert done[-2:] == [Unlink(OWNER), Unlink(OTHER)]
    assert table == Table()


def test_an_upgrade_keeps_place_and_owner() -> None:
    table = upgraded(TABLE, A, "newer a", "the newer a")

    assert [(handler.id, handler.handle, handler.owner) for handler in table.handlers] == [
        ("c", "the c", OTHER),
        ("b", "the b", None),
        ("newer a", "the newer a", OWNER),
    ]
