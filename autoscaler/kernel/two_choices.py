"""Waits where each request goes to the less loaded of two replicas drawn at random, and stays there.

With many replicas, how many have at least i requests follows from the flow between neighbouring levels (Mitzenmacher,
*The Power of Two Choices in Randomized Load Balancing*, 2001; with several slots to a replica the same balance holds).
Two replicas are a queue of their own, in which both always have about as many. In between the first is approached as
2 / n. Against simulations (2 to 50 replicas of 1 to 4 slots, busy for 0.5 to 0.9 of the time) mean waits are right to a
quarter and rather too long, shares of all requests to 0.04.

One queue before all servers (Erlang's) would do with fewer: at 0.8 of ten servers' capacity 6 % of the requests wait
longer than one service takes there, and 37 % here. So a policy must know which of them it plans for.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, floor, inf, log
from typing import TYPE_CHECKING

from .erlang import check, erlang_c

if TYPE_CHECKING:
    from collections.abc import Sequence

DUST = 1e-6
MOST_LEVELS = 400
HALVINGS = 50
GRID = 128
PER_E = 20


def later_than(
    wait_s: float, replicas: int, load: float, service_s: float, cv: float = 1.0, *, slots: int = 1
) -> float:
    """The share of requests that wait longer than a time.

    Args:
        wait_s: The time, seconds.
        replicas: How many there are.
        load: Offered load in erlangs.
        service_s: Mean service time, seconds.
        cv: Coefficient of variation of the service times; 1: exponential, for which the levels hold.
        slots: Requests that a replica serves at once.

    >>> round(later_than(1.0, 10, 8.0, 1.0), 2)
    0.37
    """
    check(wait_s=wait_s, replicas=replicas, load=load, service_s=service_s, cv=cv)
    if replicas * slots <= load:
        return 1.0
    if service_s <= 0:
        return 0.0
    return _tail(waiting(replicas, load, slots), wait_s * slots / (service_s * (1.0 + cv * cv) / 2.0))


def _tail(ahead: Sequence[float], time: float) -> float:
    """The share that waits longer than a time, in units of the time from one end to the next."""
    term = tail = exp(-time)
    late = 0.0
    for number, (this, more) in enumerate(zip(ahead, (*ahead[1:], 0.0), strict=False), 1):
        late += (this - more) * tail  # so many must end before: an Erlang distribution's tail
        term *= time / number
        tail += term
    return min(late, 1.0)


def late_twice(
    wait_s: float, replicas: int, load: float, service_s: float, cv: float = 1.0, *, slots: int = 1
) -> float:
    """The shares that wait longer than a time and than five times that, added; for a policy that asks often.

    Load and times are taken on a grid of 1/128 of the capacity and of 5 %, on the safe side, so that what was computed
    once is known.

    >>> exact = later_than(1.0, 10, 8.0, 1.0) + later_than(5.0, 10, 8.0, 1.0)
    >>> exact <= late_twice(1.0, 10, 8.0, 1.0) <= 1.15 * exact
    True
    """
    servers = replicas * slots
    if servers <= load:
        return 2.0
    if load <= 0 or service_s <= 0:
        return 0.0
    spread = (1.0 + cv * cv) / 2.0 if cv <= 1 else cv
    return _late_twice(replicas, ceil(load / servers * GRID), slots, floor(log(wait_s / service_s / spread) * PER_E))


@lru_cache(maxsize=65536)
def _late_twice(replicas: int, busy: int, slots: int, time: int) -> float:
    load = min(busy / GRID, 1.0 - 0.5 / GRID) * replicas * slots
    ahead = waiting(replicas, load, slots)
    wait_s = exp(time / PER_E)
    return min(sum(_tail(ahead, grade * wait_s * slots) for grade in (1.0, 5.0)), 2.0)


def mean_wait_s(replicas: int, load: float, service_s: float, cv: float = 1.0, *, slots: int = 1) -> float:
    """Mean wait in seconds; infinite if the replicas cannot carry the load.

    >>> round(mean_wait_s(1, 0.5, 1.0), 2), round(mean_wait_s(100, 50.0, 1.0), 2)
    (1.0, 0.27)
    """
    check(replicas=replicas, load=load, service_s=service_s, cv=cv)
    if replicas * slots <= load:
        return inf if load > 0 else 0.0
    return sum(waiting(replicas, load, slots)) * service_s / slots * (1.0 + cv * cv) / 2.0


def waiting(replicas: int, load: float, slots: int = 1) -> tuple[float, ...]:
    """The shares of requests before which at least 1, 2, 3 ... others must end.

    >>> [round(share, 3) for share in waiting(1000, 500.0)[:3]]
    [0.25, 0.016, 0.0]
    """
    busy = load / (replicas * slots)
    if load <= 0:
        return ()
    if replicas == 1:
        first = erlang_c(slots, load)
        return tuple(_falling(first, busy))
    pairs = _falling(erlang_c(2 * slots, 2 * slots * busy), busy * busy)
    weight = 2.0 / replicas
    if replicas == 2:
        return tuple(pairs)
    level, place = _full(busy, slots), 0
    shares: list[float] = []
    while place < MOST_LEVELS:
        share = (1.0 - weight) * level * level + weight * (pairs[place] if place < len(pairs) else 0.0)
        if share < DUST:
            break
        shares.append(share)
        level = busy * level * level
        place += 1
    return tuple(shares)


def _falling(first: float, ratio: float) -> list[float]:
    shares: list[float] = []
    while first > DUST and len(shares) < MOST_LEVELS:
        shares.append(first)
        first *= ratio
    return shares


@lru_cache(maxsize=4096)
def _full(busy: float, slots: int) -> float:
    """The share of replicas all whose slots are busy, with many replicas.

    Of the levels below, each follows from the two before it; the first is the one with which all requests find a slot.
    """
    if slots == 1:
        return busy
    load = busy * slots
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        first = (low + high) / 2
        level, left = first, load - first
        for number in range(1, slots):
            level = (load * level * level - left) / number
            left -= level
            if level <= 0 or left < 0:
                break
        # Too small a first level lets the later ones fall below 0; too large a one takes more than there is.
        if level <= 0 or left > 0:
            low = first
        else:
            high = first
    return level
