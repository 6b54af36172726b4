"""A producer whose events come from an iterable, plain or asynchronous."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import gen_server, process
from .errors import UsageError
from .kernel.reason import SHUTDOWN
from .kernel.server import Stop
from .kernel.stage_options import FORWARD, Emit, Producer
from .runtime import current_cell
from .stage import GenStage

if TYPE_CHECKING:
    from .kernel.reason import ExitReason
    from .kernel.stage_dispatchers import Dispatcher
    from .kernel.stage_options import SubscribeTo
    from .kernel.stage_protocol import Subscription
    from .pid import Name, Pid


@dataclass(frozen=True, slots=True)
class _Taken:
    item: object


class _Exhausted:
    pass


class IterableProducer(GenStage):
    """Gives the items of an iterable as they are asked for; ends with the reason `normal` when all are delivered.

    Under a supervisor: `ChildSpec("numbers", (IterableProducer, range(100)), restart="transient")`. Restarted, it
    begins with the iterable anew; an iterator goes on where it stands. A plain iterable runs in the process: it should
    not block. An asynchronous one runs in a linked process, an item at a time: what it raises ends the producer.
    """

    async def init(
        self,
        iterable: Iterable[Any] | AsyncIterable[Any],
        *,
        dispatcher: Dispatcher | None = None,
        demand: str = FORWARD,
        stop_without_consumers: bool = False,
    ) -> Producer:
        """Take the options of `gen_stage.from_iterable`."""
        self._stops_alone = stop_without_consumers
        self._consumers = 0
        self._items: Iterator[Any] | None = None
        self._reader: Pid | None = None
        if isinstance(iterable, AsyncIterable):
            self._reader = process.spawn_link(_read, aiter(iterable), self.pid)
        elif isinstance(iterable, Iterable):
            self._items = iter(iterable)
        else:
            raise UsageError(f"{iterable!r}: give an iterable, plain or asynchronous")
        if dispatcher is None:
            return Producer(demand=demand)
        return Producer(demand=demand, dispatcher=dispatcher)

    async def handle_demand(self, demand: int) -> Emit | None:
        """Take so many more."""
        if self._items is None:
            assert self._reader is not None
            process.send(self._reader, demand)
            return None
        items = list(islice(self._items, demand))
        return Emit(items, last=len(items) < demand)

    async def handle_info(self, message: object) -> Emit | None:
        """Emit what the reader has read."""
        match message:
            case _Taken(item):
                return Emit([item])
            case _Exhausted():
                return Emit([], last=True)
        await super().handle_info(message)
        return None

    async def handle_subscribe(self, to: str, options: SubscribeTo, subscription: Subscription) -> None:
        """Count the consumers."""
        self._consumers += 1

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> Stop | None:
        """Stop without consumers, if so wished."""
        self._consumers -= 1
        return Stop("normal") if self._stops_alone and not self._consumers else None

    async def terminate(self, reason: ExitReason) -> None:
        """Have the reader close the iterable: a normal end alone would not end it."""
        if self._reader is not None:
            process.unlink(self._reader)
            process.exit_process(self._reader, SHUTDOWN)


async def _read(items: AsyncIterator[Any], producer: Pid) -> None:
    try:
        while True:
            demand: Any = await process.receive()
            for _ in range(demand):
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    process.send(producer, _Exhausted())
                    return
                process.send(producer, _Taken(item))
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def from_iterable(
    iterable: Iterable[Any] | AsyncIterable[Any],
    *,
    name: Name | None = None,
    dispatcher: Dispatcher | None = None,
    demand: str = FORWARD,
    stop_without_consumers: bool = False,
) -> Pid:
    """Start a producer of the items of an iterable, plain or asynchronous; linked to the caller, if that is a process.

    Args:
        iterable: Where the events come from; read no further than there is demand. See `IterableProducer`.
        name: A name to register. Default: none.
        dispatcher: As of `Producer`. Default `DemandDispatcher()`.
        demand: As of `Producer`; `"accumulate"` lets all consumers subscribe first. Default `"forward"`.
        stop_without_consumers: Whether it ends when its last consumer goes. Default: it waits for the next.

    Raises:
        StartError: It did not start; the name is taken, say.
    """
    start = gen_server.start if current_cell.get() is None else gen_server.start_link
    return await start(
        IterableProducer,
        iterable,
        name=name,
        dispatcher=dispatcher,
        demand=demand,
        stop_without_consumers=stop_without_consumers,
    )
