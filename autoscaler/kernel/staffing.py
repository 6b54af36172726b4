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

NODES = ((-sqrt(3.0), 1 / 6), (0.0, 2 / 3), (sqrt(3.0), 1 / 6))
"""Standard errors and weights with which a mean over a normal distribution is taken (Gauss and Hermite, three nodes)."""


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
    """

    wait_s: float
    price: float
    service_s: float
    cv: float = 1.0
    slots: int = 1
    places: int = 0

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
        14
        """
        if load <= 0 or self.service_s <= 0:
            return 0
        nodes = [(max(load + number * error, 0.0), weight) for number, weight in (NODES if error else ((0.0, 1.0),))]
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
            if replicas >= least:
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
    """

    number: int | None = None
    too_few: float = 0.0
    too_many: float = 0.0

    def observe(self, staffing: Staffing, load: float, error: float, elapsed_s: float, change_s: float) -> Staff:
        """With a load that was there for some time.

        Args:
            staffing: What numbers cost.
            load: Offered load in erlangs.
            error: Its standard error.
            elapsed_s: For how long, seconds.
            change_s: What it costs to change by one replica, replica-seconds.

        >>> staffing = Staffing(wait_s=1.0, price=10.0, service_s=0.5)
        >>> staff = Staff(13).observe(staffing, 10.0, 0.0, 1.0, 10.0)
        >>> staff.number, staff.observe(staffing, 10.0, 0.0, 20.0, 10.0).number
        (13, 12)
        >>> Staff(13).observe(staffing, 40.0, 0.0, 1.0, 10.0).number
        44
        """
        best = staffing.best(load, error)
        number = self.number
        if number is None:
            return Staff(best)
        if best > number:
            up = staffing.cost(number, load, error) - staffing.cost(best, load, error)
            too_few = self.too_few + up * elapsed_s
            return Staff(best) if too_few >= (best - number) * change_s * 0.0 else Staff(number, too_few)
        # Fewer only if that pays also where the load may be: what chance did would have to be undone.
        most = load + 2.0 * error
        best = staffing.best(most, error)
        too_few = (
            max(
                self.too_few
                + (staffing.cost(number, load, error) - staffing.cost(number + 1, load, error)) * elapsed_s,
                0.0,
            )
            if self.too_few
            else 0.0
        )
        if best >= number:
            return Staff(number, too_few)
        too_many = self.too_many + (staffing.cost(number, most, error) - staffing.cost(best, most, error)) * elapsed_s
        return Staff(best) if too_many >= (number - best) * change_s else Staff(number, too_few, too_many)
