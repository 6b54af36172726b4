"""The promises that every system holds whatever happens, as checks of a history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from raybeam.actors import AtMostOnce, CallTimeout, ExactlyOnce, Outcome, RaybeamError

from .history import Execution, History, Invocation

ARRIVES_S = 1.5
LATE_S = 0.05
"""How long after its deadline a caller may be told, beside the time that its process stood still."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was broken.

    Attributes:
        promise: Which, in words.
        text: How.
        at: When it was seen, virtual seconds.
        numbers: Invocations that it is about.
    """

    promise: str
    text: str
    at: float = 0.0
    numbers: tuple[int, ...] = ()


Promise: TypeAlias = Callable[[History], Iterable[Broken]]
"""A check: what of a history breaks it. Its `__name__` is its name in reports."""


def at_most_once(history: History) -> Iterator[Broken]:
    """What may be done at most once is never done twice."""
    for invocation, executions in _by_invocation(history):
        if isinstance(invocation.retry, AtMostOnce) and len(executions) > 1:
            yield _broken(at_most_once, invocation, f"{invocation} ran {len(executions)} times", executions[1].began_at)


def at_least_once(history: History) -> Iterator[Broken]:
    """What was answered was done."""
    for invocation, executions in _by_invocation(history):
        if invocation.kind != "cast" and invocation.ok and not any(execution.done for execution in executions):
            yield _broken(at_least_once, invocation, f"{invocation} was never done", invocation.ended_at)


def exactly_once(history: History) -> Iterator[Broken]:
    """What must be done exactly once is never done twice; `at_least_once` tells that it is done when it is answered."""
    for invocation, executions in _by_invocation(history):
        if isinstance(invocation.retry, ExactlyOnce) and len(executions) > 1:
            yield _broken(exactly_once, invocation, f"{invocation} ran {len(executions)} times", executions[1].began_at)


def outcome_is_true(history: History) -> Iterator[Broken]:
    """What was told to be surely not done was not done."""
    for invocation, executions in _by_invocation(history):
        error = invocation.error
        if isinstance(error, RaybeamError) and error.outcome is Outcome.NOT_SENT and executions:
            yield _broken(outcome_is_true, invocation, f"{invocation} says it was not done, and it ran")


def own_answer(history: History) -> Iterator[Broken]:
    """No call is answered with another call's value."""
    for invocation, executions in _by_invocation(history):
        if invocation.kind == "cast" or not invocation.ok:
            continue
        done = [execution for execution in executions if execution.done]
        if done and not any(execution.value == invocation.value for execution in done):
            yield _broken(own_answer, invocation, f"{invocation}, but the handler returned {done[0].value!r}")


def once_in_a_lane(history: History) -> Iterator[Broken]:
    """A message of a lane is done at most once, whatever may be retried."""
    lanes = _lanes(history)
    for invocation, executions in _by_invocation(history):
        sendings = len(lanes.get(invocation.number, ()))
        if len(executions) > sendings:
            text = f"{invocation} was sent {sendings} times in any lane and ran {len(executions)} times"
            yield _broken(once_in_a_lane, invocation, text, executions[1].began_at)


def order_in_a_lane(history: History) -> Iterator[Broken]:
    """What was sent in a lane is begun in that order."""
    lanes = _lanes(history, in_turn=True)
    last: dict[str, tuple[int, int]] = {}
    for execution in history.executions:
        sent = lanes.get(execution.number, [])
        if len(sent) != 1:
            continue  # sent again: nobody can say which of them ran
        [(lane, seq)] = sent
        before = last.get(lane, (0, 0))
        if seq < before[0]:
            text = f"#{execution.number} was sent in a lane before #{before[1]}, and begun after it"
            yield Broken(order_in_a_lane.__name__, text, execution.began_at, (execution.number, before[1]))
        last[lane] = max(before, (seq, execution.number))


def lane_is_complete(history: History) -> Iterator[Broken]:
    """A call of a lane does not time out, never begun, while one that was sent after it in the same lane is begun."""
    lanes = _lanes(history, in_turn=True)
    begun: dict[str, tuple[int, float]] = {}
    for execution in history.executions:
        sent = lanes.get(execution.number, [])
        if len(sent) == 1:
            [(lane, seq)] = sent
            begun[lane] = max(begun.get(lane, (0, 0.0)), (seq, execution.began_at))
    for invocation, executions in _by_invocation(history):
        sent = lanes.get(invocation.number, [])
        if executions or len(sent) != 1 or not isinstance(invocation.error, CallTimeout):
            continue
        [(lane, seq)] = sent
        later, at = begun.get(lane, (0, 0.0))
        if later > seq and at < invocation.until:
            text = f"{invocation} was never begun, though what was sent after it in its lane was at {at:.3f} s"
            yield _broken(lane_is_complete, invocation, text, at)


def answer_in_time(history: History) -> Iterator[Broken]:
    """A caller has an answer or an error by its deadline."""
    for invocation in history.invocations:
        latest = invocation.until + LATE_S + history.stalls.get(invocation.caller, 0.0)
        if invocation.ended_at is None:
            ended = history.ended.get(invocation.caller, history.over_at)
            if ended > latest:
                yield _broken(answer_in_time, invocation, f"{invocation} since {invocation.began_at:.3f} s", latest)
        elif invocation.ended_at > latest:
            text = f"{invocation} was told {invocation.ended_at - invocation.until:.3f} s after its deadline"
            yield _broken(answer_in_time, invocation, text, invocation.ended_at)


def answers_arrive(history: History) -> Iterator[Broken]:
    """What was done in good time, and no fault in the way any more, is not told to its caller as a time-out."""
    for invocation, executions in _by_invocation(history):
        if not isinstance(invocation.error, CallTimeout):
            continue
        for execution in executions:
            if not execution.done or execution.ended_at is None:
                continue
            since = max(execution.ended_at, history.faults_over_at)
            lived_until = min(history.ended.get(execution.replica, invocation.until), invocation.until)
            if since + ARRIVES_S < lived_until and invocation.caller not in history.stalls:
                text = f"{invocation}, though it was done at {execution.ended_at:.3f} s"
                yield _broken(answers_arrive, invocation, text, execution.ended_at)


def epochs_grow(history: History) -> Iterator[Broken]:
    """A client never goes back to an older view."""
    last: dict[tuple[str, str], int] = {}
    for view in history.views:
        before = last.get((view.client, view.family), 0)
        if view.epoch < before:
            text = f"{view.client} went from epoch {before} of {view.family} back to {view.epoch}"
            yield Broken(epochs_grow.__name__, text, view.at)
        last[view.client, view.family] = view.epoch


def names_are_new(history: History) -> Iterator[Broken]:
    """No replica has the name of a former one: what was meant for that would reach it."""
    seen: set[str] = set()
    for name in history.replicas:
        if name in seen:
            yield Broken(names_are_new.__name__, f"another replica is named {name}", history.over_at)
        seen.add(name)


def heals(history: History) -> Iterator[Broken]:
    """After the last fault all replicas come up again, and calls succeed."""
    if history.healed_at is None:
        yield Broken(heals.__name__, history.unhealed, history.over_at)


def leaves_nothing(history: History) -> Iterator[Broken]:
    """When all is quiet, nothing of what is over is kept."""
    for left in history.left:
        yield Broken(leaves_nothing.__name__, left, history.over_at)


def as_many_as_wanted(history: History) -> Iterator[Broken]:
    """When all is quiet, each family has as many replicas as are wanted, and none drains."""
    for text in history.missized:
        yield Broken(as_many_as_wanted.__name__, text, history.over_at)


def raises_nothing(history: History) -> Iterator[Broken]:
    """No exception goes uncaught inside."""
    for error in history.errors:
        yield Broken(raises_nothing.__name__, error, history.over_at)


PROMISES: tuple[Promise, ...] = (
    at_most_once,
    at_least_once,
    exactly_once,
    outcome_is_true,
    own_answer,
    once_in_a_lane,
    order_in_a_lane,
    lane_is_complete,
    answer_in_time,
    answers_arrive,
    epochs_grow,
    names_are_new,
    heals,
    leaves_nothing,
    as_many_as_wanted,
    raises_nothing,
)


def _by_invocation(history: History) -> Iterator[tuple[Invocation, list[Execution]]]:
    executions: dict[int, list[Execution]] = defaultdict(list)
    for execution in history.executions:
        executions[execution.number].append(execution)
    for invocation in history.invocations:
        yield invocation, executions.get(invocation.number, [])


def _lanes(history: History, *, in_turn: bool = False) -> dict[int, list[tuple[str, int]]]:
    """By invocation: the lanes that it was sent in, and its number there; or only of those that are served in turn."""
    lanes: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for lane, seq, number in history.sent:
        if not in_turn or history.invocations[number - 1].in_turn:
            lanes[number].append((lane, seq))
    return lanes


def _broken(promise: Callable[..., object], invocation: Invocation, text: str, at: float | None = None) -> Broken:
    return Broken(promise.__name__, text, invocation.began_at if at is None else at, (invocation.number,))
