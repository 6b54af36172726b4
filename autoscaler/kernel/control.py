"""From the readings of all families to the orders for them: what the controller decides at a tick.

Per family: readings to a snapshot (`observation`), snapshot to a decision (the policy), decision to an order. An order
below what there is needs more than the policy's word: fresh readings of all replicas, and a whole window of them since
the controller came up. Then all families share the machines that may be had (`allotment`), and from what they are
granted follows what to ask the cluster for (`machines`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import floor
from typing import TYPE_CHECKING

from .allotment import Claim, allot, types_of_ready, without_labels
from .bounds import Bounds
from .machines import MachineDemand, needed
from .observation import observe
from .plan import DUST
from .policy import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..fleet import FamilyReading, MachinesReading
    from .observation import Looked, Observation
    from .plan import Bundles, MachineType
    from .policy import Policy
    from .snapshot import Snapshot

SOON = 0.1
"""A family is due when no more than this part of its interval is left: ticks are never quite in time."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """A family that scales.

    Attributes:
        policy: Who says how many replicas there should be.
        resources: What one replica needs of its machine.
        labels: What its machine must be labelled with.
        bounds: Fewest and most replicas. Default 1 to 1000.
        every_s: The policy is asked so often, seconds. Default 1.
        dry_run: Decisions are made and shown, and not carried out. Default no.
    """

    policy: Policy[object]
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=lambda: Bounds(1))
    every_s: float = 1.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of one family from tick to tick.

    Attributes:
        known: The state of its policy.
        looked: The latest look at it; `None`: there was none.
        wish: What the policy said last, within bounds; `None`: nothing yet.
        machines: Machines that the policy wants to be there at least.
        window_s: Seconds of fresh readings since the controller came up.
        due_s: When the policy is to be asked next.
        failure: What kind of failure kept it from being asked the last time; empty: none.
    """

    known: object
    looked: Looked | None = None
    wish: int | None = None
    machines: int = 0
    window_s: float = 0.0
    due_s: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What becomes of one family at one tick.

    Attributes:
        family: Its name.
        observation: What was seen.
        before: Replicas that were wanted.
        replicas: Replicas that are wanted now.
        reason: The term that decided, in words.
        terms: The numbers behind it.
        failure: Why the policy could not be asked, if that is news; empty: it could, or that was told before.
        dry_run: Whether it is only shown.
    """

    family: str
    observation: Observation
    before: int
    replicas: int
    reason: str
    terms: Mapping[str, float]
    failure: str = ""
    dry_run: bool = False

    @property
    def snapshot(self) -> Snapshot:
        """What the policy saw."""
        return self.observation.snapshot


@dataclass(frozen=True, slots=True)
class State:
    """What the controller knows between ticks.

    Attributes:
        families: By name.
        demand: Machines that are needed, and were of late.
    """

    families: Mapping[str, Remembered]
    demand: MachineDemand = field(default_factory=MachineDemand)


@dataclass(frozen=True, slots=True)
class Control:
    """Decides for all families of a system.

    Attributes:
        families: Those that scale, by name; where machines are short, the first of equals comes first.
        fixed: Replicas of those that do not.
        types: Machines that may be had; none: what is up is all that there is.
        silent_after_s: A replica is silent when its latest word is older, seconds. Default 3.
        window_s: A controller that has come up lets nothing become fewer until it has had fresh readings of so many
            seconds. Default 10.
        linger_s: How long the platform keeps a machine without replicas, seconds. Default 60.
    """

    families: Mapping[str, Scaled]
    fixed: Sequence[Bundles] = ()
    types: Sequence[MachineType] = ()
    silent_after_s: float = 3.0
    window_s: float = 10.0
    linger_s: float = 60.0

    @property
    def asks_for_machines(self) -> bool:
        """Whether machines are asked for: their types are known, and not all is a dry run."""
        return bool(self.types) and not all(family.dry_run for family in self.families.values())

    def start(self) -> State:
        """Nothing is known yet."""
        return State({name: Remembered(family.policy.start()) for name, family in self.families.items()})

    def step(
        self,
        state: State,
        readings: Mapping[str, FamilyReading],
        machines: MachinesReading | None,
        clock_s: float,
        time_s: float,
    ) -> tuple[list[Order], State]:
        """The orders for the families that are due.

        Args:
            state: Of the tick before.
            readings: The latest of all families; of one that is missing nothing is decided.
            machines: The latest; `None`: they are not known, so nothing is clipped to them.
            clock_s: Time on the clock of the readings.
            time_s: The same time on the clock of the policies, seconds since the epoch.
        """
        known = dict(state.families)
        drafts: list[Order] = []
        for name, family in self.families.items():
            if name in readings and time_s >= known[name].due_s - SOON * family.every_s:
                ready, pending, places = self._machines_for(family, machines)
                seen = observe(
                    readings[name],
                    known[name].looked,
                    clock_s=clock_s,
                    time_s=time_s,
                    silent_after_s=self.silent_after_s,
                    machines_ready=ready,
                    machines_pending=pending,
                    places=places,
                )
                draft, known[name] = self._decide(name, family, seen, readings[name].wanted, known[name], time_s)
                drafts.append(draft)
        claims = self._claims(known, readings)
        granted = self._grant(claims, machines)
        orders = [draft if draft.dry_run else self._clipped(draft, granted[draft.family]) for draft in drafts]
        demand = state.demand
        if self.types:
            floors = {name: each.machines for name, each in known.items() if not self.families[name].dry_run}
            got = [replace(claim, replicas=granted[claim.family]) for claim in claims]
            demand = demand.observe(time_s, needed(got, floors, self.fixed, self.types), self.linger_s)
        return orders, State(known, demand)

    def _machines_for(self, family: Scaled, machines: MachinesReading | None) -> tuple[int, int, int | None]:
        """Machines that could carry a replica of the family, those on their way, and how many one of them carries."""
        if machines is None:
            return 0, 0, None
        fits = [
            floor(min(resources.get(name, 0.0) / amount for name, amount in family.resources.items() if amount) + DUST)
            for resources in machines.ready.values()
        ]
        return sum(number > 0 for number in fits), machines.pending, max(fits, default=0) or None

    def _decide(
        self, name: str, family: Scaled, seen: Observation, before: int, kept: Remembered, time_s: float
    ) -> tuple[Order, Remembered]:
        """What the policy wants, within what may be done."""
        snapshot = seen.snapshot
        answer, learned = _asked(family.policy, snapshot, kept.known)
        # Counts are told with the next fresh snapshot: to what a policy knows that is the next one there is.
        known = learned if snapshot.fresh else kept.known
        failure, text = "", ""
        if isinstance(answer, _Failure):
            failure, text = answer.kind, answer.text
            answer = Decision(before, kept.machines, f"held: the policy failed: {text}")
        terms, wanted, reason = dict(answer.terms), answer.replicas, answer.reason
        window_s = kept.window_s + seen.elapsed_s
        if wanted < before:
            held = ""
            if not snapshot.fresh:
                held = "held: nothing new was heard"
            elif seen.silent:
                held = "held: some replicas are silent"
            elif window_s < self.window_s:
                held = "held: the controller has just come up"
            if held:
                terms["wished"] = wanted
                wanted, reason = before, held
        replicas, met = family.bounds.clip(wanted)
        if met and replicas != wanted:
            terms["wished"] = wanted
            reason = met
        if seen.silent:
            terms["silent"] = seen.silent
        machines = (answer.machines or 0) if snapshot.fresh else kept.machines
        told = text if failure != kept.failure else ""
        order = Order(name, seen, before, replicas, reason, terms, told, family.dry_run)
        due_s = max(kept.due_s + family.every_s, time_s + family.every_s / 2) if kept.due_s else time_s + family.every_s
        return order, Remembered(known, seen.looked, replicas, machines, window_s, due_s, failure)

    def _claims(self, known: Mapping[str, Remembered], readings: Mapping[str, FamilyReading]) -> list[Claim]:
        """What all families ask for; of those that are not due what they asked for last."""
        claims = []
        for name, family in self.families.items():
            wish = known[name].wish
            if wish is None or family.dry_run:
                wish = readings[name].wanted if name in readings else family.bounds.min_replicas
            claims.append(Claim(name, wish, family.bounds.min_replicas, family.resources, family.labels))
        return claims

    def _grant(self, claims: Sequence[Claim], machines: MachinesReading | None) -> dict[str, int]:
        """What each gets of the machines that may be had, after the families that do not scale."""
        fixed = [Claim(each.family, each.replicas, each.replicas, each.resources, each.labels) for each in self.fixed]
        if self.types:
            return allot([*fixed, *claims], self.types)
        if machines is None or not machines.ready:
            return {claim.family: claim.replicas for claim in claims}
        names = sorted({name for claim in (*fixed, *claims) for name in claim.resources})
        return allot(without_labels([*fixed, *claims]), types_of_ready(machines.ready, names))

    def _clipped(self, draft: Order, granted: int) -> Order:
        """The order with what was granted. What serves is not ended for want of machines that nobody knows of.

        Nor is less ordered than the minimum, which waits for room: the fleet would refuse it.
        """
        least = self.families[draft.family].bounds.min_replicas
        if not self.types:
            least = max(least, draft.snapshot.ready)
        granted = max(granted, min(least, draft.replicas))
        if granted >= draft.replicas:
            return draft
        terms = {**draft.terms, "wished": draft.replicas}
        return replace(draft, replicas=granted, reason="machines are short: the family's share of them", terms=terms)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a policy said nothing of use: the kind of failure, by which news is told from old, and the words."""

    kind: str
    text: str


def _asked(policy: Policy[object], snapshot: Snapshot, known: object) -> tuple[Decision | _Failure, object]:
    """What a policy says and its next state; or its present one and why it said nothing of use."""
    try:
        answer: object = policy.decide(snapshot, known)
        match answer:
            case (Decision(replicas, machines, reason, terms), state):
                for name, number in (("replicas", replicas), ("machines", machines or 0)):
                    given: object = number
                    if not isinstance(given, int) or given < 0:
                        return _Failure(name, f"it wants {given!r} {name}: return a whole number, 0 or more"), known
                return Decision(
                    replicas, machines, str(reason), {str(name): float(terms[name]) for name in terms}
                ), state
            case _:
                return _Failure("answer", f"it returned {answer!r}: return a Decision and the next state"), known
    except Exception as error:  # noqa: BLE001 (the user's own, whatever it is)
        return _Failure(type(error).__name__, f"{type(error).__name__}: {error}"), known
