"""A station where each request goes at once to the less loaded of two replicas drawn at random, and stays there.

That is what callers of a replicated family do. It is exact as well: a replica serves in the order in which requests
came to it, so from what it has already follows when the next one starts and ends. Only a death changes that, which
sends all that the replica had to others. A replica that drains serves what it has. While there is no replica, requests
wait where they come from, and all go to the first one that serves.
"""

from __future__ import annotations

from array import array
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from .station import Completed

if TYPE_CHECKING:
    from random import Random

    from .demand import Demand

NEVER = float("inf")


class Line:
    """The requests of one replica.

    Attributes:
        replica: Its number.
        free: For each slot, when it will have served all that it has; a heap.
        given: Requests that are not known to be served, by the time of their ends; a heap.
    """

    __slots__ = ("free", "given", "replica")

    def __init__(self, replica: int, slots: int, now: float) -> None:
        self.replica = replica
        self.free = [now] * slots
        self.given: list[tuple[float, int]] = []


class TwoChoices:
    """The requests of one family and the replicas that serve them; see `Station`.

    Args:
        demand: The requests.
        slots: That each replica has.
        chance: Draws the replicas.
    """

    def __init__(self, demand: Demand, slots: int, chance: Random) -> None:
        self.demand = demand
        self.waits: list[float] = []
        self._slots = slots
        self._random = chance.random
        self._lines: list[Line] = []
        self._draining: dict[int, Line] = {}
        self._lost: list[int] = []
        self._lost_s = 0.0
        self._oldest = 0  # all before it were started
        self._count = 0
        self._work = self._work_squared = 0.0

    def advance(self, until: float) -> None:
        """See `Station`."""
        waits, demand = self.waits, self.demand
        demand.take_in(len(waits), until)
        if not self._lines:
            return
        arrivals, give = demand.arrivals, self._give
        for index in self._lost:
            waits[index] = give(index, self._lost_s) - arrivals[index]
        self._lost.clear()
        for index in range(len(waits), demand.arrived(until, len(waits))):
            at = arrivals[index]
            waits.append(give(index, at) - at)

    def _give(self, index: int, at: float) -> float:
        """Give a request to a replica; when it starts."""
        line = self._choose(at)
        start = line.free[0]
        if start < at:
            start = at
        end = start + self.demand.services[index]
        heapreplace(line.free, end)
        heappush(line.given, (end, index))
        return start

    def _choose(self, at: float) -> Line:
        lines, draw = self._lines, self._random
        many = len(lines)
        if many == 1:
            return lines[0]
        first, second = int(draw() * many), int(draw() * (many - 1))
        if second >= first:
            second += 1
        one, other = lines[first], lines[second]
        if one.given and one.given[0][0] <= at:
            self._serve(one, at)
        if other.given and other.given[0][0] <= at:
            self._serve(other, at)
        return one if len(one.given) <= len(other.given) else other

    def _serve(self, line: Line, until: float) -> None:
        """Count what a replica has served up to a time."""
        given, services = line.given, self.demand.services
        while given and given[0][0] <= until:
            service = services[heappop(given)[1]]
            self._count += 1
            self._work += service
            self._work_squared += service * service

    def add(self, replica: int, now: float) -> None:
        """See `Station`."""
        self._lines.append(Line(replica, self._slots, now))

    def busy(self, now: float) -> dict[int, int]:
        """See `Station`."""
        for line in self._lines:
            self._serve(line, now)
        return {line.replica: len(line.given) for line in self._lines if line.given}

    def drain(self, replica: int, now: float) -> float:
        """See `Station`."""
        line = self._draining[replica] = self._leave(replica)
        return max(now, *line.free)

    def take_back(self, replica: int, now: float) -> None:
        """See `Station`."""
        line = self._draining.pop(replica)
        line.free = [max(now, at) for at in line.free]
        self._lines.append(line)

    def drained(self, replica: int, now: float) -> None:
        """See `Station`."""
        self._serve(self._draining.pop(replica), now)

    def kill(self, replica: int, now: float) -> None:
        """See `Station`. All that it had, waiting or not, is given to others, in the order in which it came."""
        line = self._draining.pop(replica, None) or self._leave(replica)
        self._serve(line, now)
        for _, index in line.given:
            self.waits[index] = NEVER
            self._oldest = min(self._oldest, index)
            self._lost.append(index)
        self._lost.sort()
        self._lost_s = now

    def _leave(self, replica: int) -> Line:
        line = next(line for line in self._lines if line.replica == replica)
        self._lines.remove(line)
        return line

    def completed(self, now: float) -> Completed:
        """See `Station`."""
        for line in (*self._lines, *self._draining.values()):
            self._serve(line, now)
        told = Completed(self._count, self._work, self._work_squared)
        self._count, self._work, self._work_squared = 0, 0.0, 0.0
        return told

    def started(self, now: float) -> int:
        """See `Station`."""
        waiting = 0
        for line in (*self._lines, *self._draining.values()):
            self._serve(line, now)
            waiting += max(0, len(line.given) - self._slots)
        return len(self.waits) - len(self._lost) - waiting

    def oldest_wait_s(self, now: float) -> float:
        """See `Station`."""
        waits, arrivals = self.waits, self.demand.arrivals
        while self._oldest < len(waits) and arrivals[self._oldest] + waits[self._oldest] <= now:
            self._oldest += 1
        return max(0.0, now - arrivals[self._oldest]) if self._oldest < len(arrivals) else 0.0

    def outcome(self, horizon_s: float) -> tuple[array[float], array[float], list[float]]:
        """See `Station`."""
        arrivals, waits, pending = array("d"), array("d"), []
        came = self.demand.arrivals[: self.demand.arrived(horizon_s, len(self.waits))]
        for at, wait in zip(came, [*self.waits, *[NEVER] * (len(came) - len(self.waits))], strict=True):
            if at + wait < horizon_s:
                arrivals.append(at)
                waits.append(wait)
            else:
                pending.append(horizon_s - at)
        return arrivals, waits, pending
