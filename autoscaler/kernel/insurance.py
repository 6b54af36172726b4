"""Head-room against what may come before new replicas could: by the rule that would have been cheapest so far.

Each rule is a level below which the fleet does not fall, learned from past needs: the most within a time (a hold), a
quantile of past needs (a newsvendor's stock), a multiple of the present need, or what was needed one period ago.
Which of them pays depends on the load, so all are rehearsed on it (see `rehearsal`), and the cheapest is followed.
This is prediction with expert advice: over time no rule of the family does much better than the one that is followed.

There are two tiers, for places on machines are cheaper than replicas and take longer to get.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING

from .forecast import Season
from .rehearsal import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rehearsal import Stage

LONGEST = 720
"""Steps of the history that are kept, half a start of a replica each: an hour if that takes 10 s."""
FEW = 24
"""Steps of history from which on quantiles are believed."""
MARGIN = 0.02
"""A rule is left for another one that has been cheaper by this share of all work."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A level below which a tier does not fall. Times are in steps of the history.

    Attributes:
        hold: The most that was needed within so many steps.
        quantile: This quantile of past needs.
        over: Steps that the quantile is taken of.
        factor: Times the present need (and the hold).
        period: 1 or 2: what was needed the most or second most likely period ago, and soon after; 0: none.
    """

    hold: int = 0
    quantile: float | None = None
    over: int = LONGEST
    factor: float = 1.0
    period: int = 0

    def level(self, history: Sequence[float], periods: tuple[int, int], ahead: int) -> float:
        """The level for the steps to come.

        Args:
            history: Most that was needed in each step, the latest last.
            periods: Likely periods, steps.
            ahead: In how many steps that which is ordered now is there.

        >>> Rule(hold=2).level([5.0, 1.0, 3.0], (0, 0), 2)
        3.0
        >>> Rule(period=1).level([1.0, 1.0, 9.0, 1.0, 1.0, 1.0], (5, 0), 0)
        9.0
        """
        level = max(history[-self.hold :]) * self.factor if self.hold and history else 0.0
        if self.quantile is not None and len(history) > FEW:
            ordered = sorted(history[-self.over :])
            level = max(level, ordered[min(int(self.quantile * len(ordered)), len(ordered) - 1)])
        if self.period:
            back = periods[self.period - 1]
            first = len(history) - back - 1
            soon = history[first : first + ahead + 3] if back and first >= 0 else history[-2:]
            level = max(soon, default=0.0)
        return level

    def at_least(self, need: float, peak: float) -> float:
        """The level by the present need, and its peak since the history's latest step."""
        return (max(need, peak) if self.hold or self.quantile is not None else need) * self.factor


REPLICA_RULES = (
    *(Rule(hold=hold) for hold in (0, 3, 12, 40, 120, LONGEST)),
    Rule(hold=3, factor=1.4),
    Rule(hold=3, factor=2.0),
    Rule(factor=1.4),
    *(Rule(hold=3, quantile=quantile, over=over) for quantile in (0.6, 0.8, 0.9, 0.97) for over in (180, LONGEST)),
    Rule(period=1),
    Rule(period=2),
)
MACHINE_RULES = (
    Rule(),
    *(Rule(hold=hold) for hold in (60, 180, LONGEST)),
    Rule(quantile=0.9),
    Rule(factor=1.5),
)
FIRST = 2
"""The rule for replicas that is followed until another has proved cheaper: a hold of six starts."""


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
        history: Most replicas that were needed in each step, the latest last.
        season: Which periods there may be.
        peak: Most that was needed since the latest step of the history.
        rounds: Rounds since then.
        replica_levels: Level of each rule for replicas.
        period_places: Places that each of these wants ahead, because what it counts with comes back.
        machine_levels: Level of each rule for machines.
        replicas: Each rule for replicas, rehearsed with the rule for machines that is followed.
        machines: Each rule for machines, rehearsed with the rule for replicas that is followed.
        replica_rule: Which rule for replicas is followed.
        machine_rule: Which rule for machines is followed.
        work: All work, older one weighing less, replica-seconds.
    """

    history: tuple[float, ...] = ()
    season: Season = field(default_factory=Season)
    peak: float = 0.0
    rounds: int = 0
    replica_levels: tuple[float, ...] = (0.0,) * len(REPLICA_RULES)
    period_places: tuple[float, ...] = (0.0,) * len(REPLICA_RULES)
    machine_levels: tuple[float, ...] = (0.0,) * len(MACHINE_RULES)
    replicas: tuple[Rehearsal, ...] = (Rehearsal(),) * len(REPLICA_RULES)
    machines: tuple[Rehearsal, ...] = (Rehearsal(),) * len(MACHINE_RULES)
    replica_rule: int = FIRST
    machine_rule: int = 0
    work: float = 0.0

    def step(self, need: float, places: float, work: float, stage: Stage, memory_s: float) -> Insurance:
        """After one more round of all rehearsals.

        Args:
            need: Replicas that the load needs.
            places: Places on machines that it will need by the forecast.
            work: What came, replica-seconds.
            stage: What the rehearsals take place in.
            memory_s: Time in which what was learned fades, seconds.
        """
        grown = self._remember(max(self.peak, need), stage)
        keep = 1.0 - min(stage.step_s / memory_s, 0.5)
        i, j = grown.replica_rule, grown.machine_rule
        levels = zip(grown.replica_levels, REPLICA_RULES, strict=True)
        wishes = [max(level, rule.at_least(need, grown.peak)) for level, rule in levels]
        floors = [max(floor, places) for floor in grown._floors(need)]
        ahead = [max(floors[j], wanted) for wanted in grown.period_places]
        steps = zip(grown.replicas, wishes, ahead, strict=True)
        replicas = tuple([fleet.step(wish, floor, work, stage, keep) for fleet, wish, floor in steps])
        least = grown.period_places[i]
        rounds = zip(grown.machines, repeat(wishes[i]), floors, strict=False)
        machines = tuple([fleet.step(wish, max(floor, least), work, stage, keep) for fleet, wish, floor in rounds])
        total = grown.work * keep + work
        return replace(
            grown,
            replicas=replicas,
            machines=machines,
            work=total,
            replica_rule=_cheapest(replicas, i, MARGIN * total),
            machine_rule=_cheapest(machines, j, MARGIN * total),
        )

    def cover(self, need: float) -> Cover:
        """What the rules that are followed ask for, if so many replicas are needed."""
        rule, level = REPLICA_RULES[self.replica_rule], self.replica_levels[self.replica_rule]
        floor = self._floors(need)[self.machine_rule]
        return Cover(max(level, rule.at_least(need, self.peak)), max(floor, self.period_places[self.replica_rule]))

    def _floors(self, need: float) -> list[float]:
        """Places that each rule for machines wants; none for the first, which leaves it to the platform."""
        levels = zip(self.machine_levels, MACHINE_RULES, strict=True)
        return [
            0.0 if rule == MACHINE_RULES[0] else max(level, rule.at_least(need, self.peak)) for level, rule in levels
        ]

    def _remember(self, peak: float, stage: Stage) -> Insurance:
        """With the peak, and the levels anew if that closes a step of the history."""
        every = max(1, stage.start_steps // 2)
        if self.rounds + 1 < every:
            return replace(self, peak=peak, rounds=self.rounds + 1)
        history = (*self.history[1 - LONGEST :], peak)
        season = self.season.observe(history)
        periods = season.periods(len(history))
        soon = stage.start_steps // every
        later = (stage.start_steps + stage.boot_steps) // every
        return replace(
            self,
            history=history,
            season=season,
            peak=0.0,
            rounds=0,
            replica_levels=tuple(rule.level(history, periods, soon) for rule in REPLICA_RULES),
            period_places=tuple(rule.level(history, periods, later) if rule.period else 0.0 for rule in REPLICA_RULES),
            machine_levels=tuple(rule.level(history, periods, later) for rule in MACHINE_RULES),
        )


def _cheapest(fleets: Sequence[Rehearsal], followed: int, margin: float) -> int:
    """The rule with the least loss, or the one that is followed if that is hardly dearer."""
    best = min(range(len(fleets)), key=lambda number: fleets[number].loss)
    return best if fleets[best].loss < fleets[followed].loss - margin else followed
