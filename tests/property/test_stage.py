"""Stages that come, go and crash in any order, over channels that keep order: nothing is lost, doubled or overrun.

The stages are kernels; the machine is their mail. A source emits numbers as it is asked to, or more; a stage in the
middle passes them on; consumers subscribe to either.
"""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raybeam.actors.kernel.stage import CONSUMER, PRODUCER, PRODUCER_CONSUMER, Stage, step
from raybeam.actors.kernel.stage_dispatchers import (
    BroadcastDispatcher,
    DemandDispatcher,
    Dispatcher,
    PartitionDispatcher,
)
from raybeam.actors.kernel.stage_events import (
    Again,
    Batch,
    CancelHandled,
    Effect,
    Emitted,
    Ended,
    Event,
    Excess,
    Handled,
    LookAgain,
    RunCancel,
    RunDemand,
    RunEvents,
    RunSubscribe,
    Send,
    StopStage,
    Subscribed,
    Subscribing,
)
from raybeam.actors.kernel.stage_options import SubscribeTo
from raybeam.actors.kernel.stage_outlet import Outlet
from raybeam.actors.kernel.stage_protocol import Ask, Cancel, Events, Subscription

SOURCE = "source"
LIMIT = 400  # numbers that the source may emit
NAMES = ("middle", "a", "b", "c")


@dataclass
class Node:
    """A stage and what its callbacks have seen."""

    name: str
    stage: Stage
    got: dict[object, list[int]] = field(default_factory=dict)  # by subscription
    owes: int = 0


class Stages(RuleBasedStateMachine):
    @initialize(
        kind=st.sampled_from(["demand", "broadcast", "partition"]),
        size=st.sampled_from([None, 0, 5]),
        keep=st.sampled_from(["first", "last"]),
    )
    def set_up(self, kind: str, size: int | None, keep: str) -> None:
        self.kind = kind
        dispatchers: dict[str, Dispatcher] = {
            "demand": DemandDispatcher(),
            "broadcast": BroadcastDispatcher(),
            "partition": PartitionDispatcher(3, by=lambda number: number % 3),
        }
        self.size = size
        self.channels: dict[tuple[str, str], deque[Event]] = {}
        self.numbers = self.tags = 0
        self.nodes = {SOURCE: Node(SOURCE, Stage(PRODUCER, Outlet(dispatchers[kind], size, keep)))}
        for name in NAMES:
            self.start(name)
        self.lost: list[int] = []  # sent to who ended before it came
        self.gone: list[tuple[str, Subscription, list[int]]] = []  # what who ended had got
        self.asked: dict[object, int] = {}
        self.sent: dict[object, int] = {}
        self.handled: dict[object, int] = {}
        self.most: dict[object, int] = {}
        self.sources: dict[object, Subscription] = {}

    def start(self, name: str) -> None:
        stage = Stage(PRODUCER_CONSUMER, Outlet(buffer_size=None)) if name == "middle" else Stage(CONSUMER)
        self.nodes[name] = Node(name, stage)

    # -- the shell -----------------------------------------------------------------------------------------------

    def feed(self, node: Node, event: Event) -> None:
        waiting = deque(self.stepped(node, event))
        while waiting:
            effect = waiting.popleft()
            match effect:
                case Send(to, message):
                    assert isinstance(to, str)
                    if isinstance(message, Events):
                        self.count(self.sent, message.subscription, len(message.events))
                        assert self.sent[message.subscription.tag] <= self.asked[message.subscription.tag]
                    if isinstance(message, Ask):
                        tag = message.subscription.tag
                        self.count(self.asked, message.subscription, message.count)
                        assert self.asked[tag] - self.handled.get(tag, 0) <= self.most[tag]
                    self.channels.setdefault((node.name, to), deque()).append(message)
                case RunSubscribe():
                    waiting.extendleft(reversed(self.stepped(node, Subscribed(effect))))
                case RunCancel():
                    waiting.extendleft(reversed(self.stepped(node, CancelHandled(effect))))
                case RunDemand(count):
                    node.owes += count
                case RunEvents(batch):
                    self.handle(node, batch, waiting)
                case Again():
                    self.channels.setdefault((node.name, node.name), deque()).append(LookAgain())
                case StopStage() | Excess():
                    raise AssertionError(f"{node.name}: {effect}")
                case _:
                    pass  # monitors are what `crash` plays

    def stepped(self, node: Node, event: Event) -> tuple[Effect, ...]:
        node.stage, effects = step(node.stage, event)
        return effects

    def count(self, counts: dict[object, int], subscription: Subscription, amount: int) -> None:
        counts[subscription.tag] = counts.get(subscription.tag, 0) + amount

    def handle(self, node: Node, batch: Batch, waiting: deque[Effect]) -> None:
        self.count(self.handled, batch.subscription, len(batch.events))
        numbers = [number for number in batch.events if isinstance(number, int)]
        node.got.setdefault(batch.subscription.tag, []).extend(numbers)
        after: tuple[Effect, ...] = ()
        if node.name == "middle":
            after = self.stepped(node, Emitted(batch.events))
        after += self.stepped(node, Handled(batch))
        waiting.extendleft(reversed(after))

    def emit(self, count: int) -> None:
        count = min(count, LIMIT - self.numbers)
        source = self.nodes[SOURCE]
        source.owes = max(0, source.owes - count)
        self.numbers += count
        self.feed(source, Emitted(tuple(range(self.numbers - count, self.numbers))))

    def deliver(self, channel: tuple[str, str]) -> None:
        message = self.channels[channel].popleft()
        node = self.nodes[channel[1]]
        if isinstance(message, Events) and message.subscription.tag not in node.stage.upstreams:
            self.lose(message)
        self.feed(node, message)

    def lose(self, message: Events) -> None:
        if message.subscription.producer == SOURCE:
            self.lost += [number for number in message.events if isinstance(number, int)]

    @property
    def busy(self) -> list[tuple[str, str]]:
        return sorted(channel for channel, messages in self.channels.items() if messages)

    # -- what happens --------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), to=st.sampled_from([SOURCE, "middle"]), most=st.integers(1, 6), data=st.data())
    def subscribe(self, name: str, to: str, most: int, data: st.DataObject) -> None:
        if name == to:
            return
        least = data.draw(st.integers(0, most - 1))
        self.tags += 1
        subscription = Subscription(to, name, self.tags)
        self.most[self.tags] = most
        self.sources[self.tags] = subscription
        options = SubscribeTo(to, most, least, "temporary", partition=NAMES.index(name))
        self.feed(self.nodes[name], Subscribing(subscription, options))

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def something_arrives(self, data: st.DataObject) -> None:
        self.deliver(data.draw(st.sampled_from(self.busy)))

    @rule(count=st.integers(1, 8))
    def the_source_answers_demand(self, count: int) -> None:
        self.emit(min(count, self.nodes[SOURCE].owes))

    @rule(count=st.integers(1, 8))
    def the_source_emits_unasked(self, count: int) -> None:
        self.emit(count)

    @rule(data=st.data())
    def a_subscription_is_cancelled(self, data: st.DataObject) -> None:
        known = [upstream.subscription for node in self.nodes.values() for upstream in node.stage.upstreams.values()]
        if known:
            subscription = data.draw(st.sampled_from(known))
            assert isinstance(subscription.consumer, str)
            assert isinstance(subscription.producer, str)
            channel = (subscription.consumer, subscription.producer)
            self.channels.setdefault(channel, deque()).append(Cancel(subscription, "enough"))

    @rule(name=st.sampled_from(NAMES))
    def crash(self, name: str) -> None:
        """It ends: what comes to it is lost, its neighbours are told behind what it sent before; a new one starts."""
        old = self.nodes[name]
        for tag, numbers in old.got.items():
            self.gone.append((name, self.sources[tag], numbers))
        for waiting in old.stage.inbox:
            if isinstance(waiting, Batch):
                self.lose(Events(waiting.subscription, waiting.events))
        for (_, to), messages in self.channels.items():
            if to == name:
                for message in messages:
                    if isinstance(message, Events):
                        self.lose(message)
                messages.clear()
        for other in self.nodes.values():
            if other.name != name:
                channel = self.channels.setdefault((name, other.name), deque())
                for subscription in self.sources.values():
                    if {subscription.producer, subscription.consumer} == {name, other.name}:
                        channel.append(Ended(subscription.tag, "crash"))
        self.start(name)

    # -- what must hold ------------------------------------------------------------------------------------------

    @invariant()
    def the_buffer_is_bounded(self) -> None:
        outlet = self.nodes[SOURCE].stage.outlet
        assert self.size is None or len(outlet.buffer) <= self.size
        assert outlet.dispatcher.held <= sum(self.most.values())

    @invariant()
    def events_wait_only_when_nobody_wants_them(self) -> None:
        for node in self.nodes.values():
            assert not (node.stage.outlet.buffer and node.stage.outlet.dispatcher.room)

    @invariant()
    def order_is_kept(self) -> None:
        for node in self.nodes.values():
            for numbers in node.got.values():
                assert numbers == sorted(set(numbers))

    def teardown(self) -> None:
        if not hasattr(self, "nodes"):
            return
        self.emit(self.nodes[SOURCE].owes)
        while self.busy:  # until all is quiet; the source gives what it has been asked for
            self.deliver(self.busy[0])
            self.emit(self.nodes[SOURCE].owes)
        self.order_is_kept()
        source, middle = self.nodes[SOURCE].stage.outlet, self.nodes["middle"].stage
        records = [(self.sources[tag], numbers) for node in self.nodes.values() for tag, numbers in node.got.items()]
        records += [(subscription, numbers) for _, subscription, numbers in self.gone]
        from_source = [number for subscription, got in records if subscription.producer == SOURCE for number in got]
        inbox = [number for batch in middle.inbox if isinstance(batch, Batch) for number in batch.events]
        if self.numbers < LIMIT:  # all that it was asked for it gave: now nobody may want more
            assert not source.dispatcher.room
        if self.kind == "broadcast":
            if not source.discarded and not self.lost:
                for subscription, numbers in records:
                    if subscription.producer == SOURCE and numbers:
                        assert numbers == list(range(numbers[0], numbers[-1] + 1))
            return
        everywhere = len(from_source) + len(inbox) + len(self.lost) + source.waiting + source.discarded
        assert everywhere == self.numbers
        seen = [*from_source, *(number for number in inbox if isinstance(number, int)), *self.lost]
        assert len(seen) == len(set(seen))


TestStages = Stages.TestCase
TestStages.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
