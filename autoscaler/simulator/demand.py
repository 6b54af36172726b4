"""The requests of one family: those of its trace, and those that other families send to it."""

from __future__ import annotations

from bisect import bisect_left
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Demand:
    """Requests in the order in which they come.

    Attributes:
        arrivals: When each comes, seconds, in order.
        services: Seconds that each takes in a slot.
    """

    def __init__(self, arrivals: Sequence[float], services: Sequence[float]) -> None:
        self.arrivals = list(arrivals)
        self.services = list(services)
        self._coming: list[tuple[float, float]] = []

    def call(self, at: float, service: float) -> None:
        """A request comes at a time that its station has not reached."""
        heappush(self._coming, (at, service))

    def take_in(self, since: int, until: float) -> None:
        """Put the requests that other families sent among those of the trace, in the order of arrival.

        Args:
            since: How many requests the station is done with; none comes before them.
            until: Those that come later are left for later.
        """
        taken = []
        while self._coming and self._coming[0][0] < until:
            taken.append(heappop(self._coming))
        if not taken:
            return
        first = bisect_left(self.arrivals, taken[0][0], since)
        last = bisect_left(self.arrivals, until, first)
        taken += zip(self.arrivals[first:last], self.services[first:last], strict=True)
        taken.sort()
        self.arrivals[first:last] = [at for at, _ in taken]
        self.services[first:last] = [service for _, service in taken]

    def arrived(self, now: float, since: int) -> int:
        """How many requests came before `now`; `since` of them at least."""
        return bisect_left(self.arrivals, now, since)
