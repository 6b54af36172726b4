"""Shrinks a schedule that breaks a promise: faults are left out, and shortened, as long as it stays broken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .faults import Fault, FaultSchedule

TRIES = 200


def shrink(schedule: FaultSchedule, breaks: Callable[[FaultSchedule], bool], tries: int = TRIES) -> FaultSchedule:
    """The smallest schedule found that still breaks what `schedule` breaks (delta debugging: Zeller, Hildebrandt 2002).

    Args:
        schedule: One that breaks a promise.
        breaks: Runs a schedule; whether the promise is broken in it.
        tries: How many schedules to run at most.

    >>> from raybeam.cluster.simulation import FaultSchedule
    >>> from raybeam.cluster.simulation.faults import KillReplica, KillRoot
    >>> faults = (KillRoot(1.0, 1.0), KillReplica(2.0, 0.0, "stock", 0), KillRoot(3.0, 1.0))
    >>> print(shrink(FaultSchedule(1, faults), lambda tried: any(type(fault) is KillReplica for fault in tried.faults)))
    seed 1
    KillReplica(at_s=2.0, for_s=0.0, family='stock', index=0)
    """
    left = tries

    def holds(faults: tuple[Fault, ...]) -> bool:
        nonlocal left
        left -= 1
        return breaks(replace(schedule, faults=faults))

    faults = schedule.faults
    parts = 2
    while len(faults) > 0 and left > 0:
        size = max(1, len(faults) // parts)
        for start in range(0, len(faults), size):
            fewer = faults[:start] + faults[start + size :]
            if left > 0 and holds(fewer):
                faults, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(faults), parts * 2)
    for place, fault in enumerate(faults):
        for shorter_s in (0.0, fault.for_s / 4, fault.for_s / 2):
            shorter = (*faults[:place], replace(fault, for_s=round(shorter_s, 3)), *faults[place + 1 :])
            if fault.for_s and left > 0 and holds(shorter):
                faults = shorter
                break
    return replace(schedule, faults=faults)
