"""The supervisor's decisions, after OTP 27's `supervisor.erl`: which children start, stop and restart, and when.

A supervisor starts and stops its children one at a time and does nothing else meanwhile. So a state holds a *plan*,
the instructions still to be carried out, and at most one of them is under way: the shell carries out the `Start` or
`Stop` it was given and feeds the outcome back before it handles anything else.

A child is an opaque handle here: a light process or a Ray actor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from .childspec import ChildSpec, is_orderly
from .intensity import add_restart
from .reason import NORMAL, SHUTDOWN, ExitReason, is_normal_end
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

RESTARTING: Final = "restarting"


@dataclass(frozen=True, slots=True)
class Flags:
    """Options of a supervisor; see `raybeam.actors.supervisor.Supervisor` for their meaning."""

    strategy: str = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: str = "never"


@dataclass(frozen=True, slots=True)
class Child:
    """A child as its supervisor sees it.

    Attributes:
        spec: How it is started and stopped.
        handle: The running child, `None` when it is not running.
        restarting: Set while a failed restart waits to be tried again.
        restarts: How often it was restarted.
    """

    spec: ChildSpec
    handle: Handle | None = None
    restarting: Restarting | None = None
    restarts: int = 0

    @property
    def shown(self) -> Handle | Restarting | None:
        """What reports say in place of its pid."""
        return self.restarting or self.handle


# -- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _StartChild:
    id: object


@dataclass(frozen=True, slots=True)
class _StopChild:
    id: object


@dataclass(frozen=True, slots=True)
class _Booting:
    """All children start for the first time; `failure` is set when one did not and the others are being stopped."""

    failure: ExitReason = None


@dataclass(frozen=True, slots=True)
class _Restarting:
    """A child, or the group behind it, is being restarted after its end.

    Attributes:
        id: The child.
        last: What reports say in place of its pid.
    """

    id: object
    last: Handle | Restarting | None


@dataclass(frozen=True, slots=True)
class _Serving:
    """A request is being served."""

    operation: str
    id: object


@dataclass(frozen=True, slots=True)
class _Ending:
    """All children are being stopped for good."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """State of a supervisor.

    Attributes:
        flags: Its options.
        children: In the order of their start.
        restarts: When the restarts that still count were.
        plan: Instructions still to be carried out, the one under way first.
        task: What the plan is for.
    """

    flags: Flags
    children: tuple[Child, ...] = ()
    restarts: tuple[float, ...] = ()
    plan: tuple[_StartChild | _StopChild, ...] = ()
    task: _Booting | _Restarting | _Serving | _Ending | None = None

    def find(self, id: object) -> Child | None:
        """The child with that id."""
        return next((child for child in self.children if child.spec.id == id), None)

    def by_handle(self, handle: Handle) -> Child | None:
        """The child with that handle."""
        return next((child for child in self.children if child.handle == handle), None)


Step: TypeAlias = tuple[Supervision, tuple[Effect, ...]]


def step(state: Supervision, event: Event, now: float) -> Step:
    """One step: the new state, and what to do.

    Args:
        state: Where the supervisor stands.
        event: What happened.
        now: Monotonic seconds.
    """
    match event:
        case Boot():
            plan = tuple(_StartChild(child.spec.id) for child in state.children)
            return _advance(replace(state, task=_Booting(), plan=plan))
        case Started(id, handle, extra):
            return _started(state, id, handle, extra)
        case StartFailed(id, reason):
            return _start_failed(state, id, reason)
        case Stopped(id, reason):
            return _stopped(state, id, reason)
        case Ended(handle, reason):
            child = state.by_handle(handle)
            return (state, ()) if child is None else _ended(state, child, reason, now)
        case RetryRestart(id):
            child = state.find(id)
            return (state, ()) if child is None or not child.restarting else _restart(state, child, now)
        case Request(operation, argument):
            return _request(state, operation, argument)
        case Terminate():
            return _advance(replace(state, task=_Ending(), plan=_stops(state.children)))


# -- ends and restarts -----------------------------------------------------------------------------------------------


def _ended(state: Supervision, child: Child, reason: ExitReason, now: float) -> Step:
    """Restart or not: one row for each restart type and kind of reason."""
    report = Report("child_terminated", reason, child.spec, child.shown)
    match child.spec.restart:
        case "permanent":
            state, effects = _restart(state, child, now)
            return state, (report, *effects)
        case "transient" if not is_normal_end(reason):
            state, effects = _restart(state, child, now)
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


def _restart(state: Supervision, child: Child, now: float) -> Step:
    restarts, borne = add_restart(state.restarts, now, state.flags.intensity, state.flags.period_s)
    state = replace(state, restarts=restarts)
    if not borne:
        report = Report("shutdown", "reached_max_restart_intensity", child.spec, child.shown)
        return _mark_down(state, child), (report, Exit(SHUTDOWN))
    task = _Restarting(child.spec.id, child.shown)
    state = _put(state, replace(child, handle=None, restarting=None, restarts=child.restarts + 1))
    position = [other.spec.id for other in state.children].index(child.spec.id)
    match state.flags.strategy:
        case "one_for_all":
            group = state.children
        case "rest_for_one":
            group = state.children[position:]
        case _:
            group = (state.children[position],)
    starts = tuple(_StartChild(other.spec.id) for other in group if _comes_back(other, child))
    return _advance(replace(state, task=task, plan=(*_stops(group), *starts)))


def _comes_back(other: Child, failed: Child) -> bool:
    """Temporary children do not come back with the group; all others do, also those that were down."""
    return other.spec.restart != "temporary" or other.spec.id == failed.spec.id


# -- outcomes --------------------------------------------------------------------------------------------------------


def _started(state: Supervision, id: object, handle: Handle | None, extra: object) -> Step:
    child = state.find(id)
    assert child is not None
    forgotten = handle is None and child.spec.restart == "temporary"
    state = _drop(state, id) if forgotten else _put(state, replace(child, handle=handle, restarting=None))
    state = replace(state, plan=state.plan[1:])
    if isinstance(state.task, _Serving):
        return replace(state, task=None), (Answer(True, (handle, extra)),)
    return _advance(state)


def _start_failed(state: Supervision, id: object, reason: ExitReason) -> Step:
    child = state.find(id)
    assert child is not None
    match state.task:
        case _Booting():
            report = Report("start_error", reason, child.spec, None)
            failure = (SHUTDOWN, ("failed_to_start_child", id, reason))
            state = replace(state, task=_Booting(failure), plan=_stops(state.children))
            state, effects = _advance(state)
            return state, (report, *effects)
        case _Restarting() as task:
            report = Report("start_error", reason, child.spec, _shown_at_start(state, task))
            state = _put(state, replace(child, handle=None, restarting=_failed_again(task, id)))
            return replace(state, task=None, plan=()), (report, Retry(id))
        case _Serving("start_child"):
            already = isinstance(reason, tuple) and len(reason) == 2 and reason[0] == "already_started"
            value = reason if already else (reason, child.spec)
            return replace(_drop(state, id), task=None, plan=()), (Answer(False, value),)
        case _:
            return replace(state, task=None, plan=()), (Answer(False, reason),)


def _shown_at_start(state: Supervision, task: _Restarting) -> Handle | Restarting | None:
    """A child that is restarted alone is reported with the pid it had; in a group they are all gone by then."""
    return task.last if state.flags.strategy == "one_for_one" else None


def _failed_again(task: _Restarting, id: object) -> Restarting:
    if id != task.id:
        return Restarting(None)
    return task.last if isinstance(task.last, Restarting) else Restarting(task.last)


def _stopped(state: Supervision, id: object, reason: ExitReason) -> Step:
    child = state.find(id)
    assert child is not None
    reports = () if is_orderly(child.spec, reason) else (Report("shutdown_error", reason, child.spec, child.handle),)
    state = _mark_down(replace(state, plan=state.plan[1:]), child)
    if isinstance(state.task, _Serving):
        return replace(state, task=None), (*reports, Answer(True))
    state, effects = _advance(state)
    return state, (*reports, *effects)


def _advance(state: Supervision) -> Step:
    """The next instruction of the plan, or what follows its end."""
    while state.plan:
        instruction = state.plan[0]
        child = state.find(instruction.id)
        if child is not None:
            if isinstance(instruction, _StartChild):
                return state, (Start(child.spec),)
            if child.handle is not None:
                return state, (Stop(child.spec, child.handle),)
            state = _mark_down(state, child)
        state = replace(state, plan=state.plan[1:])
    task, state = state.task, replace(state, task=None)
    match task:
        case _Booting(None):
            return state, (Up(),)
        case _Booting(failure):
            return state, (Exit(failure),)
        case _Ending():
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
                return _mark_down(state, child), (Answer(True),)
            task = _Serving(operation, child.spec.id)
            return _advance(replace(state, task=task, plan=(_StopChild(child.spec.id),)))
        case "get_childspec":
            return state, (Answer(True, child.spec),)
    if child.restarting or child.handle is not None:
        return state, (Answer(False, RESTARTING if child.restarting else "running"),)
    if operation == "delete_child":
        return _drop(state, child.spec.id), (Answer(True),)
    task = _Serving("restart_child", child.spec.id)
    return _advance(replace(state, task=task, plan=(_StartChild(child.spec.id),)))


def _request_start(state: Supervision, spec: ChildSpec) -> Step:
    child = state.find(spec.id)
    if child is not None:
        running = child.handle is not None
        return state, (Answer(False, ("already_started", child.handle) if running else "already_present"),)
    state = replace(state, children=(*state.children, Child(spec)))
    return _advance(replace(state, task=_Serving("start_child", spec.id), plan=(_StartChild(spec.id),)))


# -- children --------------------------------------------------------------------------------------------------------


def _stops(children: tuple[Child, ...]) -> tuple[_StopChild, ...]:
    """Stop in the reverse order of the start."""
    return tuple(_StopChild(child.spec.id) for child in reversed(children))


def _put(state: Supervision, child: Child) -> Supervision:
    return replace(
        state, children=tuple(child if other.spec.id == child.spec.id else other for other in state.children)
    )


def _drop(state: Supervision, id: object) -> Supervision:
    return replace(state, children=tuple(child for child in state.children if child.spec.id != id))


def _mark_down(state: Supervision, child: Child) -> Supervision:
    """The child is not running any more; a temporary one is forgotten, unless its group is about to start it."""
    if child.spec.restart == "temporary":
        return _drop(state, child.spec.id)
    return _put(state, replace(child, handle=None, restarting=None))


__all__ = [
    "Answer",
    "Boot",
    "Child",
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
