"""Parts of a trace in time, and the same trace with other luck."""

from __future__ import annotations

from random import Random

from raybeam.actors import UsageError

from .trace import Trace

SHAKEN_S = 1.0
"""By so much requests come sooner or later with other luck."""


def cut(trace: Trace, share: float) -> tuple[Trace, Trace]:
    """A trace cut in two in time: so much of it, and the rest, which begins at 0 again.

    Raises:
        UsageError: There are no requests in one of them.

    >>> from raybeam.autoscaler.workload import Trace
    >>> first, rest = cut(Trace("three", [0.0, 4.0, 8.0], [0.1] * 3, 10.0), 0.5)
    >>> first.times, rest.times, rest.duration_s
    ([0.0, 4.0], [3.0], 5.0)
    """
    if not 0 < share < 1:
        raise UsageError(f"a share of {share!r}: give one between 0 and 1")
    at_s = share * trace.duration_s
    place = sum(time < at_s for time in trace.times)
    if not 0 < place < len(trace.times):
        raise UsageError(
            f"trace {trace.name!r} has {place} requests before {at_s:g} s and {len(trace.times) - place} from then on: "
            "both parts need some"
        )
    first = Trace(trace.name, list(trace.times[:place]), list(trace.sizes[:place]), at_s)
    times = [time - at_s for time in trace.times[place:]]
    return first, Trace(trace.name, times, list(trace.sizes[place:]), trace.duration_s - at_s)


def shaken(trace: Trace, seed: int) -> Trace:
    """The same load with other luck: each request a little sooner or later, and their sizes in another order."""
    chance = Random(f"{trace.name} {trace.duration_s} {seed}")
    last_s = trace.duration_s * (1 - 1e-9)
    times = sorted(min(max(0.0, time + chance.uniform(-SHAKEN_S, SHAKEN_S)), last_s) for time in trace.times)
    sizes = list(trace.sizes)
    chance.shuffle(sizes)
    return Trace(trace.name, times, sizes, trace.duration_s, trace.onset_s)
