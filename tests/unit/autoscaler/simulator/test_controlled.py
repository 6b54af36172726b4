"""The controller in charge of simulated replicas: the same decisions as the policies' own simulation."""

from __future__ import annotations

from math import isclose

import pytest

from raybeam.actors.testing import run
from raybeam.autoscaler import QueueDepth
from raybeam.autoscaler.simulator import Family, Faults, World, simulate
from raybeam.autoscaler.simulator.controlled import SimulatedFleet, simulate_controlled
from raybeam.autoscaler.workload import Exponential, FlashCrowd, LogNormal, Rate, Steady, draw


@pytest.mark.parametrize("load", [Steady(20.0), FlashCrowd(10.0, 10.0, 120.0)], ids=lambda load: type(load).__name__)
def test_the_controller_does_what_the_policy_does_in_its_own_simulation(load: Rate) -> None:
    trace = draw("load", load, LogNormal(0.25, 1.0), 500.0, seed=4)
    family = Family("web", trace, QueueDepth(places=4), initial=6, min_replicas=1)
    alone, controlled = simulate(World(), family)["web"], simulate_controlled(World(), family)[0]["web"]

    assert [size for _, size in controlled.targets] == [size for _, size in alone.targets]
    assert isclose(controlled.replica_s, alone.replica_s)
    assert isclose(controlled.machine_s, alone.machine_s, rel_tol=0.02)
    assert isclose(controlled.mean_wait_s, alone.mean_wait_s)


def test_beats_that_are_quicker_than_looks_change_little() -> None:
    family = Family(
        "web",
        draw("load", FlashCrowd(10.0, 10.0, 120.0), Exponential(0.3), 500.0, seed=4),
        QueueDepth(places=4),
        initial=6,
    )
    alone, controlled = simulate(World(), family)["web"], simulate_controlled(World(interval_s=0.5), family)[0]["web"]

    assert isclose(controlled.replica_s, alone.replica_s, rel_tol=0.05)
    assert isclose(controlled.mean_wait_s, alone.mean_wait_s, rel_tol=0.15)


def test_a_lost_machine_is_made_up_for() -> None:
    family = Family("web", draw("load", Steady(20.0), Exponential(0.3), 400.0, seed=4), QueueDepth(places=4), initial=9)
    runs, history = simulate_controlled(World(), family, faults=Faults(machines_lost_s=(200.0,)))
    series = history.of("web").series
    ready = dict(zip(series["time_s"], series["ready"], strict=True))

    assert ready[202.0] <= ready[199.0] - 3
    assert ready[300.0] >= ready[199.0]
    assert not any(wait > 1.0 for at, wait in zip(runs["web"].arrivals, runs["web"].waits, strict=True) if at > 300.0)


def test_families_share_machines_when_these_are_short() -> None:
    crowd = draw("crowd", FlashCrowd(10.0, 20.0, 60.0), Exponential(0.3), 300.0, seed=4)
    steady = draw("steady", Steady(10.0), Exponential(0.3), 300.0, seed=5)
    runs, history = simulate_controlled(
        World(max_machines=5),
        Family("crowd", crowd, QueueDepth(places=4), initial=5),
        Family("steady", steady, QueueDepth(places=4), initial=5),
    )
    most = [max(history.of(name).series["wanted"]) for name in ("crowd", "steady")]

    assert most[0] <= 16
    assert runs["steady"].late(1.0) < 5.0
    assert any("machines are short" in entry.reason for entry in history.of("crowd").entries)


def test_replicas_that_come_up_are_heard_at_once() -> None:
    now = 0.0
    trace = draw("load", Steady(5.0), Exponential(0.3), 100.0, seed=4)
    world = World(interval_s=5.0, start_s=2.0, places=8)
    fleet = SimulatedFleet(world, [Family("web", trace, QueueDepth(), initial=1)], lambda: now)

    async def grow() -> None:
        await fleet.scale("web", 3, "")

    now = 6.0
    run(grow())
    now = 7.0
    starting = [replica.heard_s for replica in fleet.read()["web"].replicas if not replica.ready]
    now = 8.5
    heard = [replica.heard_s for replica in fleet.read()["web"].replicas if replica.ready]

    assert starting == [0.0, 0.0]
    assert heard == [5.0, 5.0, 5.0]
