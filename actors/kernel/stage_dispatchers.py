"""Dispatchers: which consumer of a producer gets which event. Each is a value: option and state in one.

A dispatcher never hands a consumer more events than it asked for, and keeps the order of the events of each consumer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Never, Protocol, cast

from ..errors import OptionError
from .fifo import Fifo

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from .stage_options import SubscribeTo
    from .stage_protocol import Subscription


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events for the consumer of one subscription."""

    tag: Hashable
    events: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """Outcome of `dispatch`.

    Attributes:
        dispatcher: From now on.
        deliveries: What goes where.
        rest: Events that nobody has asked for, to be given again later.
        dropped: How many events can go to nobody ever.
    """

    dispatcher: Dispatcher
    deliveries: tuple[Delivery, ...]
    rest: tuple[object, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Outcome of `subscribe`: not so, and why."""

    reason: object


class Dispatcher(Protocol):
    """Decides who gets which event. Write your own as a frozen class with these methods."""

    @property
    def room(self) -> int:
        """How many events `dispatch` takes now."""
        ...

    @property
    def held(self) -> int:
        """How many events it has taken that are not on their way yet."""
        ...

    def subscribe(self, subscription: Subscription, options: SubscribeTo) -> Dispatcher | Refused:
        """Take a consumer in; it has asked for nothing yet."""
        ...

    def cancel(self, tag: Hashable) -> Dispatcher:
        """Let a consumer go, with all that it asked for."""
        ...

    def ask(self, tag: Hashable, count: int) -> tuple[Dispatcher, tuple[Delivery, ...]]:
        """A consumer wants `count` more events; what was held for it goes to it."""
        ...

    def dispatch(self, events: tuple[object, ...]) -> Dispatched:
        """Hand out events, as many as there is room for; only asked when there is some."""
        ...


@dataclass(frozen=True, slots=True)
class DemandDispatcher:
    """Each event goes to one consumer: to the one that wants most. The default.

    Give consumers that share the work the same `max_demand`: a greedier one gets more, and gets it first.
    """

    _demands: tuple[tuple[int, Hashable], ...] = field(default=(), repr=False)  # greatest first

    @property
    def room(self) -> int:
        """What all consumers together want."""
        return sum(demand for demand, _ in self._demands)

    @property
    def held(self) -> int:
        """Nothing, ever."""
        return 0

    def subscribe(self, subscription: Subscription, options: SubscribeTo) -> DemandDispatcher:
        """Anybody may, more than once."""
        return DemandDispatcher((*self._demands, (0, subscription.tag)))

    def cancel(self, tag: Hashable) -> DemandDispatcher:
        """What it wanted nobody wants any more."""
        return DemandDispatcher(tuple(demand for demand in self._demands if demand[1] != tag))

    def ask(self, tag: Hashable, count: int) -> tuple[DemandDispatcher, tuple[Delivery, ...]]:
        """It wants so many more."""
        before = next(demand for demand, other in self._demands if other == tag)
        others = tuple(demand for demand in self._demands if demand[1] != tag)
        return DemandDispatcher(_ranked(before + count, tag, others)), ()

    def dispatch(self, events: tuple[object, ...]) -> Dispatched:
        """The greatest demand is met first, then the next."""
        demands, deliveries, done = self._demands, [], 0
        while done < len(events) and demands and demands[0][0] > 0:
            demand, tag = demands[0]
            part = events[done : done + demand]
            done += len(part)
            deliveries.append(Delivery(tag, part))
            demands = _ranked(demand - len(part), tag, demands[1:])
        return Dispatched(DemandDispatcher(demands), tuple(deliveries), events[done:])


def _ranked(demand: int, tag: Hashable, others: tuple[tuple[int, Hashable], ...]) -> tuple[tuple[int, Hashable], ...]:
    """`others` with one more, behind those that want as much."""
    place = next((index for index, (other, _) in enumerate(others) if other < demand), len(others))
    return (*others[:place], (demand, tag), *others[place:])


@dataclass(frozen=True, slots=True)
class _Listener:
    tag: Hashable
    consumer: Hashable
    selector: Callable[[object], object] | None
    demand: int = 0


@dataclass(frozen=True, slots=True)
class BroadcastDispatcher:
    """Each event goes to all consumers: the slowest sets the pace.

    A consumer may give a `selector`: it gets only the events for which `selector(event)` is true. A process subscribes
    once; more is refused with `"already_subscribed"`, which does not stop it. Until a new consumer has asked for
    something, events wait in the producer's buffer.
    """

    _listeners: tuple[_Listener, ...] = field(default=(), repr=False)

    @property
    def room(self) -> int:
        """What every consumer can take."""
        return min((listener.demand for listener in self._listeners), default=0)

    @property
    def held(self) -> int:
        """Nothing, ever."""
        return 0

    def subscribe(self, subscription: Subscription, options: SubscribeTo) -> BroadcastDispatcher | Refused:
        """Once for each process."""
        if any(listener.consumer == subscription.consumer for listener in self._listeners):
            return Refused("already_subscribed")
        selector = cast("Callable[[object], object] | None", options.selector)  # it takes what the producer emits
        listener = _Listener(subscription.tag, subscription.consumer, selector)
        return BroadcastDispatcher((*self._listeners, listener))

    def cancel(self, tag: Hashable) -> BroadcastDispatcher:
        """The others need not wait for it any more."""
        return BroadcastDispatcher(tuple(listener for listener in self._listeners if listener.tag != tag))

    def ask(self, tag: Hashable, count: int) -> tuple[BroadcastDispatcher, tuple[Delivery, ...]]:
        """It wants so many more."""
        listeners = tuple(
            replace(listener, demand=listener.demand + count) if listener.tag == tag else listener
            for listener in self._listeners
        )
        return BroadcastDispatcher(listeners), ()

    def dispatch(self, events: tuple[object, ...]) -> Dispatched:
        """As many as every consumer can take; what its selector refuses costs a consumer nothing."""
        listeners, done = self._listeners, 0
        selected: dict[Hashable, tuple[object, ...]] = {listener.tag: () for listener in listeners}
        while (room := BroadcastDispatcher(listeners).room) and done < len(events):
            part = events[done : done + room]
            done += len(part)
            served = []
            for listener in listeners:
                select = listener.selector
                wanted = part if select is None else tuple(event for event in part if select(event))
                selected[listener.tag] += wanted
                served.append(replace(listener, demand=listener.demand - len(wanted)))
            listeners = tuple(served)
        deliveries = tuple(Delivery(tag, wanted) for tag, wanted in selected.items() if wanted)
        return Dispatched(BroadcastDispatcher(listeners), deliveries, events[done:])


@dataclass(frozen=True, slots=True)
class _Partition:
    tag: Hashable = None
    demand: int = 0
    queue: Fifo[object] = field(default_factory=Fifo)  # empty while there is demand


@dataclass(frozen=True, slots=True)
class PartitionDispatcher:
    """Each event goes to the one consumer of its partition.

    Events of a partition that wants none now, or has no consumer yet or any more, wait for it; they count against what
    the others may ask for, so that no more wait than all consumers together have asked for: a partition that stands
    still stops the others in the end.

    Attributes:
        partitions: How many there are, named from 0; or their names.
        by: The name of the partition of an event. Default: by the event's hash, the same for equal events as long as
            the producer's OS process lives. An event for a partition that does not exist is discarded, and counted.
    """

    partitions: int | tuple[Hashable, ...]
    by: Callable[[Never], Hashable] | None = None
    _taken: Mapping[Hashable, _Partition] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.partitions or (isinstance(self.partitions, int) and self.partitions < 1):
            raise OptionError(f"partitions={self.partitions!r}: give how many there are, or their names")

    @property
    def room(self) -> int:
        """What all consumers together want, without what waits for others."""
        return max(0, sum(partition.demand - len(partition.queue) for partition in self._taken.values()))

    @property
    def held(self) -> int:
        """What waits for its partition."""
        return sum(len(partition.queue) for partition in self._taken.values())

    def _has(self, name: Hashable) -> bool:
        if isinstance(self.partitions, int):
            return isinstance(name, int) and 0 <= name < self.partitions
        return name in self.partitions

    def subscribe(self, subscription: Subscription, options: SubscribeTo) -> PartitionDispatcher | Refused:
        """One for each partition."""
        name = options.partition
        if not self._has(name):
            return Refused(("unknown_partition", name))
        partition = self._taken.get(name, _Partition())
        if partition.tag is not None:
            return Refused(("partition_taken", name))
        return self._with({name: replace(partition, tag=subscription.tag)})

    def cancel(self, tag: Hashable) -> PartitionDispatcher:
        """What waits in its partition waits for the next one."""
        name = self._of(tag)
        return self._with({name: replace(self._taken[name], tag=None, demand=0)})

    def ask(self, tag: Hashable, count: int) -> tuple[PartitionDispatcher, tuple[Delivery, ...]]:
        """What waits in its partition goes first."""
        name = self._of(tag)
        partition = self._taken[name]
        events, queue = partition.queue.taken(count)
        partition = replace(partition, demand=partition.demand + count - len(events), queue=queue)
        return self._with({name: partition}), (Delivery(tag, events),) if events else ()

    def dispatch(self, events: tuple[object, ...]) -> Dispatched:
        """Sort into the partitions, as many as there is room for."""
        room, dropped, done = self.room, 0, 0
        sorted_: dict[Hashable, list[object]] = {}
        for event in events:
            if not room:
                break
            done += 1
            name = self._name(event)
            if not self._has(name):
                dropped += 1
                continue
            sorted_.setdefault(name, []).append(event)
            room -= 1
        changed, deliveries = {}, []
        for name, given in sorted_.items():
            partition = self._taken.get(name, _Partition())
            now, later = tuple(given[: partition.demand]), tuple(given[partition.demand :])
            if now:
                deliveries.append(Delivery(partition.tag, now))
            changed[name] = replace(partition, demand=partition.demand - len(now), queue=partition.queue.added(later))
        return Dispatched(self._with(changed), tuple(deliveries), events[done:], dropped)

    def _name(self, event: object) -> Hashable:
        if self.by is not None:
            return cast("Callable[[object], Hashable]", self.by)(event)
        names = self.partitions
        return hash(event) % names if isinstance(names, int) else names[hash(event) % len(names)]

    def _of(self, tag: Hashable) -> Hashable:
        return next(name for name, partition in self._taken.items() if partition.tag == tag)

    def _with(self, changed: Mapping[Hashable, _Partition]) -> PartitionDispatcher:
        return replace(self, _taken={**self._taken, **changed})
