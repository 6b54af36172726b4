"""Runs of a search: a policy with some values, on one seed of the part that it is chosen on or of the one held out."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raybeam.autoscaler.simulator import Family, Faults, Sensor, World, clairvoyant, score, simulate
from raybeam.autoscaler.workload import cut, shaken, trace_of

from .policy_options import configured_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybeam.autoscaler.simulator import Clairvoyant
    from raybeam.autoscaler.simulator.search import Point
    from raybeam.autoscaler.workload import Trace

DEFAULT: Point = ()
"""No value is changed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run: a point on one seed of one part.

    Attributes:
        point: The values that were tried.
        part: `train` or `held out`.
        seed: Of the run.
        score: Less is better.
        cost_ratio: Over a clairvoyant's.
        late_1s: Percent that waited longer than 1 s.
        late_5s: And than 5 s.
    """

    point: Point
    part: str
    seed: int
    score: float
    cost_ratio: float
    late_1s: float
    late_5s: float


@dataclass(slots=True)
class Trials:
    """All runs so far."""

    runs: list[Trial] = field(default_factory=list)

    def scores(self, part: str) -> dict[Point, list[float]]:
        """Of each point, in the order of the seeds."""
        scores: dict[Point, list[float]] = {}
        for trial in sorted(self.runs, key=lambda trial: trial.seed):
            if trial.part == part:
                scores.setdefault(trial.point, []).append(trial.score)
        return scores


def play_trial(told: str, point: Point, part: str, seed: int) -> Trial:
    """One run, in a process of the pool.

    Args:
        told: The configuration as JSON.
        point: The values that are tried.
        part: `train` or `held out`.
        seed: Of the run.
    """
    plain = json.loads(told)
    world, trace, best = world_of(told, part, seed)
    family = Family("family", trace, configured_policy(with_values(plain["policy"], point)), **plain["family"])
    faults = Faults(**{**plain["faults"], "machines_lost_s": tuple(plain["faults"]["machines_lost_s"])})
    run = simulate(world, family, faults=faults, sensor=Sensor(**plain["sensor"]), seed=seed)["family"]
    return Trial(point, part, seed, score(run, best), run.cost / best.cost, run.late(1.0), run.late(5.0))


@lru_cache(maxsize=4)
def world_of(told: str, part: str, seed: int) -> tuple[World, Trace, Clairvoyant]:
    """Where a run takes place, its load, and the bill of a clairvoyant."""
    plain = json.loads(told)
    world = World(**plain["world"])
    if plain["load"].get("file") is None:
        trace = trace_of(plain["load"], seed)
    else:
        parts = cut(trace_of(plain["load"], plain["seed"]), 1 - plain["held_out"])
        trace = shaken(parts[part == "held out"], seed)
    return world, trace, clairvoyant(world, trace, plain["family"]["slots"])


def with_values(policy: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """The section of a policy with other values of its options, whose names may lead into inner policies."""
    changed = {"path": policy["path"], "options": deepcopy(policy["options"])}
    for name, value in point:
        *way, last = name.split(".")
        options = changed["options"]
        for part in way:
            options = options[part]
        options[last] = value
    return changed
