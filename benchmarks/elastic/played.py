"""The load on real Ray: requests come when the trace says, whether or not those before were served."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.elastic.course import Course, course_of
from benchmarks.elastic.sleeper import FAMILY, INITIAL, Sleeper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybeam.autoscaler.history import FamilyHistory
    from raybeam.autoscaler.workload import Trace
    from raybeam.cluster import System
    from raybeam.cluster.status import Occurrence


@dataclass(frozen=True, slots=True)
class Played:
    """A course, and the world in which it was taken.

    Attributes:
        course: What became of the load.
        lead_s: Seconds from the controller's first decision to the beginning of the load.
        starts: Of each replica that came up when it was asked for, counted from the beginning, and how long it took; of
            those that the system began with, since the controller's first decision.
        end_s: Mean seconds from when a replica was no longer wanted until it was gone; most had nothing to do.
        late_s: Mean seconds by which a request took longer in the handler than its size.
    """

    course: Course
    lead_s: float
    starts: tuple[tuple[float, float], ...]
    end_s: float
    late_s: float


async def play(system: System, trace: Trace) -> Played:
    """Play the load on a system that scales."""
    service = system.ref(Sleeper)
    begin_s = time.monotonic() + 1.0
    wall_s = time.time() - time.monotonic()
    handled: list[tuple[float, float]] = [(0.0, 0.0)] * len(trace.times)

    async def request(index: int) -> None:
        handled[index] = await service.work(trace.sizes[index])

    requests = []
    for index, at in enumerate(trace.times):
        if (ahead := begin_s + at - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        requests.append(asyncio.ensure_future(request(index)))
    await asyncio.gather(*requests)
    await asyncio.sleep(max(0.0, begin_s + trace.duration_s + 2.0 - time.monotonic()))

    history, occurrences = system.scaling_history(FAMILY), system.status().occurrences
    waits = [began - begin_s - at for (began, _), at in zip(handled, trace.times, strict=True)]
    late = [ended - began - size for (began, ended), size in zip(handled, trace.sizes, strict=True)]
    course = course_of(waits, history, begin_s + wall_s, trace.duration_s)
    gone = sum(each.kind == "down" for each in occurrences)
    return Played(
        course,
        begin_s + wall_s - history.series["time_s"][0],
        starts_of(history, occurrences, begin_s + wall_s),
        course.seconds_of(course.series["draining"]) / max(1, gone),
        sum(late) / len(late),
    )


def starts_of(
    history: FamilyHistory, occurrences: Sequence[Occurrence], begin_s: float
) -> tuple[tuple[float, float], ...]:
    """When each replica was asked for that came up, and how long it took: those asked for first come up first."""
    first_s = history.series["time_s"][0]
    events = [(change.time_s, change.after - change.before) for change in history.changes]
    events += [(each.at, 0) for each in occurrences if each.kind in ("up", "down") and each.at > first_s]
    kinds = {each.at: each.kind for each in occurrences}
    asked = [first_s] * (INITIAL - sum(each.kind == "up" and each.at <= first_s for each in occurrences))
    starts: list[tuple[float, float]] = []
    draining = 0
    for at, more in sorted(events):
        if more > 0:
            back = min(draining, more)  # those that drain serve again
            draining -= back
            asked += [at] * (more - back)
        elif more < 0:
            unborn = min(len(asked), -more)
            del asked[len(asked) - unborn :]
            draining += -more - unborn
        elif kinds[at] == "down":
            draining = max(0, draining - 1)
        elif asked:
            since = asked.pop(0)
            starts.append((since - begin_s, at - since))
    return tuple(starts)
