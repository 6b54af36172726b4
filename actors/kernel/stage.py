"""What a stage does: a producer with its demand, a consumer with its subscriptions, or both. After Elixir's GenStage.

As a consumer, each subscription has its own demand: `max_demand` is asked for at first; when no more than `min_demand`
are outstanding, the rest is asked for again, after the batch that brought it there is handled. So no more than
`max_demand` events of one subscription are ever under way or waiting.

As a producer it tells demand on and buffers what nobody has asked for, see `stage_outlet`. A stage that is both handles
a batch only when its consumers want something: what it asked for waits in its inbox until then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from . import stage_outlet as outlets
from .fifo import Fifo
from .reason import is_normal_end
from .server import ABSENT
from .stage_dispatchers import Refused
from .stage_events import (
    CANCELLED,
    DOWN,
    TO_CONSUMER,
    TO_PRODUCER,
    Again,
    Batch,
    CancelHandled,
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
from .stage_options import PERMANENT, TEMPORARY, TRANSIENT
from .stage_outlet import Outlet
from .stage_protocol import Ask, Cancel, Cancelled, Events, Subscribe, Subscription

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

PRODUCER: Final = "producer"
PRODUCER_CONSUMER: Final = "producer_consumer"
CONSUMER: Final = "consumer"
UNKNOWN: Final = "unknown_subscription"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A subscription to a producer.

    Attributes:
        subscription: Which.
        max_demand: What may be outstanding at most.
        min_demand: When no more is, more is asked for.
        pending: What will be outstanding when all batches that have come are handled; without meaning when `manual`.
        mode: What its end means.
        manual: Whether the callbacks ask.
    """

    subscription: Subscription
    max_demand: int
    min_demand: int
    pending: int
    mode: str
    manual: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """State of a stage.

    Attributes:
        kind: `"producer"`, `"producer_consumer"` or `"consumer"`.
        outlet: The producing side; unused in a consumer.
        forwards: Whether demand reaches `handle_demand`; else it accumulates.
        upstreams: Subscriptions to producers, by tag.
        inbox: Batches and ends of subscriptions that wait to be handled, in order.
        handling: Whether one is being handled.
        ending: Why it stops when all that it has emitted is with its consumers; `ABSENT` while it goes on.
    """

    kind: str
    outlet: Outlet = field(default_factory=Outlet)
    forwards: bool = True
    upstreams: Mapping[Hashable, Upstream] = field(default_factory=dict)
    inbox: Fifo[Batch | RunCancel] = field(default_factory=Fifo)
    handling: bool = False
    ending: object = ABSENT


Step: TypeAlias = tuple[Stage, tuple[Effect, ...]]


def step(stage: Stage, event: Event) -> Step:
    """One step of a stage.

    Args:
        stage: Where it stands.
        event: What happened.

    Returns:
        The new state, and the effects in order. After a `Run...` effect its outcome is fed before the next effect is
        carried out; events that its callback gives are fed as `Emitted` at once.

    >>> from .stage_options import SubscribeTo
    >>> subscription, options = Subscription("producer", "consumer", "tag"), SubscribeTo("producer")
    >>> stage, (watch, run) = step(Stage(PRODUCER), Subscribe(subscription, options))
    >>> stage, _ = step(stage, Subscribed(run))
    >>> stage, (demand,) = step(stage, Ask(subscription, 2))
    >>> demand
    RunDemand(count=2)
    >>> stage, (send,) = step(stage, Emitted(("a", "b", "c")))
    >>> send.message.events, list(stage.outlet.buffer)
    (('a', 'b'), ['c'])
    """
    match event:
        case Events():
            stage, effects = _received(stage, event)
        case Ask(subscription, count):
            stage, effects = _asked(stage, subscription, count)
        case Emitted(events):
            outlet, effects = outlets.emit(stage.outlet, events)
            stage = replace(stage, outlet=outlet)
        case Handled(batch):
            stage, effects = _handled(stage, batch)
        case Subscribe():
            return _subscribe_asked(stage, event)
        case Subscribing(subscription, options, instead_of):
            if instead_of is not None:
                stage = _spared(stage, instead_of[0].tag)
            asked = Send(subscription.producer, Subscribe(subscription, options, instead_of))
            return stage, (asked, RunSubscribe(TO_PRODUCER, options, subscription))
        case Subscribed(run, manual):
            stage, effects = _subscribed(stage, run, manual)
        case Cancel(subscription, reason):
            return _consumer_gone(stage, subscription, CANCELLED, reason)
        case Cancelled(subscription, reason):
            stage, effects = _producer_gone(stage, subscription.tag, CANCELLED, reason)
        case Ended(tag, reason) if tag in stage.upstreams:
            stage, effects = _producer_gone(stage, tag, DOWN, reason)
        case Ended(tag, reason):
            known = stage.outlet.consumers.get(tag)
            return (stage, ()) if known is None else _consumer_gone(stage, known, DOWN, reason)
        case CancelHandled(run):
            stage, effects = _cancel_handled(stage, run)
        case SetDemand(forwards):
            stage, effects = replace(stage, forwards=forwards), ()
        case Finish(reason):
            stage, effects = replace(stage, ending=reason), ()
        case LookAgain():
            effects = ()
    in_callback = isinstance(event, Emitted | Finish)
    stage, more = _next(stage, in_callback=in_callback)
    return stage, effects + more


def _next(stage: Stage, in_callback: bool) -> Step:
    """What follows from where the stage stands. Another callback runs only when the last one is done."""
    outlet, inbox = stage.outlet, stage.inbox
    if stage.ending is not ABSENT and not (inbox or stage.handling or outlet.waiting):
        return stage, (StopStage(stage.ending),)
    if stage.kind == PRODUCER:
        wanted = outlet.wanted if stage.forwards and stage.ending is ABSENT else 0
        if not wanted:
            return stage, ()
        if in_callback:  # its own events made room again, as nobody wants them: others have their turn first
            return stage, (Again(),)
        return replace(stage, outlet=replace(outlet, owed=outlet.owed + wanted)), (RunDemand(wanted),)
    if not inbox or stage.handling or in_callback:
        return stage, ()
    (head,), rest = inbox.taken(1)
    if isinstance(head, Batch) and stage.kind == PRODUCER_CONSUMER and not outlet.dispatcher.room:
        return stage, ()
    run = RunEvents(head) if isinstance(head, Batch) else head
    return replace(stage, inbox=rest, handling=True), (run,)


# -- as a producer ---------------------------------------------------------------------------------------------------


def _subscribe_asked(stage: Stage, message: Subscribe) -> Step:
    effects: tuple[Effect, ...] = ()
    subscription = message.subscription
    if message.instead_of is not None:
        old, reason = message.instead_of
        stage, effects = _consumer_gone(stage, old, CANCELLED, reason)
    if stage.kind == CONSUMER:
        refused: object = "not_a_producer"
    elif subscription.tag in stage.outlet.consumers:
        refused = "duplicated_subscription"
    else:
        outlet = outlets.subscribe(stage.outlet, subscription, message.options)
        if not isinstance(outlet, Refused):
            return stage, (*effects, Watch(subscription), RunSubscribe(TO_CONSUMER, message.options, subscription))
        refused = outlet.reason
    return stage, (*effects, Send(subscription.consumer, Cancelled(subscription, refused)))


def _asked(stage: Stage, subscription: Subscription, count: int) -> Step:
    if subscription.tag not in stage.outlet.consumers:
        return stage, (Send(subscription.consumer, Cancelled(subscription, UNKNOWN)),)
    outlet, effects = outlets.ask(stage.outlet, subscription.tag, count)
    return replace(stage, outlet=outlet), effects


def _consumer_gone(stage: Stage, subscription: Subscription, kind: str, reason: object) -> Step:
    known = stage.outlet.consumers.get(subscription.tag)
    if known is None:
        return stage, (Send(subscription.consumer, Cancelled(subscription, UNKNOWN)),)
    outlet, effects = outlets.cancel(stage.outlet, known.tag)
    told = Send(known.consumer, Cancelled(known, reason))
    return replace(stage, outlet=outlet), (Unwatch(known.tag), told, *effects, RunCancel(kind, reason, known))


# -- as a consumer ---------------------------------------------------------------------------------------------------


def _subscribed(stage: Stage, run: RunSubscribe, manual: bool) -> Step:
    subscription, options = run.subscription, run.options
    if run.to == TO_CONSUMER:
        outlet = outlets.subscribe(stage.outlet, subscription, options)
        assert not isinstance(outlet, Refused)
        return replace(stage, outlet=outlet), ()
    most = options.max_demand
    upstream = Upstream(subscription, most, options.low, most, options.cancel, manual)
    stage = replace(stage, upstreams={**stage.upstreams, subscription.tag: upstream})
    return stage, () if manual else (Send(subscription.producer, Ask(subscription, most)),)


def _spared(stage: Stage, tag: Hashable) -> Stage:
    """The end of this subscription will not stop the stage: it wanted it."""
    upstream = stage.upstreams.get(tag)
    if upstream is None:
        return stage
    return replace(stage, upstreams={**stage.upstreams, tag: replace(upstream, mode=TEMPORARY)})


def _received(stage: Stage, message: Events) -> Step:
    subscription = message.subscription
    upstream = stage.upstreams.get(subscription.tag)
    if upstream is None:
        return stage, (Send(subscription.producer, Cancel(subscription, UNKNOWN)),)
    upstream, batches, excess = split(upstream, message.events)
    upstreams = {**stage.upstreams, subscription.tag: upstream}
    stage = replace(stage, upstreams=upstreams, inbox=stage.inbox.added(batches))
    return stage, (Excess(subscription, excess),) if excess else ()


def split(upstream: Upstream, events: tuple[object, ...]) -> tuple[Upstream, tuple[Batch, ...], int]:
    """Events that have come, as batches with what to ask for after each; and how many nobody had asked for.

    >>> upstream = Upstream(Subscription("producer", "consumer", "tag"), 10, 5, 10, "permanent")
    >>> upstream, batches, excess = split(upstream, tuple(range(7)))
    >>> [(batch.events, batch.ask) for batch in batches], upstream.pending, excess
    ([((0, 1, 2, 3, 4), 5), ((5, 6), 0)], 8, 0)
    """
    subscription = upstream.subscription
    if upstream.manual:
        return upstream, (Batch(subscription, events),), 0
    size = upstream.max_demand - upstream.min_demand
    expected = pending = upstream.pending
    excess = 0
    batches = []
    for start in range(0, len(events), size):
        part = events[start : start + size]
        counted = min(len(part), expected)  # what came unasked must not be asked for again
        excess += len(part) - counted
        expected -= counted
        pending -= counted
        ask = upstream.max_demand - pending if pending <= upstream.min_demand else 0
        pending += ask
        batches.append(Batch(subscription, part, ask))
    return replace(upstream, pending=pending), tuple(batches), excess


def _handled(stage: Stage, batch: Batch) -> Step:
    stage = replace(stage, handling=False)
    subscription = batch.subscription
    if not batch.ask or subscription.tag not in stage.upstreams or stage.ending is not ABSENT:
        return stage, ()
    return stage, (Send(subscription.producer, Ask(subscription, batch.ask)),)


def _producer_gone(stage: Stage, tag: Hashable, kind: str, reason: object) -> Step:
    upstream = stage.upstreams.get(tag)
    if upstream is None:
        return stage, ()
    upstreams = {other: kept for other, kept in stage.upstreams.items() if other != tag}
    run = RunCancel(kind, reason, upstream.subscription, upstream.mode)  # behind the events that came before
    stage = replace(stage, upstreams=upstreams, inbox=stage.inbox.added((run,)))
    return stage, (Unwatch(tag),) if kind == CANCELLED else ()


def _cancel_handled(stage: Stage, run: RunCancel) -> Step:
    if run.mode is None:
        return stage, ()
    stage = replace(stage, handling=False)
    orderly = is_normal_end(run.reason)
    stops = run.mode == PERMANENT or (run.mode == TRANSIENT and not orderly)
    if not stops or run.reason == "already_subscribed":
        return stage, ()
    if orderly:  # what it has and what it has emitted is served first
        return replace(stage, ending=run.reason), ()
    return stage, (StopStage(run.reason),)
