"""How a typed reference reaches a process of its own runtime."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from .answer import await_answer, fail_with_no_process, send_call, time_left
from .message import Cast
from .result import Broadcast, result_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .delivery import Delivery, Invoke
    from .pid import Destination
    from .runtime import Runtime

R = TypeVar("R")


class LocalChannel:
    """The channel of a reference to a process of this runtime."""

    __slots__ = ("_destination", "_runtime")

    def __init__(self, runtime: Runtime, destination: Destination) -> None:
        self._runtime = runtime
        self._destination = destination

    def __repr__(self) -> str:
        return str(self._destination)

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Call the process; see `request`."""
        cell = self._runtime.cell(self._destination)
        if cell is None:
            await fail_with_no_process(self._destination, request)
        sender = send_call(self._runtime, cell, request, delivery.timeout_s, drop_expired=True, waits=True)
        if sender.future.done() and sender.future.exception() is None:
            return sender.future.result()
        described = (self._destination, request)
        return await await_answer(sender, time_left(delivery.timeout_s), described, drop_expired=True)

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """Call the process: here it is all there is."""
        return Broadcast({0: await result_of(self.ask(request, delivery))})

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to the process."""
        cell = self._runtime.cell(self._destination)
        if cell is not None:
            cell.deliver(Cast(request))

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run a call from another thread than the runtime's."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._runtime.loop).result()
