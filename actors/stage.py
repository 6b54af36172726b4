"""GenStage: a process that gives events as others ask for them, takes events as fast as it can, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .gen_server import GenServer
from .kernel import stage as kernel
from .kernel.server import Ok
from .kernel.stage_options import FORWARD, Consumer, Producer, ProducerConsumer
from .kernel.stage_outlet import Outlet
from .runtime import log
from .stage_cell import StageCell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kernel.server import InitResult
    from .kernel.stage_options import StageResult, SubscribeResult, SubscribeTo
    from .kernel.stage_protocol import Subscription
    from .pid import Pid
    from .runtime import Runtime


class GenStage(GenServer):
    """A stage of a pipeline: it gives events as others ask for them, takes events as fast as it can, or both.

    **What it is.** Elixir's `GenStage`. A *producer* emits events, a *consumer* takes them, a *producer-consumer* does
    both. Consumers subscribe to producers and ask for events; a producer never sends more than was asked for. So the
    slowest stage sets the pace and no mailbox fills up, however long the pipeline is and wherever its stages live.

        >>> from raybeam.actors import Consumer, Emit, GenStage, Pid, Producer, ProducerConsumer, Runtime
        >>> from raybeam.actors import SubscribeTo, Subscription, gen_stage, process
        >>> from raybeam.actors.testing import run
        >>> class Numbers(GenStage):
        ...     async def init(self, end: int) -> Producer:
        ...         self.next, self.end = 0, end
        ...         return Producer(demand="accumulate")
        ...     async def handle_demand(self, demand: int) -> Emit:
        ...         first, self.next = self.next, min(self.next + demand, self.end)
        ...         return Emit(range(first, self.next), last=self.next == self.end)
        >>> class Square(GenStage):
        ...     poison = None
        ...     async def init(self, numbers: Pid) -> ProducerConsumer:
        ...         return ProducerConsumer(subscribe_to=[numbers])
        ...     async def handle_events(self, events: list[int], subscription: Subscription) -> Emit:
        ...         return Emit(number // 0 if number == self.poison else number * number for number in events)
        >>> class Printer(GenStage):
        ...     async def init(self, squares: Pid) -> Consumer:
        ...         return Consumer(subscribe_to=[SubscribeTo(squares, max_demand=4)])
        ...     async def handle_events(self, events: list[int], subscription: Subscription) -> None:
        ...         print(events)
        >>> async def main(square: type[Square]) -> str:
        ...     async with Runtime(reports=lambda report: None):
        ...         numbers = await gen_stage.start(Numbers, 6)
        ...         printer = await gen_stage.start(Printer, await gen_stage.start(square, numbers))
        ...         gen_stage.demand(numbers, "forward")  # all stages are there
        ...         return str(await process.wait_exit(printer))
        >>> run(main(Square))
        [0, 1]
        [4, 9]
        [16, 25]
        'normal'

    **A failure and its outcome.** A stage that crashes takes the events with it that it was handling, and those under
    way to it. What happens to its neighbours says the *cancel mode* of each subscription: by default (`"permanent"`) a
    consumer stops with its producer, for the same reason:

        >>> class Fragile(Square):
        ...     poison = 3
        >>> run(main(Fragile))
        'ZeroDivisionError: integer division or modulo by zero'

    A producer never stops for its consumers: their demand is forgotten, and it serves the others. Supervise a pipeline
    with `rest_for_one`, producers first: then a stage that ends is started again with all that come after it, and they
    subscribe anew in their `init`. With `cancel="temporary"`, and somebody who subscribes again, a stage can be
    restarted alone.

    A consumer with several producers stops with the first that ends. One that should end with the last subscribes
    `"transient"`, counts in `handle_cancel`, and returns `Stop(reason)` there.

    **Delivery is at most once**: an event goes to one consumer (of each broadcast or partition), and is lost with it.
    For at least once let the *source* remember: emit `(position, event)`, let the last stage tell the source what is
    done (a cast), and let the source emit again, after a crash or `handle_cancel`, what was not told done. Handlers
    then have to bear duplicates.

    **Callbacks.** Those of `GenServer` (`init`, `handle_call`, `handle_cast`, `handle_info`, `handle_continue`,
    `handle_timeout`, `terminate`, `code_change`, `@call` methods), and:

    - `init(*args)` returns `Producer(...)`, `ProducerConsumer(...)` or `Consumer(...)`; or `Ignore()`, `Stop(reason)`,
      `Error(reason)` not to start.
    - `handle_demand(demand)` of a producer: so many more events are wanted. Emit as many, now or later, from any
      callback. It is called once for each demand: what it does not give now it owes.
    - `handle_events(events, subscription)` of a consumer: a batch, no longer than `max_demand - min_demand`
      (asked for by hand: as it came).
    - `handle_subscribe(to, options, subscription)`, on both sides, when a subscription begins: `None`, `Stop(reason)`,
      or, as the consumer, `Manual()`: nothing is asked for automatically, call `gen_stage.ask(subscription, count)`.
    - `handle_cancel(kind, reason, subscription)`, on both sides, when it has ended: `kind` is `"cancel"` or `"down"`.
    - `handle_discarded(count)`, a plain function, when events were lost. Default: logs a warning.

    **Returns.** All callbacks that may return `NoReply(...)` may return `Emit(events)` too, which takes the options of
    `NoReply`, and `last=True`: these are the last events, the stage ends with the reason `normal` when they are taken.
    `handle_call` may return `Emit(events, reply=value)`. A marked method calls `self.emit(events)`.

    **Options** of `Producer` and `ProducerConsumer`:

    - `dispatcher`: `DemandDispatcher()` (default): each event to the consumer that wants most.
      `BroadcastDispatcher()`: each to all, at the pace of the slowest, with a selector if a consumer gives one.
      `PartitionDispatcher(partitions, by)`: each to the consumer of its partition. Or your own `Dispatcher`,
      made of `gen_stage.Dispatched`, `Delivery` and `Refused`.
    - `buffer_size`: how many emitted events that nobody has asked for are kept, default 10 000 (for a
      producer-consumer: any number, but it takes nothing while some wait); `buffer_keep`: `"last"` (default) or
      `"first"` of too many. Losses are counted: `gen_stage.discarded_count`.
    - `demand` (producer): `"forward"` (default), or `"accumulate"` until `gen_stage.demand(producer, "forward")`.

    Of `ProducerConsumer` and `Consumer`: `subscribe_to`, a list of pids, names and `SubscribeTo`.

    **Options of a subscription** (`SubscribeTo`, `sync_subscribe`): `max_demand` (default 1000) bounds what is under
    way or waiting; `min_demand` (default half of it) says when more is asked for; `cancel`: `"permanent"` (default),
    `"transient"` (the consumer outlives a normal end of its producer) or `"temporary"` (it outlives any end);
    `partition` and `selector` for the dispatcher; `extra` for `handle_subscribe`.

    **Functions** of the module `gen_stage`: `start`, `start_link`, `stop`; `sync_subscribe`, `async_subscribe`,
    `sync_resubscribe`, `async_resubscribe`, `cancel`, `ask`; `demand`, `demand_mode`; `estimate_buffered_count`,
    `discarded_count`; `from_iterable`, a producer of anything that can be iterated over, and `stream`, which iterates
    over the events of producers.

    **Across runtimes** all of it works: producers and consumers watch each other, and a lost connection ends their
    subscriptions with the reason `noconnection`. Events, selectors and `extra` must then be picklable, or who sends
    them crashes with `InvalidArgumentsError`. A consumer that is stuck or out of reach costs its producer nothing: it
    has what it asked for, and gets no more.

    **When not to use it.** When each event needs an answer, make calls. To run a function over a list, some at a time,
    `task_supervisor.async_stream` is simpler; for events that all who listen must see at once and nobody paces,
    `GenEvent`. Stages are for concurrency, not for structure: steps that need not run at the same time belong in one.

    Where it differs from Elixir's: a stage that ends in order because its producer did first hands on what it has;
    events of a partition whose consumer went wait for the next one; who joins a broadcast late is not sent more than it
    asked for; a refused subscription does not end the producer; accumulated demand comes as one sum.
    """

    _cell: StageCell

    @classmethod
    def _new_cell(cls, runtime: Runtime, pid: Pid, parent: Pid | None) -> StageCell:
        return StageCell(runtime, pid, parent, cls())

    async def _boot(self, result: object) -> InitResult:
        match result:
            case Producer():
                stage = kernel.Stage(kernel.PRODUCER, _outlet(result), result.demand == FORWARD)
                await self._cell.boot(stage, ())
            case ProducerConsumer():
                await self._cell.boot(kernel.Stage(kernel.PRODUCER_CONSUMER, _outlet(result)), result.subscribe_to)
            case Consumer():
                await self._cell.boot(kernel.Stage(kernel.CONSUMER), result.subscribe_to)
            case None | Ok():
                mend = "return Producer(), ProducerConsumer() or Consumer()"
                raise UsageError(f"{type(self).__name__}.init() says not which kind of stage this is: {mend}")
        return result  # type: ignore[return-value]  # what is no result of init is found out where all are

    async def handle_demand(self, demand: int) -> StageResult:
        """Give events that are wanted. Must be overridden in a producer.

        Args:
            demand: How many more are wanted, beyond what was asked for before and not given yet.

        Returns:
            `Emit(events)` with as many, now or later, from any callback; fewer now is right, more is buffered.
        """
        raise UsageError(f"{type(self).__name__} needs handle_demand(): it is a producer")

    async def handle_events(self, events: list[Any], subscription: Subscription) -> StageResult:
        """Take events. Must be overridden in a consumer. When it is done, more are asked for."""
        raise UsageError(f"{type(self).__name__} needs handle_events(): it is a consumer")

    async def handle_subscribe(self, to: str, options: SubscribeTo, subscription: Subscription) -> SubscribeResult:
        """A subscription begins. Default: nothing is done.

        Args:
            to: What the other side is: `"producer"`, when this stage subscribes; `"consumer"`, when one subscribes to
                this stage.
            options: How.
            subscription: Which.

        Returns:
            `None`; `Manual()`, as a consumer, to call `gen_stage.ask` yourself; or `Stop(reason)`.
        """
        return None

    async def handle_cancel(self, kind: str, reason: object, subscription: Subscription) -> StageResult:
        """A subscription, on either side, has ended. Default: nothing is done.

        Args:
            kind: `"cancel"`, it was cancelled, or `"down"`, the other side ended.
            reason: Why.
            subscription: Which.
        """
        return None

    def handle_discarded(self, count: int) -> None:
        """So many events were lost just now. Default: a warning is logged."""
        log.warning("%s %s: %d events discarded", type(self).__name__, self.pid, count)

    def _is_idle(self) -> bool:
        """Whether nothing keeps the stage from an end that is in order; behaviours built on this one may be at work."""
        return True

    def emit(self, events: Iterable[object], *, last: bool = False) -> None:
        """Emit events at once, from the code of any callback but `init`.

        For `@call` methods, whose return is the answer; other callbacks return `Emit(...)`.

        Args:
            events: In order.
            last: As of `Emit`.
        """
        self._cell.emit(events, last)


def _outlet(result: Producer | ProducerConsumer) -> Outlet:
    return Outlet(result.dispatcher, result.buffer_size, result.buffer_keep)
