"""The load of the shipped days: passengers who ask when something happens to their flight.

A day in an hour. At each event of a flight every group on board asks once, after an exponential time of 10 minutes on
average; when it is cancelled or diverted, five times. Who is on board, and when a cancellation becomes known, is the
example's own draw.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from examples.flights.day import load_day
from examples.flights.events import events_of, groups_of
from raybeam.autoscaler.workload import LogNormal, Trace

if TYPE_CHECKING:
    from raybeam.autoscaler.workload import Service

SPEEDUP = 24.0
DAY_MIN = 1440
ASK_WITHIN_MIN = 10.0
TROUBLE = ("cancelled", "diverted")
TIMES_IN_TROUBLE = 5


def flights_day(day: str, seed: int, service: Service | None = None) -> Trace:
    """The requests of one of the shipped days."""
    service = LogNormal(0.25, 1.2) if service is None else service
    flights = load_day(day)
    groups = {flight.flight_id: len(groups_of(flight, seed)) for flight in flights}
    chance = Random(f"{day} {seed}")
    times = []
    for event in events_of(flights, seed):
        if event.kind == "scheduled":
            continue
        asked = groups[event.flight_id] * (TIMES_IN_TROUBLE if event.kind in TROUBLE else 1)
        for _ in range(asked):
            at_min = event.at_min + chance.expovariate(1 / ASK_WITHIN_MIN)
            if at_min < DAY_MIN:
                times.append(at_min * 60 / SPEEDUP)
    times.sort()
    return Trace(f"flights {day}", times, [service.draw(chance) for _ in times], DAY_MIN * 60 / SPEEDUP)
