"""Puppets: processes that do what a scenario says, one thing after the other, and keep what is sent to them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybeam.actors import Pid, process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class PuppetDeadError(Exception):
    """The puppet does not live, or died of what it did."""


@dataclass(eq=False)
class _Do:
    function: Callable[[], Awaitable[Any]]
    outcome: asyncio.Future[Any]


class Puppet:
    """A lasting process of a scenario: a client, an owner, a parent."""

    def __init__(self) -> None:
        self.pid: Pid = process.spawn(self._live)

    async def _live(self) -> None:
        while True:
            order = await process.receive(lambda message: isinstance(message, _Do))
            assert isinstance(order, _Do)
            try:
                result = await order.function()
            except Exception as error:  # noqa: BLE001 (a puppet catches everything, and goes on)
                order.outcome.set_exception(error)
            else:
                order.outcome.set_result(result)

    @property
    def alive(self) -> bool:
        """Whether it lives."""
        return process.is_alive(self.pid)

    async def do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have the puppet call a function, and await it if it is asynchronous; the result, or its error.

        Raises:
            PuppetDeadError: It does not live, or died of it.
        """

        async def run() -> Any:
            result = function(*args, **kwargs)
            return await result if asyncio.iscoroutine(result) else result

        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        process.send(self.pid, _Do(run, outcome))
        ended = asyncio.ensure_future(process.wait_exit(self.pid))
        await asyncio.wait([outcome, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not outcome.done():
            raise PuppetDeadError
        return outcome.result()

    async def flush(self) -> list[Any]:
        """What lies in its mailbox; it is empty then."""

        async def take_all() -> list[Any]:
            found: list[Any] = []
            while True:
                try:
                    found.append(await process.receive(lambda message: not isinstance(message, _Do), timeout_s=0))
                except TimeoutError:
                    return found

        taken: list[Any] = await self.do(take_all)
        return taken
