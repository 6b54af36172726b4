"""The checker is itself tested: a bug planted in a mechanism is found by some seed of few."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar, NamedTuple

import pytest

from raybeam.actors import AtLeastOnce, AtMostOnce, GenServer, call, cast, once
from raybeam.actors.behaviour_cell import BehaviourCell
from raybeam.actors.deadlines import Deadlines
from raybeam.actors.kernel.outcome import Outcome
from raybeam.actors.kernel.retry import Retry
from raybeam.actors.message import Call
from raybeam.cluster import client, family_call, keeper, lane, root_scaling, session
from raybeam.cluster.client import Client
from raybeam.cluster.envelope import Answer
from raybeam.cluster.kernel import lane as kernel
from raybeam.cluster.kernel import roster
from raybeam.cluster.kernel.attempts import Verdict, after_attempt
from raybeam.cluster.kernel.health import HealthLimits, Pulse
from raybeam.cluster.kernel.lane import Receiver, Replied, Send, Sender, SenderEffect, SenderEvent
from raybeam.cluster.kernel.views import View
from raybeam.cluster.simulation import (
    Broken,
    Driver,
    Fault,
    FaultMix,
    FaultSchedule,
    History,
    Scenario,
    note,
    simulate,
    world,
)
from raybeam.cluster.simulation.faults import (
    CrashService,
    ForgetLanes,
    KillReplica,
    KillRoot,
    LoseReplies,
    LoseRequests,
    Scale,
    StopProcess,
    Straggle,
)
from raybeam.cluster.simulation.ledger import LedgerScenario

from .stream import Leisurely

SEEDS = 60


def duplicates_are_taken_in(patch: pytest.MonkeyPatch) -> None:
    def accept(state: Receiver, batch: Send) -> tuple[Receiver, range]:
        return kernel.accept(state, batch)[0], range(batch.count)

    patch.setattr(session, "accept", accept)


def gaps_are_taken_in(patch: pytest.MonkeyPatch) -> None:
    def accept(state: Receiver, batch: Send) -> tuple[Receiver, range]:
        return kernel.accept(replace(state, accepted=max(state.accepted, batch.first - 1)), batch)

    patch.setattr(session, "accept", accept)


def lost_answers_are_not_sent_again(patch: pytest.MonkeyPatch) -> None:
    def accept(state: Receiver, batch: Send) -> tuple[Receiver, range]:
        return kernel.accept(state, replace(batch, resync=False))

    def first_new(state: Sender, event: Replied) -> int:
        return min(event.answers, max(0, state.answered + 1 - event.first_answer))

    patch.setattr(session, "accept", accept)
    patch.setattr(kernel, "first_new_answer", first_new)
    patch.setattr(lane, "first_new_answer", first_new)


def answers_go_to_other_calls(patch: pytest.MonkeyPatch) -> None:
    right = session._Session.answer

    def answer(self: session._Session, made: Answer) -> None:
        seq, status, payload = made
        if self.answers and self.answers[-1][1] == status:
            payload = self.answers[-1][2]
        right(self, (seq, status, payload))

    patch.setattr(session._Session, "answer", answer)


def answered_calls_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session._Session, "settled", lambda self, seq: None)


def begun_calls_are_told_to_be_not(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session._RemoteFrom, "server_ended", session._RemoteFrom.never_begun)


def epochs_are_ignored(patch: pytest.MonkeyPatch) -> None:
    def newer(mine: View | None, theirs: View) -> View:
        return theirs

    patch.setattr(client, "newer", newer)


def views_are_not_followed(patch: pytest.MonkeyPatch) -> None:
    right = Client._install

    def install(self: Client, view: View) -> None:
        if view.family not in self._views:
            right(self, view)

    patch.setattr(Client, "_install", install)


def what_may_be_done_once_is_tried_again(patch: pytest.MonkeyPatch) -> None:
    def after(retry: Retry, outcome: Outcome, *args: object, **options: object) -> Verdict:
        retry = AtLeastOnce() if isinstance(retry, AtMostOnce) else retry
        return after_attempt(retry, outcome, *args, **options)  # type: ignore[arg-type]  # as they came

    patch.setattr(family_call, "after_attempt", after)


def repetitions_are_not_known(patch: pytest.MonkeyPatch) -> None:
    def known_before(self: BehaviourCell[GenServer], call: Call) -> bool:
        return False

    patch.setattr(BehaviourCell, "known_before", known_before)


def repetitions_go_to_other_replicas(patch: pytest.MonkeyPatch) -> None:
    right = family_call.FamilyCall._lane

    async def choose(self: family_call.FamilyCall) -> lane.Lane:
        self._doubt = None
        return await right(self)

    patch.setattr(family_call.FamilyCall, "_lane", choose)


def repetitions_go_to_another_life(patch: pytest.MonkeyPatch) -> None:
    right = once.OnceCalls.known_before

    def known_before(self: once.OnceCalls, call: Call, now: float) -> bool:
        assert call.origin is not None
        self._life = call.origin.life
        return right(self, call, now)

    patch.setattr(once.OnceCalls, "known_before", known_before)


def deadlines_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    right = Deadlines.add
    patch.setattr(Deadlines, "add", lambda self, future, deadline: right(self, future, deadline + 3600.0))


def incarnations_are_used_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(world.Registry, "next_incarnation", lambda self, family, index: 1)


def generations_are_used_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(world.Registry, "next_generation", lambda self, least: 1)


def deaths_are_not_seen(patch: pytest.MonkeyPatch) -> None:
    async def hold(self: keeper.Keeper, handle: object) -> None:
        return

    def check(pulse: Pulse, limits: HealthLimits, now: float) -> Pulse:
        return pulse

    patch.setattr(keeper.Keeper, "_hold_lifeline", hold)
    patch.setattr(keeper, "check", check)


def rosters_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    async def recall(self: world.SimulatedRootHost, name: str) -> None:
        return None

    patch.setattr(world.SimulatedRootHost, "recall", recall)


def places_are_not_cleared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(root_scaling, "ended", lambda state, place: state)


class Case(NamedTuple):
    plant: Callable[[pytest.MonkeyPatch], None]
    promises: set[str]
    kinds: tuple[type[Fault], ...]
    shares: Mapping[str, int] = LedgerScenario.shares


CASES = [
    Case(duplicates_are_taken_in, {"at_most_once", "exactly_once", "once_in_a_lane"}, (LoseReplies,)),
    Case(gaps_are_taken_in, {"lane_is_complete"}, (Straggle, LoseRequests)),
    Case(lost_answers_are_not_sent_again, {"answers_arrive"}, (LoseReplies,)),
    Case(answers_go_to_other_calls, {"own_answer"}, (KillReplica,)),
    Case(answered_calls_are_kept, {"leaves_nothing"}, (KillReplica,)),
    Case(begun_calls_are_told_to_be_not, {"at_most_once", "exactly_once", "outcome_is_true"}, (CrashService,)),
    Case(epochs_are_ignored, {"epochs_grow"}, (KillReplica, StopProcess, Straggle)),
    Case(views_are_not_followed, {"heals"}, (KillReplica,)),
    Case(what_may_be_done_once_is_tried_again, {"at_most_once"}, (KillReplica, ForgetLanes)),
    Case(repetitions_are_not_known, {"exactly_once"}, (ForgetLanes, LoseReplies), {"book": 1, "total": 1}),
    Case(repetitions_go_to_other_replicas, {"exactly_once"}, (ForgetLanes, LoseReplies), {"book": 1, "total": 1}),
    Case(repetitions_go_to_another_life, {"exactly_once"}, (CrashService, ForgetLanes), {"book": 1, "total": 1}),
    Case(deadlines_are_forgotten, {"answer_in_time"}, (LoseRequests, LoseReplies)),
    Case(incarnations_are_used_again, {"names_are_new"}, (KillReplica,)),
    Case(generations_are_used_again, {"heals", "epochs_grow"}, (KillRoot, KillReplica)),
    Case(deaths_are_not_seen, {"heals"}, (KillReplica,)),
    Case(rosters_are_forgotten, {"as_many_as_wanted"}, (Scale, KillRoot)),
    Case(places_are_not_cleared, {"as_many_as_wanted"}, (Scale,)),
]


def seeds_that_find(case: Case) -> Iterator[tuple[int, set[str]]]:
    class Planted(LedgerScenario):
        mix = FaultMix(kinds=case.kinds, least=3, most=8)
        heals_within_s = 8.0
        shares = case.shares

    for seed in range(SEEDS):
        broken = {found.promise for found in simulate(Planted(), seed).broken}
        if broken:
            yield seed, broken


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.plant.__name__)
def test_a_planted_bug_is_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.plant(monkeypatch)

    seed, broken = next(seeds_that_find(case), (-1, set()))

    assert broken & case.promises, f"none of {SEEDS} seeds found it" if seed < 0 else f"seed {seed} broke {broken}"


FLOOD = 5000
ROOM = session.ROOM + kernel.MAX_BATCH


class Sink(GenServer):
    async def init(self) -> None:
        self.deepest = 0

    @cast(timeout_s=20.0)
    async def pour(self) -> None:
        assert self._cell is not None
        self.deepest = max(self.deepest, len(self._cell.mailbox))
        await asyncio.sleep(0.0005)

    @call(timeout_s=20.0)
    async def depth(self) -> int:
        return self.deepest


def mailbox_is_bounded(history: History) -> Iterator[Broken]:
    for event in history.events:
        if event.kind == "deepest" and int(str(event.data[0])) > ROOM:
            yield Broken("mailbox_is_bounded", f"{event.data[0]} messages waited", event.at)


class Flood(Scenario):
    blueprint: ClassVar[dict[str, object]] = {"name": "flood", "families": {"sink": {"service": Sink}}}
    drivers = 1
    mix = FaultMix(kinds=(LoseReplies, Straggle), least=1, most=2)
    promises = (mailbox_is_bounded,)

    async def drive(self, driver: Driver) -> None:
        sink = driver.ref(Sink)
        for _ in range(FLOOD):
            await sink.pour()
        note("deepest", await sink.depth())


def limit_is_ignored(patch: pytest.MonkeyPatch) -> None:
    def step(state: Sender, event: SenderEvent, waiting: int) -> tuple[Sender, tuple[SenderEffect, ...]]:
        return kernel.send_step(replace(state, limit=10 * FLOOD), event, waiting)

    patch.setattr(lane, "send_step", step)


def test_a_receivers_limit_is_kept() -> None:
    assert simulate(Flood(), 1).broken == ()


def test_a_sender_that_ignores_the_receivers_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    limit_is_ignored(monkeypatch)

    assert {broken.promise for broken in simulate(Flood(), 1).broken} == {"mailbox_is_bounded"}


def victims_end_without_draining(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(root_scaling.RootScaling, "_began", root_scaling.RootScaling._end)


def what_waits_is_no_hindrance(patch: pytest.MonkeyPatch) -> None:
    def drained(drain: roster.Drain, left: int, arrivals: int) -> tuple[roster.Drain, bool]:
        return roster.drained(drain, 0, 0)

    patch.setattr(root_scaling, "drained", drained)


SCALED = FaultSchedule(1, (Scale(0.5, 0.0, "desk", 6), Scale(3.0, 0.0, "desk", 1)))


def test_scaling_loses_no_call() -> None:
    assert simulate(Leisurely(), SCALED).broken == ()


@pytest.mark.parametrize("plant", [victims_end_without_draining, what_waits_is_no_hindrance])
def test_a_call_lost_to_scaling_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    assert {broken.promise for broken in simulate(Leisurely(), SCALED).broken} == {"every_call_is_answered"}
