"""What a stream of tasks does next: take an input, hand out a result, wait, kill what is late, or give up.

After Elixir's `Task.async_stream`. Inputs have positions, counted from 0. A *slot* is held from the start of a task
until its end has been *processed*, which happens only while the consumer asks for a result: a consumer that is busy
starts nothing, so no more than `max_concurrency` results ever wait unasked.

The kernel deals in positions; inputs, tasks and results stay with the shell. Which results of an ordered stream wait
for an earlier one needs no list: it is every position that was started, holds no slot and was not handed out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

EXIT: Final = "exit"
KILL_TASK: Final = "kill_task"


@dataclass(frozen=True, slots=True)
class Options:
    """How a stream runs; see `raybeam.actors.task_supervisor.async_stream` for their meaning."""

    max_concurrency: int = 8
    ordered: bool = True
    timeout_s: float | None = 5.0
    on_timeout: str = EXIT


@dataclass(frozen=True, slots=True)
class Slot:
    """A task that runs, or has ended and was not processed yet.

    Attributes:
        position: Of its input.
        deadline: Monotonic seconds when it is late, `None` for never.
        late: Whether it was killed for being late.
    """

    position: int
    deadline: float | None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """State of a stream.

    Attributes:
        options: How it runs.
        slots: In the order of positions, which is the order of deadlines too.
        ended: Positions of tasks that have ended and hold their slots still, in the order of their ends.
        started: How many tasks were started.
        delivered: How many results were handed out.
        exhausted: Whether there are no more inputs.
    """

    options: Options = Options()
    slots: tuple[Slot, ...] = ()
    ended: tuple[int, ...] = ()
    started: int = 0
    delivered: int = 0
    exhausted: bool = False


# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """The consumer asks for a result, or goes on waiting for one after something happened."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Outcome of `Take`: an input was there and its task is started."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Outcome of `Take`: there are no more inputs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The task of this position has ended."""

    position: int


@dataclass(frozen=True, slots=True)
class Passed:
    """Time has passed: some tasks may be late."""


Event: TypeAlias = Wanted | Taken | Exhausted | Ended | Passed


# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Take:
    """Take an input and start its task; feed `Taken` or `Exhausted`."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand out the result of this position; feed `Wanted` when the consumer asks again."""

    position: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until a task has ended; feed `Wanted` then."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A task was late and the stream ends for it."""


@dataclass(frozen=True, slots=True)
class Finish:
    """All results were handed out."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The task of this position is late: kill it. Its result is that it timed out."""

    position: int


Next: TypeAlias = Take | Emit | Wait | GiveUp | Finish
Effect: TypeAlias = Next | Kill


def step(state: Stream, event: Event, now: float) -> tuple[Stream, tuple[Effect, ...]]:
    """One step of a stream.

    Args:
        state: Where it stands.
        event: What happened. `Ended` and `Passed` may come at any time, the others only as an answer to an effect.
        now: Monotonic seconds.

    Returns:
        The new state and the effects: one `Next` for `Wanted`, `Taken` and `Exhausted`, and the `Kill`s for `Passed`.

    >>> state, effects = step(Stream(Options(max_concurrency=1)), Wanted(), 0.0)
    >>> effects
    (Take(),)
    >>> state, effects = step(state, Taken(), 0.0)
    >>> effects
    (Wait(),)
    >>> state, _ = step(state, Ended(0), 1.0)
    >>> state, effects = step(state, Wanted(), 1.0)
    >>> effects
    (Emit(position=0),)
    """
    match event:
        case Ended(position):
            return replace(state, ended=(*state.ended, position)), ()
        case Passed():
            return _kill_late(state, now)
        case Taken():
            timeout_s = state.options.timeout_s
            slot = Slot(state.started, None if timeout_s is None else now + timeout_s)
            state = replace(state, slots=(*state.slots, slot), started=state.started + 1)
        case Exhausted():
            state = replace(state, exhausted=True)
        case Wanted():
            pass
    state, effect = _next(state)
    return state, (effect,)


def next_deadline(state: Stream) -> float | None:
    """When the next task is late; `None` when none can be."""
    for slot in state.slots:
        if not slot.late and slot.position not in state.ended:
            return slot.deadline
    return None


def _next(state: Stream) -> tuple[Stream, Next]:
    options = state.options
    while True:
        head = state.slots[0].position if state.slots else state.started
        if options.ordered and state.delivered < head:
            return replace(state, delivered=state.delivered + 1), Emit(state.delivered)
        if not state.exhausted and len(state.slots) < options.max_concurrency:
            return state, Take()
        if not state.ended:
            return state, Wait() if state.slots else Finish()
        position, *ended = state.ended
        place = next(index for index, slot in enumerate(state.slots) if slot.position == position)
        late = state.slots[place].late
        state = replace(state, slots=(*state.slots[:place], *state.slots[place + 1 :]), ended=tuple(ended))
        if late and options.on_timeout == EXIT:
            return state, GiveUp()
        if not options.ordered:
            return replace(state, delivered=state.delivered + 1), Emit(position)


def _kill_late(state: Stream, now: float) -> tuple[Stream, tuple[Kill, ...]]:
    ended = set(state.ended)
    late = {
        slot.position
        for slot in state.slots
        if slot.deadline is not None and slot.deadline <= now and not slot.late and slot.position not in ended
    }
    slots = tuple(replace(slot, late=True) if slot.position in late else slot for slot in state.slots)
    return replace(state, slots=slots), tuple(Kill(position) for position in sorted(late))
