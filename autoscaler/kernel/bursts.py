"""Bursts of the past, and what one like them would cost if it came now."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

IDLE_PLACE = 0.25
"""Price of an empty place on a machine, against 1 of a replica."""

NOISE = 2.0
"""Rises count from so many standard deviations of the number of busy replicas, the root of their mean: a smaller one is
chance, or growth that staffing and forecast follow."""
CHANCE = 0.06
"""Bursts are regular if gaps that differ so little come about by chance less often than about this."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the history.

    Attributes:
        need: Most replicas that were needed.
        load: Replicas that were busy with what came, on average.
        at_s: When it ended, seconds.
    """

    need: float
    load: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Burst:
    """A rise of the need that was over before new machines could have served.

    Attributes:
        at_s: When it began, seconds.
        below: Need right before.
        soon: Most that was needed before new replicas could have served.
        need: Most that was needed before new machines could have.
        load: Replicas that were busy with it at most.
        length: Steps that it lasted.
    """

    at_s: float
    below: float
    soon: float
    need: float
    load: float
    length: int


@dataclass(frozen=True, slots=True)
class Prices:
    """What things cost and how long they take.

    Attributes:
        step_s: Seconds of a step of the history.
        start_s: Of the start of a replica.
        boot_s: Of the boot of a machine.
        places: Replicas that fit on a machine.
        wait_s: Wait from which on a request is late.
        late: Cost of a second in which all that comes to a busy replica is late, replica-seconds.
        linger_s: Seconds that an empty machine stays.
    """

    step_s: float
    start_s: float
    boot_s: float
    places: int
    wait_s: float
    late: float
    linger_s: float


def bursts(history: Sequence[Step], start: int, boot: int) -> list[Burst]:
    """Rises within the time in which replicas start and machines boot, none counted twice.

    Args:
        history: Steps, the latest last.
        start: Steps in which a replica starts.
        boot: Steps in which a machine boots.

    >>> calm, busy = Step(4.0, 2.0, 0.0), Step(20.0, 15.0, 0.0)
    >>> [(burst.below, burst.soon, burst.length) for burst in bursts([calm] * 9 + [busy] * 6 + [calm] * 9, 2, 9)]
    [(4.0, 20.0, 6)]
    """
    needs = [step.need for step in history]
    found = []
    at, count, within = 1, len(needs), start + boot
    while at < count:
        below = needs[at - 1]
        if needs[at] <= below:
            at += 1
            continue
        stop = min(at + within, count)
        peak = max(needs[at:stop])
        fastest, first = 0.0, at
        for k in range(at, stop):
            rise = max(needs[k : k + start]) - needs[k - 1]
            if rise > fastest:
                fastest, first = rise, k
        end = at
        middle = (below + peak) / 2
        while end < count and ((end < stop and end <= first) or needs[end] >= middle):
            end += 1
        load = max(step.load for step in history[at:end])
        if peak - below > NOISE * max(below, 1.0) ** 0.5:
            found.append(Burst(history[first].at_s, below, min(below + fastest, peak), peak, load, end - first))
        at = stop
        while at < end and needs[at] >= needs[at - 1] and needs[at] <= peak:
            at += 1
    return found


def next_after(found: Sequence[Burst], step_s: float) -> tuple[float, float] | None:
    """When the next one begins if they are regular, and how exactly that is known, seconds; `None`: they are not.

    >>> every_300_s = [Burst(at_s, 4.0, 20.0, 20.0, 15.0, 4) for at_s in (305.0, 600.0, 900.0)]
    >>> next_after(every_300_s, 5.0), next_after(every_300_s[1:], 5.0)
    ((1200.0, 15.0), None)
    """
    gaps = [late.at_s - early.at_s for early, late in pairwise(found)][-4:]
    if len(gaps) < 2:
        return None
    middle = sorted(gaps)[len(gaps) // 2]
    within = max(step_s, 0.05 * middle)
    if max(abs(gap - middle) for gap in gaps) > within or (within / middle) ** (len(gaps) - 1) > CHANCE:
        return None
    return found[-1].at_s + middle, within


def loss(burst: Burst, replicas: float, places: float, prices: Prices) -> float:
    """What a burst costs that finds so many replicas and places, replica-seconds.

    The queue is a fluid that grows until replicas have started (where places lack, machines booted), and is then
    cleared as the backlog's own term would have it. All that comes meanwhile is late once the wait is long enough.

    >>> prices = Prices(5.0, 10.0, 45.0, places=4, wait_s=1.0, late=10.0, linger_s=60.0)
    >>> burst = Burst(0.0, 4.0, 20.0, 20.0, 15.0, 12)
    >>> loss(burst, 4.0, 4.0, prices) > loss(burst, 4.0, 20.0, prices) > loss(burst, 20.0, 20.0, prices) == 0.0
    True
    """
    need, soon = burst.need, burst.soon
    # With hardly more than the load, chance makes many late; with the need, hardly any.
    load = (burst.load + need) / 2
    total = max(soon - replicas, 0.0) * prices.start_s
    lead_s = prices.start_s
    if need > places:
        total += (need - places) * IDLE_PLACE * (prices.boot_s + prices.linger_s)
    at_once = load * soon / need
    if at_once <= replicas and (need <= places or load <= places):
        return total
    length_s = burst.length * prices.step_s
    grown_s = min(lead_s, length_s)
    backlog = max(at_once - replicas, 0.0) * grown_s
    cost_s = prices.start_s
    fewest = replicas
    if places < need:
        lead_s += prices.boot_s
        cost_s += IDLE_PLACE * (prices.boot_s + prices.linger_s)
        served = min(need, places)
        rest_s = max(min(lead_s, length_s) - grown_s, 0.0)
        backlog = max(backlog + (load - served) * rest_s, 0.0)
        if at_once <= replicas:
            fewest = served
    if backlog <= 0:
        return total
    # Replicas there is no place for take a boot longer; they are ordered as long as they pay.
    after, later_s = max(need, places), 0.0 if places < need else prices.boot_s
    more = after - load
    clear_s = max((backlog * cost_s / (2 * prices.late * load)) ** 0.5, 0.1 * cost_s)
    if more * (clear_s + later_s) > backlog:
        clear_s = backlog / more
    else:
        left = max(backlog - more * later_s, 0.0)
        total += max(left / clear_s - more, 0.0) * cost_s
        clear_s += later_s
    for wait_s in (prices.wait_s, 5 * prices.wait_s):
        if backlog <= wait_s * after:
            break
        begins_s = wait_s * fewest / max(load - fewest, 0.1)
        late_s = min(lead_s + clear_s * (1 - wait_s * after / backlog), length_s) - begins_s
        if late_s > 0:
            total += late_s * load * prices.late
    return total
