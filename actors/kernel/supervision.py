"""The supervisor's decisions, after OTP 27's `supervisor.erl`: which children start, stop and restart, and when.

A supervisor starts and stops its children one at a time and does nothing else meanwhile. So a state holds a *plan*,
the instructions still to be carried out, and at most one of them is under way: the shell carries out the `Start` or
`Stop` it was given and feeds the outcome back before it handles anything else.

A child is an opaque handle here: a light process or a Ray actor.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING, Final, TypeAlias

from .backoff import next_failure
from .childspec import ChildSpec, is_orderly
from .intensity import Restart, add_restart, failure_domain
from .reason import NORMAL, SHUTDOWN, ExitReason, is_normal_end
from .supervision_children import Children
from .supervision_protocol import (
    Answer,
    Boot,
    Effect,
    Ended,
    Event,
    Exit,
    Handle,
    Report,
    Request,
    Restarting,
    Retry,
    RetryRestart,
    Start,
    Started,
    StartFailed,
    Stop,
    Stopped,
    Terminate,
    Up,
)
from .supervision_state import (
    Booting,
    Child,
    EndingAll,
    Flags,
    RestartingGroup,
    Serving,
    StartChild,
    StopChild,
    Supervision,
    Task,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

RESTARTING: Final = "restarting"


Step: TypeAlias = tuple[Supervision, tuple[Effect, ...]]


def step(state: Supervision, event: Event, now: float, chance: float = 0.0) -> Step:
    """One step: the new state, and what to do.

    Args:
        state: Where the supervisor stands.
        event: What happened.
        now: Monotonic seconds.
        chance: A random number from 0 to 1, for the jitter of a backoff.
    """
    match event:
        case Boot():
            plan = tuple(StartChild(child.spec.id) for child in state.children)
            return _begin(state, Booting(), plan)
        case Started(id, handle, extra):
            return _started(state, id, handle, extra, now)
        case StartFailed(id, reason):
            return _start_failed(state, id, reason, chance)
        case Stopped(id, reason):
            return _stopped(state, id, reason)
        case Ended(handle, reason):
            child = state.by_handle(handle)
            return (state, ()) if child is None else _ended(state, child, reason, now, chance)
        case RetryRestart(id, number):
            child = state.find(id)
            if child is None or child.waiting is None or child.waiting.number != number:
                return state, ()
            return _begin_restart(state, child) if child.waiting.counted else _retry(state, child, now)
        case Request(operation, argument):
            return _request(state, operation, argument)
        case Terminate():
            return _begin(state, EndingAll(), _stops(state.children))


# -- ends and restarts -----------------------------------------------------------------------------------------------


def _ended(state: Supervision, child: Child, reason: ExitReason, now: float, chance: float) -> Step:
    """Restart or not: one row for each restart type and kind of reason."""
    report = Report("child_terminated", reason, child.spec, child.shown)
    match child.spec.restart:
        case "permanent":
            state, effects = _restart(state, child, reason, now, chance)
            return state, (report, *effects)
        case "transient" if not is_normal_end(reason):
            state, effects = _restart(state, child, reason, now, chance)
            return state, (report, *effects)
        case "temporary" if not is_normal_end(reason):
            state, effects = _auto_shutdown(_mark_down(state, child), child)
            return state, (report, *effects)
        case _:
            return _auto_shutdown(_mark_down(state, child), child)


def _auto_shutdown(state: Supervision, child: Child) -> Step:
    """Whether the own end of a significant child ends the supervisor."""
    if not child.spec.significant or state.flags.auto_shutdown == "never":
        return state, ()
    if state.flags.auto_shutdown == "all_significant" and any(
        other.spec.significant and (other.handle is not None or other.restarting) for other in state.children
    ):
        return state, ()
    return state, (Exit(SHUTDOWN),)


def _restart(state: Supervision, child: Child, reason: ExitReason, now: float, chance: float) -> Step:
    """Restart a child that ended: at once, or after its backoff."""
    state, borne = _count(state, child, now, failure_domain(reason))
    if not borne:
        return _give_up(state, child)
    backoff = child.spec.backoff or state.flags.backoff
    failures, delay_s = next_failure(backoff, child.failures, now - child.started_at, chance)
    child = child._replace(failures=failures)
    if backoff is None:
        return _begin_restart(state, child)
    state, retry = _wait(state, child, _waiting_for(child.shown), delay_s, counted=True)
    others = tuple(other for other in _group(state, child) if other.spec.id != child.spec.id)
    state, effects = _begin(state, RestartingGroup(child.spec.id, None), _stops(others))
    return state, (retry, *effects)


def _retry(state: Supervision, child: Child, now: float) -> Step:
    """Try a failed restart again, which counts like any other."""
    state, borne = _count(state, child, now, None)
    return _begin_restart(state, child) if borne else _give_up(state, child)


def _count(state: Supervision, child: Child, now: float, domain: object) -> tuple[Supervision, bool]:
    restarts, borne = add_restart(state.restarts, Restart(now, child.spec.id, domain), state.flags.limit)
    return state._replace(restarts=restarts), borne


def _give_up(state: Supervision, child: Child) -> Step:
    report = Report("shutdown", "reached_max_restart_intensity", child.spec, child.shown)
    return _mark_down(state, child), (report, Exit(SHUTDOWN))


def _begin_restart(state: Supervision, child: Child) -> Step:
    """Stop and start the group of a child that is down."""
    task = RestartingGroup(child.spec.id, child.shown)
    state = _put(state, child._replace(handle=None, restarting=None, waiting=None, restarts=child.restarts + 1))
    group = _group(state, child)
    starts = tuple(StartChild(other.spec.id) for other in group if _comes_back(other, child))
    return _begin(state, task, (*_stops(group), *starts))


def _wait(
    state: Supervision, child: Child, restarting: Restarting, delay_s: float, *, counted: bool
) -> tuple[Supervision, Retry]:
    """Put a restart off."""
    number = state.waits + 1
    child = child._replace(handle=None, restarting=restarting, waiting=Waiting(number, counted))
    return _put(state, child)._replace(waits=number), Retry(child.spec.id, number, delay_s)


def _waiting_for(shown: Handle | Restarting | None) -> Restarting:
    return shown if isinstance(shown, Restarting) else Restarting(shown)


def _group(state: Supervision, child: Child) -> tuple[Child, ...]:
    """Who is restarted with a child, in the order of the start."""
    match state.flags.strategy:
        case "one_for_all":
            return tuple(state.children)
        case "rest_for_one":
            return tuple(dropwhile(lambda other: other.spec.id != child.spec.id, state.children))
        case _:
            itself = state.find(child.spec.id)
            assert itself is not None
            return (itself,)


def _comes_back(other: Child, failed: Child) -> bool:
    """Temporary children do not come back with the group; all others do, also those that were down."""
    return other.spec.restart != "temporary" or other.spec.id == failed.spec.id


# -- outcomes --------------------------------------------------------------------------------------------------------


def _started(state: Supervision, id: object, handle: Handle | None, extra: object, now: float) -> Step:
    child = state.find(id)
    assert child is not None
    forgotten = handle is None and child.spec.restart == "temporary"
    state = _drop(state, id) if forgotten else _put(state, child._replace(handle=handle, started_at=now))
    state = state._replace(at=state.at + 1)
    if isinstance(state.task, Serving):
        return _idle(state), (Answer(True, (handle, extra)),)
    return _advance(state)


def _start_failed(state: Supervision, id: object, reason: ExitReason, chance: float) -> Step:
    child = state.find(id)
    assert child is not None
    match state.task:
        case Booting():
            report = Report("start_error", reason, child.spec, None)
            failure = (SHUTDOWN, ("failed_to_start_child", id, reason))
            state, effects = _begin(state, Booting(failure), _stops(state.children))
            return state, (report, *effects)
        case RestartingGroup() as task:
            report = Report("start_error", reason, child.spec, _shown_at_start(state, task))
            backoff = child.spec.backoff or state.flags.backoff
            failures, delay_s = next_failure(backoff, child.failures, 0.0, chance)
            restarting = _waiting_for(task.last if id == task.id else None)
            child = child._replace(failures=failures)
            state, retry = _wait(_idle(state), child, restarting, delay_s, counted=False)
            return state, (report, retry)
        case Serving("start_child"):
            already = isinstance(reason, tuple) and len(reason) == 2 and reason[0] == "already_started"
            value = reason if already else (reason, child.spec)
            return _idle(_drop(state, id)), (Answer(False, value),)
        case _:
            return _idle(state), (Answer(False, reason),)


def _shown_at_start(state: Supervision, task: RestartingGroup) -> Handle | Restarting | None:
    """A child that is restarted alone is reported with the pid it had; in a group they are all gone by then."""
    return task.last if state.flags.strategy == "one_for_one" else None


def _stopped(state: Supervision, id: object, reason: ExitReason) -> Step:
    child = state.find(id)
    assert child is not None
    reports = () if is_orderly(child.spec, reason) else (Report("shutdown_error", reason, child.spec, child.handle),)
    state = _mark_down(state._replace(at=state.at + 1), child)
    if isinstance(state.task, Serving):
        return _idle(state), (*reports, Answer(True))
    state, effects = _advance(state)
    return state, (*reports, *effects)


def _begin(state: Supervision, task: Task, plan: tuple[StartChild | StopChild, ...]) -> Step:
    """Take up a plan."""
    return _advance(state._replace(task=task, plan=plan, at=0))


def _idle(state: Supervision) -> Supervision:
    """Nothing is under way any more."""
    return state._replace(task=None, plan=(), at=0)


def _advance(state: Supervision) -> Step:
    """The next instruction of the plan, or what follows its end."""
    while state.at < len(state.plan):
        instruction = state.plan[state.at]
        child = state.find(instruction.id)
        if child is not None:
            if isinstance(instruction, StartChild):
                return state, (Start(child.spec),)
            if child.handle is not None:
                return state, (Stop(child.spec, child.handle),)
            state = _mark_down(state, child)
        state = state._replace(at=state.at + 1)
    task, state = state.task, _idle(state)
    match task:
        case Booting(None):
            return state, (Up(),)
        case Booting(failure):
            return state, (Exit(failure),)
        case EndingAll():
            return state, (Exit(NORMAL),)
        case _:
            return state, ()


# -- requests --------------------------------------------------------------------------------------------------------


def _request(state: Supervision, operation: str, argument: object) -> Step:
    if operation == "start_child":
        assert isinstance(argument, ChildSpec)
        return _request_start(state, argument)
    child = state.find(argument)
    if child is None:
        return state, (Answer(False, "not_found"),)
    match operation:
        case "terminate_child":
            if child.handle is None:
                return _give_up_waiting(state, child)
            return _begin(state, Serving(operation, child.spec.id), (StopChild(child.spec.id),))
        case "get_childspec":
            return state, (Answer(True, child.spec),)
    if child.restarting or child.handle is not None:
        return state, (Answer(False, RESTARTING if child.restarting else "running"),)
    if operation == "delete_child":
        return _drop(state, child.spec.id), (Answer(True),)
    return _begin(state, Serving("restart_child", child.spec.id), (StartChild(child.spec.id),))


def _give_up_waiting(state: Supervision, child: Child) -> Step:
    """A child that is down is to stay down. Those that its backoff kept down come back without it."""
    kept_down = child.waiting is not None and (child.spec.backoff or state.flags.backoff) is not None
    group = _group(state, child) if kept_down else ()
    others = [other for other in group if other.spec.id != child.spec.id and other.handle is None]
    starts = tuple(StartChild(other.spec.id) for other in others if other.waiting is None)
    state, effects = _begin(_mark_down(state, child), RestartingGroup(child.spec.id, None), starts)
    return state, (Answer(True), *effects)


def _request_start(state: Supervision, spec: ChildSpec) -> Step:
    child = state.find(spec.id)
    if child is not None:
        running = child.handle is not None
        return state, (Answer(False, ("already_started", child.handle) if running else "already_present"),)
    state = _put(state, Child(spec))
    return _begin(state, Serving("start_child", spec.id), (StartChild(spec.id),))


# -- children --------------------------------------------------------------------------------------------------------


def _stops(children: Iterable[Child]) -> tuple[StopChild, ...]:
    """Stop in the reverse order of the start."""
    return tuple(StopChild(child.spec.id) for child in reversed(tuple(children)))


def _put(state: Supervision, child: Child) -> Supervision:
    return state._replace(children=state.children.put(child))


def _drop(state: Supervision, id: object) -> Supervision:
    return state._replace(children=state.children.drop(id))


def _mark_down(state: Supervision, child: Child) -> Supervision:
    """The child is not running any more; a temporary one is forgotten, unless its group is about to start it."""
    if child.spec.restart == "temporary":
        return _drop(state, child.spec.id)
    return _put(state, child._replace(handle=None, restarting=None, waiting=None))


__all__ = [
    "Answer",
    "Boot",
    "Child",
    "Children",
    "Effect",
    "Ended",
    "Event",
    "Exit",
    "Flags",
    "Handle",
    "RESTARTING",
    "Report",
    "Request",
    "Restarting",
    "Retry",
    "RetryRestart",
    "Start",
    "StartFailed",
    "Started",
    "Stop",
    "Stopped",
    "Supervision",
    "Terminate",
    "Up",
    "step",
]
