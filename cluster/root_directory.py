"""The directory as the root holds it: the table of all views, and who waits for it to change."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kernel.views import Table


class RootDirectory:
    """Holds the table. Made in a running event loop.

    Args:
        table: The first one.
        follow: Gets each newer table, before anybody who waits. Default: nobody does.

    Attributes:
        table: The newest.
        follow: See above.
    """

    def __init__(self, table: Table, follow: Callable[[Table], None] = lambda table: None) -> None:
        self.table = table
        self.follow = follow
        self._changed = asyncio.Event()

    def install(self, table: Table) -> None:
        """Take a newer table; the same one changes nothing."""
        if table is not self.table:
            self.table = table
            self.follow(table)
            self.wake()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def wait(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait until something holds, looking again with each change; whether it does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._changed.wait()
        return holds()
