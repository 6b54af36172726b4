"""The shell of a stream of tasks: starts them, waits for them, and leaves none behind."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import CallTimeout
from .kernel import stream
from .kernel.reason import SHUTDOWN, TIMEOUT
from .process import own_cell
from .runtime import current_cell, current_runtime
from .task import Completed, Exited, Task

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from .cell import Cell
    from .kernel.reason import ExitReason
    from .runtime import Runtime

T = TypeVar("T")
R = TypeVar("R")


class TaskStream(Generic[T, R]):
    """The tasks of one stream, and who consumes their outcomes.

    Args:
        start: Starts a task under the supervisor.
        inputs: What the tasks work on, one each.
        function: What they do.
        options: How the stream runs.
        linked: Whether a crash is an exit signal to the consumer. Not if it traps exits: it gets the outcome.
        zip_input: Whether the outcome of a task without a value carries its input.
    """

    def __init__(
        self,
        start: Callable[[Task[R]], Awaitable[object]],
        inputs: Iterable[T],
        function: Callable[[T], Awaitable[R]],
        options: stream.Options,
        *,
        linked: bool,
        zip_input: bool,
    ) -> None:
        self._start = start
        self._inputs = inputs
        self._function = function
        self._linked = linked
        self._zip_input = zip_input
        self._state = stream.Stream(options)
        self._tasks: dict[int, tuple[Task[R], T]] = {}
        self._owner_ended: asyncio.Future[ExitReason] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    async def outcomes(self) -> AsyncGenerator[Completed[R] | Exited, None]:
        """Carry out what the kernel says; when the consumer stops, all tasks are ended."""
        runtime = current_runtime()
        owner = own_cell() if self._linked else current_cell.get()
        linked = self._linked and owner is not None and not owner.trap_exit
        inputs = iter(self._inputs)
        if owner is not None:  # its end ends the tasks even where nobody unwinds the consumer
            self._owner_ended = runtime.ended(owner.pid)
            self._owner_ended.add_done_callback(lambda _: self.close())
        try:
            effect = self._feed(runtime, stream.Wanted())
            while True:
                match effect:
                    case stream.Take():
                        try:
                            given = next(inputs)
                        except StopIteration:
                            effect = self._feed(runtime, stream.Exhausted())
                        else:
                            effect = await self._start_task(runtime, owner, linked, given)
                    case stream.Emit(position):
                        yield self._outcome(position)
                        effect = self._feed(runtime, stream.Wanted())
                    case stream.Wait():
                        await self._something_ended(runtime)
                        effect = self._feed(runtime, stream.Wanted())
                    case stream.GiveUp():
                        raise CallTimeout((None, "async_stream"))
                    case _:
                        return
        finally:
            self.close()

    def close(self) -> None:
        """End the tasks that still run."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._owner_ended is not None:
            self._owner_ended.cancel()
        for task, _ in self._tasks.values():
            task.end(SHUTDOWN)
        self._tasks.clear()

    def _feed(self, runtime: Runtime, event: stream.Event) -> stream.Effect | None:
        """Step the kernel; kill who is late; what to do next, if the event asked for that."""
        self._state, effects = stream.step(self._state, event, runtime.now())
        for effect in effects:
            if not isinstance(effect, stream.Kill):
                return effect
            self._tasks[effect.position][0].end(TIMEOUT, (SHUTDOWN, TIMEOUT))
        return None

    async def _start_task(self, runtime: Runtime, owner: Cell | None, linked: bool, given: T) -> stream.Effect | None:
        position = self._state.started
        on_outcome = partial(self._ended, runtime, position)
        task = Task(runtime, self._function, (given,), owner, linked=linked, on_outcome=on_outcome)
        self._tasks[position] = (task, given)
        await self._start(task)
        effect = self._feed(runtime, stream.Taken())
        if task.outcome is not None:
            self._ended(runtime, position)
        self._arm(runtime)
        return effect

    def _ended(self, runtime: Runtime, position: int) -> None:
        if self._closed or position >= self._state.started:  # told again when its start is known
            return
        self._feed(runtime, stream.Ended(position))
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _something_ended(self, runtime: Runtime) -> None:
        if not self._state.ended:
            self._wake = runtime.loop.create_future()
            await self._wake

    def _outcome(self, position: int) -> Completed[R] | Exited:
        task, given = self._tasks.pop(position)
        outcome = task.outcome
        assert outcome is not None
        return Exited(outcome.reason, given) if isinstance(outcome, Exited) and self._zip_input else outcome

    def _arm(self, runtime: Runtime) -> None:
        deadline = stream.next_deadline(self._state)
        if self._timer is None and deadline is not None and not self._closed:
            self._timer = runtime.loop.call_at(deadline, self._time_passed, runtime)

    def _time_passed(self, runtime: Runtime) -> None:
        self._timer = None
        self._feed(runtime, stream.Passed())
        self._arm(runtime)
