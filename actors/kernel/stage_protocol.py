"""What stages send each other: requests to the producer, events to the consumer. They travel between runtimes too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .stage_options import SubscribeTo


@dataclass(frozen=True, slots=True)
class Subscription:
    """A consumer's subscription to a producer.

    Attributes:
        producer: Where requests go.
        consumer: Where events go.
        tag: Tells it from all others: the consumer's monitor of the producer.
    """

    producer: Hashable
    consumer: Hashable
    tag: Hashable


@dataclass(frozen=True, slots=True)
class Subscribe:
    """To a producer: begin a subscription.

    Attributes:
        subscription: Which.
        options: How.
        instead_of: The subscription that ends for this one, and why.
    """

    subscription: Subscription
    options: SubscribeTo
    instead_of: tuple[Subscription, object] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """To a producer: so many more events are wanted."""

    subscription: Subscription
    count: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """To a producer: end the subscription; it answers with `Cancelled`."""

    subscription: Subscription
    reason: object


@dataclass(frozen=True, slots=True)
class Events:
    """To a consumer: events, no more than it asked for."""

    subscription: Subscription
    events: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """To a consumer: the subscription has ended."""

    subscription: Subscription
    reason: object


ToProducer: TypeAlias = Subscribe | Ask | Cancel
ToConsumer: TypeAlias = Events | Cancelled
Message: TypeAlias = ToProducer | ToConsumer
