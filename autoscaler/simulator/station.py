"""The core of the simulator: one queue, first come first served, before slots that come and go.

A request is never an event. Between two changes of the fleet the queue is walked in the order of arrival, each request
taking the slot that is free first (Kiefer and Wolfowitz' recursion), which costs one operation on a small heap. It is
exact, because a request that would start after the next change is left for after it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Station:
    """The requests of one family and the slots that serve them.

    Attributes:
        arrivals: When each request came, seconds, in order.
        services: Seconds that each takes in a slot.
        waits: Seconds that each waited until it was started, as far as they have been.
        retries: Requests whose replica died under them; they are the first to start again.
    """

    def __init__(
        self, arrivals: Sequence[float], services: Sequence[float], slots: int, bucket_s: float, horizon_s: float
    ) -> None:
        self.arrivals = list(arrivals)
        self.services = list(services)
        self.waits: list[float] = []
        self.retries: deque[int] = deque()
        self._killed_s = 0.0
        self.slots = slots
        self._free: list[tuple[float, int]] = []
        self._holds: dict[int, int] = {}
        self._draining: dict[int, list[tuple[float, int]]] = {}
        self._per_s, self._bucket_s = 1.0 / bucket_s, bucket_s
        self._buckets = int(horizon_s / bucket_s) + 1
        self.done = [0] * self._buckets
        self.work = [0.0] * self._buckets
        self.work_squared = [0.0] * self._buckets
        self._coming: list[tuple[float, float]] = []

    def advance(self, until: float) -> None:
        """Start every request that starts before `until`."""
        if self._coming:
            self._take_in(until)
        if self.retries:
            self._retry(until)
            if self.retries:
                return
        free, waits = self._free, self.waits
        head = len(waits)
        if not free or head == len(self.arrivals):
            return
        arrivals, services, holds = self.arrivals, self.services, self._holds
        done, work, work_squared = self.done, self.work, self.work_squared
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

    def call(self, at: float, service: float) -> None:
        """A request comes at a time that `advance` has not reached."""
        heappush(self._coming, (at, service))

    def _take_in(self, until: float) -> None:
        """Put the requests that other families sent among those of the trace, in the order of arrival."""
        taken = []
        while self._coming and self._coming[0][0] < until:
            taken.append(heappop(self._coming))
        if not taken:
            return
        first = bisect_left(self.arrivals, taken[0][0], len(self.waits))
        last = bisect_left(self.arrivals, until, first)
        taken += zip(self.arrivals[first:last], self.services[first:last], strict=True)
        taken.sort()
        self.arrivals[first:last] = [at for at, _ in taken]
        self.services[first:last] = [service for _, service in taken]

    def _retry(self, until: float) -> None:
        free = self._free
        while self.retries and free and free[0][0] < until:
            index = self.retries.popleft()
            at, slot = free[0]
            start = max(at, self._killed_s)
            self.waits[index] = start - self.arrivals[index]
            end = start + self.services[index]
            heapreplace(free, (end, slot))
            self._holds[slot] = index
            self._count(end, self.services[index], 1)

    def _count(self, end: float, service: float, times: int) -> None:
        bucket = int(end * self._per_s)
        bucket += ((bucket + 1) * self._bucket_s < end) - (bucket > 0 and bucket * self._bucket_s >= end)
        if bucket < self._buckets:
            self.done[bucket] += times
            self.work[bucket] += times * service
            self.work_squared[bucket] += times * service * service

    def add(self, replica: int, now: float) -> None:
        """A replica begins to serve."""
        for slot in range(replica * self.slots, (replica + 1) * self.slots):
            heappush(self._free, (now, slot))

    def busy(self, now: float) -> dict[int, int]:
        """How many slots of each replica serve a request; those that serve none are left out."""
        counts: dict[int, int] = {}
        for at, slot in self._free:
            if at > now:
                counts[slot // self.slots] = counts.get(slot // self.slots, 0) + 1
        return counts

    def drain(self, replica: int, now: float) -> float:
        """A replica takes no more requests; when it has answered those that it has."""
        self._draining[replica] = taken = self._remove(replica)
        return max(now, *(at for at, _ in taken))

    def drained(self, replica: int) -> None:
        """A replica that drained has ended."""
        for _, slot in self._draining.pop(replica):
            self._holds.pop(slot, None)

    def kill(self, replica: int, now: float) -> None:
        """A replica dies; what it was serving starts anew elsewhere, before all others."""
        self._killed_s = now
        taken = self._draining.pop(replica, None) or self._remove(replica)
        lost = []
        for at, slot in taken:
            index = self._holds.pop(slot, None)
            if index is not None and at > now:
                self._count(at, self.services[index], -1)
                lost.append(index)
        self.retries = deque(sorted([*self.retries, *lost]))

    def _remove(self, replica: int) -> list[tuple[float, int]]:
        taken = [entry for entry in self._free if entry[1] // self.slots == replica]
        self._free = [entry for entry in self._free if entry[1] // self.slots != replica]
        heapify(self._free)
        return taken

    def arrived(self, now: float) -> int:
        """How many requests came before `now`, up to which the station was advanced."""
        return bisect_left(self.arrivals, now, len(self.waits))

    def started(self) -> int:
        """How many requests were started and not lost."""
        return len(self.waits) - len(self.retries)

    def oldest_wait_s(self, now: float) -> float:
        """How long the request that waits longest has waited; 0: none waits."""
        index = self.retries[0] if self.retries else len(self.waits)
        return max(0.0, now - self.arrivals[index]) if index < len(self.arrivals) else 0.0
