"""Replicas and machines in a simulation: how long they take, where they go, what they cost."""

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.kernel.policy import Decision
from raybeam.autoscaler.kernel.snapshot import Snapshot
from raybeam.autoscaler.simulator import Calls, Family, Faults, Sensor, World, simulate
from raybeam.autoscaler.workload import Constant, Exponential, LogNormal, Steady, Trace, draw
from tests.unit.autoscaler.simulator.policies import Fixed, Saying, at_times

WORLD = World(start_s=10.0, boot_s=45.0, places=4, machine_idle_s=60.0)


def quiet(duration_s: float = 300.0) -> Trace:
    """One request, at the very end."""
    return Trace("quiet", [duration_s - 0.5], [0.1], duration_s)


def test_a_replica_serves_after_its_start_time_where_a_machine_has_a_place() -> None:
    policy = at_times((0.0, 1), (20.0, 2))
    simulate(WORLD, Family("a", quiet(), policy))

    ready = {snapshot.time_s: (snapshot.ready, snapshot.starting) for snapshot in policy.seen}
    assert (ready[20.0], ready[21.0], ready[29.0], ready[31.0]) == ((1, 0), (1, 1), (1, 1), (2, 0))


def test_starts_that_were_measured_are_played_again() -> None:
    policy = at_times((0.0, 1), (20.0, 2), (100.0, 3))
    world = World(starts=((15.0, 3.0), (90.0, 30.0)))
    simulate(world, Family("a", quiet(), policy))

    ready = {snapshot.time_s: snapshot.ready for snapshot in policy.seen}
    assert (ready[22.0], ready[24.0], ready[129.0], ready[131.0]) == (1, 2, 2, 3)


def test_without_a_place_a_machine_boots_first() -> None:
    policy = at_times((0.0, 4), (20.0, 5))
    run = simulate(WORLD, Family("a", quiet(), policy, initial=4))["a"]

    seen = {snapshot.time_s: snapshot for snapshot in policy.seen}
    assert (seen[21.0].machines_ready, seen[21.0].machines_pending, seen[21.0].starting) == (1, 1, 1)
    assert (seen[66.0].machines_ready, seen[66.0].machines_pending, seen[66.0].ready) == (2, 0, 4)
    assert (seen[74.0].ready, seen[76.0].ready) == (4, 5)
    assert run.machine_s == pytest.approx(300 + 280)
    assert run.replica_s == pytest.approx(4 * 300 + 300 - 65)
    assert run.cost == pytest.approx(run.replica_s + 0.25 * (run.machine_s * 4 - run.replica_s))


def test_a_request_waits_for_the_replica_that_was_started_for_it() -> None:
    trace = Trace("one", [20.5], [1.0], 100.0)
    policy = Saying(lambda snapshot: 1 if snapshot.queue or snapshot.ready or snapshot.starting else 0, [])
    run = simulate(WORLD, Family("a", trace, policy, initial=0))["a"]

    assert list(run.waits) == [pytest.approx(0.5 + 45 + 10)]
    assert max(snapshot.oldest_wait_s for snapshot in policy.seen) == pytest.approx(55.5)


def test_a_replica_that_is_not_wanted_answers_what_it_has_first() -> None:
    trace = Trace("long", [10.0, 150.0], [30.0, 0.1], 200.0)
    policy = at_times((0.0, 1), (20.0, 0))
    run = simulate(WORLD, Family("a", trace, policy, initial=1))["a"]

    draining = [snapshot.time_s for snapshot in policy.seen if snapshot.draining]
    assert (draining[0], draining[-1]) == (21.0, 39.0)
    assert run.replica_s == pytest.approx(40.0)
    assert list(run.pending) == [pytest.approx(50.0)]


def test_idle_replicas_end_first_and_of_them_those_on_the_emptiest_machine() -> None:
    trace = Trace("one long", [1.0], [200.0], 300.0)
    policy = at_times((0.0, 5), (20.0, 1))
    run = simulate(WORLD, Family("a", trace, policy, initial=5))["a"]

    assert max(snapshot.draining for snapshot in policy.seen) == 0
    assert list(run.waits) == [0.0]
    assert policy.seen[-1].machines_ready == 1


def test_what_does_not_serve_yet_ends_before_what_does() -> None:
    policy = at_times((0.0, 2), (20.0, 9), (25.0, 2))
    simulate(WORLD, Family("a", quiet(), policy, initial=2))

    assert [snapshot.ready for snapshot in policy.seen if snapshot.time_s >= 20.0] == [2] * 281
    assert all(snapshot.draining == 0 for snapshot in policy.seen)


def test_an_empty_machine_is_given_back_after_a_while_unless_the_policy_wants_it() -> None:
    machines = {}
    for wanted in (None, 2):
        policy = at_times((0.0, 5), (20.0, 1))
        family = Family("a", quiet(), Wanting(policy, wanted), initial=5)
        machines[wanted] = simulate(WORLD, family)["a"].timeline.column("machines_ready")

    assert (machines[None][78], machines[None][80], machines[2][-1]) == (2, 1, 2)


class Wanting:
    """Another policy, with a floor of machines."""

    def __init__(self, policy: Saying, machines: int | None) -> None:
        self.policy, self.machines = policy, machines

    def start(self) -> int:
        return self.policy.start()

    def decide(self, snapshot: Snapshot, state: int) -> tuple[Decision, int]:
        decision, state = self.policy.decide(snapshot, state)
        return Decision(decision.replicas, self.machines), state


def test_machines_that_are_wanted_ahead_are_there_when_replicas_come() -> None:
    run = simulate(WORLD, Family("a", quiet(), Fixed(1, machines=3)))["a"]

    assert run.timeline.column("machines_ready")[-1] == 3
    assert run.machine_s == pytest.approx(300 + 2 * 299)


def test_there_are_never_more_machines_or_replicas_than_allowed() -> None:
    world = World(max_machines=2, places=4)
    run = simulate(world, Family("a", quiet(), Fixed(50), max_replicas=20))["a"]

    assert max(run.timeline.column("machines_ready")) == 2
    assert max(run.timeline.column("ready")) == 8
    assert run.timeline.column("target")[-1] == 20


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    trace = draw("t", Steady(20.0), LogNormal(0.2, 1.0), 300.0, 1)

    def play(seed: int) -> tuple[list[float], float]:
        policy = Saying(lambda snapshot: 3 + snapshot.queue // 3, [])
        sensor, faults = Sensor(noise=0.3, lag_s=3.0, loss=0.2), Faults(replica_mtbf_s=100.0)
        run = simulate(WORLD, Family("a", trace, policy, initial=5), sensor=sensor, faults=faults, seed=seed)["a"]
        return list(run.waits), run.cost

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_counts_of_a_policy_add_up() -> None:
    trace = draw("t", Steady(20.0), Exponential(0.2), 300.0, 1)
    policy = Saying(lambda snapshot: 6, [])
    simulate(WORLD, Family("a", trace, policy, initial=6))

    arrived = completed = 0
    for snapshot in policy.seen:
        arrived += snapshot.arrivals
        completed += snapshot.completions
        assert snapshot.queue + snapshot.in_flight == arrived - completed
        assert snapshot.in_flight <= 6
    assert arrived == len(trace.times)
    took = [(seen.service_s or 0.0) * seen.completions for seen in policy.seen]
    assert sum(took) / completed == pytest.approx(0.2, rel=0.05)


def test_a_replica_that_dies_is_replaced_and_its_requests_served_again() -> None:
    trace = Trace("t", [5.0 + index for index in range(100)], [0.5] * 100, 300.0)
    policy = Saying(lambda snapshot: 4, [])
    run = simulate(WORLD, Family("a", trace, policy, initial=4), faults=Faults(replica_mtbf_s=20.0), seed=3)["a"]

    assert len(run.waits) == 100
    assert not run.pending
    assert max(run.waits) > 0.0
    assert sum(snapshot.completions for snapshot in policy.seen) == 100
    assert min(snapshot.ready for snapshot in policy.seen) < 4


def test_a_lost_machine_takes_its_replicas_with_it() -> None:
    policy = Saying(lambda snapshot: 4, [])
    run = simulate(WORLD, Family("a", quiet(), policy, initial=4), faults=Faults(machines_lost_s=(50.5,)))["a"]

    ready = {snapshot.time_s: snapshot.ready for snapshot in policy.seen}
    assert (ready[50.0], ready[51.0], ready[105.0], ready[106.0]) == (4, 0, 0, 4)
    assert run.machine_s == pytest.approx(300.0)


def test_machines_that_die_at_random_are_replaced() -> None:
    trace = draw("t", Steady(5.0), Exponential(0.2), 2000.0, 1)
    policy = Saying(lambda snapshot: 8, [])
    run = simulate(WORLD, Family("a", trace, policy, initial=8), faults=Faults(machine_mtbf_s=300.0))["a"]

    assert min(snapshot.ready for snapshot in policy.seen) <= 4
    assert run.requests == len(trace.times)


def test_a_policy_may_be_told_late_and_nothing_new() -> None:
    trace = Trace("burst", [50.0] * 40, [1.0] * 40, 100.0)
    late = Saying(lambda snapshot: 1, [])
    simulate(WORLD, Family("a", trace, late), sensor=Sensor(lag_s=5.0))
    lossy = Saying(lambda snapshot: 1, [])
    simulate(WORLD, Family("a", trace, lossy), sensor=Sensor(loss=0.5))

    assert min(snapshot.time_s for snapshot in late.seen if snapshot.queue) == 56.0
    stale = [not snapshot.fresh for snapshot in lossy.seen]
    assert 25 < sum(stale) < 75
    assert all(snapshot.arrivals == 0 for snapshot in lossy.seen if not snapshot.fresh)


def test_noise_leaves_the_mean_as_it_is() -> None:
    trace = draw("t", Steady(100.0), Constant(0.1), 1000.0, 1)
    policy = Saying(lambda snapshot: 20, [])
    simulate(World(), Family("a", trace, policy, initial=20), sensor=Sensor(noise=0.5))

    arrivals = [snapshot.arrivals for snapshot in policy.seen]
    mean = sum(arrivals) / len(arrivals)
    assert mean == pytest.approx(100.0, rel=0.05)
    assert (sum((each - mean) ** 2 for each in arrivals) / len(arrivals)) ** 0.5 > 40


def test_requests_of_one_family_cause_requests_of_another() -> None:
    front = draw("front", Steady(10.0), Constant(0.1), 1000.0, 1)
    back = draw("back", Steady(1.0), Constant(0.1), 1000.0, 1)
    families = (
        Family("back", back, Fixed(10), initial=10),
        Family("front", front, Fixed(5), initial=5, calls=(Calls("back", 2.5, Exponential(0.2)),)),
    )
    runs = simulate(World(), *families)

    assert runs["front"].requests == len(front.times)
    assert runs["back"].requests == pytest.approx(len(back.times) + 2.5 * len(front.times), rel=0.02)
    assert list(runs["back"].arrivals) == sorted(runs["back"].arrivals)


def test_families_share_machines() -> None:
    families = (Family("a", quiet(), Fixed(2), initial=2), Family("b", quiet(), Fixed(2), initial=2))
    runs = simulate(WORLD, *families)

    assert runs["a"].machine_s == runs["b"].machine_s == pytest.approx(300.0)
    assert runs["a"].idle_s == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("families", "told"),
    [
        ((), "there are no families"),
        ((Family("a", quiet(), Fixed(1)), Family("a", quiet(), Fixed(1))), "each name once"),
        ((Family("a", quiet(), Fixed(1), calls=(Calls("b", 1.0, Constant(1.0)),)),), "there is no such family"),
        ((Family("a", quiet(), Fixed(1), calls=(Calls("a", 1.0, Constant(1.0)),)),), "in a circle: a"),
    ],
)
def test_families_that_cannot_be_are_refused(families: tuple[Family, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        simulate(World(), *families)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: World(interval_s=0.0),
        lambda: World(start_s=float("nan")),
        lambda: World(boot_s=-1.0),
        lambda: World(places=0),
        lambda: World(end_s=-1.0),
        lambda: World(starts=((1.0, -1.0),)),
        lambda: Faults(replica_mtbf_s=0.0),
        lambda: Faults(machines_lost_s=(-1.0,)),
        lambda: Sensor(loss=1.0),
        lambda: Sensor(noise=-0.1),
        lambda: Family("a", quiet(), Fixed(1), slots=0),
        lambda: Family("a", quiet(), Fixed(1), min_replicas=3, max_replicas=2),
        lambda: Calls("b", -1.0, Constant(1.0)),
    ],
)
def test_impossible_values_are_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(UsageError):
        wrong()


def test_a_policy_that_fails_is_told_in_one_line_with_the_place() -> None:
    class Broken:
        def start(self) -> None: ...

        def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
            raise KeyError("nothing")

    family = Family("web", draw("load", Steady(1.0), Exponential(0.1), 10.0, seed=1), Broken())
    with pytest.raises(UsageError, match=r"the policy Broken of 'web' failed after 1 s in .*, line \d+: KeyError"):
        simulate(World(), family)
