"""How long replicas take to start and machines to boot, told by nothing but how many are on their way."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Order:
    """Some that were asked for at one time.

    Attributes:
        at_s: When, seconds.
        number: How many of them are still on their way.
        held_up: Whether they may have had to wait for something else first, so that they tell nothing of the lead time.
    """

    at_s: float
    number: int
    held_up: bool = False


@dataclass(frozen=True, slots=True)
class LeadTime:
    """Measured time from order to service.

    Those on their way are taken to arrive in the order in which they were asked for; the latest are given up first.

    Attributes:
        mean_s: Mean seconds; the prior until something has arrived.
        count: Orders behind it.
        orders: What is on its way, oldest first.
        memory: Orders that the mean is taken over.
    """

    mean_s: float
    count: float = 0.0
    orders: tuple[Order, ...] = ()
    memory: float = 10.0

    def observe(
        self, now_s: float, on_the_way: int, arrived: int, *, held_up: bool = False, since_s: float | None = None
    ) -> LeadTime:
        """With how many are on their way now and how many have arrived since the snapshot before.

        Args:
            now_s: Time, seconds.
            on_the_way: How many are.
            arrived: How many have come since the last time.
            held_up: Whether those on their way may be waiting for something else.
            since_s: When new ones were asked for at the earliest, and then they were; `None`: now.

        >>> asked = LeadTime(10.0).observe(0.0, 4, 0)
        >>> asked.observe(30.0, 0, 4).mean_s
        30.0
        """
        if not self.orders and not on_the_way:
            return self
        orders, mean, count = list(self.orders), self.mean_s, self.count
        left = max(arrived, 0)
        while left and orders:
            first = orders.pop(0)
            taken = min(left, first.number)
            if not first.held_up:
                weight = taken / first.number
                count = min(count + weight, self.memory)
                mean += (max(now_s - first.at_s, 0.0) - mean) * weight / max(count, 1.0)
            left -= taken
            if taken < first.number:
                orders.insert(0, replace(first, number=first.number - taken))
        known = sum(order.number for order in orders)
        if on_the_way > known:
            # However long ago that was, they are expected from now on only.
            at_s = now_s if since_s is None else max(since_s, now_s - mean)
            orders.append(Order(min(at_s, now_s), on_the_way - known))
        while known > on_the_way:
            last = orders.pop()
            given_up = min(last.number, known - on_the_way)
            known -= given_up
            if given_up < last.number:
                orders.append(replace(last, number=last.number - given_up))
        for order in orders:
            # What has not come yet takes at least as long as it has been on its way.
            if not order.held_up and not held_up:
                mean = max(mean, now_s - order.at_s)
        if held_up:
            orders = [order if order.held_up else replace(order, held_up=True) for order in orders]
        return replace(self, mean_s=mean, count=count, orders=tuple(orders))

    def remaining_s(self, now_s: float, hold_up_s: float = 0.0) -> tuple[tuple[float, int], ...]:
        """In how many seconds those on their way are expected, and how many.

        Args:
            now_s: Time, seconds.
            hold_up_s: How long it takes what they may be waiting for.

        >>> LeadTime(10.0).observe(0.0, 4, 0).remaining_s(3.0)
        ((7.0, 4),)
        """
        return tuple(
            (max(order.at_s + self.mean_s + (hold_up_s if order.held_up else 0.0) - now_s, 0.0), order.number)
            for order in self.orders
        )
