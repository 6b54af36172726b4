"""One call at a time of something that may hang, so that calls do not pile up while nobody answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

R = TypeVar("R")


class Errand(Generic[R]):
    """Waits for an answer for a while; one that takes longer is waited for again at the next time.

    Args:
        within_s: How long to wait each time.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._under_way: asyncio.Task[R] | None = None

    async def run(self, call: Callable[[], Coroutine[object, object, R]]) -> R:
        """What the call returns, or an earlier one that is still under way: then `call` is not made.

        Raises:
            TimeoutError: There is no answer yet.
            Exception: What the call raised.
        """
        if self._under_way is None:
            self._under_way = asyncio.get_running_loop().create_task(call())
        task = self._under_way
        await asyncio.wait({task}, timeout=self._within_s)
        if not task.done():
            raise TimeoutError(f"no answer within {self._within_s:g} s")
        self._under_way = None
        return task.result()

    def cancel(self) -> None:
        """Wait no longer."""
        if self._under_way is not None:
            self._under_way.cancel()
            self._under_way = None
