"""Runs many schedules, on all cores, until one breaks a promise."""

from __future__ import annotations

import gc
import multiprocessing
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..import_path import import_object
from .run import simulate
from .scenario import Scenario
from .shrink import shrink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .faults import FaultSchedule
    from .promises import Broken

SEEDS_AT_ONCE = 10


@dataclass(frozen=True)
class Finding:
    """A schedule that breaks a promise.

    Attributes:
        schedule: As it was drawn.
        shrunk: The smallest that breaks the same promise.
        broken: What the shrunk one breaks.
        lines: Its history around that.
    """

    schedule: FaultSchedule
    shrunk: FaultSchedule
    broken: tuple[Broken, ...]
    lines: tuple[str, ...]


def load_scenario(path: str) -> Scenario:
    """The scenario behind `"package.module:Class"`.

    Raises:
        ValueError: It cannot be imported or is no `Scenario`.
    """
    found = import_object(path)
    if not (isinstance(found, type) and issubclass(found, Scenario)):
        raise ValueError(f"{path!r} is no scenario: derive the class from raybeam.cluster.simulation.Scenario")
    return found()


def examine(scenario: Scenario, schedule: FaultSchedule | int) -> Finding | None:
    """Run one schedule; what it breaks, shrunk, or `None`."""
    outcome = simulate(scenario, schedule)
    if not outcome.broken:
        return None
    promise = outcome.broken[0].promise

    def breaks(tried: FaultSchedule) -> bool:
        return any(broken.promise == promise for broken in simulate(scenario, tried).broken)

    smallest = shrink(outcome.schedule, breaks)
    again = simulate(scenario, smallest)
    broken = again.broken or outcome.broken
    first = broken[0]
    return Finding(outcome.schedule, smallest, broken, tuple(again.history.around(first.at, *first.numbers)))


def examine_all(
    path: str,
    seeds: Sequence[int],
    jobs: int,
    told: Callable[[int, Finding | None], None],
    *,
    stop_at_first: bool = True,
) -> int:
    """Run the schedules of many seeds in so many OS processes.

    Args:
        path: Of the scenario, as `"package.module:Class"`.
        seeds: Which.
        jobs: How many processes; 1: this one.
        told: Called after each seed, with what it broke.
        stop_at_first: Whether to stop when one breaks a promise.

    Returns:
        How many seeds were run.
    """
    ran = 0
    for seed, finding in _examined(path, seeds, jobs):
        ran += 1
        told(seed, finding)
        if finding is not None and stop_at_first:
            break
    return ran


def _examined(path: str, seeds: Sequence[int], jobs: int) -> Iterator[tuple[int, Finding | None]]:
    parts = [tuple(seeds[start : start + SEEDS_AT_ONCE]) for start in range(0, len(seeds), SEEDS_AT_ONCE)]
    if jobs <= 1:
        for part in parts:
            yield from _examine_part((path, part))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=gc.freeze) as pool:
        for results in pool.imap_unordered(_examine_part, [(path, part) for part in parts]):
            yield from results


def _examine_part(task: tuple[str, tuple[int, ...]]) -> list[tuple[int, Finding | None]]:
    path, seeds = task
    scenario = load_scenario(path)
    gc.disable()  # what a simulation leaves is cyclic and dies together: collected now and then, and not in between
    results = [(seed, examine(scenario, seed)) for seed in seeds]
    gc.collect()
    return results


def per_second(count: int, since: float) -> float:
    """How many there were in a second, since a time of `time.monotonic`."""
    return count / max(1e-9, time.monotonic() - since)
