"""The bill of one who knows the future, against which policies are judged.

It knows every request: when it comes and how long it takes. It obeys what all obey: a replica takes `start_s` to start
and costs from its placing, a machine takes `boot_s` and costs from when it was asked for, a request stays on the slot
on which it began. Nobody waits longer than `SLACK_S`. What it has that no policy can have: replicas are ready at the
very moment they are needed, and end at the moment after.

How: requests are taken in the order of arrival, and each goes to the first replica, counted from 0, that can start it
within `SLACK_S`, even if a later one were free at once. So the low replicas are always busy, and each higher one has
only what those below could not take: the least possible number is up at any time, but for the packing's own waste. A
replica is kept through a gap that is not longer than a start, for a new start costs as much; a machine likewise through
one not longer than a boot. Replica k lives on machine k // places, so replicas need not move.

It is a schedule that could have been, not a proof of the least cost. Faults are not in it, nor bounds on replicas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .run import IDLE_SLOT_PRICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..workload.trace import Trace
    from .world import World

SLACK_S = 1.0
"""The longest wait that is not late."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Clairvoyant:
    """What one who knows the future pays.

    Attributes:
        replica_s: Seconds of replicas, their starts included.
        machine_s: Seconds of machines, their boots included.
        places: Replicas per machine.
        peak: Most replicas at one time.
    """

    replica_s: float
    machine_s: float
    places: int
    peak: int

    @property
    def cost(self) -> float:
        """Replica-seconds and a quarter of the idle places' seconds."""
        return self.replica_s + IDLE_SLOT_PRICE * (self.machine_s * self.places - self.replica_s)


def clairvoyant(world: World, trace: Trace, slots: int = 1) -> Clairvoyant:
    """What one who knows the future pays for a trace, with nobody waiting longer than `SLACK_S`.

    Args:
        world: How long things take, and how large machines are.
        trace: The requests.
        slots: Requests that a replica serves at once.

    >>> from raybeam.autoscaler.simulator import World
    >>> from raybeam.autoscaler.workload import Trace
    >>> bill = clairvoyant(World(places=1), Trace("two", [100.0, 100.0], [0.5, 5.0], 200.0))
    >>> bill.replica_s, bill.machine_s, bill.peak
    (15.5, 60.5, 1)
    """
    served = _first_fit(trace.times, trace.sizes)
    replicas: list[list[Span]] = []
    for first in range(0, len(served), slots):
        busy = sorted(span for spans in served[first : first + slots] for span in spans)
        replicas.append(_alive(busy, world.start_s))
    machines = []
    for first in range(0, len(replicas), world.places):
        used = sorted(span for spans in replicas[first : first + world.places] for span in spans)
        machines.append(_alive(used, world.boot_s))
    return Clairvoyant(
        sum(_length(spans, trace.duration_s) for spans in replicas),
        sum(_length(spans, trace.duration_s) for spans in machines),
        world.places,
        _peak(span for spans in replicas for span in spans),
    )


def _first_fit(times: Sequence[float], sizes: Sequence[float]) -> list[list[Span]]:
    """When each slot serves, if each request goes to the first that can start it within the slack."""
    size = 64
    tree = [0.0] * (2 * size)  # of the time at which slots are free, the earliest below each node
    served: list[list[Span]] = []
    for at, service in zip(times, sizes, strict=True):
        latest = at + SLACK_S
        if tree[1] > latest:
            tree = [0.0, tree[1], *_doubled(tree, size)]
            size *= 2
        node = 1
        while node < size:
            node *= 2
            if tree[node] > latest:
                node += 1
        slot = node - size
        if slot == len(served):
            served.append([])
        start = max(at, tree[node])
        served[slot].append((start, start + service))
        tree[node] = start + service
        while node > 1:
            node //= 2
            left, right = tree[2 * node], tree[2 * node + 1]
            tree[node] = left if left < right else right
    return served


def _doubled(tree: list[float], size: int) -> list[float]:
    """The levels of a tree of twice the size, below its root."""
    levels: list[float] = []
    width = 1
    while width <= size:
        levels += tree[width : 2 * width] + [0.0] * width
        width *= 2
    return levels


def _alive(needed: Iterable[Span], lead_s: float) -> list[Span]:
    """Spans in which something is alive that is needed in others, and takes a while before it can be used."""
    alive: list[Span] = []
    for begin, end in needed:
        if alive and begin - alive[-1][1] <= lead_s:
            alive[-1] = (alive[-1][0], max(alive[-1][1], end))
        else:
            alive.append((begin - lead_s, end))
    return alive


def _length(spans: Iterable[Span], duration_s: float) -> float:
    """Seconds of spans within the trace."""
    return sum(max(0.0, min(end, duration_s) - max(begin, 0.0)) for begin, end in spans)


def _peak(spans: Iterable[Span]) -> int:
    """How many spans overlap at most."""
    now = most = 0
    for _, step in sorted((at, step) for span in spans for at, step in zip(span, (1, -1), strict=True)):
        now += step
        most = max(most, now)
    return most
