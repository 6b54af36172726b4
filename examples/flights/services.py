"""The four services of the operations centre.

    player -> feed -> flights -> rebooking -> airports
                         └──────────────────────┘

Everything that may be sent again after an unknown outcome carries a key (event, group, flight) and is done once.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from functools import partial
from pathlib import Path

import ray
from pydantic import BaseModel

from examples.flights.day import DATA, Flight, load_airports, load_day
from examples.flights.events import Event, Group, groups_of, sold_seats
from examples.flights.timetable import Timetable
from raybeam.actors import (
    AtLeastOnce,
    CallEvent,
    CallFailed,
    ChildSpec,
    DynamicSpec,
    DynamicSupervisor,
    EnterEvent,
    GenServer,
    GenStatem,
    KeepState,
    NextState,
    Pid,
    ReplyTo,
    ServiceError,
    StateEvent,
    StateResult,
    StateTimeout,
    StateTimeoutEvent,
    call,
    dynamic_supervisor,
    gen_server,
    process,
    query,
)
from raybeam.cluster import peers

READY_AFTER_MIN = 30
LATE_AFTER_MIN = 15
REBOOKINGS_AT_ONCE = 400
AGAIN_S = 1.0

NEXT = {
    ("scheduled", "cancelled"): "cancelled",
    ("scheduled", "departed"): "departed",
    ("departed", "arrived"): "arrived",
    ("departed", "diverted"): "diverted",
}


class UnknownFlight(ServiceError):
    """An event names a flight that is not in the day's schedule."""


class ImpossibleEvent(ServiceError):
    """An event does not follow from the state of its flight."""


class Booking(BaseModel):
    """What became of a group: its flights and seats; without flights it is stranded."""

    group_id: str
    size: int
    seats: dict[str, list[int]] = {}


class Refusal(BaseModel):
    """A flight has not the seats that were asked for: what it has."""

    free: dict[str, int]


class FeedLedger(BaseModel):
    """What the feed did: events passed on, and how often one came again."""

    accepted: list[int]
    repeated: int


class Progress(BaseModel):
    """Where the flights stand."""

    states: dict[str, int]
    groups: int
    rebooked: int
    stranded: int
    waiting: int
    late_noticed: int


class FlightsLedger(BaseModel):
    """What the flights did: how often each event was applied, how each flight ended, what became of each group."""

    applied: dict[int, int]
    states: dict[str, str]
    outcomes: dict[str, Booking]
    passengers_of_cancelled: int


class AirportsLedger(BaseModel):
    """Seats and bookings as the airports have them."""

    seats: dict[str, int]
    sold_before: dict[str, int]
    bookings: dict[str, Booking]


class Feed(GenServer):
    """Takes events in, in their order; refuses what is malformed; admits what its mailbox bears."""

    async def init(self) -> None:
        self.accepted: dict[int, None] = {}
        self.repeated = 0

    @call(retry=AtLeastOnce(), timeout_s=30.0)
    async def publish(self, event: Event) -> bool:
        """Pass an event on; whether it was new."""
        if event.event_id in self.accepted:
            self.repeated += 1
            return False
        await peers.ref(Flights).apply(event)
        self.accepted[event.event_id] = None
        return True

    @query(timeout_s=30.0)
    async def ledger(self) -> FeedLedger:
        return FeedLedger(accepted=list(self.accepted), repeated=self.repeated)


class FlightProcess(GenStatem):
    """One flight: scheduled, then cancelled, or departed and then arrived or diverted.

    The time-outs of its states notice that it should have left or landed.
    """

    callback_mode = "handle_event_function"
    state_enter = True

    async def init(self, flight: Flight, board: Pid, minute_s: float, scheduled_at_min: int) -> NextState:
        self.flight = flight
        self.board = board
        self.late_after_s = {
            "scheduled": max(0, flight.sched_dep - scheduled_at_min + LATE_AFTER_MIN) * minute_s,
            "departed": (flight.sched_arr - flight.sched_dep + LATE_AFTER_MIN) * minute_s,
        }
        return NextState("scheduled")

    async def handle_event(self, event: StateEvent) -> StateResult | None:
        match event:
            case EnterEvent():
                return KeepState(StateTimeout(self.late_after_s.get(self.state, "infinity")))
            case StateTimeoutEvent():
                process.send(self.board, ("late", self.flight.flight_id, self.state))
                return KeepState()
            case CallEvent(str(kind), sender) if (self.state, kind) in NEXT:
                following = NEXT[self.state, kind]
                return NextState(following, ReplyTo(sender, following))
            case CallEvent(kind):
                raise ImpossibleEvent(f"{self.flight.flight_id} is {self.state}: it cannot have {kind}")
        return None


class Flights(GenServer):
    """One light process for each flight; hands the passengers of cancelled flights to rebooking."""

    async def init(self, day: str, seed: int, minute_s: float, folder: str = str(DATA)) -> None:
        self.schedule = {flight.flight_id: flight for flight in load_day(day, Path(folder))}
        self.seed = seed
        self.minute_s = minute_s
        self.processes: dict[str, Pid] = {}
        self.states: dict[str, str] = {}
        self.applied: Counter[int] = Counter()
        self.outcomes: dict[str, Booking] = {}
        self.backlog: list[tuple[Group, Flight, int]] = []
        self.under_way = 0
        self.groups = 0
        self.passengers = 0
        self.late: set[tuple[str, str]] = set()
        self.board = await gen_server.start_link(DynamicSupervisor, DynamicSpec(intensity=100, period_s=5.0))

    @call(retry=AtLeastOnce(), timeout_s=30.0)
    async def apply(self, event: Event) -> None:
        if self.applied[event.event_id]:
            return
        flight = self.schedule.get(event.flight_id)
        if flight is None:
            raise UnknownFlight(f"event {event.event_id}: there is no flight {event.flight_id!r}")
        if event.kind == "scheduled":
            start = (FlightProcess, flight, self.pid, self.minute_s, event.at_min)
            spec = ChildSpec(flight.flight_id, start, restart="transient")
            started = await dynamic_supervisor.start_child(self.board, spec)
            assert started.pid is not None
            self.processes[flight.flight_id] = started.pid
            self.states[flight.flight_id] = "scheduled"
        else:
            if flight.flight_id not in self.processes:
                raise ImpossibleEvent(f"{flight.flight_id} is not scheduled yet: it cannot have {event.kind}")
            state = await gen_server.request(self.processes[flight.flight_id], event.kind)
            self.states[flight.flight_id] = str(state)
            if event.kind in ("cancelled", "departed"):
                await peers.ref(Airports).close(flight.flight_id)
            if event.kind == "cancelled":
                groups = groups_of(flight, self.seed)
                self.groups += len(groups)
                self.passengers += sum(group.size for group in groups)
                self.backlog += [(group, flight, event.at_min + READY_AFTER_MIN) for group in groups]
                self._send_groups()
        self.applied[event.event_id] += 1

    async def handle_info(self, message: object) -> None:
        match message:
            case ("late", str(flight_id), str(state)):
                self.late.add((flight_id, state))
            case ("rebooked", Booking() as booking):
                self.under_way -= 1
                self.outcomes[booking.group_id] = booking
                self._send_groups()
            case ("not rebooked", (Group() as group, Flight() as flight, int(ready_min))):
                self.under_way -= 1
                self.backlog.append((group, flight, ready_min))
                process.send_after(AGAIN_S, self.pid, "again")
            case "again":
                self._send_groups()
            case _:
                await super().handle_info(message)

    def _send_groups(self) -> None:
        """Keep a bounded number of rebookings under way; the others wait here."""
        while self.backlog and self.under_way < REBOOKINGS_AT_ONCE:
            self.under_way += 1
            process.spawn_link(partial(_rebook, self.pid), *self.backlog.pop(0))

    @query(timeout_s=10.0)
    async def progress(self) -> Progress:
        rebooked = sum(1 for booking in self.outcomes.values() if booking.seats)
        return Progress(
            states=dict(Counter(self.states.values())),
            groups=self.groups,
            rebooked=rebooked,
            stranded=len(self.outcomes) - rebooked,
            waiting=len(self.backlog),
            late_noticed=len(self.late),
        )

    @query(timeout_s=60.0)
    async def ledger(self) -> FlightsLedger:
        return FlightsLedger(
            applied=dict(self.applied),
            states=self.states,
            outcomes=self.outcomes,
            passengers_of_cancelled=self.passengers,
        )


async def _rebook(flights: Pid, group: Group, flight: Flight, ready_min: int) -> None:
    try:
        booking = await peers.ref(Rebooking).rebook(group, flight.origin, flight.destination, ready_min)
    except CallFailed:  # nobody could do it just now; it is done once, however often it is asked for
        process.send(flights, ("not rebooked", (group, flight, ready_min)))
    else:
        process.send(flights, ("rebooked", booking))


class Rebooking(GenServer):
    """Finds a new way for each group: the elastic family. It may know too little, so the airports decide."""

    async def init(self, day: str, seed: int, folder: str = str(DATA), fares_s: float = 0.0) -> None:
        flights = load_day(day, Path(folder))
        self.fares_s = fares_s
        self.timetable = Timetable(flights, load_airports(Path(folder)))
        self.free = {flight.flight_id: flight.seats - sold_seats(flight, seed) for flight in flights}

    # Each group must be told in the end: when a replica with hundreds of them is lost, all are asked for again.
    @call(retry=AtLeastOnce(budget=1.0), timeout_s=600.0)
    async def rebook(self, group: Group, origin: str, destination: str, ready_min: int) -> Booking:
        airports = peers.ref(Airports)
        self.free[group.flight_id] = 0
        await asyncio.sleep(self.fares_s)  # the airlines' fare system, which is not ours
        while True:
            way = self.timetable.earliest_arrival(
                origin, destination, ready_min, lambda flight_id: self.free[flight_id] >= group.size
            )
            if way is None:
                return await airports.strand(group)
            answer = await airports.book(group, list(way.flight_ids))
            if isinstance(answer, Booking):
                for flight_id in answer.seats:
                    self.free[flight_id] -= group.size
                return answer
            self.free.update(answer.free)

    @query(timeout_s=60.0)
    async def whereabouts(self) -> tuple[str, str, int]:
        """Name, machine (Ray's id) and OS process of whichever replica answers."""
        return self.runtime.name, ray.get_runtime_context().get_node_id(), os.getpid()


class Airports(GenServer):
    """Seats of every flight: the state that must never be wrong. There is one of it."""

    async def init(self, day: str, seed: int, folder: str = str(DATA)) -> None:
        flights = load_day(day, Path(folder))
        self.seats = {flight.flight_id: flight.seats for flight in flights}
        self.sold_before = {flight.flight_id: sold_seats(flight, seed) for flight in flights}
        self.sold = dict(self.sold_before)
        self.closed: set[str] = set()
        self.bookings: dict[str, Booking] = {}

    @call(retry=AtLeastOnce(), timeout_s=60.0)
    async def book(self, group: Group, flight_ids: list[str]) -> Booking | Refusal:
        """Sell a group its seats on all of the flights or none; a group that has seats already keeps those."""
        done = self.bookings.get(group.group_id)
        if done is not None:
            return done
        free = {flight_id: self._free(flight_id) for flight_id in flight_ids}
        if any(left < group.size for left in free.values()):
            return Refusal(free=free)
        booking = Booking(group_id=group.group_id, size=group.size)
        for flight_id in flight_ids:
            first = self.sold[flight_id] + 1
            booking.seats[flight_id] = list(range(first, first + group.size))
            self.sold[flight_id] += group.size
        self.bookings[group.group_id] = booking
        return booking

    @call(retry=AtLeastOnce(), timeout_s=60.0)
    async def strand(self, group: Group) -> Booking:
        """Note that there is no way for a group today."""
        return self.bookings.setdefault(group.group_id, Booking(group_id=group.group_id, size=group.size))

    @call(retry=AtLeastOnce(), timeout_s=60.0)
    async def close(self, flight_id: str) -> None:
        """No more seats are sold on a flight: it has left, or will not."""
        self.closed.add(flight_id)

    @query(timeout_s=60.0)
    async def ledger(self) -> AirportsLedger:
        return AirportsLedger(seats=self.seats, sold_before=self.sold_before, bookings=self.bookings)

    def _free(self, flight_id: str) -> int:
        return 0 if flight_id in self.closed else self.seats[flight_id] - self.sold[flight_id]
