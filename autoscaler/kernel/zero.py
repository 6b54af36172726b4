"""Between nothing and one replica: when to begin, and how long to stay when nothing comes.

An idle replica is kept as long as past pauses say that it pays: of all times of keeping it, the one with which these
pauses would have cost least, counting the replica-seconds and the requests that would have found nobody (the idle-time
histogram of Shahrad et al., *Serverless in the Wild*, ATC 2020). While little is known: as long as coming back costs.
"""

from __future__ import annotations

from dataclasses import dataclass

MEMORY = 50
"""Pauses that are remembered."""
FEW = 3
"""Pauses from which on they are believed."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Pauses without any request.

    Attributes:
        since_s: Since when there has been none; `None`: there are some.
        pauses: How long past ones were, seconds.
    """

    since_s: float | None = None
    pauses: tuple[float, ...] = ()

    def observe(self, now_s: float, busy: bool) -> Idle:
        """With whether there was anything to do."""
        if not busy:
            return self if self.since_s is not None else Idle(now_s, self.pauses)
        if self.since_s is None:
            return self
        return Idle(None, (*self.pauses[-MEMORY + 1 :], now_s - self.since_s))

    def keep_s(self, return_cost: float) -> float:
        """How long a replica is kept that has nothing to do.

        Args:
            return_cost: What it costs to be gone when the next request comes, replica-seconds.

        >>> Idle().keep_s(100.0)
        100.0
        >>> Idle(pauses=(20.0, 25.0, 22.0)).keep_s(100.0)
        25.0
        >>> Idle(pauses=(900.0, 800.0, 990.0)).keep_s(100.0)
        0.0
        """
        if len(self.pauses) < FEW:
            return return_cost

        def cost(keep_s: float) -> float:
            return sum(pause if pause <= keep_s else keep_s + return_cost for pause in self.pauses)

        return min((0.0, *sorted(self.pauses)), key=cost)

    def keeps(self, now_s: float, return_cost: float) -> bool:
        """Whether a replica that has nothing to do is kept at a time."""
        return self.since_s is None or now_s - self.since_s <= self.keep_s(return_cost) * 1.1
