"""The events of producers as an asynchronous iterator, for any code."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import gen_server, stage_calls
from .errors import CallFailed, Disconnected, NoProcess, UsageError
from .kernel.reason import NOCONNECTION, NOPROC, NORMAL, SHUTDOWN, is_normal_end
from .kernel.server import Stop
from .kernel.stage_options import FORWARD, PERMANENT, TEMPORARY, TRANSIENT, Consumer, SubscribeTo
from .runtime import current_cell, current_runtime
from .stage import GenStage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from .kernel.stage_protocol import Subscription
    from .pid import Destination, Pid


def stream(
    *producers: Destination | SubscribeTo,
    max_demand: int = 1000,
    min_demand: int | None = None,
    cancel: str = TRANSIENT,
    demand: str | None = FORWARD,
) -> AsyncGenerator[Any, None]:
    """The events of some producers, one by one, in any code that runs in a runtime.

        async for event in gen_stage.stream(numbers, max_demand=10): ...

    A process of its own subscribes; it asks for more only when what it has was iterated over. When the loop is left, or
    its process ends, so do the subscriptions, and events under way are lost. Wrap the stream in `contextlib.aclosing`
    to have that done before the next statement.

    Args:
        *producers: Each a pid or name, or a `SubscribeTo` with options of its own.
        max_demand: For those without options of their own. Default 1000.
        min_demand: For those without options of their own. Default: half of `max_demand`.
        cancel: For those without options of their own: what the end of a producer means. `"transient"` (the default): a
            normal end only ends its part, any other is raised; `"permanent"`: any end ends the stream; `"temporary"`:
            none is raised. The stream is over when no producer is left.
        demand: The mode that producers are set to when all are subscribed to, `None` to leave it. Default `"forward"`.

    Raises:
        UsageError: An option is wrong; raised at once.
        CallFailed: While iterating: a producer ended; `cause` says why.
    """
    if not producers:
        raise UsageError("stream() needs at least one producer")
    try:
        given = [
            to if isinstance(to, SubscribeTo) else SubscribeTo(to, max_demand, min_demand, cancel) for to in producers
        ]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return _stream(given, demand)


@dataclass(frozen=True, slots=True)
class _Batch:
    events: list[Any]
    taken: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _End:
    failure: CallFailed | None = None


class _Outcomes:
    """What the consuming process tells the iterating code."""

    def __init__(self) -> None:
        self._told: deque[_Batch | _End] = deque()
        self._wake: asyncio.Future[None] | None = None

    def tell(self, outcome: _Batch | _End) -> None:
        self._told.append(outcome)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def next(self) -> _Batch | _End:
        while not self._told:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return self._told.popleft()


class StreamConsumer(GenStage):
    """The process that subscribes for a stream."""

    async def init(self, subscribe_to: Sequence[SubscribeTo], outcomes: _Outcomes) -> Consumer | Stop:
        """Subscribe to those who live; this class judges their ends itself."""
        self._outcomes = outcomes
        self._modes: dict[object, str] = {}
        living = []
        for options in subscribe_to:
            to: Any = options.to
            if self.runtime.cell(to) is not None:
                living.append(replace(options, cancel=TEMPORARY, extra=options.cancel))
            elif options.cancel != TEMPORARY:
                outcomes.tell(_End(_failure(NOPROC, to)))
                return Stop(NORMAL)
        if not living:
            outcomes.tell(_End())
            return Stop(NORMAL)
        return Consumer(subscribe_to=living)

    async def handle_subscribe(self, to: str, options: SubscribeTo, subscription: Subscription) -> None:
        """Keep what its end means."""
        self._modes[subscription] = str(options.extra)

    async def handle_events(self, events: list[Any], subscription: Subscription) -> None:
        """Wait until they were iterated over."""
        taken: asyncio.Future[None] = self.runtime.loop.create_future()
        self._outcomes.tell(_Batch(events, taken))
        await taken

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> Stop | None:
        """End the stream, or go on with the producers that are left."""
        mode = self._modes.pop(subscription)
        failed = not is_normal_end(reason)
        if failed and mode != TEMPORARY:
            self._outcomes.tell(_End(_failure(reason, subscription.producer)))
        elif mode == PERMANENT or not self._modes:
            self._outcomes.tell(_End())
        else:
            return None
        return Stop(NORMAL)


async def _stream(subscribe_to: Sequence[SubscribeTo], demand: str | None) -> AsyncGenerator[Any, None]:
    runtime, owner = current_runtime(), current_cell.get()
    outcomes = _Outcomes()
    consumer = await _started(subscribe_to, outcomes)
    owner_ended = None
    if consumer is not None:
        cell = runtime.cell(consumer)
        if cell is not None:  # nobody but the runtime's end kills it: then nothing more comes
            runtime.watch(cell, lambda reason: outcomes.tell(_End(_failure(reason, consumer))))
        if owner is not None:  # its end ends the subscriptions even where nobody unwinds the iterating code
            owner_ended = runtime.ended(owner.pid)
            owner_ended.add_done_callback(lambda _: runtime.exit(None, consumer, SHUTDOWN))
        if demand is not None:
            for options in subscribe_to:
                to: Any = options.to
                stage_calls.demand(to, demand)
    try:
        while isinstance(outcome := await outcomes.next(), _Batch):
            for event in outcome.events:
                yield event
            if not outcome.taken.done():
                outcome.taken.set_result(None)
        if outcome.failure is not None:
            raise outcome.failure
    finally:
        if owner_ended is not None:
            owner_ended.cancel()
        if consumer is not None:
            runtime.exit(None, consumer, SHUTDOWN)


async def _started(subscribe_to: Sequence[SubscribeTo], outcomes: _Outcomes) -> Pid | None:
    from .errors import StartError

    with suppress(StartError):  # told by the outcomes
        return await gen_server.start(StreamConsumer, subscribe_to, outcomes)
    return None


def _failure(reason: object, producer: object) -> CallFailed:
    described = (producer, "stream")
    if reason == NOPROC:
        return NoProcess(described)
    if reason == NOCONNECTION:
        return Disconnected(described)
    return CallFailed(reason, described)
