"""The regulator of one process: decides on each call that comes, and which one is begun next.

It is told of everything with the time at which it happens, and owns its state; the process does what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from . import codel, damper, deadline, pace, token_bucket
from .concurrency import Places
from .counters import RegulationCounters, no_refusals
from .line import Line, Phase, Waiter
from .refusal import Refusal
from .waiting_room import WaitingRoom

if TYPE_CHECKING:
    from .damper import Sample
    from .regulation import Regulation

T = TypeVar("T")
RETRY_UNKNOWN_S: Final = 0.1
RETRY_LEAST_S: Final = 0.001


class Refused(NamedTuple, Generic[T]):
    """A call that is not done.

    Attributes:
        item: The call.
        reason: Why.
        retry_after_s: Seconds after which it makes sense to try again.
    """

    item: T
    reason: Refusal
    retry_after_s: float


class Arrival(NamedTuple, Generic[T]):
    """What becomes of a call that comes.

    Attributes:
        waiter: Its place among those that wait; `None`: it is refused.
        refused: It itself if so, and those that lose their place to it.
    """

    waiter: Waiter[T] | None
    refused: tuple[Refused[T], ...] = ()


class Turn(NamedTuple, Generic[T]):
    """What is done next.

    Attributes:
        waiter: The call to begin; `None`: none can be.
        refused: Calls that are dropped.
        ready_at: When there will be a token, if a call waits for one.
        full: Whether a call waits for a place.
    """

    waiter: Waiter[T] | None = None
    refused: tuple[Refused[T], ...] = ()
    ready_at: float | None = None
    full: bool = False


@dataclass(slots=True)
class _Tally:
    accepted: int = 0
    delayed: int = 0
    begun: int = 0
    rejected: dict[Refusal, int] = field(default_factory=no_refusals)
    dropped: dict[Refusal, int] = field(default_factory=no_refusals)


class Regulator(Generic[T]):
    """Decides as a `Regulation` says.

    Args:
        regulation: What is wanted.
        now: The time.

    >>> from raybeam.actors.kernel.regulation.regulation import Regulation
    >>> regulator = Regulator(Regulation(queue_limit=1), now=0.0)
    >>> arrivals = [regulator.arrive(name, now=0.0) for name in ("first", "second")]
    >>> [[refused.reason.value for refused in arrival.refused] for arrival in arrivals]
    [[], ['queue_full']]
    >>> turn = regulator.take(now=0.1)
    >>> turn.waiter.item
    'first'
    >>> regulator.done(turn.waiter, now=0.3)
    >>> counters = regulator.counters()
    >>> counters.accepted, counters.begun, counters.refused, counters.under_way
    (1, 1, 1, 0)
    """

    def __init__(self, regulation: Regulation, now: float) -> None:
        self._regulation = regulation
        self._room: WaitingRoom[T] = WaitingRoom(regulation.priorities, regulation.fair)
        self._places = Places(regulation.concurrency)
        burst = 0.0 if regulation.rate is None else float(regulation.rate.burst)
        self._bucket = token_bucket.Bucket(burst, now)
        self._pace = pace.UNKNOWN
        self._damping = damper.NO_DAMPING
        self._factor = 1.0
        self._tally = _Tally()

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return self._room.depth

    def arrive(
        self, item: T, now: float, *, tenant: str = "", priority: str = "", deadline_at: float | None = None
    ) -> Arrival[T]:
        """A call comes.

        Args:
            item: The call.
            now: The time.
            tenant: On whose behalf it is made.
            priority: Its class.
            deadline_at: When it is no longer to be begun; `None`: it always is.
        """
        line = self._room.line(tenant, priority)
        refusal = self._refusal(line, deadline_at, now)
        if refusal is not None:
            return self._reject(item, refusal, line, now)
        displaced: tuple[Refused[T], ...] = ()
        limit = max(1, int(self._regulation.queue_limit * self._factor))
        if self._room.depth >= limit:
            damped = self._room.depth < self._regulation.queue_limit
            waiter = self._room.make_room(line, self._regulation.overflow, limit)
            if waiter is None:
                return self._reject(item, Refusal.DAMPED if damped else Refusal.QUEUE_FULL, line, now)
            displaced = (self._drop(waiter, Refusal.DISPLACED),)
        self._tally.accepted += 1
        rate = self._regulation.rate
        if self._room.depth or not self._places.free(self._factor) or (rate and self._token_wait_s(1, now)):
            self._tally.delayed += 1
        waiter = Waiter(item, now, deadline_at, line)
        self._room.append(waiter)
        return Arrival(waiter, displaced)

    def take(self, now: float, *, one: bool = False) -> Turn[T]:
        """A turn is free: what is begun, if anything can be.

        Args:
            now: The time.
            one: Whether the turn is over when a call is dropped; else the next one has it.
        """
        room, dropped = self._room, list[Refused[T]]()
        while room.depth:
            if not self._places.free(self._factor):
                return Turn(None, tuple(dropped), full=True)
            token_wait_s = self._token_wait_s(1, now) if self._regulation.rate is not None else 0.0
            if token_wait_s:
                return Turn(None, tuple(dropped), ready_at=now + token_wait_s)
            line = room.next_line()
            waiter = room.oldest(line)
            reason = self._drop_reason(line, waiter, now)
            if reason is not None:
                dropped.append(self._drop(waiter, reason))
                if one:
                    break
                continue
            room.charge(line)
            self._begin(waiter, now)
            return Turn(waiter, tuple(dropped))
        return Turn(None, tuple(dropped))

    def ready_at(self, now: float) -> float | None:
        """When a call can be begun: now, or when a token comes; `None`: none waits, or all places are taken."""
        if not self._room.depth or not self._places.free(self._factor):
            return None
        return now + self._token_wait_s(1, now)

    def done(self, waiter: Waiter[T], now: float, *, learn: bool = True) -> None:
        """A call that was begun is answered.

        Args:
            waiter: The call.
            now: The time.
            learn: Whether what it took says how long calls take; not when its caller gave it up.
        """
        assert waiter.phase is Phase.UNDER_WAY
        waiter.phase = Phase.GONE
        self._places.give_back()
        if learn:
            took_s = now - waiter.began_at
            self._places.learn(took_s, waiter.in_flight, now)
            self._pace = pace.done(self._pace, took_s, waiter.in_flight, self._room.depth, now)

    def cancel(self, waiter: Waiter[T]) -> None:
        """The caller of a call that waits wants it no longer."""
        assert waiter.phase is Phase.WAITING
        self._room.leave(waiter)
        self._tally.dropped[Refusal.CANCELLED] += 1

    def sample(self, sample: Sample, now: float) -> None:
        """What the load of the machine is; nothing happens without a damper."""
        if self._regulation.damper is None:
            return
        self._token_wait_s(1, now)  # what has flown into the bucket until now did so at the former rate
        self._damping = damper.sampled(self._regulation.damper, self._damping, sample, now)
        self._factor = damper.factor(self._regulation.damper, self._damping)

    def counters(self) -> RegulationCounters:
        """What was done, and how things stand."""
        tally = self._tally
        return RegulationCounters(
            tally.accepted,
            tally.delayed,
            dict(tally.rejected),
            dict(tally.dropped),
            0,
            tally.begun,
            self._room.depth,
            self._places.taken,
            self._places.limit(self._factor),
            self._damping.level,
        )

    # -- inside --------------------------------------------------------------------------------------

    def _refusal(self, line: Line[T], deadline_at: float | None, now: float) -> Refusal | None:
        """Why a call is refused when it comes, whatever room there is."""
        regulation = self._regulation
        rate = regulation.rate
        if rate is not None and self._token_wait_s(self._room.depth + 1, now) > rate.max_wait_s:
            return Refusal.RATE
        if regulation.codel is None and regulation.deadlines is None:
            return None
        expected_s = self._expected_wait_s(line)
        if regulation.codel is not None:
            line.episode, admitted = codel.admit(regulation.codel, line.episode, expected_s)
            if not admitted:
                return Refusal.CODEL
        if regulation.deadlines is not None:
            answer_s = expected_s + (self._pace.call_s or 0.0)
            if deadline.hopeless(regulation.deadlines, deadline_at, answer_s, now):
                return Refusal.DEADLINE
        return None

    def _drop_reason(self, line: Line[T], waiter: Waiter[T], now: float) -> Refusal | None:
        """Why a call is not begun although it is its turn."""
        if deadline.expired(waiter.deadline, now):
            return Refusal.DEADLINE
        limits = self._regulation.codel
        if limits is not None:
            line.episode, dropped = codel.judge(limits, line.episode, now - waiter.arrived_at, now, line.depth)
            if dropped:
                return Refusal.CODEL
        return None

    def _begin(self, waiter: Waiter[T], now: float) -> None:
        if self._regulation.rate is not None:
            bucket = token_bucket.taken(self._bucket)
            assert bucket is not None
            self._bucket = bucket
        waiter.phase = Phase.UNDER_WAY
        waiter.began_at = now
        waiter.in_flight = self._places.take()
        self._tally.begun += 1

    def _reject(self, item: T, reason: Refusal, line: Line[T], now: float) -> Arrival[T]:
        self._tally.rejected[reason] += 1
        if reason is Refusal.RATE:
            assert self._regulation.rate is not None
            retry_s = self._token_wait_s(self._room.depth + 1, now) - self._regulation.rate.max_wait_s
        elif reason in (Refusal.CODEL, Refusal.DEADLINE):
            retry_s = self._expected_wait_s(line)
        else:
            retry_s = self._drain_s()
        return Arrival(None, (Refused(item, reason, max(RETRY_LEAST_S, retry_s)),))

    def _drop(self, waiter: Waiter[T], reason: Refusal) -> Refused[T]:
        waiter.phase = Phase.GONE
        self._tally.dropped[reason] += 1
        return Refused(waiter.item, reason, max(RETRY_LEAST_S, self._drain_s()))

    def _drain_s(self) -> float:
        """Seconds until all that waits now is served, as things stand."""
        return RETRY_UNKNOWN_S if self._pace.call_s is None else self._room.depth * self._pace.call_s

    def _expected_wait_s(self, line: Line[T]) -> float:
        """Seconds that a call which comes to this line now will wait, as things stand."""
        return 0.0 if self._pace.call_s is None else self._room.ahead(line) * self._pace.call_s

    def _token_wait_s(self, calls: int, now: float) -> float:
        """Seconds until there are tokens for so many calls; 0 without a rate."""
        rate = self._regulation.rate
        if rate is None:
            return 0.0
        per_s = rate.per_s * self._factor
        self._bucket = token_bucket.refilled(self._bucket, per_s, rate.burst, now)
        return token_bucket.wait_s(self._bucket, per_s, calls)
