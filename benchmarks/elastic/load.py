"""The load of the comparison: a ramp, a crowd and bursts, and silence at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.autoscaler.workload import LogNormal, draw

if TYPE_CHECKING:
    from raybeam.autoscaler.workload import Trace

DURATION_S = 200.0
SERVICE = LogNormal(mean_s=0.2, cv=0.7)
COURSE = (
    (30.0, 0.0, 10.0),
    (85.0, 10.0, 20.0),
    (95.0, 20.0, 20.0),
    (130.0, 38.0, 38.0),
    (140.0, 38.0, 20.0),
    (152.5, 20.0, 20.0),
    (165.0, 10.0, 10.0),
    (177.5, 20.0, 20.0),
    (190.0, 10.0, 10.0),
)
"""Until when, and from how many requests per second to how many: a ramp, from 95 s on a crowd, from 140 s on bursts.

The ramp begins at nothing: to a policy that has seen nothing yet a jump is a burst, and which of its rules it then
follows for minutes hangs on which heartbeat came first.
"""


def rate(at_s: float) -> float:
    """Requests per second at a time."""
    begin_s = 0.0
    for end_s, first, last in COURSE:
        if at_s < end_s:
            return first + (last - first) * (at_s - begin_s) / (end_s - begin_s)
        begin_s = end_s
    return 0.0


def load(seed: int) -> Trace:
    """The requests. Their sizes are seconds in the handler: up to 7.6 replicas are busy, 38 come in a second."""
    return draw("live", rate, SERVICE, DURATION_S, seed)
