"""The traces that policies are played on, each with the world it takes place in."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import ceil
from random import Random
from typing import TYPE_CHECKING

from benchmarks.autoscaling.flights import flights_day
from raybeam.autoscaler.simulator import Faults, Sensor, World
from raybeam.autoscaler.workload import (
    Diurnal,
    Exponential,
    FlashCrowd,
    LogNormal,
    Pareto,
    Ramp,
    Spikes,
    Steady,
    Trace,
    draw,
    on_off,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.autoscaler.workload import Rate, Service

HOUR_S = 3600.0
USUAL = LogNormal(1.0, 1.0)
SHORT = LogNormal(0.2, 1.0)
QUOTA = 10
"""Machines that the cluster may have; about twice the most that is ever needed."""
AMPLE = 100
"""Machines where none may be lacking: how soon a crowd is served is then up to the policy."""
BUSY = 0.7


@dataclass(frozen=True, slots=True)
class Scenario:
    """One trace and its world.

    Attributes:
        name: Of the trace.
        make: Draws it from a seed.
        world: How long things take.
        slots: Requests that a replica serves at once.
        sensor: How policies see.
        faults: What breaks.
        smooth: Whether its load is smooth: no bursts, no surprises.
    """

    name: str
    make: Callable[[int], Trace]
    world: World = field(default_factory=partial(World, max_machines=QUOTA))
    slots: int = 1
    sensor: Sensor = field(default_factory=Sensor)
    faults: Faults = field(default_factory=Faults)
    smooth: bool = False

    def initial(self, trace: Trace) -> int:
        """Replicas at the beginning: enough for the first minute, if they are busy for `BUSY` of the time."""
        work = sum(size for at, size in zip(trace.times, trace.sizes, strict=True) if at < 60.0)
        return ceil(work / 60.0 / BUSY / self.slots)


def _drawn(name: str, rate: Rate, service: Service = USUAL, onset_s: float | None = None) -> Callable[[int], Trace]:
    return partial(_draw, name, rate, service, onset_s)


def _draw(name: str, rate: Rate, service: Service, onset_s: float | None, seed: int) -> Trace:
    return draw(name, rate, service, HOUR_S, seed, onset_s=onset_s)


def _bursts(name: str, low: float, high: float, off_s: float, on_s: float, service: Service, seed: int) -> Trace:
    rate = on_off(low, high, off_s, on_s, HOUR_S, Random(f"{name} {seed} bursts"))
    return draw(name, rate, service, HOUR_S, seed)


SCENARIOS = (
    Scenario("steady", _drawn("steady", Steady(50.0), SHORT), smooth=True),
    Scenario("steady, small", _drawn("steady, small", Steady(3.0)), smooth=True),
    Scenario("steady, 4 slots", _drawn("steady, 4 slots", Steady(40.0)), slots=4, smooth=True),
    Scenario("day", _drawn("day", Diurnal(5.0, 40.0)), slots=2, smooth=True),
    Scenario("ramp", _drawn("ramp", Ramp(15.0, 90.0, 600.0, 1800.0), SHORT), smooth=True),
    Scenario("step", _drawn("step", Ramp(5.0, 15.0, 1200.0), onset_s=1200.0)),
    Scenario(
        "flash crowd", _drawn("flash crowd", FlashCrowd(2.0, 10.0, 1200.0), onset_s=1200.0), World(max_machines=AMPLE)
    ),
    Scenario(
        "crowd in a minute",
        _drawn("crowd in a minute", FlashCrowd(10.0, 8.0, 900.0, 60.0), SHORT, onset_s=900.0),
    ),
    Scenario("on/off", partial(_bursts, "on/off", 2.0, 15.0, 120.0, 40.0, USUAL)),
    Scenario("on/off, fast", partial(_bursts, "on/off, fast", 30.0, 240.0, 30.0, 10.0, SHORT), slots=4),
    Scenario("spikes every 5 min", _drawn("spikes every 5 min", Spikes(2.0))),
    Scenario("from zero", _drawn("from zero", Ramp(0.0, 10.0, 600.0), onset_s=600.0)),
    Scenario("now and then", partial(_bursts, "now and then", 0.0, 6.0, 240.0, 60.0, USUAL)),
    Scenario("heavy tail", _drawn("heavy tail", Steady(10.0), LogNormal(1.0, 3.0))),
    Scenario("power law, day", _drawn("power law, day", Diurnal(2.0, 15.0), Pareto(1.0, 2.2))),
    Scenario(
        "slow start",
        _drawn("slow start", Diurnal(3.0, 20.0, 1800.0)),
        World(max_machines=QUOTA, start_s=60.0, boot_s=180.0),
    ),
    Scenario(
        "noisy, late, lossy",
        _drawn("noisy, late, lossy", Diurnal(4.0, 18.0)),
        sensor=Sensor(noise=0.3, lag_s=5.0, loss=0.1),
    ),
    Scenario(
        "long jobs, bursts",
        partial(_bursts, "long jobs, bursts", 2.0, 8.0, 60.0, 30.0, Exponential(4.0)),
        slots=4,
    ),
    Scenario(
        "machines lost",
        _drawn("machines lost", Steady(24.0)),
        slots=2,
        faults=Faults(replica_mtbf_s=3600.0, machines_lost_s=(1000.0, 2500.0)),
    ),
    Scenario("blizzard, 2013-02-08", partial(flights_day, "2013-02-08")),
    Scenario("thunder, 2013-07-10", partial(flights_day, "2013-07-10")),
    Scenario("calm, 2013-05-15", partial(flights_day, "2013-05-15")),
)
