"""One piece of work after the other, each to its end, whoever waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

R = TypeVar("R")


class Turns:
    """Work that must not overlap and that a cancelled caller cannot stop, as a thread does it.

    It is done in the order in which it was asked for: who asks after a cancelled caller finds that one's work done.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def take(self, work: Callable[[], Awaitable[R]]) -> R:
        """Do some work once all before it is done, and return what it does."""
        return await asyncio.shield(self._in_turn(work))

    async def _in_turn(self, work: Callable[[], Awaitable[R]]) -> R:
        async with self._lock:
            return await work()
