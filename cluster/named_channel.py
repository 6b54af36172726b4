"""The channel of a driver's reference to a process that has a name of the whole system."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from raybeam.actors import (
    AtMostOnce,
    Broadcast,
    CallFailed,
    CallTimeout,
    ExactlyOnce,
    NoProcess,
    Outcome,
    Overloaded,
    current_context,
)
from raybeam.actors.kernel.retry import AT_MOST_ONCE
from raybeam.actors.result import result_of

from . import envelope
from .kernel.attempts import GiveUp, OutOfTime, after_attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable

    from raybeam.actors import Pid
    from raybeam.actors.delivery import Delivery, Invoke

    from .client import Client
    from .lane import Lane

R = TypeVar("R")
SHORTEST_S = 0.001


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
        """Call who has the name; again as the method's retry strategy allows, but never exactly once.

        What is to be done exactly once is made only once here: another process does not know what this one has done.

        Raises:
            NoProcess: Nobody has the name; nothing was done.
            CallTimeout: The deadline passed.
            CallFailed: As from any call.
        """
        payload, large = envelope.dump_request(request)
        extra = envelope.pack_extra(current_context(), None)

        async def send(lane: Lane, pid: Pid, until: float) -> object:
            return await lane.call(pid, payload, until, (repr(self), request), extra, large)

        return await self._send(request, delivery, send)

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to who has the name; returns when the cast is on its way.

        Raises:
            NoProcess: Nobody has the name.
            CallTimeout: The deadline passed before it could be sent.
        """
        payload, large = envelope.dump_request(request)
        extra = envelope.pack_extra(current_context(), None)

        async def send(lane: Lane, pid: Pid, until: float) -> None:
            left_s = max(SHORTEST_S, until - asyncio.get_running_loop().time())
            await lane.cast(pid, payload, left_s, (repr(self), request), extra, large)

        await self._send(request, delivery, send)

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """Call who has the name: it is all there is."""
        return Broadcast({0: await result_of(self.ask(request, delivery))})

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop."""
        return self._run(coroutine)  # type: ignore[return-value]  # what the coroutine gives

    async def _send(
        self, request: Invoke, delivery: Delivery, send: Callable[[Lane, Pid, float], Awaitable[object]]
    ) -> object:
        client = self._client()
        until = client.now() + delivery.timeout_s
        described = (repr(self), request)
        retry = AT_MOST_ONCE if isinstance(delivery.retry, AtMostOnce | ExactlyOnce) else delivery.retry
        attempt, maybe_done = 0, False
        try:
            while True:
                attempt += 1
                pid = await self._who(until, described)
                try:
                    lane = await client.lane_to(pid.runtime, until)
                    if lane is None:
                        raise NoProcess(described)
                    return await send(lane, pid, until)
                except CallFailed as failure:
                    error = failure
                if error.outcome is Outcome.NOT_SENT or error.outcome is Outcome.UNKNOWN:
                    self._pid = None  # the root may know another, or is about to
                    maybe_done = maybe_done or error.outcome is Outcome.UNKNOWN
                verdict = after_attempt(
                    retry,
                    error.outcome,
                    attempt,
                    until - client.now(),
                    client.random,
                    maybe_done=maybe_done,
                    retry_after_s=error.retry_after_s if isinstance(error, Overloaded) else None,
                )
                if isinstance(verdict, OutOfTime):
                    raise CallTimeout(described, sent=maybe_done)
                if isinstance(verdict, GiveUp):
                    raise error
                await asyncio.sleep(verdict.delay_s)
        except TimeoutError:
            raise CallTimeout(described, sent=maybe_done) from None

    async def _who(self, until: float, described: object) -> Pid:
        if self._pid is None:
            async with asyncio.timeout_at(until):
                self._pid = await self._find(self._name)
        if self._pid is None:
            raise NoProcess(described)
        return self._pid
