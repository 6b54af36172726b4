"""The controller: what it does at which time, and what it does when the world fails it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from raybeam.autoscaler import Decision, QueueDepth, Static
from tests.unit.autoscaler.fleets import Played, calm, crowd

if TYPE_CHECKING:
    from raybeam.autoscaler.kernel.snapshot import Snapshot
    from tests.unit.autoscaler.fleets import FaultyFleet


def sizes(played: Played, since_s: float = 0.0) -> list[int]:
    """Each number of replicas that was wanted, in turn."""
    return [target for at_s, target in played.web.targets if at_s >= since_s]


def reversals(of: list[int]) -> int:
    ups = [after > before for before, after in pairwise(of)]
    return sum(one != other for one, other in pairwise(ups))


def test_it_ticks_at_whole_intervals_however_long_it_takes() -> None:
    async def slow(played: Played) -> None:
        await asyncio.sleep(10.0)
        played.fleet.slow_s = 0.7
        await asyncio.sleep(20.0)
        played.fleet.slow_s = 1.5
        await asyncio.sleep(20.0)
        played.fleet.slow_s = 0.0

    played = Played(calm(duration_s=60.0), disturb=slow)
    ticks = [at for at, _ in played.fleet.asked("machines")]

    assert ticks == [float(second) for second in (*range(31), *range(32, 51, 2), *range(51, 61))]


def test_a_crash_amid_a_flash_crowd_changes_little_and_flaps_not_at_all() -> None:
    async def crashes(played: Played) -> None:
        for at_s in (127.5, 133.5, 141.5, 180.5, 300.5, 425.5):
            await asyncio.sleep(at_s - played.fleet.now())
            await played.crash()

    for seed in (3, 4, 5):
        calm_run, disturbed = Played(crowd(seed=seed)), Played(crowd(seed=seed), disturb=crashes)

        assert [kind for kind, _, _ in disturbed.told if kind == "scaling"] == []
        assert reversals(sizes(disturbed)) <= reversals(sizes(calm_run)) + 2
        assert max(sizes(disturbed)) <= 1.1 * max(sizes(calm_run))
        assert disturbed.web.replica_s < 1.05 * calm_run.web.replica_s
        assert disturbed.web.late(1.0) < calm_run.web.late(1.0) + 1.0
        assert disturbed.web.cost < 1.1 * calm_run.web.cost


def test_what_was_learned_is_not_forgotten_by_a_crash() -> None:
    async def crash(played: Played) -> None:
        await asyncio.sleep(95.5)
        await played.crash()

    played = Played(calm(), disturb=crash)
    times = played.history.of("web").series["time_s"]

    assert max(after - before for before, after in pairwise(times)) <= 1.5
    assert sizes(played, 95.0) == []
    rates = [entry.terms["rate_per_s"] for entry in played.history.of("web").entries if entry.until_s > 96.0]
    assert all(8.0 < rate < 12.0 for rate in rates)


def test_while_no_replica_is_heard_nothing_changes() -> None:
    async def silence(played: Played) -> None:
        await asyncio.sleep(484.0)  # the crowd has gone, and so do the replicas
        played.fleet.silent = True
        await asyncio.sleep(60.0)
        played.fleet.silent = False

    soon_forgets = QueueDepth(memory_s=60.0)  # that a crowd may come back
    heard, silent = Played(crowd(soon_forgets)), Played(crowd(soon_forgets), disturb=silence)
    during = [entry for entry in silent.history.of("web").entries if entry.until_s > 488.0 and entry.time_s < 544.0]

    assert len([at_s for at_s, _ in heard.web.targets if 490.0 < at_s < 544.0]) > 1
    assert [at_s for at_s, _ in silent.web.targets if 485.0 < at_s < 544.0] == []
    assert {entry.direction for entry in during} == {"hold"}
    assert sizes(silent)[-1] < 15


@dataclass(frozen=True)
class Broken:
    """A policy that fails from a time on."""

    after_s: float

    def start(self) -> None: ...

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        if snapshot.time_s > self.after_s:
            raise RuntimeError(f"at {snapshot.time_s}")
        return Decision(9, reason="nine"), None


def test_a_policy_that_raises_is_told_once_and_its_family_held() -> None:
    played = Played(calm(Broken(30.0)))

    assert [target for _, target in played.web.targets] == [9]
    assert played.told == [("scaling", "web", "the policy failed, the family is held: RuntimeError: at 31.0")]


def test_an_order_that_fails_is_told_once_and_given_again_until_it_is_taken() -> None:
    async def fail(played: Played) -> None:
        played.fleet.failing = {"scale"}
        await asyncio.sleep(10.5)
        played.fleet.failing = set()

    played = Played(calm(Static(8), 30.0), disturb=fail)

    assert [at for at, _ in played.fleet.asked("scale")] == [float(second) for second in range(12)]
    assert played.told == [("scaling", "web", "OSError: no scale today")]
    assert played.fleet.reasons == ["a fixed number (replicas 8)"]
    assert sizes(played) == [8]


def test_what_hangs_is_not_asked_again_meanwhile_and_ticks_go_on() -> None:
    async def hang(played: Played) -> None:
        await asyncio.sleep(20.5)
        played.fleet.hanging = {"machines"}

    played = Played(calm(duration_s=60.0), disturb=hang)

    assert [at for at, _ in played.fleet.asked("machines")][-1] == 21.0
    assert ("scaling", "machines", "TimeoutError: no answer within 2 s") in played.told
    assert max(played.history.of("web").series["time_s"]) >= 59.0


def test_before_it_is_known_what_was_remembered_nothing_is_decided() -> None:
    async def mend(played: Played) -> None:
        await asyncio.sleep(15.5)
        played.fleet.failing = set()

    played = Played(calm(Static(8), 30.0), prepare=lambda fleet: fleet.failing.add("recall"), disturb=mend)

    assert played.fleet.asked("scale") == [(16.0, 8)]
    assert played.told[0] == ("scaling", "memory", "OSError: no recall today")


def test_what_is_remembered_is_renewed_and_given_away_at_the_end() -> None:
    played = Played(calm(Static(5), 60.0))

    assert [at for at, _ in played.fleet.asked("remember")] == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 60.0]


def test_memory_of_another_policy_is_dropped_and_told() -> None:
    first = Played(calm(Static(5), 30.0))

    def find(fleet: FaultyFleet) -> None:
        fleet.memory = first.fleet.memory

    second = Played(calm(QueueDepth(), 30.0), prepare=find)

    assert second.told[0] == ("scaling", "web", "begins to learn anew: its policy was another one")


def test_machines_are_asked_for_when_that_is_news_and_now_and_then_and_given_back_at_the_end() -> None:
    played = Played(calm(Static(9), 40.0))

    assert played.fleet.asked("request") == [(0.0, 3), (15.0, 3), (30.0, 3), (40.0, 0)]


def test_a_crash_gives_no_machine_back() -> None:
    async def crash(played: Played) -> None:
        await asyncio.sleep(10.5)
        await played.crash()

    played = Played(calm(Static(9), 30.0), disturb=crash)

    assert [count for _, count in played.fleet.asked("request")] == [3, 3, 3, 0]


def test_a_dry_run_decides_and_does_nothing() -> None:
    played = Played(calm(Static(9), 30.0), dry_run=["web"])

    assert played.fleet.asked("scale") == played.fleet.asked("request") == []
    assert played.told == [("scale", "web", "dry run: 5 -> 9: a fixed number (replicas 9, silent 5)")]
    assert [entry.times for entry in played.history.of("web").changes] == [31]
