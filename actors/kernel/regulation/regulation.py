"""The regulation of a process: which parts there are. What is not given does not run."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import OptionError
from ..mailbox import Overflow
from ..options import check_count
from .codel import CoDel
from .damper import Damper
from .deadline import DeadlineDrop
from .fair_queue import Fair
from .gradient import Gradient
from .priority import Priorities
from .token_bucket import Rate


@dataclass(frozen=True, slots=True)
class Regulation:
    """How a process is protected from more calls than it can serve. Casts and other messages always pass.

    Attributes:
        queue_limit: Calls that may wait. Default 1000.
        overflow: Which call goes when the queue is full. Default `Overflow.REJECT`: the new one.
        codel: Drop calls while the queue stands. Default: none.
        rate: Begin only so many calls a second. Default: any number.
        concurrency: How many calls may be under way (begun and not answered): a number, or a `Gradient` that finds one.
            Default: any number; `concurrent` queries are bounded by 1000 even so.
        priorities: Classes of calls with reserved shares. Default: all calls are of one class.
        fair: Tenants take turns. Default: first come, first served.
        deadlines: Refuse calls that cannot be answered in time. Default: only what has expired is dropped.
        damper: Cut the limits while the machine is short of CPU time or memory. Default: no.

    >>> Regulation(codel=CoDel(target_s=0.05), concurrency=10).queue_limit
    1000
    >>> Regulation(queue_limit=0)
    Traceback (most recent call last):
    ...
    raybeam.actors.errors.OptionError: queue_limit=0: give 1 or more: every call waits for its turn
    """

    queue_limit: int = 1000
    overflow: Overflow = Overflow.REJECT
    codel: CoDel | None = None
    rate: Rate | None = None
    concurrency: int | Gradient | None = None
    priorities: Priorities | None = None
    fair: Fair | None = None
    deadlines: DeadlineDrop | None = None
    damper: Damper | None = None

    def __post_init__(self) -> None:
        mend = "give 1 or more: every call waits for its turn"
        check_count("queue_limit", self.queue_limit, mend)
        if not isinstance(self.overflow, Overflow):
            names = ", ".join(f"Overflow.{policy.name}" for policy in Overflow)
            raise OptionError(f"overflow={self.overflow!r}: give one of {names}")
        if isinstance(self.concurrency, int) and self.concurrency < 1:
            raise OptionError(f"concurrency={self.concurrency!r}: give 1 or more, or no call would ever begin")
        for name, kind in _PARTS.items():
            part = getattr(self, name)
            if part is not None and not isinstance(part, kind):
                raise OptionError(f"{name}={part!r}: give {_called(kind)}, or None for none")


_PARTS: dict[str, type | tuple[type, ...]] = {
    "codel": CoDel,
    "rate": Rate,
    "concurrency": (int, Gradient),
    "priorities": Priorities,
    "fair": Fair,
    "deadlines": DeadlineDrop,
    "damper": Damper,
}


def _called(kind: type | tuple[type, ...]) -> str:
    if isinstance(kind, tuple):
        return " or ".join("a number" if each is int else f"a {each.__name__}" for each in kind)
    return f"a {kind.__name__}"
