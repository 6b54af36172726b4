"""The regulators keep what they promise, whatever comes: against naive models and by their laws."""

from collections import deque
from itertools import pairwise
from math import sqrt

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from raybeam.actors import CoDel, Damper, Fair, Gradient, Overflow, Priorities, Rate, Regulation, Sample
from raybeam.actors.kernel.regulation import codel, damper, token_bucket
from raybeam.actors.kernel.regulation.fair_queue import FairQueue
from raybeam.actors.kernel.regulation.gradient import Estimate, observed
from raybeam.actors.kernel.regulation.line import Phase, Waiter
from raybeam.actors.kernel.regulation.priority import charged, pick
from raybeam.actors.kernel.regulation.regulator import Regulator

gaps = st.floats(0.0, 2.0, allow_nan=False)


# -- the token bucket ------------------------------------------------------------------------------


@given(st.floats(0.1, 50), st.integers(1, 20), st.lists(gaps, max_size=60))
def test_no_window_sees_more_tokens_than_the_burst_and_what_flowed_in(
    per_s: float, burst: int, steps: list[float]
) -> None:
    bucket, now, taken_at = token_bucket.Bucket(float(burst), 0.0), 0.0, []
    for step in steps:
        now += step / 10
        bucket = token_bucket.refilled(bucket, per_s, burst, now)
        after = token_bucket.taken(bucket)
        assert (after is None) == (token_bucket.wait_s(bucket, per_s, 1) > 0)
        if after is not None:
            bucket = after
            taken_at.append(now)

    for first, begin in enumerate(taken_at):
        for last in range(first, len(taken_at)):
            assert last - first + 1 <= burst + per_s * (taken_at[last] - begin) + 1e-6


@given(st.floats(0.1, 50), st.integers(1, 20), st.floats(0, 20), st.integers(1, 20))
def test_after_the_wait_that_is_told_there_are_tokens(per_s: float, burst: int, tokens: float, calls: int) -> None:
    bucket = token_bucket.Bucket(min(tokens, burst), 0.0)
    wait_s = token_bucket.wait_s(bucket, per_s, min(calls, burst))

    later = token_bucket.refilled(bucket, per_s, burst, wait_s)

    assert later.tokens >= min(calls, burst) - 1e-6


# -- CoDel -----------------------------------------------------------------------------------------

LIMITS = CoDel(target_s=0.1, interval_s=1.0)


@given(st.lists(st.floats(0.0, 0.099), max_size=50))
def test_codel_drops_nothing_while_waiting_times_are_below_the_target(waits: list[float]) -> None:
    episode = codel.CALM
    for number, waited_s in enumerate(waits):
        episode, dropped = codel.judge(LIMITS, episode, waited_s, number * 0.5, behind=9)
        assert not dropped


@given(st.lists(st.tuples(st.floats(0.1, 1.0), st.floats(0.01, 0.2)), max_size=40))
def test_codel_lets_a_burst_shorter_than_the_interval_pass(calls: list[tuple[float, float]]) -> None:
    episode, now = codel.CALM, 0.0
    for waited_s, step in calls:
        now += step
        if now >= 1.0:
            break
        episode, dropped = codel.judge(LIMITS, episode, waited_s, now, behind=9)
        assert not dropped


@given(st.integers(20, 200))
def test_codel_drops_in_a_standing_queue_at_intervals_that_shrink_with_the_root_of_the_count(per_s: int) -> None:
    episode, dropped_at, now = codel.CALM, [], 0.0
    for number in range(10 * per_s):
        now = number / per_s
        episode, dropped = codel.judge(LIMITS, episode, 0.5, now, behind=9)
        if dropped:
            dropped_at.append(now)

    assert 1.0 <= dropped_at[0] <= 1.0 + 1 / per_s
    due = dropped_at[0]
    for count, at in enumerate(dropped_at[1:], start=1):
        due += LIMITS.interval_s / sqrt(count)
        assert due - 1e-9 <= at <= due + 2 / per_s


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 1.0), st.integers(0, 3)), max_size=60))
def test_codel_never_begins_a_call_that_waited_too_long_unless_it_is_the_last(
    calls: list[tuple[float, float, int]],
) -> None:
    episode, now = codel.CALM, 0.0
    for waited_s, step, behind in calls:
        now += step
        episode, dropped = codel.judge(LIMITS, episode, waited_s, now, behind)
        if behind == 0:
            assert not dropped
        elif not dropped:
            assert waited_s <= LIMITS.longest_wait_s


# -- the adaptive limit ----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0.0001, 10.0), st.integers(1, 300)), max_size=80))
def test_the_adaptive_limit_stays_within_its_bounds(calls: list[tuple[float, int]]) -> None:
    gradient = Gradient(initial=20, least=5, most=50, window_s=0.5, window_calls=2)
    estimate = Estimate(20.0)
    for number, (took_s, in_flight) in enumerate(calls):
        before = estimate.limit
        estimate = observed(gradient, estimate, took_s, in_flight, number * 0.3)
        assert 5 <= estimate.limit <= 50
        assert estimate.limit >= before * (1 - gradient.smoothing * 0.5) - 1e-9 or estimate.limit == 50


# -- priorities ------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 10), min_size=2, max_size=5),
    st.integers(0, 10),
    st.lists(st.sets(st.integers(0, 4)), max_size=120),
)
def test_a_class_that_waits_gets_its_reserved_share_and_no_turn_is_lost(
    weights: list[int], free: int, others: list[set[int]]
) -> None:
    shares = [weight / (sum(weights) + free) for weight in weights]
    for watched in range(len(shares)):
        owed: tuple[float, ...] = (0.0,) * len(shares)
        served = 0
        for turn, waits in enumerate(others, start=1):
            waiting = [1 if index in waits or index == watched else 0 for index in range(len(shares))]
            index = pick(shares, owed, waiting)
            assert waiting[index]
            owed = charged(shares, owed, waiting, index)
            served += index == watched
            assert served >= shares[watched] * turn - len(shares)


@given(st.integers(1, 40))
def test_what_is_not_reserved_goes_to_the_most_urgent_class(turns: int) -> None:
    shares, served = (0.2, 0.2, 0.1), [0, 0, 0]
    owed: tuple[float, ...] = (0.0, 0.0, 0.0)
    for _ in range(10 * turns):
        index = pick(shares, owed, (1, 1, 1))
        owed = charged(shares, owed, (1, 1, 1), index)
        served[index] += 1

    assert served[1] <= 2 * turns
    assert served[2] <= turns
    assert served[0] >= 7 * turns


# -- the fair queue --------------------------------------------------------------------------------


class FairQueueModel(RuleBasedStateMachine):
    """A fair queue beside a naive model: a list of calls for each tenant."""

    waiters = Bundle("waiters")

    def __init__(self) -> None:
        super().__init__()
        self.fair = Fair({"a": 2.0, "b": 0.5})
        self.queue: FairQueue[int] = FairQueue(self.fair)
        self.model: dict[str, list[Waiter[int]]] = {}
        self.count = 0

    @rule(target=waiters, tenant=st.sampled_from("abcd"))
    def comes(self, tenant: str) -> Waiter[int]:
        self.count += 1
        waiter = Waiter(self.count, 0.0, None, self.queue.line(tenant))
        self.queue.append(waiter)
        self.model.setdefault(tenant, []).append(waiter)
        return waiter

    @rule(waiter=consumes(waiters))
    def leaves(self, waiter: Waiter[int]) -> None:
        if waiter.phase is Phase.WAITING:
            self.queue.leave(waiter)
            self._forget(waiter)

    @precondition(lambda self: self.queue.depth)
    @rule()
    def is_served(self) -> None:
        line = self.queue.next_line()
        waiter = self.queue.oldest(line)
        self.queue.charge(line)
        assert waiter is self.model[line.tenant][0]
        waiter.phase = Phase.GONE
        self._forget(waiter)

    @precondition(lambda self: self.queue.depth)
    @rule()
    def the_longest_gives_its_newest_up(self) -> None:
        line = self.queue.longest_line()
        assert line.depth == max(map(len, self.model.values()))
        waiter = self.queue.newest(line)
        assert waiter is self.model[line.tenant][-1]
        waiter.phase = Phase.GONE
        self._forget(waiter)

    def _forget(self, waiter: Waiter[int]) -> None:
        tenant = waiter.line.tenant
        self.model[tenant].remove(waiter)
        if not self.model[tenant]:
            del self.model[tenant]

    @invariant()
    def counts_agree(self) -> None:
        assert self.queue.depth == sum(map(len, self.model.values()))
        assert self.queue.tenants == len(self.model)


TestFairQueue = FairQueueModel.TestCase


@given(st.lists(st.floats(0.25, 4.0), min_size=2, max_size=5), st.integers(1, 200))
def test_tenants_that_wait_all_the_time_are_served_by_their_weights(weights: list[float], turns: int) -> None:
    fair = Fair({str(index): weight for index, weight in enumerate(weights)})
    queue: FairQueue[int] = FairQueue(fair)
    served = dict.fromkeys(fair.weights, 0)
    for tenant in served:
        for number in range(2):
            queue.append(Waiter(number, 0.0, None, queue.line(tenant)))
    for _ in range(turns):
        line = queue.next_line()
        queue.oldest(line).phase = Phase.GONE
        queue.charge(line)
        served[line.tenant] += 1
        queue.append(Waiter(0, 0.0, None, queue.line(line.tenant)))

    rounds = [count / fair.turns(tenant) for tenant, count in served.items()]
    assert max(rounds) - min(rounds) <= 2 + 1e-6


# -- the damper ------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=80))
def test_the_damper_follows_load_up_at_once_and_down_only_after_calm(samples: list[tuple[float, float]]) -> None:
    limits = Damper(cpu=(0.5, 0.7, 0.9), memory=(0.8,), margin=0.1, calm_s=3.0)
    damping, changes = damper.NO_DAMPING, []
    for now, (cpu, memory) in enumerate(samples):
        before = damping
        damping = damper.sampled(limits, damping, Sample(cpu, memory), float(now))
        reached = sum(cpu >= step for step in limits.cpu)
        assert damping.cpu.level >= reached
        assert damping.cpu.level in (before.cpu.level, before.cpu.level - 1, reached)
        assert 0.1 <= damper.factor(limits, damping) <= 1
        if damping.cpu.level < before.cpu.level:
            calm = [each[0] for each in samples[now - 3 : now + 1]]
            assert all(each < limits.cpu[before.cpu.level - 1] - limits.margin for each in calm)
            changes.append(now)

    assert all(later - earlier >= 3 for earlier, later in pairwise(changes))


# -- all together ----------------------------------------------------------------------------------

parts = st.fixed_dictionaries(
    {},
    optional={
        "queue_limit": st.integers(1, 8),
        "overflow": st.sampled_from(Overflow),
        "codel": st.just(CoDel(0.2, 1.0)),
        "rate": st.builds(Rate, st.sampled_from([0.5, 3.0]), st.integers(1, 3), st.sampled_from([0.0, 2.0])),
        "concurrency": st.one_of(st.integers(1, 3), st.just(Gradient(2, 1, 4, window_s=0.5, window_calls=2))),
        "priorities": st.just(Priorities({"high": 0.5, "low": 0.2})),
        "fair": st.just(Fair({"a": 2.0})),
        "damper": st.just(Damper(calm_s=1.0)),
    },
)
events = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "take", "done", "cancel", "sample"]),
        st.floats(0.0, 0.7),
        st.sampled_from("abc"),
        st.sampled_from(["", "high", "low"]),
        st.integers(0, 5),
    ),
    max_size=120,
)


@given(parts, events)
def test_a_regulator_loses_no_call_and_leaves_no_turn_unused(
    options: dict[str, object], happenings: list[tuple[str, float, str, str, int]]
) -> None:
    regulation = Regulation(**options)  # type: ignore[arg-type]  # checked by the strategy
    regulator: Regulator[int] = Regulator(regulation, 0.0)
    waiting: dict[int, Waiter[int]] = {}
    under_way: deque[Waiter[int]] = deque()
    now, number, finished, refused_count = 0.0, 0, 0, 0
    for kind, step, tenant, priority, which in happenings:
        now += step
        if kind == "arrive":
            number += 1
            arrival = regulator.arrive(number, now, tenant=tenant, priority=priority, deadline_at=now + which)
            if arrival.waiter is not None:
                waiting[number] = arrival.waiter
            for refused in arrival.refused:
                refused_count += 1
                assert refused.retry_after_s > 0
                if refused.item != number:
                    del waiting[refused.item]
        elif kind == "take":
            could = regulator.ready_at(now) == now
            turn = regulator.take(now)
            for refused in turn.refused:
                refused_count += 1
                del waiting[refused.item]
            if turn.waiter is not None:
                assert could
                assert waiting.pop(turn.waiter.item) is turn.waiter
                assert turn.waiter.deadline is not None
                assert now <= turn.waiter.deadline
                under_way.append(turn.waiter)
            elif could:
                assert turn.refused
            else:
                assert not waiting or turn.full or turn.ready_at is not None
                assert turn.ready_at is None or turn.ready_at > now
        elif kind == "done" and under_way:
            regulator.done(under_way.popleft(), now)
            finished += 1
        elif kind == "cancel" and waiting:
            regulator.cancel(waiting.pop(sorted(waiting)[which % len(waiting)]))
        elif kind == "sample":
            regulator.sample(Sample(which / 5, which / 5), now)

        counters = regulator.counters()
        assert counters.depth == len(waiting) <= regulation.queue_limit
        assert counters.under_way == len(under_way)
        assert counters.begun == finished + len(under_way)
        assert counters.refused == refused_count
        assert counters.accepted == counters.begun + counters.depth + sum(counters.dropped.values())
        if isinstance(regulation.concurrency, int):
            assert counters.under_way <= regulation.concurrency
        if regulation.rate is not None:
            assert counters.begun <= regulation.rate.burst + regulation.rate.per_s * now + 1e-6
