"""A loop whose clock stands still while anything moves, and jumps to the next timer when nothing does.

So a test of minutes takes milliseconds, and what happens is the same each time.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

R = TypeVar("R")
THREAD_POLL_S = 0.05


class _JumpingSelector(selectors.DefaultSelector):
    """Asked to wait, lets the loop's clock jump instead, unless a thread works or a file is ready."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self.loop.threads_at_work:
            return super().select(THREAD_POLL_S)
        if self.loop.wake_settled():
            return events
        if timeout is None:
            raise DeadlockError(
                "nothing can happen any more: every task waits and no timer is set. What are you waiting for?"
            )
        self.loop.jump(timeout)
        return events


class DeadlockError(RuntimeError):
    """Under virtual time everything waits and no timer is set."""


class _OrderedTimer(asyncio.TimerHandle):
    """Timers of the same time fire in the order in which they were set; asyncio leaves that open."""

    order = 0

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _OrderedTimer)
        return (self.when(), self.order) < (other.when(), other.order)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop under virtual time, which starts at 0 seconds.

    Attributes:
        threads_at_work: Functions under way in an executor: while there are some, time stands still.
    """

    def __init__(self) -> None:
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.loop = self
        self.threads_at_work = 0
        self._virtual_now = 0.0
        self._settled: list[asyncio.Future[None]] = []
        self._clock_resolution = 1e-9
        self._scheduled: list[asyncio.TimerHandle]  # asyncio's own heap
        self._timers_set = 0

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def call_at(  # type: ignore[override]  # the types of the callback's arguments are not followed
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        timer = _OrderedTimer(when, callback, args, self, context)
        self._timers_set += 1
        timer.order = self._timers_set
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # asyncio counts cancelled timers by it
        return timer

    def jump(self, seconds: float) -> None:
        """Let time pass at once."""
        self._virtual_now += seconds

    def wake_settled(self) -> bool:
        """Wake the task that has waited longest in `settle`; whether there was one."""
        while self._settled:
            future = self._settled.pop(0)
            if not future.done():
                future.set_result(None)
                return True
        return False

    async def settle(self) -> None:
        """Wait until nothing moves any more without time passing."""
        future: asyncio.Future[None] = self.create_future()
        self._settled.append(future)
        await future

    def run_in_executor(self, executor: Executor | None, func: Callable[..., R], *args: object) -> asyncio.Future[R]:
        """Run in a thread; virtual time stands still meanwhile."""
        self.threads_at_work += 1
        future: asyncio.Future[R] = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self) -> None:
        """Wait for the threads in real time."""
        self.threads_at_work += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.threads_at_work -= 1

    def _thread_done(self, _: object) -> None:
        self.threads_at_work -= 1


async def settle() -> None:
    """Wait until nothing moves any more without time passing. Only under `run`."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError("settle() needs virtual time: start the test with raybeam.actors.testing.run(main())")
    await loop.settle()


def run(main: Coroutine[object, object, R]) -> R:
    """Run a coroutine under virtual time, like `asyncio.run`.

    Example:
        >>> async def main() -> float:
        ...     await asyncio.sleep(3600)
        ...     return asyncio.get_running_loop().time()
        >>> run(main())
        3600.0
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


__all__ = ["DeadlockError", "VirtualTimeLoop", "run", "settle"]
