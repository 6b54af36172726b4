"""The channel of a driver's reference to a family: uses the client of whichever event loop calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from .family_channel import FamilyChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from raybeam.actors import Broadcast
    from raybeam.actors.delivery import Delivery, Invoke

    from .client import Client

R = TypeVar("R")


class DriverChannel:
    """Sends each call by the `FamilyChannel` of the event loop that makes it.

    Args:
        system: Name of the system.
        family: Name of the family.
        client: Gives the client of an event loop.
        run: Runs a coroutine from a thread without an event loop.
    """

    __slots__ = ("_client", "_family", "_last", "_run", "_system")

    def __init__(
        self,
        system: str,
        family: str,
        client: Callable[[asyncio.AbstractEventLoop], Client],
        run: Callable[[Coroutine[object, object, object]], object],
    ) -> None:
        self._system = system
        self._family = family
        self._client = client
        self._run = run
        self._last: tuple[asyncio.AbstractEventLoop, FamilyChannel] | None = None

    def __repr__(self) -> str:
        return f"{self._system}/{self._family}"

    # Plain functions: a coroutine that only waits for another would cost as much as the rest of a call's way.

    def ask(self, request: Invoke, delivery: Delivery) -> Coroutine[object, object, object]:
        """See `FamilyChannel.ask`."""
        return self._here().ask(request, delivery)

    def tell(self, request: Invoke, delivery: Delivery) -> Coroutine[object, object, None]:
        """See `FamilyChannel.tell`."""
        return self._here().tell(request, delivery)

    def ask_all(self, request: Invoke, delivery: Delivery) -> Coroutine[object, object, Broadcast[object]]:
        """See `FamilyChannel.ask_all`."""
        return self._here().ask_all(request, delivery)

    def _here(self) -> FamilyChannel:
        loop, last = asyncio.get_running_loop(), self._last
        if last is None or last[0] is not loop:
            last = self._last = (loop, FamilyChannel(self._client(loop), self._family))
        return last[1]

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run a coroutine from a thread without an event loop."""
        return self._run(coroutine)  # type: ignore[return-value]  # what the coroutine gives
