"""Head-room against bursts that may come before new replicas could.

Bursts cannot be forecast, but past ones tell how often they come and how far they go. What is kept ready is what makes
its own cost, and what bursts like the past ones would cost if they came now, least in sum: a newsvendor's stock. There
are two tiers, for places on machines are cheaper than replicas and take longer to get.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING

from .bursts import IDLE_PLACE, Burst, Step, bursts, loss, next_after
from .forecast import Season

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bursts import Prices

LONGEST = 720
"""Steps of the history that are kept, half a start of a replica each: an hour if that takes 10 s."""
LONE = 5.0
"""A burst that no other has followed in the time that is remembered, over this, is as likely the only one as not."""
ALIKE = 2.0
"""Bursts that began at a need within this factor of the present one can happen now."""
REMEMBERED = 16
"""The latest bursts of that kind that count."""
LEVELS = 6
"""Levels of each tier that are compared."""
SHORTEST_STEP_S = 2.0
"""Steps of the history are not shorter, so that a decision stays cheap."""
UNLIKELY = 0.1
"""When bursts are regular, one at another time is less likely by this."""
DOUBLES_EVERY_S = 8 * 3600.0
"""The load is taken to double within a boot about so often, seconds, whatever was seen: once in a working day. Places
are kept for that where machines take minutes to boot, and replicas where these take minutes to start."""
STEP_CHANGED = 1.1
"""Periods are looked for anew when steps have become longer or shorter by more than this factor: starts take longer."""
SERVICE_CHANGED = 1.25
"""The history is put right when service times differ from those it was recorded with by more than this factor."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Levels that are insured.

    Attributes:
        replicas: Replicas that are not gone below.
        places: Places on machines that are not gone below.
    """

    replicas: float = 0.0
    places: float = 0.0


@dataclass(frozen=True, slots=True)
class Insurance:
    """What was learned of the load.

    Attributes:
        history: Need and load in each step, the latest last.
        peak: Most that was needed since the latest step.
        work: What came since then by the load, replica-seconds.
        rounds: Rounds since then.
        levels: What is kept ready.
        overhead: What serving costs at least, starts included, over the work itself.
        service_s: Service time that the history was recorded with, seconds.
        season: After how many steps the load resembles itself.
        step_s: Seconds of a step.
    """

    history: tuple[Step, ...] = ()
    peak: float = 0.0
    work: float = 0.0
    rounds: int = 0
    levels: Cover = Cover()
    overhead: float = 1.0
    service_s: float = 0.0
    season: Season = field(default_factory=Season)
    step_s: float = 0.0

    def step(
        self, now_s: float, need: float, load: float, prices: Prices, round_s: float, service_s: float, memory_s: float
    ) -> Insurance:
        """After one more round.

        Args:
            now_s: Time, seconds.
            need: Replicas that the load needs.
            load: Replicas that are busy with what comes.
            prices: What things cost.
            round_s: Seconds of a round.
            service_s: Mean service time, seconds.
            memory_s: How far back bursts count, seconds.
        """
        peak, work = max(self.peak, need), self.work + load * round_s
        every = max(1, round(max(prices.start_s / 2, SHORTEST_STEP_S) / round_s))
        if self.rounds + 1 < every:
            return replace(self, peak=peak, work=work, rounds=self.rounds + 1)
        step_s = every * round_s
        past, measured_s = self.history, self.service_s or service_s
        if not 1 / SERVICE_CHANGED < service_s / measured_s < SERVICE_CHANGED:
            ratio, measured_s = service_s / measured_s, service_s
            past = tuple([Step(step.need * ratio, step.load * ratio, step.at_s) for step in past])
        kept = min(LONGEST, max(int(memory_s / step_s), 2))
        history = (*past[1 - kept :], Step(peak, work / step_s, now_s))
        found = bursts(history, max(1, ceil(prices.start_s / step_s)), ceil(prices.boot_s / step_s))
        overhead = _overhead(history, found, prices, step_s)
        priced = replace(prices, step_s=step_s, late=prices.late * overhead)
        levels = _levels(history, found, priced, memory_s)
        same = 1 / STEP_CHANGED < step_s / (self.step_s or step_s) < STEP_CHANGED
        season = (self.season if same else Season()).observe([step.load for step in history])
        start, boot = (ceil(lead_s / step_s) for lead_s in (prices.start_s, prices.start_s + prices.boot_s))
        levels = _in_season(levels, history, season, start, boot, prices.places)
        return Insurance(
            history,
            levels=levels,
            overhead=overhead,
            service_s=measured_s,
            season=season,
            step_s=self.step_s if same and self.step_s else step_s,
        )

    def cover(self, need: float) -> Cover:
        """What is to be kept ready, if so many replicas are needed."""
        return Cover(max(self.levels.replicas, need), self.levels.places)


def _overhead(history: Sequence[Step], found: Sequence[Burst], prices: Prices, step_s: float) -> float:
    """What one who knew would have paid, starting each replica and machine just in time, over the work."""
    work = sum([step.load for step in history]) * step_s
    if work <= 0:
        return 1.0
    needs = [step.need for step in history]
    paid = sum(map(max, needs, [*needs[1:], 0.0], [*needs[2:], 0.0, 0.0])) * step_s
    paid += sum([burst.need - burst.below for burst in found]) * IDLE_PLACE * prices.boot_s
    return max(paid / work, 1.0)


def _levels(history: Sequence[Step], found: Sequence[Burst], prices: Prices, memory_s: float) -> Cover:
    """What to keep ready now."""
    need = history[-1].need
    low, high = need / ALIKE - 1.0, need * ALIKE + 1.0
    like = [burst for burst in found if low <= burst.below <= high and burst.need > need][-REMEMBERED:]
    exposed_s = max(sum([low <= step.need <= high for step in history]), 1) * prices.step_s
    growth = _growth(need, history[-1].load, exposed_s, prices)
    if not like:
        return _cover(need, *_cheapest(growth, need, prices), prices.places)
    lone = exposed_s / (exposed_s + memory_s / LONE)
    harms = [loss(burst, need, -(-need // prices.places) * prices.places, prices) for burst in like]
    ordered = sorted(harms)
    weights = [1 - lone / (len(like) - bisect_left(ordered, harm / 2)) for harm in harms]
    for_replicas = for_places = 1 / exposed_s
    tallest_ones = [burst for burst, harm in zip(like, harms, strict=True) if harm > ordered[-1] / 3]
    regular, now_s = next_after(tallest_ones, prices.step_s), history[-1].at_s
    if regular and regular[0] + regular[1] > now_s:
        due_s, within_s = regular[0] - now_s, regular[1] + prices.step_s
        soon = 1 / (2 * within_s + prices.start_s) / len(tallest_ones)
        for_replicas = soon if due_s <= prices.start_s + within_s else UNLIKELY * for_replicas
        for_places = soon if due_s <= prices.start_s + prices.boot_s + within_s else UNLIKELY * for_places

    def cheapest(rate: float) -> tuple[float, float]:
        often = [(burst, rate * weight) for burst, weight in zip(like, weights, strict=True)]
        return _cheapest([*often, *growth], need, prices)

    replicas, places = cheapest(for_replicas)
    if for_places != for_replicas:
        places = max(places, cheapest(for_places)[1])
    return _cover(need, replicas, places, prices.places)


def _in_season(
    levels: Cover, history: Sequence[Step], season: Season, start: int, boot: int, per_machine: int
) -> Cover:
    """Levels with what was needed a period ago, within the time in which replicas start and machines boot."""
    period = season.period(len(history), boot)
    if not period:
        return levels
    then = [step.need for step in history[-period:][: boot + 1]]
    return _cover(history[-1].need, max(levels.replicas, *then[: start + 1]), max(levels.places, *then), per_machine)


def _growth(need: float, load: float, exposed_s: float, prices: Prices) -> list[tuple[Burst, float]]:
    """What may happen though it never has: that the load doubles while machines boot, and how often a second."""
    if not need:
        return []
    lead_s = prices.start_s + prices.boot_s
    soon = need * (1 + prices.start_s / lead_s)
    doubled = Burst(0.0, need, soon, 2 * need, 2 * load, ceil(2 * lead_s / prices.step_s))
    return [(doubled, 1 / (DOUBLES_EVERY_S + exposed_s))]


def _cover(need: float, replicas: float, places: float, per_machine: int) -> Cover:
    """Levels above what is there anyway: what is needed, and the places on its machines."""
    there = -(-need // per_machine) * per_machine
    return Cover(replicas if replicas > need else 0.0, places if places > there else 0.0)


def _cheapest(like: Sequence[tuple[Burst, float]], need: float, prices: Prices) -> tuple[float, float]:
    """Replicas and places for which holding them, and bursts that come so many times a second each, cost least."""
    levels = sorted({need, *(burst.need for burst, _ in like), *(burst.soon for burst, _ in like if burst.soon > need)})
    if len(levels) > LEVELS:
        levels = [levels[round(k * (len(levels) - 1) / (LEVELS - 1))] for k in range(LEVELS)]
    least, best = float("inf"), (0.0, 0.0)
    for number, replicas in enumerate(levels):
        for places in levels[number:]:
            whole = -(-places // prices.places) * prices.places
            held = (1 - IDLE_PLACE) * (replicas - need) + IDLE_PLACE * (whole - need)
            cost = held + sum([rate * loss(burst, replicas, whole, prices) for burst, rate in like])
            if cost < least:
                least, best = cost, (replicas, whole)
    return best
