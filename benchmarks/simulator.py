"""How much wall time a simulated request takes on one core, decisions and figures included."""

from __future__ import annotations

import time
from typing import get_args

from benchmarks.goal import Goal
from raybeam.autoscaler import TargetUtilisation
from raybeam.autoscaler.simulator import Dispatch, Family, World, simulate
from raybeam.autoscaler.workload import Diurnal, LogNormal, draw

ROUNDS = 5
MAX_US = 1e6 / 300_000


def measure() -> list[Goal]:
    """All figures of this benchmark."""
    trace = draw("day", Diurnal(20.0, 260.0), LogNormal(0.1, 1.0), 3600.0, seed=1)
    rounds: dict[Dispatch, list[float]] = {dispatch: [] for dispatch in get_args(Dispatch)}
    for _ in range(ROUNDS):
        for dispatch, took in rounds.items():
            family = Family("one", trace, TargetUtilisation(), initial=5, dispatch=dispatch)
            began = time.perf_counter()
            run = simulate(World(), family)["one"]
            run.late(1.0)
            took.append((time.perf_counter() - began) / len(trace.times) * 1e6)
    what = f"us of each of {len(trace.times):,} simulated requests, with 3,600 decisions"
    return [Goal(f"{what}, {dispatch.replace('_', ' ')}", took, MAX_US) for dispatch, took in rounds.items()]
