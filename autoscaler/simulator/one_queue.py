"""A station with one queue, first come first served, before slots that come and go.

A request is never an event. Between two changes of the fleet the queue is walked in the order of arrival, each request
taking the slot that is free first (Kiefer and Wolfowitz' recursion), which costs one operation on a small heap. It is
exact, because a request that would start after the next change is left for after it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from heapq import heapify, heappush, heapreplace
from typing import TYPE_CHECKING

from .station import Completed

if TYPE_CHECKING:
    from .demand import Demand


class OneQueue:
    """The requests of one family and the slots that serve them; see `Station`.

    Args:
        demand: The requests.
        slots: That each replica has.
        bucket_s: The interval in which is told what was served.
        horizon_s: Until when.
    """

    def __init__(self, demand: Demand, slots: int, bucket_s: float, horizon_s: float) -> None:
        self.demand = demand
        self.waits: list[float] = []
        self._retries: deque[int] = deque()  # their replica died under them; they are the first to start again
        self._killed_s = 0.0
        self._slots = slots
        self._free: list[tuple[float, int]] = []
        self._holds: dict[int, int] = {}
        self._draining: dict[int, list[tuple[float, int]]] = {}
        self._per_s, self._bucket_s = 1.0 / bucket_s, bucket_s
        self._buckets = int(horizon_s / bucket_s) + 1
        self._done = [0] * self._buckets
        self._work = [0.0] * self._buckets
        self._work_squared = [0.0] * self._buckets
        self._told = 0

    def advance(self, until: float) -> None:
        """See `Station`."""
        self.demand.take_in(len(self.waits), until)
        if self._retries:
            self._retry(until)
            if self._retries:
                return
        free, waits = self._free, self.waits
        head = len(waits)
        arrivals, services, holds = self.demand.arrivals, self.demand.services, self._holds
        if not free or head == len(arrivals):
            return
        done, work, work_squared = self._done, self._work, self._work_squared
        per_s, bucket_s, buckets = self._per_s, self._bucket_s, self._buckets
        last = bisect_left(arrivals, until, head)
        for index in range(head, last):
            start = arrivals[index]
            at, slot = free[0]
            if at > start:
                if at >= until:
                    break
                waits.append(at - start)
                start = at
            else:
                waits.append(0.0)
            service = services[index]
            end = start + service
            heapreplace(free, (end, slot))
            holds[slot] = index
            bucket = int(end * per_s)
            if bucket and bucket * bucket_s >= end:  # a bucket holds what ends after one tick, up to the next
                bucket -= 1
            elif (bucket + 1) * bucket_s < end:
                bucket += 1
            if bucket < buckets:
                done[bucket] += 1
                work[bucket] += service
                work_squared[bucket] += service * service

    def _retry(self, until: float) -> None:
        free = self._free
        while self._retries and free and free[0][0] < until:
            index = self._retries.popleft()
            at, slot = free[0]
            start = max(at, self._killed_s)
            self.waits[index] = start - self.demand.arrivals[index]
            end = start + self.demand.services[index]
            heapreplace(free, (end, slot))
            self._holds[slot] = index
            self._count(end, self.demand.services[index], 1)

    def _count(self, end: float, service: float, times: int) -> None:
        bucket = int(end * self._per_s)
        bucket += ((bucket + 1) * self._bucket_s < end) - (bucket > 0 and bucket * self._bucket_s >= end)
        if bucket < self._buckets:
            self._done[bucket] += times
            self._work[bucket] += times * service
            self._work_squared[bucket] += times * service * service

    def add(self, replica: int, now: float) -> None:
        """See `Station`."""
        for slot in range(replica * self._slots, (replica + 1) * self._slots):
            heappush(self._free, (now, slot))

    def busy(self, now: float) -> dict[int, int]:
        """See `Station`."""
        counts: dict[int, int] = {}
        for at, slot in self._free:
            if at > now:
                counts[slot // self._slots] = counts.get(slot // self._slots, 0) + 1
        return counts

    def drain(self, replica: int, now: float) -> float:
        """See `Station`."""
        self._draining[replica] = taken = self._remove(replica)
        return max(now, *(at for at, _ in taken))

    def take_back(self, replica: int, now: float) -> None:
        """See `Station`."""
        for at, slot in self._draining.pop(replica):
            heappush(self._free, (max(now, at), slot))

    def drained(self, replica: int, now: float) -> None:
        """See `Station`."""
        for _, slot in self._draining.pop(replica):
            self._holds.pop(slot, None)

    def kill(self, replica: int, now: float) -> None:
        """See `Station`. What it was serving starts anew before all others."""
        self._killed_s = now
        taken = self._draining.pop(replica, None) or self._remove(replica)
        lost = []
        for at, slot in taken:
            index = self._holds.pop(slot, None)
            if index is not None and at > now:
                self._count(at, self.demand.services[index], -1)
                lost.append(index)
        self._retries = deque(sorted([*self._retries, *lost]))

    def _remove(self, replica: int) -> list[tuple[float, int]]:
        taken = [entry for entry in self._free if entry[1] // self._slots == replica]
        self._free = [entry for entry in self._free if entry[1] // self._slots != replica]
        heapify(self._free)
        return taken

    def completed(self, now: float) -> Completed:
        """See `Station`."""
        bucket = self._told
        self._told += 1
        return Completed(self._done[bucket], self._work[bucket], self._work_squared[bucket])

    def started(self, now: float) -> int:
        """See `Station`."""
        return len(self.waits) - len(self._retries)

    def oldest_wait_s(self, now: float) -> float:
        """See `Station`."""
        index = self._retries[0] if self._retries else len(self.waits)
        return max(0.0, now - self.demand.arrivals[index]) if index < len(self.demand.arrivals) else 0.0

    def outcome(self, horizon_s: float) -> tuple[array[float], array[float], list[float]]:
        """See `Station`."""
        started, came = len(self.waits), self.demand.arrivals
        waits, arrivals = array("d", self.waits), array("d", came[:started])
        pending = [horizon_s - at for at in came[started : self.demand.arrived(horizon_s, started)]]
        for index in reversed(self._retries):
            pending.append(horizon_s - arrivals.pop(index))
            waits.pop(index)
        return arrivals, waits, pending
