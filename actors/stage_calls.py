"""The functions of `gen_stage` that act on stages from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import gen_server
from .errors import UsageError
from .kernel.stage_options import ACCUMULATE, DEFAULT_MAX_DEMAND, FORWARD, PERMANENT, SubscribeTo
from .kernel.stage_protocol import Ask, Cancel, Subscription
from .runtime import current_runtime
from .stage_cell import DemandRequest, Question, SubscribeRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .pid import Destination


async def sync_subscribe(
    consumer: Destination,
    to: Destination,
    *,
    max_demand: int = DEFAULT_MAX_DEMAND,
    min_demand: int | None = None,
    cancel: str = PERMANENT,
    partition: Hashable = None,
    selector: Callable[[Any], object] | None = None,
    extra: object = None,
    timeout_s: float | None = gen_server.DEFAULT_TIMEOUT_S,
) -> Subscription:
    """Have a consumer subscribe to a producer; returns when it has asked for it.

    Whether the producer accepts comes later: a refusal is an end of the subscription. When the producer is not there, a
    consumer that subscribes `"permanent"` or `"transient"` stops with the reason `noproc`.

    Args:
        consumer: Pid or name of a consumer, or of a stage that is both.
        to: The producer; a name is looked up in the consumer's runtime.
        max_demand: As of `SubscribeTo`. Default 1000.
        min_demand: As of `SubscribeTo`. Default: half of `max_demand`.
        cancel: As of `SubscribeTo`. Default `"permanent"`.
        partition: As of `SubscribeTo`.
        selector: As of `SubscribeTo`.
        extra: As of `SubscribeTo`.
        timeout_s: Seconds to wait. A consumer that handles a batch is busy until it is done. Default 5.

    Raises:
        UsageError: An option is wrong, or `consumer` is a producer.
        CallFailed: As from `gen_server.request`.
    """
    options = _options(to, max_demand, min_demand, cancel, partition, selector, extra)
    return await _subscribed(consumer, SubscribeRequest(options), timeout_s)


def async_subscribe(
    consumer: Destination,
    to: Destination,
    *,
    max_demand: int = DEFAULT_MAX_DEMAND,
    min_demand: int | None = None,
    cancel: str = PERMANENT,
    partition: Hashable = None,
    selector: Callable[[Any], object] | None = None,
    extra: object = None,
) -> None:
    """Like `sync_subscribe`, but go on at once."""
    options = _options(to, max_demand, min_demand, cancel, partition, selector, extra)
    gen_server.tell(consumer, SubscribeRequest(options))


async def sync_resubscribe(
    consumer: Destination,
    subscription: Subscription,
    reason: object,
    *,
    max_demand: int = DEFAULT_MAX_DEMAND,
    min_demand: int | None = None,
    cancel: str = PERMANENT,
    partition: Hashable = None,
    selector: Callable[[Any], object] | None = None,
    extra: object = None,
    timeout_s: float | None = gen_server.DEFAULT_TIMEOUT_S,
) -> Subscription:
    """Subscribe to the same producer anew, with other options; the old subscription ends with `reason`.

    The old one's end calls `handle_cancel` but never stops the consumer. Events that are under way still come.

    Raises:
        UsageError: As from `sync_subscribe`.
        CallFailed: As from `gen_server.request`.
    """
    to: Any = subscription.producer
    options = _options(to, max_demand, min_demand, cancel, partition, selector, extra)
    return await _subscribed(consumer, SubscribeRequest(options, (subscription, reason)), timeout_s)


def async_resubscribe(
    consumer: Destination,
    subscription: Subscription,
    reason: object,
    *,
    max_demand: int = DEFAULT_MAX_DEMAND,
    min_demand: int | None = None,
    cancel: str = PERMANENT,
    partition: Hashable = None,
    selector: Callable[[Any], object] | None = None,
    extra: object = None,
) -> None:
    """Like `sync_resubscribe`, but go on at once."""
    to: Any = subscription.producer
    options = _options(to, max_demand, min_demand, cancel, partition, selector, extra)
    gen_server.tell(consumer, SubscribeRequest(options, (subscription, reason)))


def ask(subscription: Subscription, count: int) -> None:
    """Ask for events, for a consumer whose `handle_subscribe` returned `Manual()`. To the dead it vanishes.

    Raises:
        UsageError: `count` is not 1 or more.
    """
    if count < 1:
        raise UsageError(f"count={count!r}: ask for 1 or more events")
    _tell(subscription, Ask(subscription, count))


def cancel(subscription: Subscription, reason: object) -> None:
    """End a subscription, from anywhere. Consumer and producer get `handle_cancel("cancel", reason, subscription)`.

    What follows for the consumer says its cancel mode: a `"permanent"` one stops with `reason`.
    """
    _tell(subscription, Cancel(subscription, reason))


def demand(producer: Destination, mode: str) -> None:
    """Set the demand mode: `"forward"` or `"accumulate"`.

    What has accumulated reaches `handle_demand` at once, in one sum.

    Raises:
        UsageError: Another mode.
    """
    if mode not in (FORWARD, ACCUMULATE):
        raise UsageError(f"mode={mode!r}: use 'forward' or 'accumulate'")
    gen_server.tell(producer, DemandRequest(mode))


async def demand_mode(producer: Destination, timeout_s: float | None = gen_server.DEFAULT_TIMEOUT_S) -> str:
    """The demand mode: `"forward"` or `"accumulate"`."""
    return str(await gen_server.request(producer, Question("demand"), timeout_s))


async def estimate_buffered_count(producer: Destination, timeout_s: float | None = gen_server.DEFAULT_TIMEOUT_S) -> int:
    """How many events wait in a producer for demand; of a consumer 0. An estimate, as it changes meanwhile."""
    return await _count(producer, "buffered", timeout_s)


async def discarded_count(producer: Destination, timeout_s: float | None = gen_server.DEFAULT_TIMEOUT_S) -> int:
    """How many events a producer has lost so far: there was no room in its buffer, or no such partition."""
    return await _count(producer, "discarded", timeout_s)


async def _count(producer: Destination, about: str, timeout_s: float | None) -> int:
    count = await gen_server.request(producer, Question(about), timeout_s)
    assert isinstance(count, int)
    return count


async def _subscribed(consumer: Destination, request: SubscribeRequest, timeout_s: float | None) -> Subscription:
    subscription = await gen_server.request(consumer, request, timeout_s)
    assert isinstance(subscription, Subscription)
    return subscription


def _tell(subscription: Subscription, message: Ask | Cancel) -> None:
    producer: Any = subscription.producer
    cell = current_runtime().cell(producer)
    if cell is not None:
        cell.deliver(message)


def _options(
    to: Destination,
    max_demand: int,
    min_demand: int | None,
    cancel: str,
    partition: Hashable,
    selector: Callable[[Any], object] | None,
    extra: object,
) -> SubscribeTo:
    try:
        return SubscribeTo(to, max_demand, min_demand, cancel, partition, selector, extra)
    except ValueError as error:
        raise UsageError(str(error)) from None
