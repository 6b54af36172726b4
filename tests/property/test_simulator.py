"""Whatever a policy does and whatever breaks: nothing is lost, nothing is served twice, no machine holds too many."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.autoscaler.kernel.policy import Decision
from raybeam.autoscaler.simulator import Calls, Dispatch, Family, Faults, Sensor, World, clairvoyant, simulate
from raybeam.autoscaler.workload import Constant, LogNormal, Ramp, Trace, draw

if TYPE_CHECKING:
    from raybeam.autoscaler.kernel.snapshot import Snapshot


@dataclass
class Whims:
    """Wants anything at any time."""

    seed: int
    most: int
    seen: list[Snapshot] = field(default_factory=list)

    def start(self) -> Random:
        return Random(self.seed)

    def decide(self, snapshot: Snapshot, state: Random) -> tuple[Decision, Random]:
        self.seen.append(snapshot)
        floor = state.choice([None, 0, 2, 5])
        return Decision(state.randrange(self.most) if state.random() < 0.2 else snapshot.ready, floor), state


worlds = st.builds(
    World,
    interval_s=st.sampled_from([0.1, 1.0, 3.7]),
    start_s=st.sampled_from([0.0, 2.0, 10.0]),
    boot_s=st.sampled_from([0.0, 7.0, 45.0]),
    places=st.integers(1, 4),
    machine_idle_s=st.sampled_from([0.0, 10.0]),
    max_machines=st.integers(1, 8),
    end_s=st.sampled_from([0.0, 3.0]),
    take_back=st.booleans(),
)
faults = st.builds(
    Faults,
    replica_mtbf_s=st.sampled_from([None, 5.0, 50.0]),
    machine_mtbf_s=st.sampled_from([None, 20.0]),
    machines_lost_s=st.lists(st.floats(0.0, 90.0), max_size=3).map(tuple),
)
dispatches = st.sampled_from(get_args(Dispatch))


@settings(max_examples=60, deadline=None)
@given(worlds, faults, st.integers(1, 3), st.integers(0, 3), dispatches, st.integers(0, 10_000))
def test_everything_adds_up(
    world: World, broken: Faults, slots: int, initial: int, dispatch: Dispatch, seed: int
) -> None:
    trace = draw("t", Ramp(1.0, 6.0, 20.0, 30.0), LogNormal(1.0, 1.5), 90.0, seed)
    front = Whims(seed, 12)
    back = Whims(seed + 1, 12)
    families = (
        Family("front", trace, front, slots, initial, calls=(Calls("back", 0.7, Constant(0.5)),), dispatch=dispatch),
        Family("back", Trace("one", [1.0], [0.1], 90.0), back, slots=slots, initial=1, dispatch=dispatch),
    )
    runs = simulate(world, *families, faults=broken, seed=seed)

    run = runs["front"]
    assert run.requests == len(trace.times)
    assert min(run.waits, default=0.0) >= 0.0
    assert list(run.arrivals) == sorted(run.arrivals)
    assert run.idle_s >= -1e-6
    assert runs["back"].requests <= 1 + len(trace.times)
    for policy in (front, back):
        arrived = completed = 0
        for snapshot in policy.seen:
            arrived += snapshot.arrivals
            completed += snapshot.completions
            assert snapshot.queue + snapshot.in_flight == arrived - completed
            assert snapshot.in_flight <= (snapshot.ready + snapshot.draining) * slots
            assert snapshot.machines_ready + snapshot.machines_pending <= max(
                world.max_machines, -(-(initial + 1) // world.places)
            )
    for one, other in zip(front.seen, back.seen, strict=True):
        placed = one.ready + one.draining + other.ready + other.draining
        assert placed <= one.machines_ready * world.places


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 3]), dispatches)
def test_a_run_can_be_played_again(seed: int, slots: int, dispatch: Dispatch) -> None:
    trace = draw("t", Ramp(1.0, 6.0, 20.0, 30.0), LogNormal(1.0, 1.5), 90.0, seed)

    def play() -> tuple[list[float], float, int]:
        family = Family("a", trace, Whims(seed, 9), slots=slots, dispatch=dispatch)
        disturbed = {"faults": Faults(replica_mtbf_s=20.0), "sensor": Sensor(0.2, 2.0, 0.1)}
        run = simulate(World(), family, **disturbed, seed=seed)["a"]  # type: ignore[arg-type]
        return list(run.waits), run.cost, run.actions

    assert play() == play()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([0.3, 1.0, 4.0]))
def test_a_clairvoyant_pays_at_least_for_the_work(seed: int, slots: int, mean_s: float) -> None:
    trace = draw("t", Ramp(1.0, 6.0, 20.0, 30.0), LogNormal(mean_s, 1.5), 90.0, seed)
    inside = sum(
        min(size, max(0.0, trace.duration_s - at - 1.0)) for at, size in zip(trace.times, trace.sizes, strict=True)
    )

    assert clairvoyant(World(), trace, slots).replica_s >= inside / slots - 1e-6
