"""What happens to a stage, and what it does about it. The messages of `stage_protocol` are events too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from .stage_protocol import Message, Subscription

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .stage_options import SubscribeTo

TO_PRODUCER: Final = "producer"
TO_CONSUMER: Final = "consumer"
CANCELLED: Final = "cancel"
DOWN: Final = "down"

# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribing:
    """This stage is to subscribe to a producer, which it monitors already."""

    subscription: Subscription
    options: SubscribeTo
    instead_of: tuple[Subscription, object] | None = None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Outcome of `RunSubscribe`; of a consumer's: whether it asks for each event itself."""

    run: RunSubscribe
    manual: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that is monitored for a subscription has ended."""

    tag: Hashable
    reason: object


@dataclass(frozen=True, slots=True)
class Emitted:
    """A callback gave events."""

    events: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Handled:
    """Outcome of `RunEvents`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class CancelHandled:
    """Outcome of `RunCancel`."""

    run: RunCancel


@dataclass(frozen=True, slots=True)
class SetDemand:
    """Whether demand reaches `handle_demand`, or accumulates."""

    forwards: bool


@dataclass(frozen=True, slots=True)
class LookAgain:
    """What `Again` asked for."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Stop when all that was emitted is with its consumers."""

    reason: object


Event: TypeAlias = (
    Message | Subscribing | Subscribed | Ended | Emitted | Handled | CancelHandled | SetDemand | LookAgain | Finish
)

# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to another stage."""

    to: Hashable
    message: Message


@dataclass(frozen=True, slots=True)
class Watch:
    """Monitor the consumer of a subscription."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Undo the monitor of a subscription's other side."""

    tag: Hashable


@dataclass(frozen=True, slots=True)
class RunSubscribe:
    """Call `handle_subscribe` and feed `Subscribed`; `to` says what the other side is."""

    to: str
    options: SubscribeTo
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class RunCancel:
    """Call `handle_cancel` and feed `CancelHandled`.

    Attributes:
        kind: `"cancel"`: it was cancelled; `"down"`: the other side ended.
        reason: Why.
        subscription: Which.
        mode: What it means for this stage, as its consumer; `None` as its producer.
    """

    kind: str
    reason: object
    subscription: Subscription
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class RunDemand:
    """Call `handle_demand`."""

    count: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one subscription, and how many more to ask for when they are handled."""

    subscription: Subscription
    events: tuple[object, ...]
    ask: int = 0


@dataclass(frozen=True, slots=True)
class RunEvents:
    """Call `handle_events` and feed `Handled`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Discarded:
    """So many events were lost: the buffer is full, or nobody can ever get them."""

    count: int


@dataclass(frozen=True, slots=True)
class Excess:
    """A producer sent so many events more than it was asked for."""

    subscription: Subscription
    count: int


@dataclass(frozen=True, slots=True)
class Again:
    """Feed `LookAgain` when others had their turn."""


@dataclass(frozen=True, slots=True)
class StopStage:
    """End the process."""

    reason: object


Effect: TypeAlias = (
    Send | Watch | Unwatch | RunSubscribe | RunCancel | RunDemand | RunEvents | Discarded | Excess | Again | StopStage
)
