"""The producing side of a stage: consumers and what they want, the buffer of events that nobody has asked for yet.

While events are buffered there is no room at the dispatcher. `owed` is the demand that `handle_demand` was told of and
has not answered: new demand is what there is room for beyond it. So demand of a consumer that has gone is not
forgotten, its events come all the same, and the next consumer's demand counts from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .fifo import Fifo
from .stage_dispatchers import DemandDispatcher, Refused
from .stage_events import Discarded, Effect, Send
from .stage_options import DEFAULT_BUFFER_SIZE, FIRST, LAST
from .stage_protocol import Events, Subscription

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from .stage_dispatchers import Delivery, Dispatcher
    from .stage_options import SubscribeTo


@dataclass(frozen=True, slots=True)
class Outlet:
    """State of the producing side.

    Attributes:
        dispatcher: Who gets which event.
        buffer_size: How many events wait at most; `None`: any number.
        buffer_keep: Which are kept when there are more.
        buffer: Events that nobody has asked for yet, in order.
        consumers: Subscriptions by tag.
        owed: Demand told of and not answered by events yet.
        discarded: How many events were lost so far.
    """

    dispatcher: Dispatcher = field(default_factory=DemandDispatcher)
    buffer_size: int | None = DEFAULT_BUFFER_SIZE
    buffer_keep: str = LAST
    buffer: Fifo[object] = field(default_factory=Fifo)
    consumers: Mapping[Hashable, Subscription] = field(default_factory=dict)
    owed: int = 0
    discarded: int = 0

    @property
    def waiting(self) -> int:
        """How many emitted events are not on their way yet."""
        return len(self.buffer) + self.dispatcher.held

    @property
    def wanted(self) -> int:
        """How many events are wanted beyond what is owed."""
        return max(0, self.dispatcher.room - self.owed)


Step = tuple[Outlet, tuple[Effect, ...]]


def emit(outlet: Outlet, events: tuple[object, ...]) -> Step:
    """Hand out new events, behind those that wait; keep what nobody has asked for."""
    owed = max(0, outlet.owed - len(events))
    if outlet.buffer:
        return _stored(replace(outlet, owed=owed), events)
    outlet, rest, effects = _dispatched(outlet, events, outlet.buffer, owed)
    if not rest:
        return outlet, effects
    outlet, lost = _stored(outlet, rest)
    return outlet, effects + lost


def flush(outlet: Outlet) -> Step:
    """Hand out what waits in the buffer, as far as there is room."""
    effects: tuple[Effect, ...] = ()
    while outlet.buffer and (room := outlet.dispatcher.room):
        events, buffer = outlet.buffer.taken(room)
        outlet, _, more = _dispatched(outlet, events, buffer, outlet.owed)
        effects += more
    return outlet, effects


def subscribe(outlet: Outlet, subscription: Subscription, options: SubscribeTo) -> Outlet | Refused:
    """Take a consumer in."""
    dispatcher = outlet.dispatcher.subscribe(subscription, options)
    if isinstance(dispatcher, Refused):
        return dispatcher
    consumers = {**outlet.consumers, subscription.tag: subscription}
    return replace(outlet, dispatcher=dispatcher, consumers=consumers)


def ask(outlet: Outlet, tag: Hashable, count: int) -> Step:
    """A consumer wants more."""
    dispatcher, deliveries = outlet.dispatcher.ask(tag, count)
    return flush_after(replace(outlet, dispatcher=dispatcher), _sends(outlet, deliveries))


def cancel(outlet: Outlet, tag: Hashable) -> Step:
    """Let a consumer go; that may make room for the others."""
    consumers = {other: subscription for other, subscription in outlet.consumers.items() if other != tag}
    return flush(replace(outlet, dispatcher=outlet.dispatcher.cancel(tag), consumers=consumers))


def flush_after(outlet: Outlet, effects: tuple[Effect, ...]) -> Step:
    """`flush`, its effects behind others."""
    outlet, more = flush(outlet)
    return outlet, effects + more


def _dispatched(
    outlet: Outlet, events: tuple[object, ...], buffer: Fifo[object], owed: int
) -> tuple[Outlet, tuple[object, ...], tuple[Effect, ...]]:
    """Hand out events; what nobody has asked for; with `buffer` and `owed` from now on."""
    if not outlet.dispatcher.room:
        return replace(outlet, owed=owed), events, ()
    done = outlet.dispatcher.dispatch(events)
    effects: tuple[Effect, ...] = _sends(outlet, done.deliveries)
    if done.dropped:
        effects += (Discarded(done.dropped),)
    discarded = outlet.discarded + done.dropped
    outlet = replace(outlet, dispatcher=done.dispatcher, buffer=buffer, owed=owed, discarded=discarded)
    return outlet, done.rest, effects


def _sends(outlet: Outlet, deliveries: tuple[Delivery, ...]) -> tuple[Send, ...]:
    sends = []
    for delivery in deliveries:
        subscription = outlet.consumers[delivery.tag]
        sends.append(Send(subscription.consumer, Events(subscription, delivery.events)))
    return tuple(sends)


def _stored(outlet: Outlet, events: tuple[object, ...]) -> Step:
    buffer, size = outlet.buffer, outlet.buffer_size
    if size is None:
        return replace(outlet, buffer=buffer.added(events)), ()
    excess = max(0, len(buffer) + len(events) - size)
    if not excess:
        return replace(outlet, buffer=buffer.added(events)), ()
    if outlet.buffer_keep == FIRST:
        buffer = buffer.added(events[: len(events) - excess])
    else:
        _, buffer = buffer.taken(excess)
        buffer = buffer.added(events[max(0, len(events) - size) :])
    return replace(outlet, buffer=buffer, discarded=outlet.discarded + excess), (Discarded(excess),)
