"""Two choices against a naive model that moves one request at a time: each is served once, in order on its replica."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from raybeam.autoscaler.simulator.demand import Demand
from raybeam.autoscaler.simulator.two_choices import TwoChoices


@dataclass
class NaiveReplica:
    """What waits, and what is served until when."""

    number: int
    slots: int
    waiting: list[int] = field(default_factory=list)
    serving: dict[int, float] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return len(self.waiting) + len(self.serving)


class NaiveStation:
    """One event after the other; nothing is known ahead."""

    def __init__(self, arrivals: list[float], services: list[float], slots: int, chance: Random) -> None:
        self.arrivals, self.services, self.slots, self.chance = arrivals, services, slots, chance
        self.ready: list[NaiveReplica] = []
        self.draining: list[NaiveReplica] = []
        self.held: list[int] = []
        self.came = 0
        self.starts: dict[int, float] = {}
        self.served: list[int] = []

    def all(self) -> list[NaiveReplica]:
        return [*self.ready, *self.draining]

    def advance(self, until: float) -> None:
        while True:
            ends = [(end, index, replica) for replica in self.all() for index, end in replica.serving.items()]
            next_end = min((end for end, _, _ in ends), default=until + 1)
            next_arrival = self.arrivals[self.came] if self.came < len(self.arrivals) else until + 1
            if next_end <= min(until, next_arrival):
                _, index, replica = min(ends, key=lambda each: each[:2])
                del replica.serving[index]
                self.served.append(index)
                self.begin(replica, next_end)
            elif next_arrival < until:
                self.held.append(self.came)
                self.came += 1
                self.give(next_arrival)
            else:
                return

    def give(self, now: float) -> None:
        while self.held and self.ready:
            index, many = self.held.pop(0), len(self.ready)
            chosen = self.ready[0]
            if many > 1:
                first, second = int(self.chance.random() * many), int(self.chance.random() * (many - 1))
                one, other = self.ready[first], self.ready[second + (second >= first)]
                chosen = one if one.depth <= other.depth else other
            chosen.waiting.append(index)
            self.begin(chosen, now)

    def begin(self, replica: NaiveReplica, now: float) -> None:
        while replica.waiting and len(replica.serving) < self.slots:
            index = replica.waiting.pop(0)
            replica.serving[index] = now + self.services[index]
            self.starts[index] = now

    def add(self, number: int, now: float) -> None:
        self.ready.append(NaiveReplica(number, self.slots))
        self.give(now)

    def find(self, number: int) -> NaiveReplica:
        return next(replica for replica in self.all() if replica.number == number)

    def drain(self, number: int) -> None:
        replica = self.find(number)
        self.ready.remove(replica)
        self.draining.append(replica)

    def take_back(self, number: int, now: float) -> None:
        replica = self.find(number)
        self.draining.remove(replica)
        self.ready.append(replica)
        self.give(now)

    def kill(self, number: int, now: float) -> None:
        replica = self.find(number)
        (self.ready if replica in self.ready else self.draining).remove(replica)
        lost = [*replica.waiting, *replica.serving]
        for index in lost:
            self.starts.pop(index, None)
        self.held = sorted([*self.held, *lost])
        self.give(now)


GRID_S = 1 / 4
"""Times are multiples of it, so that sums of them are exact and events do meet."""
times = st.integers(0, 40 * 4).map(lambda steps: steps * GRID_S)
requests = st.lists(st.tuples(times, st.integers(1, 5 * 4).map(lambda steps: steps * GRID_S)), min_size=1, max_size=60)
events = st.lists(st.tuples(times, st.sampled_from(["add", "add", "drain", "kill", "take back"]), st.integers(0, 99)))


@settings(max_examples=300, deadline=None)
@given(requests, events, st.integers(1, 3), st.integers(0, 10_000))
def test_two_choices_serve_as_a_naive_model_does(
    load: list[tuple[float, float]], happens: list[tuple[float, str, int]], slots: int, seed: int
) -> None:
    load.sort()
    arrivals, services = [at for at, _ in load], [service for _, service in load]
    naive = NaiveStation(arrivals, services, slots, Random(seed))
    station = TwoChoices(Demand(arrivals, services), slots, Random(seed))
    numbers, completed = 0, 0
    ends: dict[int, float] = {}
    for now, what, which in [*sorted(happens, key=lambda event: event[0]), (41.0, "add", 0), (400.0, "look", 0)]:
        station.advance(now)
        naive.advance(now)
        completed += station.completed(now).requests
        assert completed == len(naive.served)
        assert station.started(now) == len(naive.served) + sum(len(each.serving) for each in naive.all())
        waiting = [index for each in naive.all() for index in each.waiting] + naive.held
        assert station.oldest_wait_s(now) == max([now - arrivals[index] for index in waiting], default=0.0)
        assert station.busy(now) == {each.number: each.depth for each in naive.ready if each.depth}
        for replica in list(naive.draining):
            assert (ends[replica.number] <= now) == (not replica.depth)
            if not replica.depth and which % 2:  # others linger
                naive.draining.remove(replica)
                station.drained(replica.number, now)
        alive = {"drain": naive.ready, "take back": naive.draining}.get(what, naive.all())
        if what == "add":
            numbers += 1
            naive.add(numbers, now)
            station.add(numbers, now)
        elif alive and what == "drain":
            number = alive[which % len(alive)].number
            naive.drain(number)
            ends[number] = station.drain(number, now)
        elif alive and what == "take back":
            number = alive[which % len(alive)].number
            naive.take_back(number, now)
            station.take_back(number, now)
        elif alive and what == "kill":
            number = alive[which % len(alive)].number
            naive.kill(number, now)
            station.kill(number, now)
        station.advance(now + GRID_S / 2)
        naive.advance(now + GRID_S / 2)

    assert sorted(naive.served) == list(range(len(load)))
    came, waits, pending = station.outcome(400.0)
    assert (list(came), list(pending)) == (arrivals, [])
    assert list(waits) == [naive.starts[index] - at for index, at in enumerate(arrivals)]
    assert completed + station.completed(400.0).requests == len(load)
