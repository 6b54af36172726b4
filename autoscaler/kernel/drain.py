"""What a queue that stands asks for, besides those who serve what comes."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Drain:
    """A backlog at the time when replicas that are ordered now would serve.

    Attributes:
        backlog: Work that will be waiting then beyond what may wait, replica-seconds.
        clear_s: In what time it pays to clear it.
        extra: Replicas for that, besides those who serve what comes.
    """

    backlog: float = 0.0
    clear_s: float = 0.0
    extra: float = 0.0


def drain(
    waiting: float, offered: float, ready: float, lead_s: float, *, wait_s: float, price: float, cost_s: float
) -> Drain:
    """The cheapest way to clear a queue.

    The backlog is projected to the time when the replicas that are to clear it begin to serve. As that comes nearer
    the queue grows by as much as was projected, so the answer stays the same: nothing is ordered twice for the same
    queue, and what it turns out not to need is given up. Clearing takes b / extra seconds in which all that comes is
    late, and each extra replica costs `cost_s` besides the work that it does. The sum of both is least at
    `clear_s = sqrt(b * cost_s / (price * offered))`.

    Args:
        waiting: Work in the queue, replica-seconds.
        offered: Work that comes, replica-seconds a second.
        ready: Replicas that serve, on average until then.
        lead_s: In how many seconds the next ones will: those on their way, or those ordered now.
        wait_s: The wait from which on a request is late.
        price: Cost of a late request over the cost of serving it.
        cost_s: What a replica costs before it serves, replica-seconds.

    >>> drain(2.0, 1.0, 2, 10.0, wait_s=1.0, price=10.0, cost_s=10.0)
    Drain(backlog=0.0, clear_s=0.0, extra=0.0)
    >>> first = drain(20.0, 10.0, 4, 10.0, wait_s=1.0, price=10.0, cost_s=10.0)
    >>> round(first.backlog), round(first.clear_s, 1), round(first.extra)
    (70, 2.6, 26)
    >>> drain(20.0 + 6.0, 10.0, 4, 9.0, wait_s=1.0, price=10.0, cost_s=10.0) == first
    True
    """
    may_wait = offered * wait_s
    if waiting <= may_wait / 2:
        return Drain()
    backlog = waiting + (offered - ready) * lead_s - may_wait
    if backlog <= 0:
        return Drain()
    # Replicas do not all start at the same moment: clearing faster than a part of a start takes is but wished for.
    clear_s = max(cost_s * FASTEST, sqrt(backlog * cost_s / (price * max(offered, LEAST))))
    return Drain(backlog, clear_s, backlog / clear_s)


FASTEST = 0.1
"""The shortest time for clearing a queue, over what a replica costs before it serves."""
LEAST = 0.1
"""Offered load is not taken to be smaller, replicas."""
