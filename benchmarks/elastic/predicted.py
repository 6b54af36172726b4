"""The load on paper: the live system's own controller scales simulated replicas."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from benchmarks.elastic.course import Course, course_of
from benchmarks.elastic.sleeper import CPUS, FAMILY, INITIAL, MOST, blueprint
from raybeam.actors import Runtime, gen_server
from raybeam.actors.testing import run as run_in_virtual_time
from raybeam.autoscaler.controller import Controller
from raybeam.autoscaler.history import History
from raybeam.autoscaler.simulator import Family, Static, World
from raybeam.autoscaler.simulator.controlled import SimulatedFleet
from raybeam.cluster import Blueprint, HealthLimits
from raybeam.cluster.control import control_of

if TYPE_CHECKING:
    from benchmarks.elastic.played import Played
    from raybeam.autoscaler.workload import Trace

BEAT_S = HealthLimits().beat_s


def world_of(played: Played) -> World:
    """The world of a live course: one machine with room for all, and starts and ends as they were measured."""
    starts = tuple((at + played.lead_s, took) for at, took in played.starts)
    return World(
        BEAT_S, starts=starts, end_s=played.end_s, take_back=True, places=CPUS, max_machines=1, spare_machines=1
    )


def predict(trace: Trace, policy: str, world: World, lead_s: float, seed: int) -> Course:
    """One course; the seed draws which two replicas each request chooses from, and how heartbeats and ticks meet."""
    control = control_of(Blueprint.model_validate(blueprint(policy)))
    assert control is not None
    history = History([FAMILY])
    offset_s = Random(seed).uniform(0.0, world.interval_s)
    begin_s = offset_s + lead_s
    later = replace(trace, times=[at + begin_s for at in trace.times], duration_s=begin_s + trace.duration_s + 2.0)
    family = Family(FAMILY, later, Static(INITIAL), 1, 0, 1, MOST, dispatch="two_choices")

    async def play() -> list[float]:
        async with Runtime() as runtime:
            fleet = SimulatedFleet(world, [family], runtime.loop.time, seed=seed)
            await asyncio.sleep(offset_s)
            await fleet.scale(FAMILY, INITIAL, "those of the start")
            controller = await gen_server.start(Controller, fleet, control, history, lambda *_: None)
            await asyncio.sleep(fleet.horizon_s - offset_s)
            await gen_server.stop(controller)
            run = fleet.finish()[FAMILY]
            return [*run.waits, *run.pending]

    waits = run_in_virtual_time(play())
    return course_of(waits, history.of(FAMILY), begin_s, trace.duration_s)
