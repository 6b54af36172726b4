"""What must hold of scaling decisions whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.autoscaler.kernel.bounds import Bounds
from raybeam.autoscaler.kernel.combine import Most
from raybeam.autoscaler.kernel.erlang import cheapest, erlang_b, erlang_c, later_than
from raybeam.autoscaler.kernel.plan import Bundles, Candidate, MachineType, pack, victims
from raybeam.autoscaler.kernel.queue_depth import QueueDepth
from raybeam.autoscaler.kernel.snapshot import Snapshot
from raybeam.autoscaler.kernel.target_utilisation import TargetUtilisation

COUNTS = st.integers(0, 2000)
SECONDS = st.floats(0, 1000, allow_nan=False)

snapshots = st.builds(
    Snapshot,
    time_s=st.just(0.0),
    queue=COUNTS,
    in_flight=COUNTS,
    arrivals=COUNTS,
    completions=COUNTS,
    service_s=st.none() | SECONDS,
    service_cv=st.none() | st.floats(0, 50),
    oldest_wait_s=SECONDS,
    ready=st.integers(0, 200),
    starting=st.integers(0, 200),
    draining=st.integers(0, 50),
    slots=st.integers(1, 16),
    machines_ready=st.integers(0, 60),
    machines_pending=st.integers(0, 60),
    fresh=st.booleans(),
)
logs = st.lists(st.tuples(st.floats(0.05, 90), snapshots), min_size=1, max_size=40)


def timed(log: list[tuple[float, Snapshot]]) -> list[Snapshot]:
    """The snapshots with rising times."""
    now, found = 0.0, []
    for pause_s, snapshot in log:
        now += pause_s
        found.append(replace(snapshot, time_s=now))
    return found


@given(log=logs, least=st.integers(0, 20), more=st.integers(0, 100))
@settings(deadline=None)
def test_decisions_stay_within_the_bounds_and_no_number_is_nan(
    log: list[tuple[float, Snapshot]], least: int, more: int
) -> None:
    policy = Most(QueueDepth(bounds=Bounds(least, least + more)), TargetUtilisation(bounds=Bounds(least, least + more)))
    known = policy.start()
    for snapshot in timed(log):
        decision, known = policy.decide(snapshot, known)

        assert least <= decision.replicas <= least + more
        assert decision.machines is None or 0 <= decision.machines <= least + more
        assert all(isfinite(value) for value in decision.terms.values())
        assert decision.reason


@given(log=logs)
@settings(deadline=None)
def test_the_same_snapshots_give_the_same_decisions(log: list[tuple[float, Snapshot]]) -> None:
    policy = QueueDepth()
    first, second = policy.start(), policy.start()
    for snapshot in timed(log):
        one, first = policy.decide(snapshot, first)
        two, second = policy.decide(snapshot, second)

        assert one == two


@given(log=logs, most=st.integers(1, 5000))
@settings(deadline=None)
def test_nobody_who_serves_goes_while_others_are_starting(log: list[tuple[float, Snapshot]], most: int) -> None:
    policy = QueueDepth(bounds=Bounds(0, most))
    known = policy.start()
    for snapshot in timed(log):
        decision, known = policy.decide(snapshot, known)

        assert not snapshot.starting or decision.replicas >= min(snapshot.ready, most)


@given(most=st.integers(1, 6), need=st.integers(10, 40), start=st.integers(0, 12), by_policy=st.booleans())
@settings(deadline=None, max_examples=20)
def test_what_a_bound_does_not_grant_is_no_change_of_mind(most: int, need: int, start: int, by_policy: bool) -> None:
    policy = QueueDepth(service_s=0.5, bounds=Bounds(1, most if by_policy else 1000))
    known, wanted, serving, queue, orders = policy.start(), 1, [1] * (start + 1), 0, []
    for second in range(90):
        busy = min(serving[0], wanted)
        arrivals = 2 * need
        done = min(2 * busy, queue + arrivals)
        queue += arrivals - done
        seen = Snapshot(
            float(second), queue, busy, arrivals, done, 0.5 if done else None, ready=busy, starting=wanted - busy
        )
        decision, known = policy.decide(seen, known)
        wanted = min(decision.replicas, most)
        serving = [*serving[1:], wanted]
        orders.append(wanted)

    assert sorted(orders) == orders
    assert orders[-1] == most


@given(log=logs)
@settings(deadline=None)
def test_a_time_that_has_been_changes_nothing(log: list[tuple[float, Snapshot]]) -> None:
    policy = QueueDepth()
    known = policy.start()
    for snapshot in timed(log):
        _, known = policy.decide(snapshot, known)
        again, same = policy.decide(replace(snapshot, arrivals=2000, queue=2000, fresh=True), known)

        assert known.last is None or (again.replicas == snapshot.ready + snapshot.starting and same == known)


@given(log=logs)
@settings(deadline=None)
def test_stale_numbers_neither_order_nor_end_anything(log: list[tuple[float, Snapshot]]) -> None:
    policy = QueueDepth()
    known = policy.start()
    for snapshot in timed(log):
        decision, known = policy.decide(snapshot, known)

        assert snapshot.fresh or decision.replicas == snapshot.ready + snapshot.starting


@given(low=st.integers(0, 80), more=st.integers(1, 200), seconds=st.integers(5, 60))
@settings(deadline=None, max_examples=40)
def test_more_load_never_gets_fewer_replicas(low: int, more: int, seconds: int) -> None:
    def replicas(rate: int) -> int:
        policy = QueueDepth(service_s=0.5)
        known = policy.start()
        for second in range(seconds):
            seen = Snapshot(float(second), arrivals=rate, completions=rate, service_s=0.5, service_cv=1.0)
            decision, known = policy.decide(seen, known)
        return decision.replicas

    assert replicas(low) <= replicas(low + more)


@given(load=st.floats(0.01, 300), servers=st.integers(0, 400))
def test_erlangs_shares_are_shares_and_waiting_is_likelier_than_loss(load: float, servers: int) -> None:
    assert 0 <= erlang_b(servers, load) <= 1
    assert erlang_b(servers, load) <= erlang_c(servers, load) + 0.01 <= 1.01


@given(load=st.floats(0.01, 300), servers=st.integers(1, 400), wait_s=st.floats(0, 50), cv=st.floats(0, 5))
def test_one_more_server_never_makes_anybody_wait_longer(load: float, servers: int, wait_s: float, cv: float) -> None:
    fewer, more = (later_than(wait_s, number, load, 1.0, cv) for number in (servers, servers + 1))

    assert more <= fewer + 1e-12


@given(load=st.floats(0.01, 300), more=st.floats(0, 100))
def test_a_larger_load_needs_no_fewer_servers(load: float, more: float) -> None:
    assert cheapest(load, 0.5, 1.0, 10.0) <= cheapest(load + more, 0.5, 1.0, 10.0)


amounts = st.floats(0.1, 8)
types = st.lists(
    st.builds(
        lambda cpus, memory, price, most: ({"CPU": cpus, "memory": memory}, price, most),
        st.floats(1, 32),
        st.floats(1, 64),
        st.floats(0.1, 10),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=4,
).map(
    lambda found: [
        MachineType(f"type {number}", resources, price, max_machines=most)
        for number, (resources, price, most) in enumerate(found)
    ]
)
families = st.lists(
    st.tuples(st.integers(0, 30), st.fixed_dictionaries({"CPU": amounts, "memory": amounts})), min_size=1, max_size=4
).map(lambda found: [Bundles(f"family {number}", count, needs) for number, (count, needs) in enumerate(found)])


@given(wanted=families, kinds=types)
def test_a_packing_is_feasible_keeps_the_maxima_and_forgets_nobody(
    wanted: list[Bundles], kinds: list[MachineType]
) -> None:
    plan = pack(wanted, kinds)

    needs = {bundles.family: bundles.resources for bundles in wanted}
    placed = [family for machine in plan.machines for family in machine.families]
    for machine in plan.machines:
        assert all(left >= -1e-6 for left in machine.free(needs).values())
        assert machine.families
    for kind in kinds:
        assert plan.count().get(kind.name, 0) <= kind.max_machines
    for bundles in wanted:
        assert placed.count(bundles.family) + plan.homeless.get(bundles.family, 0) == bundles.replicas
    assert len(plan.request()) == len(plan.machines)


candidates = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c"]), st.booleans(), st.integers(0, 3), st.booleans()), max_size=12
).map(
    lambda found: [
        Candidate(str(number), machine, ready and machine is not None, busy if ready and machine else 0, only)
        for number, (machine, ready, busy, only) in enumerate(found)
    ]
)


@given(replicas=candidates, surplus=st.integers(0, 12))
def test_victims_never_hold_the_only_copy_nor_serve_while_others_start(replicas: list[Candidate], surplus: int) -> None:
    chosen = victims(replicas, surplus)
    named = {each.name: each for each in replicas}

    assert len(chosen) == len(set(chosen)) <= surplus
    assert not any(named[name].only_copy for name in chosen)
    unborn = [each for each in replicas if not each.ready and not each.only_copy]
    if unborn:
        assert not any(named[name].ready for name in chosen)
