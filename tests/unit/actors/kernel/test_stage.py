"""The decisions of a stage that its shell hardly ever sees."""

import pytest

from raybeam.actors.kernel.stage import CONSUMER, PRODUCER, Stage, Upstream, split, step
from raybeam.actors.kernel.stage_dispatchers import DemandDispatcher, Dispatcher, PartitionDispatcher, Refused
from raybeam.actors.kernel.stage_events import (
    Ended,
    Event,
    Excess,
    RunCancel,
    RunDemand,
    RunEvents,
    RunSubscribe,
    Send,
    Subscribed,
    Subscribing,
    Unwatch,
    Watch,
)
from raybeam.actors.kernel.stage_options import SubscribeTo
from raybeam.actors.kernel.stage_protocol import Ask, Cancel, Cancelled, Events, Subscribe, Subscription

ONE = Subscription("producer", "one", 1)
TWO = Subscription("producer", "two", 2)


def play(stage: Stage, *events: Event) -> list[object]:
    """The effects of the last of some events."""
    effects: tuple[object, ...] = ()
    for event in events:
        stage, effects = step(stage, event)
    return list(effects)


def subscribed(subscription: Subscription, options: SubscribeTo | None = None) -> list[Event]:
    """What a producer sees of a subscription."""
    options = options or SubscribeTo("producer")
    return [Subscribe(subscription, options), Subscribed(RunSubscribe("consumer", options, subscription))]


def consuming(options: SubscribeTo) -> list[Event]:
    return [Subscribing(ONE, options), Subscribed(RunSubscribe("producer", options, ONE))]


def test_a_producer_watches_its_consumers_and_asks_the_callbacks_first() -> None:
    options = SubscribeTo("producer")

    assert play(Stage(PRODUCER), Subscribe(ONE, options)) == [Watch(ONE), RunSubscribe("consumer", options, ONE)]


def test_a_subscription_that_is_known_already_is_refused() -> None:
    refused = Send("one", Cancelled(ONE, "duplicated_subscription"))

    assert play(Stage(PRODUCER), *subscribed(ONE), Subscribe(ONE, SubscribeTo("producer"))) == [refused]


@pytest.mark.parametrize("event", [Ask(ONE, 1), Cancel(ONE, "enough")])
def test_who_is_not_subscribed_is_told(event: Event) -> None:
    assert play(Stage(PRODUCER), event) == [Send("one", Cancelled(ONE, "unknown_subscription"))]


def test_a_consumer_does_not_produce() -> None:
    told = play(Stage(CONSUMER), Subscribe(ONE, SubscribeTo("producer")))

    assert told == [Send("one", Cancelled(ONE, "not_a_producer"))]


def test_events_of_an_unknown_subscription_are_not_handled_and_it_is_cancelled() -> None:
    assert play(Stage(CONSUMER), Events(ONE, (1,))) == [Send("producer", Cancel(ONE, "unknown_subscription"))]


def test_the_end_of_a_consumer_is_told_after_its_demand_is_forgotten() -> None:
    events = [*subscribed(ONE), Ask(ONE, 3), Ended(1, "killed")]

    assert play(Stage(PRODUCER), *events) == [
        Unwatch(1),
        Send("one", Cancelled(ONE, "killed")),
        RunCancel("down", "killed", ONE),
    ]


def test_ends_of_strangers_mean_nothing() -> None:
    assert play(Stage(PRODUCER), Ended(7, "killed")) == []
    assert play(Stage(CONSUMER), Cancelled(ONE, "late")) == []


def test_events_that_nobody_asked_for_are_handled_told_of_and_not_asked_for_again() -> None:
    events = [*consuming(SubscribeTo("producer", max_demand=2, min_demand=0)), Events(ONE, (1, 2, 3))]

    excess, run = play(Stage(CONSUMER), *events)

    assert excess == Excess(ONE, 1)
    assert isinstance(run, RunEvents)
    assert (run.batch.events, run.batch.ask) == ((1, 2), 2)


def test_batches_are_as_long_as_the_demand_that_is_asked_for_again() -> None:
    upstream = Upstream(ONE, max_demand=1000, min_demand=750, pending=1000, mode="permanent")

    upstream, batches, excess = split(upstream, tuple(range(600)))

    assert [(len(batch.events), batch.ask) for batch in batches] == [(250, 250), (250, 250), (100, 0)]
    assert (upstream.pending, excess) == (900, 0)


def test_a_producer_that_is_asked_by_two_is_told_the_sum_as_it_grows() -> None:
    assert play(Stage(PRODUCER), *subscribed(ONE), *subscribed(TWO), Ask(ONE, 3), Ask(TWO, 4)) == [RunDemand(4)]


# -- dispatchers -----------------------------------------------------------------------------------------------------


def with_demand(dispatcher: Dispatcher, **demands: int) -> Dispatcher:
    for name, count in demands.items():
        taken = dispatcher.subscribe(Subscription("producer", name, name), SubscribeTo("producer"))
        assert not isinstance(taken, Refused)
        dispatcher, _ = taken.ask(name, count)
    return dispatcher


def test_the_greatest_demand_is_met_first_and_equals_take_turns() -> None:
    done = with_demand(DemandDispatcher(), a=2, b=3, c=2).dispatch(tuple(range(6)))

    assert [(part.tag, part.events) for part in done.deliveries] == [("b", (0, 1, 2)), ("a", (3, 4)), ("c", (5,))]
    assert (done.rest, done.dispatcher.room) == ((), 1)


def test_partitions_by_hash_cover_all_of_them() -> None:
    dispatcher: Dispatcher = PartitionDispatcher(2)
    for name in (0, 1):
        taken = dispatcher.subscribe(Subscription("producer", name, name), SubscribeTo("producer", partition=name))
        assert not isinstance(taken, Refused)
        dispatcher, _ = taken.ask(name, 10)

    done = dispatcher.dispatch(tuple(range(10)))

    assert sorted((part.tag, part.events) for part in done.deliveries) == [
        (0, (0, 2, 4, 6, 8)),
        (1, (1, 3, 5, 7, 9)),
    ]
