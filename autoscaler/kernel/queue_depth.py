"""The default policy: capacity from what is offered, with the queue for what is in excess."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil, hypot, isfinite, sqrt
from numbers import Integral
from typing import TYPE_CHECKING

from .bounds import Bounds
from .bursts import IDLE_PLACE, Prices
from .drain import Drain, drain
from .estimate import FEW, Level, ServiceTime
from .forecast import Trend, confirmed, trend
from .known import Known, learn
from .lead_time import LeadTime
from .policy import Decision
from .staffing import Staff, Staffing

if TYPE_CHECKING:
    from .insurance import Cover
    from .snapshot import Snapshot

ROUNDS = 5
"""Rounds of the insurance in the time that a replica takes to start."""
HOLD_STARTS = 2.0
"""Replicas are kept for so many starts after they were needed: about what stopping and starting them costs."""
WORTHWHILE = 0.2
"""An order for a backlog is changed when the change is a larger part of what is there beyond the load."""
CERTAIN = 0.3
"""And given up when it is a larger part than this."""
GIVE_UP = 1.0
"""An order for a backlog is given up after so many starts: ordered anew, it would have to start again."""


@dataclass(frozen=True, slots=True)
class Need:
    """What the load asks for, before insurance and bounds.

    Attributes:
        rate: Arrivals a second that are counted with.
        offered: Work, replica-seconds a second.
        up: Replicas to have.
        places: Places on machines by the time at which new machines would be up.
    """

    rate: float
    offered: float
    up: int
    places: int
    now: int
    load: float


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Replicas for what is offered, for what waits, and for what may come before more could be there.

    Attributes:
        wait_s: Wait from which on a request is late, seconds. Default 1.
        lateness_price: What a late request costs, over what serving it costs; paid again at five times the wait.
            Default 10.
        bounds: Fewest, most, and a budget. Default: 0 to 1000 replicas.
        service_s: Service time that is assumed until requests were completed, seconds. Default 1.
        start_s: Time that is assumed for the start of a replica until some were seen, seconds. Default 10.
        boot_s: The same for the boot of a machine. Default 45.
        linger_s: How long the platform keeps a machine without replicas, seconds. Default 60.
        places: Replicas that fit on a machine; `None`: as snapshots tell, else as can be seen. Default `None`.
        memory_s: Time in which what was learned of the load's habits fades, seconds. Default 3600.
        reversals_per_hour: Changes of direction, up and down, that are made at most in an hour. Default 30.
        answer_s: Time from which on an answer is late, wait and service together, seconds; then `wait_s` is what the
            measured service time leaves of it. `None`: only the wait counts. Default `None`.
        machines_spare: Machines, the fullest ones, that may be lost at once while the load is still served in time.
            Each costs the replicas of one machine all the time. Default 0.
        dispatch: `"one_queue"`: the next free replica takes the oldest request; `"two_choices"`: each request goes at
            once to the less loaded of two replicas and stays there, as live families of replicas are called, and waits
            longer. Default `"one_queue"`; what a blueprint scales is planned for as it is called.

    Raises:
        ValueError: A number is negative or not finite, or no request could be in time: `wait_s` or `lateness_price`
            is 0, or `answer_s` is not above `service_s`.

    >>> from raybeam.autoscaler.kernel.snapshot import Snapshot
    >>> policy = QueueDepth(service_s=0.5)
    >>> known = policy.start()
    >>> for second in range(60):
    ...     seen = Snapshot(float(second), arrivals=20, completions=20, service_s=0.5, in_flight=10, ready=13)
    ...     decision, known = policy.decide(seen, known)
    >>> decision.replicas, decision.reason
    (13, 'enough for the load')
    """

    wait_s: float = 1.0
    lateness_price: float = 10.0
    bounds: Bounds = field(default_factory=Bounds)
    service_s: float = 1.0
    start_s: float = 10.0
    boot_s: float = 45.0
    linger_s: float = 60.0
    places: int | None = None
    memory_s: float = 3600.0
    reversals_per_hour: float = 30.0
    answer_s: float | None = None
    machines_spare: int = 0
    dispatch: str = "one_queue"

    def __post_init__(self) -> None:
        for name in (
            "wait_s",
            "lateness_price",
            "service_s",
            "start_s",
            "boot_s",
            "linger_s",
            "places",
            "memory_s",
            "reversals_per_hour",
            "answer_s",
            "machines_spare",
        ):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise ValueError(f"{name}={value!r}: give a finite number, 0 or more")
        for name in ("wait_s", "lateness_price", "memory_s", "places"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name}=0: give a number above 0")
        for name in ("places", "machines_spare"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Integral):
                raise ValueError(f"{name}={value!r}: give a whole number")

        if self.dispatch not in ("one_queue", "two_choices"):
            raise ValueError(f"dispatch={self.dispatch!r}: give 'one_queue' or 'two_choices'")
        if self.answer_s is not None and self.answer_s <= self.service_s:
            raise ValueError(
                f"answer_s={self.answer_s!r} is not above service_s={self.service_s!r}: no number of replicas answers "
                "in less time than serving takes"
            )

    def start(self) -> Known:
        """Nothing is known yet."""
        return Known(
            ServiceTime(self.service_s), LeadTime(self.start_s), LeadTime(self.boot_s), places=self.places or 0
        )

    def decide(self, snapshot: Snapshot, state: Known) -> tuple[Decision, Known]:
        """How many replicas there should be now."""
        present = snapshot.ready + snapshot.starting
        now_s = snapshot.time_s
        if state.last is not None and now_s <= max(state.counted_s, state.last.time_s):
            return self._stay(present, "not later than the snapshot before: what there is stays"), state
        if not snapshot.fresh:
            # Counts are since the snapshot before, and this was one.
            return self._stay(present, "nothing new was heard: what there is stays"), replace(state, counted_s=now_s)
        known = learn(snapshot, state, self.places, self.memory_s)
        latest = trend(known.arrivals)
        growth = confirmed(latest, known.growth)
        known = replace(known, growth=latest)
        level = known.arrivals.level(growth)
        need, staff = self._need(snapshot, known, level, growth)
        known = self._insure(snapshot, replace(known, staff=staff), need)
        cover = known.insurance.cover(need.up)
        excess = self._drain(snapshot, known, need)
        more = ceil(need.offered + excess[1].extra - 0.5) - present
        if excess[1].extra and more > 0:
            excess = self._drain(snapshot, known, need, more)
        decision, known = self._compose(snapshot, known, need, cover, excess)
        terms = {
            "rate_per_s": level.rate,
            "rate_over_s": level.window_s,
            "rate_counted_with": need.rate,
            "trend_per_s2": growth.slope,
            "service_s": known.service.mean_s,
            "offered": need.offered,
            "for_the_load": need.up,
            "for_the_backlog": excess[0].extra,
            "backlog": excess[0].backlog,
            "insured": cover.replicas,
            "places_insured": max(cover.places, need.places),
            "serving_costs": known.insurance.overhead,
            "start_s": known.start.mean_s,
            "boot_s": known.boot.mean_s,
            "present": present,
        }
        reason = decision.reason
        if self.answer_s is not None and known.service.mean_s >= self.answer_s:
            reason += f"; serving takes {known.service.mean_s:.3g} s: nothing can be answered in {self.answer_s:.3g} s"
        return replace(decision, reason=reason, terms=terms), known

    def _stay(self, present: int, why: str) -> Decision:
        """What there is, within the bounds."""
        held, met = self.bounds.clip(present)
        return Decision(held, None, met or why, {"present": present})

    def _wait_s(self, service_s: float) -> float:
        """From which wait on a request is late; `wait_s` as well if service alone takes too long."""
        return self.wait_s if self.answer_s is None or service_s >= self.answer_s else self.answer_s - service_s

    def _need(self, seen: Snapshot, known: Known, level: Level, growth: Trend) -> tuple[Need, Staff]:
        """Replicas for what is offered when those ordered now would serve."""
        service, start_s, boot_s = known.service, known.start_s, known.boot.mean_s
        present = seen.ready + seen.starting
        if not known.arrivals.slices and present:
            # Nothing is known yet; whoever was there before us had a reason.
            return Need(0.0, 0.0, present, 0, present, 0.0), Staff(present)
        if level.rate <= 0:
            wanted = 1 if seen.queue else 0
            return Need(0.0, 0.0, wanted, 0, 0, 0.0), Staff(wanted)
        staff = known.staff if known.staff.number is not None else Staff(present)
        staffing = Staffing(
            self._wait_s(service.mean_s),
            self.lateness_price,
            service.mean_s,
            service.cv,
            seen.slots,
            known.places,
            self.dispatch == "two_choices",
            self.bounds.most,
        )
        rate = level.rate + growth.ahead(start_s)
        # What is not known yet will be known better by the time that it matters.
        error = level.error * sqrt(level.window_s / (level.window_s + start_s)) * service.mean_s
        error = hypot(error, known.swing.beyond(level.rate) * service.mean_s)
        new_s = 0.0
        if known.places and present >= known.places * (seen.machines_ready + seen.machines_pending) - seen.draining:
            # The next one needs a machine.
            new_s = IDLE_PLACE * (known.places - 1) * (boot_s + self.linger_s)
        staff = staff.observe(staffing, rate * service.mean_s, error, known.elapsed_s, start_s, new_s)
        up = staff.number or 0
        ahead = growth.ahead(start_s + boot_s)
        places = replace(staffing, places=0).best((level.rate + ahead) * service.mean_s) if ahead else 0
        load = level.rate * service.mean_s
        return Need(rate, rate * service.mean_s / seen.slots, up, places, staffing.best(load), load / seen.slots), staff

    def _insure(self, seen: Snapshot, known: Known, need: Need) -> Known:
        """One more round of the insurance when it is time."""
        start_s = known.start_s
        if known.round_s < max(1.0, start_s / ROUNDS) * 0.999:
            return known
        prices = Prices(
            known.round_s,
            start_s,
            known.boot.mean_s,
            max(known.places, 1),
            self._wait_s(known.service.mean_s),
            self.lateness_price,
            self.linger_s,
        )
        insurance = known.insurance.step(
            seen.time_s, need.now, need.load, prices, known.round_s, known.service.mean_s, self.memory_s
        )
        return replace(known, insurance=insurance, round_s=0.0)

    def _drain(self, seen: Snapshot, known: Known, need: Need, beyond: int = 0) -> tuple[Drain, Drain]:
        """What the queue asks for: of those that are there or on their way, and of those ordered now.

        Nothing as long as it is not known how much work a queue is. Those ordered now need a machine if `beyond` others
        take the free places.
        """
        if known.service.count < FEW:
            return Drain(), Drain()
        start_s = known.start_s
        cost_s, soonest = start_s, 0.0
        free = known.places * seen.machines_ready - seen.ready - seen.starting - seen.draining
        if seen.machines_pending or (known.places and free <= 0):
            # Replicas wait for machines, and empty ones cost too.
            soonest = min((at_s for at_s, _ in known.boot.remaining_s(seen.time_s)), default=known.boot.mean_s)
            cost_s += IDLE_PLACE * (known.boot.mean_s + self.linger_s)
        waiting = seen.queue * known.service.mean_s / seen.slots
        coming = known.start.remaining_s(seen.time_s, soonest if seen.machines_pending else 0.0)
        new_s = start_s + (known.boot.mean_s if known.places and beyond >= free else 0.0)
        first_s = new_s
        if seen.machines_pending:
            first_s = start_s + soonest
        elif seen.starting:
            first_s = min((at_s for at_s, _ in coming), default=start_s)
        prices = {"wait_s": self._wait_s(known.service.mean_s), "price": self.lateness_price, "cost_s": cost_s}
        # By the time that one ordered now serves, those on their way will have done some of the work.
        done = sum(number * max(new_s - at_s, 0.0) for at_s, number in coming) / new_s
        return (
            drain(waiting, need.offered, seen.ready, first_s, **prices),
            drain(waiting, need.offered, seen.ready + done, new_s, **prices),
        )

    def _compose(
        self, seen: Snapshot, known: Known, need: Need, cover: Cover, excess: tuple[Drain, Drain]
    ) -> tuple[Decision, Known]:
        """The largest of what load, insurance and backlog ask for, held for a while on the way down."""
        start_s = known.start_s
        present = seen.ready + seen.starting
        insured = ceil(cover.replicas - 1e-9)
        spared = self.machines_spare * known.places if need.up else 0
        base = max(need.up + spared, insured)
        keep = base
        if keep == 0 and present and known.idle.keeps(seen.time_s, self._return_cost(known, start_s)):
            keep = 1
        hold = known.hold
        if not hold.needs:
            # Whoever was there before us had a reason: what there is stays for a while.
            hold = hold.observe(seen.time_s + start_s, present, HOLD_STARTS * start_s)
        hold = hold.observe(seen.time_s, keep, HOLD_STARTS * start_s)
        of_all, of_new = (
            max(base, ceil(need.offered + part.extra - 0.5) + spared) if part.extra else base for part in excess
        )
        wanted = of_all if of_all <= present else max(min(of_all, of_new), min(of_all, present))
        order = known.order.observe(seen.time_s, wanted, GIVE_UP * start_s)
        late = seen.queue * known.service.mean_s / seen.slots > need.offered * self._wait_s(known.service.mean_s) / 4
        spare = present - base
        replicas, reason = present, "enough for the load"
        if spare < 0:
            replicas = wanted
            reason = (
                "the load needs more"
                if base > insured or need.up >= insured
                else "insurance: the load is likely to need more"
            )
            reason = "a backlog is to be cleared" if wanted > base else reason
        elif wanted - present > WORTHWHILE * spare:
            replicas, reason = wanted, "a backlog is to be cleared"
        elif late:
            # Those who serve stay until nothing is late; those on their way are given up if the queue needs fewer.
            fewer = max(order.most, hold.most, seen.ready)
            if present - fewer > CERTAIN * spare:
                replicas, reason = fewer, "the backlog is smaller than it was"
            elif spare:
                reason = "held: a backlog is being cleared"
        elif max(order.most, hold.most) < present:
            replicas, reason = max(order.most, hold.most), "less has been needed for a while"
        elif spare:
            reason = "held: a start costs as much as keeping them"
        # What a bound does not let happen is no change of direction.
        most = max(present, self.bounds.clip(replicas)[0])
        allowed, turns = known.turns.allow(seen.time_s, present, min(replicas, most), self.reversals_per_hour)
        if not allowed:
            replicas, reason = present, "held: it has changed direction often enough"
        if seen.starting and replicas < seen.ready:
            # Those on their way are given up first; whoever serves goes when nobody is starting.
            replicas = seen.ready
        replicas, met = self.bounds.clip(replicas)
        places = max(need.places, ceil(cover.places))
        places_hold = known.places_hold.observe(seen.time_s, places, known.boot.mean_s)
        floor = min(places_hold.most, self.bounds.most)
        # A floor for what is insured only: the platform finds machines for the replicas that are wanted by itself.
        machines = ceil(floor / known.places - 1e-9) if floor and known.places else None
        return Decision(replicas, machines, met or reason), replace(
            known, hold=hold, order=order, turns=turns, places_hold=places_hold
        )

    def _return_cost(self, known: Known, start_s: float) -> float:
        """What it costs that the next request finds nobody: the start, and all that comes meanwhile is late."""
        return start_s + 2 * self.lateness_price * known.service.mean_s
