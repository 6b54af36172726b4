"""The engine of `GenStage`: that of a server, which also takes what stages send each other, and does what follows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from .cell import ALIVE, crashed
from .errors import Exit, UsageError
from .kernel import stage as kernel
from .kernel.reason import is_normal_end
from .kernel.server import Stop, bad_return
from .kernel.stage_events import (
    Again,
    CancelHandled,
    Discarded,
    Effect,
    Emitted,
    Ended,
    Event,
    Excess,
    Finish,
    Handled,
    LookAgain,
    RunCancel,
    RunDemand,
    RunEvents,
    RunSubscribe,
    Send,
    SetDemand,
    StopStage,
    Subscribed,
    Subscribing,
    Unwatch,
    Watch,
)
from .kernel.stage_options import ACCUMULATE, FORWARD, TEMPORARY, Emit, Manual, SubscribeTo
from .kernel.stage_protocol import Ask, Cancel, Cancelled, Events, Subscribe, Subscription
from .message import Call, Cast, Down
from .pid import RemoteName
from .runtime import log
from .server_cell import ServerCell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .kernel.reason import ExitReason
    from .message import From
    from .pid import Destination, Pid, Ref
    from .runtime import Runtime
    from .stage import GenStage


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """To a consumer: subscribe to a producer, perhaps in place of another subscription, which ends for a reason."""

    options: SubscribeTo
    instead_of: tuple[Subscription, object] | None = None


@dataclass(frozen=True, slots=True)
class DemandRequest:
    """To a producer: set the demand mode."""

    mode: str


@dataclass(frozen=True, slots=True)
class Question:
    """To a stage: what of it is asked for."""

    about: str


_MESSAGES: Final = frozenset((Subscribe, Ask, Cancel, Events, Cancelled, LookAgain))
_REQUESTS: Final = frozenset((SubscribeRequest, DemandRequest, Question))


class StageCell(ServerCell):
    """A process that runs a `GenStage`.

    Attributes:
        stage: Where it stands; `None` until `init` is done.
        consumer_monitors: Its monitors of consumers: the tags of their subscriptions.
        stopping: The reason to stop for when the callback under way is done, in a tuple of one.
    """

    __slots__ = ("booting", "consumer_monitors", "manual", "stage", "stopping")

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None, server: GenStage) -> None:
        super().__init__(runtime, pid, parent, server)
        self.stage: kernel.Stage | None = None
        self.consumer_monitors: dict[Ref, object] = {}
        self.stopping: tuple[ExitReason] | None = None
        self.booting = False
        self.manual = False

    async def boot(self, stage: kernel.Stage, subscribe_to: Iterable[object]) -> None:
        """Take up work as `init` said; a failure is one of the start.

        Raises:
            Exit: A producer is not there, or a callback stops.
        """
        self.stage = stage
        self.booting = True
        for to in subscribe_to:
            options = to if isinstance(to, SubscribeTo) else SubscribeTo(cast("Destination", to))
            await self._subscribe(SubscribeRequest(options))
            if self.stopping is not None:
                raise Exit(self.stopping[0])
        self.booting = False

    async def handle(self, message: object) -> None:
        """Do what one message asks for."""
        kind = type(message)
        stage = None if self.suspended else self.stage
        event: Event | None = None
        request: object = None
        if stage is not None:
            if kind in _MESSAGES:
                event = cast("Event", message)
            elif kind is Down:
                event = self._end_of(cast("Down", message))
            elif kind is Call or kind is Cast:
                request = cast("Call | Cast", message).request
        if event is None and type(request) not in _REQUESTS:
            await super().handle(message)
        else:
            self.messages_handled += 1
            if self.timeout_s is not None:
                self.disarm()
                self.timeout_s = None
            try:
                if event is not None:
                    await self._drive(event)
                else:
                    await self._serve(request, message.sender if isinstance(message, Call) else None)
            except Exception as error:  # noqa: BLE001 (let it crash: an event that cannot be sent, a bad selector)
                self.last_message = message
                await self.stop(crashed(error))
        if self.stopping is not None and self.exit_reason is ALIVE:
            [reason] = self.stopping
            if cast("GenStage", self.server)._is_idle() or not is_normal_end(reason):
                self.last_message = message
                await self.stop(reason)

    def emit(self, events: Iterable[object], last: bool) -> None:
        """Take the events of a callback."""
        if self.stage is None:
            raise UsageError("a stage cannot emit in init(): return Producer(continue_with=...), emit from there")
        given = tuple(events)
        if self.stage.kind == kernel.CONSUMER:
            raise UsageError(f"{self.description()} is a consumer, which emits nothing: return ProducerConsumer()")
        if given:
            self._perform_all(self._step(Emitted(given)))
        if last:
            self._perform_all(self._step(Finish("normal")))

    def _step(self, event: Event) -> tuple[Effect, ...]:
        assert self.stage is not None
        self.stage, effects = kernel.step(self.stage, event)
        return effects

    async def _drive(self, event: Event) -> None:
        """Step, carry out the effects in order, feed what comes of them."""
        server = cast("GenStage", self.server)
        waiting = deque(self._step(event))
        while waiting and self.exit_reason is ALIVE and self.stopping is None:
            effect = waiting.popleft()
            follows: Event | None = None
            match effect:
                case RunEvents(batch):
                    arguments = (list(batch.events), batch.subscription)
                    await self._run("handle_events", server.handle_events, arguments, effect)
                    follows = Handled(batch)
                case RunDemand(count):
                    await self._run("handle_demand", server.handle_demand, (count,), effect)
                case RunSubscribe(to, options, subscription):
                    self.manual = False
                    subscribing = (to, options, subscription)
                    await self._run("handle_subscribe", server.handle_subscribe, subscribing, effect)
                    follows = Subscribed(effect, self.manual)
                case RunCancel(kind, reason, subscription):
                    await self._run("handle_cancel", server.handle_cancel, (kind, reason, subscription), effect)
                    follows = CancelHandled(effect)
                case _:
                    self._perform(effect)
            if follows is not None and self.exit_reason is ALIVE:
                waiting.extendleft(reversed(self._step(follows)))

    async def _run(
        self, name: str, function: Callable[..., Awaitable[object]], args: tuple[object, ...], message: object
    ) -> None:
        if not self.booting:
            await self._callback(name, function, args, message)
            return
        result = await self._absorbed(name, function, args)
        bad = bad_return(name, result)
        if bad is not None or isinstance(result, Stop):
            raise Exit(result.reason if isinstance(result, Stop) else bad)

    async def _callback(
        self,
        name: str,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
        message: object,
        sender: From | None = None,
    ) -> None:
        await super()._callback(name, self._absorbed, (name, function, args), message, sender)

    async def _absorbed(
        self, name: str, function: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> object:
        """What a callback returns, without what only stages return: that is done."""
        running = function(*args)
        self.check_async(name, running)
        result = await running
        if isinstance(result, Emit) and self.exit_reason is ALIVE:
            self.emit(result.events, result.last)
            return result.result()
        if isinstance(result, Manual) and name == "handle_subscribe":
            self.manual = True
            return None
        return result

    def _perform_all(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        """Carry out an effect that is no callback."""
        match effect:
            case Send(to, message):
                cell = self.runtime.cell(cast("Destination", to))
                if cell is not None:
                    cell.deliver(message)
            case Watch(subscription):
                ref = self.runtime.monitor(self, cast("Pid", subscription.consumer))
                self.consumer_monitors[ref] = subscription.tag
            case Unwatch(tag):
                self._unwatch(tag)
            case Discarded(count):
                cast("GenStage", self.server).handle_discarded(count)
            case Excess(subscription, count):
                log.error("%s %s: %d events in excess from %s", self.description(), self.pid, count, subscription)
            case Again():
                self.deliver(LookAgain())
            case StopStage(reason):
                self.stopping = (reason,)

    def _unwatch(self, tag: object) -> None:
        ref = next((ref for ref, watched in self.consumer_monitors.items() if watched == tag), None)
        if ref is None:
            self.runtime.demonitor(self, cast("Ref", tag))  # a subscription of its own is tagged by its monitor
        else:
            del self.consumer_monitors[ref]
            self.runtime.demonitor(self, ref)

    def _end_of(self, down: Down) -> Ended | None:
        """The end of a process that the stage watches, `None` when the callbacks watch it."""
        assert self.stage is not None
        if down.ref in self.stage.upstreams:
            return Ended(down.ref, down.reason)
        tag = self.consumer_monitors.get(down.ref)
        return None if tag is None else Ended(cast("Ref", tag), down.reason)

    async def _serve(self, request: object, sender: From | None) -> None:
        """Serve a request that is for the engine."""
        stage = self.stage
        assert stage is not None
        answer: object = None
        try:
            match request:
                case SubscribeRequest():
                    answer = await self._subscribe(request)
                case DemandRequest(mode):
                    await self._set_demand(mode)
                case Question("buffered"):
                    answer = stage.outlet.waiting
                case Question("discarded"):
                    answer = stage.outlet.discarded
                case Question("demand"):
                    answer = FORWARD if stage.forwards else ACCUMULATE
        except UsageError as error:
            if sender is None:
                log.error("%s %s: %s", self.description(), self.pid, error)
                return
            sender.fail(error)
            return
        if sender is not None:
            sender.reply(answer)

    async def _set_demand(self, mode: str) -> None:
        assert self.stage is not None
        if self.stage.kind == kernel.PRODUCER:
            await self._drive(SetDemand(mode == FORWARD))
        elif self.stage.kind == kernel.CONSUMER or mode == ACCUMULATE:
            raise UsageError(f"{self.description()} is a {self.stage.kind}: only a producer accumulates demand")

    async def _subscribe(self, request: SubscribeRequest) -> Subscription:
        assert self.stage is not None
        options = request.options
        if self.stage.kind == kernel.PRODUCER:
            raise UsageError(f"{self.description()} is a producer, which subscribes to nothing")
        producer = self._producer(cast("Destination", options.to))
        if producer is None:
            if options.cancel != TEMPORARY:
                log.error("%s %s cannot subscribe: nobody is at %s", self.description(), self.pid, options.to)
                self.stopping = ("noproc",)
            return Subscription(options.to, self.pid, self.runtime.new_ref())
        subscription = Subscription(producer, self.pid, self.runtime.monitor(self, producer))
        await self._drive(Subscribing(subscription, replace(options, to=producer), request.instead_of))
        return subscription

    def _producer(self, to: Destination) -> Pid | RemoteName | None:
        """Where requests to a producer go; a name in another runtime is looked up there."""
        if isinstance(to, RemoteName) and to.runtime != self.runtime.name:
            return to
        cell = self.runtime.cell(to)
        return None if cell is None else cell.pid
