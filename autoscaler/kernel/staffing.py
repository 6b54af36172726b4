"""How many replicas a load asks for, and when it pays to change their number.

What a number of replicas costs, a second, is the replicas, the empty places on their machines, and the price of the
requests that will be late; as the load is not known exactly, that is the mean over what it may be. A change costs
starts. It is made when the present number has cost as much more than a better one as changing to it does: Page's
cumulative sums (Biometrika 41, 1954) with the threshold of the ski rental (Karlin et al. 1988; lazy capacity
provisioning, Lin et al. 2011). So chance, which comes and goes, changes nothing, what is a little better is done
after a while, and what is far too few is mended at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

from .bursts import IDLE_PLACE
from .erlang import MANY, erlang_b, halfin_whitt, tail
from .two_choices import late_twice

NODES = ((-sqrt(3.0), 1 / 6), (0.0, 2 / 3), (sqrt(3.0), 1 / 6))
"""Standard errors and weights for a mean over a normal distribution (Gauss and Hermite, three nodes)."""

CONFIRMED = 3
"""Snapshots in a row that must want more: one may be chance, and the next ones share half of its arrivals or less."""
WORTH = 0.05
"""Part of the least cost that fewer must save: steady load often lies between two numbers that cost about the same."""
SURE = 2.0
"""Standard errors by which the load may be larger when fewer replicas are taken: chance alone does that once in 40."""


@dataclass(frozen=True, slots=True)
class Staffing:
    """What numbers of replicas cost.

    Attributes:
        wait_s: Wait from which on a request is late, seconds; at five times that it is so again.
        price: What a late request costs, over what serving it costs.
        service_s: Mean service time, seconds.
        cv: Coefficient of variation of the service times.
        slots: Requests that a replica serves at once.
        places: Replicas that fit on a machine; 0: empty places are not counted.
        most: More are never looked at: one more than there may be tells that the load is too much. Default: no limit.
        two_choices: Whether each request goes at once to one of two replicas; else one queue is before all of them.
    """

    wait_s: float
    price: float
    service_s: float
    cv: float = 1.0
    slots: int = 1
    places: int = 0
    two_choices: bool = False
    most: float = inf

    def cost(self, replicas: int, load: float, error: float = 0.0) -> float:
        """Replica-seconds a second that a number of replicas costs.

        Args:
            replicas: The number.
            load: Offered load in erlangs.
            error: Its standard error.

        >>> staffing = Staffing(wait_s=1.0, price=10.0, service_s=0.5)
        >>> staffing.cost(11, 10.0) > staffing.cost(12, 10.0) < staffing.cost(13, 10.0)
        True
        """
        servers = replicas * self.slots
        late = 0.0
        for number, weight in NODES if error else ((0.0, 1.0),):
            offered = max(load + number * error, 0.0)
            known = offered <= MANY and servers > offered
            late += weight * offered * self._late(servers, offered, erlang_b(servers, offered) if known else 1.0)
        return self._standing(replicas) + self.price * late / self.slots

    def best(self, load: float, error: float = 0.0) -> int:
        """The number that costs least.

        >>> Staffing(wait_s=1.0, price=10.0, service_s=0.5).best(10.0)
        12
        >>> Staffing(wait_s=1.0, price=10.0, service_s=0.5).best(10.0, error=2.0)
        15
        """
        if load <= 0 or self.service_s <= 0:
            return 0
        nodes = [(max(load + number * error, 0.0), weight) for number, weight in (NODES if error else ((0.0, 1.0),))]
        if load / self.slots >= self.most:
            return int(self.most) + 1
        replicas = int(load / self.slots) + 1
        blocked = [erlang_b(replicas * self.slots, offered) if offered <= MANY else 1.0 for offered, _ in nodes]
        least, fewest = inf, replicas
        while True:
            servers = replicas * self.slots
            late = sum(
                weight * offered * self._late(servers, offered, known)
                for (offered, weight), known in zip(nodes, blocked, strict=True)
            )
            cost = self._standing(replicas) + self.price * late / self.slots
            if cost < least:
                least, fewest = cost, replicas
            if replicas >= least or replicas > self.most:
                return fewest
            replicas += 1
            for added in range(servers + 1, servers + self.slots + 1):
                blocked = [
                    offered * known / (added + offered * known)
                    for (offered, _), known in zip(nodes, blocked, strict=True)
                ]

    def _standing(self, replicas: int) -> float:
        """Replicas and the empty places on their machines."""
        return replicas + IDLE_PLACE * (-replicas % self.places if self.places else 0)

    def _late(self, servers: int, offered: float, blocked: float) -> float:
        """Share of the requests that is late, once and again."""
        if servers <= offered:
            return 2.0
        if self.two_choices:
            replicas = servers // self.slots
            return late_twice(self.wait_s, replicas, offered, self.service_s, self.cv, slots=self.slots)
        if offered > MANY:
            waits = halfin_whitt(servers, offered)
        else:
            waits = blocked / (1.0 - offered / servers * (1.0 - blocked))
        spare = servers - offered
        return sum(tail(waits, spare, wait_s, self.service_s, self.cv) for wait_s in (self.wait_s, 5.0 * self.wait_s))


@dataclass(frozen=True, slots=True)
class Staff:
    """A number of replicas that is changed when that pays.

    Attributes:
        number: The number; `None`: none was chosen yet.
        too_few: What it has cost more than a larger one, replica-seconds.
        too_many: What it has cost more than a smaller one.
        seen: Times in a row that it was too few.
    """

    number: int | None = None
    too_few: float = 0.0
    too_many: float = 0.0
    seen: int = 0

    def observe(
        self, staffing: Staffing, load: float, error: float, elapsed_s: float, change_s: float, machine_s: float = 0.0
    ) -> Staff:
        """With a load that was there for some time.

        More are taken, where a machine has a place for them, as soon as it is confirmed that it pays: they are paid for
        as they go. What is so dear that it has paid already is not waited for. Fewer are taken when that saves enough
        and has paid for long enough, and also where the load may be: what chance did would have to be undone.

        Args:
            staffing: What numbers cost.
            load: Offered load in erlangs.
            error: Its standard error.
            elapsed_s: For how long, seconds.
            change_s: What it costs to have one fewer and then one more, replica-seconds.
            machine_s: What it costs that one more needs a machine, replica-seconds; 0: it needs none.

        >>> staffing = Staffing(wait_s=1.0, price=10.0, service_s=0.5)
        >>> staff = Staff(14).observe(staffing, 10.0, 0.0, 1.0, 10.0)
        >>> staff.number, staff.observe(staffing, 10.0, 0.0, 60.0, 10.0).number
        (14, 12)
        >>> Staff(13).observe(staffing, 40.0, 0.0, 1.0, 10.0).number
        43
        """
        number = self.number
        best = staffing.best(load, error)
        if number is None or best > staffing.most:
            return Staff(best)
        if best > number:
            gain = staffing.cost(number, load, error) - staffing.cost(best, load, error)
            too_few = self.too_few + gain * elapsed_s
            dear = too_few >= max((best - number) * change_s, machine_s)
            if dear or number == 0 or (self.seen + 1 >= CONFIRMED and too_few >= machine_s):
                return Staff(best)
            return Staff(number, too_few, seen=self.seen + 1)
        too_few = self.too_few
        if too_few:
            gain = staffing.cost(number, load, error) - staffing.cost(number + 1, load, error)
            too_few = max(too_few + gain * elapsed_s, 0.0)
        most = load + SURE * error
        best = staffing.best(most, error)
        if best >= number:
            return Staff(number, too_few)
        least = staffing.cost(best, most, error)
        gain = staffing.cost(number, most, error) - least
        if gain < WORTH * least:
            return Staff(number, too_few, self.too_many)
        too_many = self.too_many + gain * elapsed_s
        return Staff(best) if too_many >= (number - best) * change_s else Staff(number, too_few, too_many)
