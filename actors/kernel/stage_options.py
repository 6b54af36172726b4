"""What the callbacks of a stage return, and how a stage subscribes to another. Elixir's GenStage returns, as types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Never, TypeAlias

from ..errors import OptionError
from .server import ABSENT, Ignore, NoReply, Ok, Reply, Stop
from .server import Error as InitError
from .stage_dispatchers import DemandDispatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from .stage_dispatchers import Dispatcher

PERMANENT: Final = "permanent"
TRANSIENT: Final = "transient"
TEMPORARY: Final = "temporary"
FORWARD: Final = "forward"
ACCUMULATE: Final = "accumulate"
FIRST: Final = "first"
LAST: Final = "last"
DEFAULT_MAX_DEMAND: Final = 1000
DEFAULT_BUFFER_SIZE: Final = 10_000


@dataclass(frozen=True, slots=True)
class SubscribeTo:
    """How a stage subscribes to a producer.

    Attributes:
        to: The producer: a pid or a name, which is looked up where the consumer lives.
        max_demand: How many events may be under way or waiting at the consumer, at most. Default 1000.
        min_demand: More is asked for when no more than so many are outstanding; `max_demand - min_demand` is the size
            of a batch, at most. Default: half of `max_demand`.
        cancel: What the end of the subscription means for the consumer, whether the producer ended or the subscription
            was cancelled: `"permanent"` (it stops too, with the same reason; the default), `"transient"` (it stops,
            unless the reason is `normal`, `shutdown` or `("shutdown", term)`), `"temporary"` (it lives on).
        partition: Of a producer with a `PartitionDispatcher`: which one.
        selector: With a `BroadcastDispatcher`: which events to get, `selector(event)`. It runs in the producer.
        extra: Anything, for the `handle_subscribe` of both sides.
    """

    to: Hashable
    max_demand: int = DEFAULT_MAX_DEMAND
    min_demand: int | None = None
    cancel: str = PERMANENT
    partition: Hashable = None
    selector: Callable[[Never], object] | None = None
    extra: object = None

    def __post_init__(self) -> None:
        if not _is_count(self.max_demand, 1):
            raise OptionError(f"max_demand={self.max_demand!r}: give 1 or more events")
        if self.min_demand is not None and not (_is_count(self.min_demand, 0) and self.min_demand < self.max_demand):
            raise OptionError(f"min_demand={self.min_demand!r}: give 0 or more, less than max_demand={self.max_demand}")
        if self.cancel not in (PERMANENT, TRANSIENT, TEMPORARY):
            raise OptionError(f"cancel={self.cancel!r}: use 'permanent', 'transient' or 'temporary'")

    @property
    def low(self) -> int:
        """The outstanding demand at which more is asked for."""
        return self.max_demand // 2 if self.min_demand is None else self.min_demand


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True, slots=True, kw_only=True)
class _Producing(Ok):
    """What all stages that emit events have in common."""

    dispatcher: Dispatcher = field(default_factory=DemandDispatcher)
    buffer_size: int | None = DEFAULT_BUFFER_SIZE
    buffer_keep: str = LAST

    def __post_init__(self) -> None:
        Ok.__post_init__(self)
        if self.buffer_size is not None and not _is_count(self.buffer_size, 0):
            raise OptionError(f"buffer_size={self.buffer_size!r}: give 0 or more events, or None for no bound")
        if self.buffer_keep not in (FIRST, LAST):
            raise OptionError(f"buffer_keep={self.buffer_keep!r}: use 'first' or 'last'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Producer(_Producing):
    """From `init`: this stage only emits events.

    Attributes:
        dispatcher: Who gets which event: `DemandDispatcher()` (the default), `BroadcastDispatcher()` or
            `PartitionDispatcher(...)`.
        buffer_size: How many events wait for demand at most; `None`: any number. Default 10 000.
        buffer_keep: Which of too many are kept: `"last"` (the default) or `"first"`.
        demand: `"forward"` (the default), or `"accumulate"`: `handle_demand` is not called until `demand(producer,
            "forward")`, so that all consumers can subscribe first.
        timeout_s: As of `Ok`.
        continue_with: As of `Ok`.
    """

    demand: str = FORWARD

    def __post_init__(self) -> None:
        _Producing.__post_init__(self)
        if self.demand not in (FORWARD, ACCUMULATE):
            raise OptionError(f"demand={self.demand!r}: use 'forward' or 'accumulate'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerConsumer(_Producing):
    """From `init`: this stage gets events and emits others.

    Attributes:
        subscribe_to: Producers: each a `SubscribeTo`, or a pid or name.
        dispatcher: As of `Producer`.
        buffer_size: As of `Producer`, but by default without a bound: it holds at most what one batch gave too much.
        buffer_keep: As of `Producer`.
        timeout_s: As of `Ok`.
        continue_with: As of `Ok`.
    """

    buffer_size: int | None = None
    subscribe_to: Sequence[Hashable] = ()

    def __post_init__(self) -> None:
        _Producing.__post_init__(self)
        _check_list(self.subscribe_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer(Ok):
    """From `init`: this stage only gets events.

    Attributes:
        subscribe_to: Producers: each a `SubscribeTo`, or a pid or name.
        timeout_s: As of `Ok`.
        continue_with: As of `Ok`.
    """

    subscribe_to: Sequence[Hashable] = ()

    def __post_init__(self) -> None:
        Ok.__post_init__(self)
        _check_list(self.subscribe_to)


def _check_list(subscribe_to: object) -> None:
    if isinstance(subscribe_to, str | SubscribeTo):
        raise OptionError(f"subscribe_to={subscribe_to!r}: give a list of producers")


@dataclass(frozen=True, slots=True)
class Manual:
    """From `handle_subscribe` of a consumer: it asks for each event itself, by `gen_stage.ask`."""


@dataclass(frozen=True, slots=True)
class Emit(NoReply):
    """From any callback but `init`, `handle_subscribe` and `terminate`: emit events, and go on.

    Attributes:
        events: What is emitted, in order.
        reply: From `handle_call`: also answer with this, once the events are on their way. Default: answer later.
        last: Whether the stage ends, with the reason `normal`, as soon as its consumers took all that it has emitted.
        timeout_s: As of `NoReply`.
        continue_with: As of `NoReply`.
    """

    events: Iterable[object]
    reply: object = ABSENT
    last: bool = False

    def result(self) -> Reply | NoReply:
        """What is left to do for a server when the events are emitted."""
        if self.reply is ABSENT:
            return NoReply(timeout_s=self.timeout_s, continue_with=self.continue_with)
        return Reply(self.reply, timeout_s=self.timeout_s, continue_with=self.continue_with)


StageInit: TypeAlias = Producer | ProducerConsumer | Consumer | Ignore | Stop | InitError
StageResult: TypeAlias = Emit | NoReply | Stop | None
StageCallResult: TypeAlias = Emit | Reply | NoReply | Stop
SubscribeResult: TypeAlias = Manual | Stop | None
