"""What is known of one family at one time: all that a policy sees, in plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One family as its replicas have told it.

    Counts of events (`arrivals`, `completions`) are those since the snapshot before, fresh or not, or of `over_s`.

    Attributes:
        time_s: When it was taken, seconds; each is later than the one before.
        queue: Requests that wait, in all replicas and at callers that hold them back.
        in_flight: Requests that are being served.
        arrivals: Requests that came.
        completions: Requests that were answered.
        service_s: Mean seconds that those took in their handlers; `None`: none was completed.
        service_cv: Coefficient of variation of these times; `None`: not known.
        oldest_wait_s: How long the oldest request that waits has waited; 0: none waits.
        ready: Replicas that serve.
        starting: Replicas asked for that do not serve yet, those without a machine included.
        draining: Replicas that take no new requests and are about to end.
        slots: Requests that one replica serves at once.
        machines_ready: Machines that are up.
        machines_pending: Machines asked for that are not up yet.
        places: Replicas that fit on one machine; `None`: not known.
        fresh: Whether the numbers are news. If not, replicas could not be heard: a policy holds what there is.
        over_s: Seconds in which the counted events happened; `None`: those since the snapshot before. Differs after
            snapshots that were not fresh, if what happened meanwhile is told later.

    Raises:
        ValueError: A number is negative or not finite, or none at all, or there are no slots.
    """

    time_s: float
    queue: int = 0
    in_flight: int = 0
    arrivals: int = 0
    completions: int = 0
    service_s: float | None = None
    service_cv: float | None = None
    oldest_wait_s: float = 0.0
    ready: int = 0
    starting: int = 0
    draining: int = 0
    slots: int = 1
    machines_ready: int = 0
    machines_pending: int = 0
    fresh: bool = True
    places: int | None = None
    over_s: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name in ("service_s", "service_cv", "places", "over_s"):
                continue
            try:
                right = isfinite(value) and value >= 0
            except (TypeError, OverflowError):
                right = False
            if not right:
                shown = f"{value!r}" if not isinstance(value, int) or abs(value) < 10**30 else "(very many digits)"
                raise ValueError(f"{field.name}={shown}: give a finite number, 0 or more")
        if self.slots < 1:
            raise ValueError(f"slots={self.slots!r}: a replica serves at least one request at once")
