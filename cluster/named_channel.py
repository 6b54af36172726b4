"""The channel of a driver's reference to a process that has a name of the whole system."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from raybeam.actors import AtLeastOnce, CallTimeout, Disconnected, Interrupted, NoProcess

from . import envelope
from .lane import Lane

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable

    from raybeam.actors import Pid
    from raybeam.actors.interface import Delivery, Invoke

    from .client import Client

R = TypeVar("R")
Over: TypeAlias = "Callable[[Lane, Pid, bytes, float, object], Awaitable[object]]"


class NamedChannel:
    """Asks the root who has the name, remembers it, and asks again when that process turns out to be gone.

    Args:
        system: Name of the system.
        name: The name.
        find: Asks the root.
        client: Gives the client of the running event loop.
        run: Runs a coroutine from a thread without an event loop.
    """

    __slots__ = ("_client", "_find", "_name", "_pid", "_run", "_system")

    def __init__(
        self,
        system: str,
        name: Hashable,
        find: Callable[[Hashable], Awaitable[Pid | None]],
        client: Callable[[], Client],
        run: Callable[[Coroutine[object, object, object]], object],
    ) -> None:
        self._system = system
        self._name = name
        self._find = find
        self._client = client
        self._run = run
        self._pid: Pid | None = None

    def __repr__(self) -> str:
        return f"{self._system}: {self._name!r}"

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Call who has the name; again after an unknown outcome, if the method allows it.

        Raises:
            NoProcess: Nobody has the name; nothing was done.
            CallTimeout: The deadline passed.
            CallFailed: As from any call.
        """
        policy = delivery.retry if isinstance(delivery.retry, AtLeastOnce) else None
        return await self._send(request, delivery, Lane.call, policy)

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to who has the name; returns when the cast is on its way.

        Raises:
            NoProcess: Nobody has the name.
            CallTimeout: The deadline passed before it could be sent.
        """
        await self._send(request, delivery, Lane.cast, None)

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop."""
        return self._run(coroutine)  # type: ignore[return-value]  # what the coroutine gives

    async def _send(self, request: Invoke, delivery: Delivery, over: Over, policy: AtLeastOnce | None) -> object:
        client, loop = self._client(), asyncio.get_running_loop()
        until = loop.time() + delivery.timeout_s
        described, payload = (repr(self), request), envelope.dump_request(request)
        attempt = 0
        try:
            while True:
                if self._pid is None:
                    async with asyncio.timeout_at(until):
                        self._pid = await self._find(self._name)
                pid = self._pid
                if pid is None:
                    raise NoProcess(described)
                try:
                    lane = await client.lane_to(pid.runtime, until)
                    return await over(lane, pid, payload, max(0.001, until - loop.time()), described)
                except (NoProcess, LookupError):  # not done; the root may be about to learn of that end
                    self._pid = None
                except (Disconnected, Interrupted):
                    self._pid = None
                    if policy is None:
                        raise
                attempt += 1
                async with asyncio.timeout_at(until):
                    await asyncio.sleep((policy or AtLeastOnce()).delay_s(attempt, client.random))
        except TimeoutError:
            raise CallTimeout(described) from None
