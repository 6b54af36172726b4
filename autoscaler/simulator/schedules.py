"""Schedules for one who knows the future: when each replica is in use, so that nobody waits longer than `SLACK_S`."""

from __future__ import annotations

from bisect import bisect_left
from heapq import heapreplace
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..workload.trace import Trace

SLACK_S = 1.0
"""The longest wait that is not late."""
WINDOWS_S = (5.0, 10.0, 20.0, 60.0, 300.0)
"""Windows in which the number of replicas stays."""

Span = tuple[float, float]


def slots_by_first_fit(times: Sequence[float], sizes: Sequence[float]) -> list[list[Span]]:
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


def replicas_of(served: Sequence[Sequence[Span]], slots: int) -> list[list[Span]]:
    """When replicas with so many slots each are in use, in order."""
    groups = (served[first : first + slots] for first in range(0, len(served), slots))
    return [sorted(span for spans in group for span in spans) for group in groups]


def least_in_windows(trace: Trace, slots: int, window_s: float) -> list[list[Span]]:
    """When each replica is in use, if in each window there are just enough that nobody is late.

    A replica that is not needed in the next window ends when it has answered what it serves.

    >>> from raybeam.autoscaler.workload import Trace
    >>> least_in_windows(Trace("three", [2.0, 2.0, 7.5], [0.5, 3.5, 0.5], 15.0), 1, 5.0)
    [[(0.0, 5.0), (5.0, 10.0)]]
    """
    times = trace.times
    used: list[list[Span]] = []
    free: list[float] = []
    head, count, begin = 0, 0, 0.0
    while begin < trace.duration_s:
        end = min(begin + window_s, trace.duration_s)
        least = 0 if head == bisect_left(times, end, head) else 1
        count = max(count, least)
        found = _serve(trace, head, begin, end, _resized(free, count * slots, begin))
        if found is None:
            while found is None:
                count += 1
                found = _serve(trace, head, begin, end, _resized(free, count * slots, begin))
        else:
            while count > least:
                fewer = _serve(trace, head, begin, end, _resized(free, (count - 1) * slots, begin))
                if fewer is None:
                    break
                count, found = count - 1, fewer
        leaving = [at for at in free[: max(0, len(free) - count * slots)] if at > begin]
        used += [[] for _ in range(count + ceil(len(leaving) / slots) - len(used))]
        for level in range(count):
            used[level].append((begin, end))
        for level, first in enumerate(range(0, len(leaving), slots), count):
            used[level].append((begin, max(leaving[first : first + slots])))
        free, head = found
        free.sort()
        begin = end
    return used


def _resized(free: Sequence[float], slots: int, now: float) -> list[float]:
    """The times at which so many slots are free, in order: idle ones leave first, new ones are free at once."""
    if slots <= len(free):
        return list(free[len(free) - slots :])
    return sorted([*free, *[now] * (slots - len(free))])


def _serve(trace: Trace, head: int, begin: float, end: float, free: list[float]) -> tuple[list[float], int] | None:
    """Start all requests from `head` on that can start before `end`; nothing, if anybody is late."""
    times, sizes = trace.times, trace.sizes
    last = bisect_left(times, end, head)
    index = head
    if free:
        for index in range(head, last):
            start = times[index]
            at = free[0]
            if at > start:
                if at > start + SLACK_S:
                    return None
                if at >= end:
                    break
                start = at
            heapreplace(free, start + sizes[index])
        else:
            index = last
    if index < last and end - times[index] > SLACK_S:
        return None
    return free, index
