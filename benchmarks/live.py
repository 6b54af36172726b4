"""The same load and policy live and simulated: a family scales on real Ray, and its controller on simulated replicas.

Of each run the simulation is told what cannot be foretold: how long the replicas took that started (machines are loaded
now so, now so), how long those that had nothing to do took to end, and how long the controller ran before the load
came. A policy turns small differences into large ones now and then, so each run is simulated with many seeds; the means
are compared, and the spread is told beside them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import mean, quantiles

from benchmarks.elastic.drawing import draw_courses
from benchmarks.elastic.load import load
from benchmarks.elastic.played import Played, play
from benchmarks.elastic.predicted import predict, world_of
from benchmarks.elastic.sleeper import CPUS, POLICIES, blueprint
from benchmarks.goal import Goal
from raybeam.cluster import System, calm_collector
from raybeam.cluster.local import LocalCluster, LocalClusterOptions, connect

RUNS = 3
SEEDS = 20
FAR = 2
"""Replicas by which the courses must differ to have parted."""
LONG_S = 5.0
"""And for so long."""
MAX_OFF = 0.15


def measure() -> list[Goal]:
    """All figures of this benchmark."""
    goals = []
    for policy in POLICIES:
        ratios = [_compare(policy, seed) for seed in range(1, RUNS + 1)]
        for what, figures in zip(("mean wait is", "replica-hours are"), zip(*ratios, strict=True), strict=True):
            off = [abs(figure - 1) for figure in figures]
            goals.append(Goal(f"{policy}, live against simulated: {what} off by", off, MAX_OFF))
    return goals


def _compare(policy: str, seed: int) -> tuple[float, float]:
    """Play a load live and simulated: mean wait and replica-hours, live by simulated."""
    trace = load(seed)
    played = _play(policy, seed)
    world = world_of(played)
    courses = [predict(trace, policy, world, played.lead_s, each) for each in range(SEEDS)]
    live = played.course
    waits, seconds = [each.mean_wait_s for each in courses], [each.replica_s for each in courses]
    ratios = live.mean_wait_s / mean(waits), live.replica_s / mean(seconds)
    spread = quantiles(waits, n=10)
    starts = [took for _, took in played.starts]
    typical = min(courses, key=lambda each: abs(each.mean_wait_s - mean(waits)))
    page = Path("build") / f"live-{policy}-{seed}.html"
    page.parent.mkdir(exist_ok=True)
    title = f"{policy}, run {seed}: mean wait {live.mean_wait_s:.3f} s live, {mean(waits):.3f} s simulated"
    draw_courses(live, typical, title, page)
    parted = live.parted_s(typical, FAR, LONG_S)
    print(
        f"{policy}, run {seed}, {len(trace.times):,} requests\n"
        f"  mean wait      {live.mean_wait_s:.3f} s live, {mean(waits):.3f} s simulated "
        f"(of {SEEDS} seeds 8 in 10 between {spread[0]:.3f} and {spread[-1]:.3f}): {ratios[0]:.3f}\n"
        f"  replica-hours  {live.replica_s / 3600:.3f} live, {mean(seconds) / 3600:.3f} simulated: {ratios[1]:.3f}\n"
        f"  actions        {live.actions} live, {mean(each.actions for each in courses):.1f} simulated\n"
        f"  starts took {min(starts, default=0):.1f} to {max(starts, default=0):.1f} s, ends {played.end_s:.1f} s, "
        f"handlers {played.late_s * 1e3:.1f} ms longer than their sizes\n"
        f"  the courses {'do not part' if parted is None else f'part at {parted:.0f} s'}, see {page}"
    )
    return ratios


def _play(policy: str, seed: int) -> Played:
    """A run on a cluster of its own, so that none finds what another has left."""
    options = LocalClusterOptions(machines=1, cpus_per_machine=CPUS + 2, dashboard=False)
    with (
        LocalCluster(options) as cluster,
        connect(cluster.connection),
        System.start(blueprint(policy)) as system,
    ):
        calm_collector()
        return asyncio.run(play(system, load(seed)))
