"""The controller's decisions: what the policy wants, within what may be done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from raybeam.autoscaler.fleet import FamilyReading, MachinesReading, ReplicaReading
from raybeam.autoscaler.kernel.bounds import Bounds
from raybeam.autoscaler.kernel.control import Control, Order, Scaled, State
from raybeam.autoscaler.kernel.plan import Bundles, MachineType
from raybeam.autoscaler.kernel.policy import Decision, Policy
from raybeam.autoscaler.kernel.queue_depth import QueueDepth

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.autoscaler.kernel.snapshot import Snapshot

CPU = {"CPU": 1.0}
SMALL = MachineType("small", {"CPU": 4.0}, max_machines=3)


@dataclass(frozen=True)
class Says:
    """A policy that says what it is told to, and counts how often it was asked."""

    what: Callable[[Snapshot], Any]
    seen: list[Snapshot] = field(default_factory=list)

    def start(self) -> int:
        return 0

    def decide(self, snapshot: Snapshot, state: int) -> tuple[Decision, int]:
        self.seen.append(snapshot)
        answer = self.what(snapshot)
        return (Decision(answer, None, "so it is") if isinstance(answer, int) else answer), state + 1


class Fleet:
    """Readings of families whose replicas do as they are told at once."""

    def __init__(self, **replicas: int) -> None:
        self.wanted = replicas
        self.silent: set[str] = set()
        self.heard_s = 0.0

    def readings(self, now_s: float) -> dict[str, FamilyReading]:
        return {
            family: FamilyReading(
                count,
                1,
                tuple(
                    ReplicaReading(
                        f"s/{family}/{n}#1",
                        "m",
                        ready=True,
                        heard_s=1.0 if f"{family}/{n}" in self.silent else now_s,
                    )
                    for n in range(count)
                ),
            )
            for family, count in self.wanted.items()
        }


def scaled(what: Callable[[Snapshot], Any] | int, least: int = 1, most: int = 100, every_s: float = 1.0) -> Scaled:
    policy: Policy[Any] = Says((lambda snapshot: what) if isinstance(what, int) else what)
    return Scaled(policy, CPU, bounds=Bounds(least, most), every_s=every_s)


def play(
    control: Control,
    fleet: Fleet,
    seconds: int,
    machines: MachinesReading | None = None,
    state: State | None = None,
    begin: int = 1,
) -> tuple[list[list[Order]], State]:
    """Ticks of a second each, whose orders are carried out."""
    state = state or control.start()
    ticks = []
    for second in range(begin, begin + seconds):
        orders, state = control.step(state, fleet.readings(float(second)), machines, float(second), 1e9 + second)
        for order in orders:
            fleet.wanted[order.family] = order.replicas
        ticks.append(orders)
    return ticks, state


def test_an_order_to_grow_is_carried_out_with_the_policys_reason() -> None:
    ticks, _ = play(Control({"web": scaled(5)}), Fleet(web=2), 2)

    assert [(order.before, order.replicas, order.reason) for [order] in ticks] == [
        (2, 5, "so it is"),
        (5, 5, "so it is"),
    ]


def test_bounds_are_kept_and_the_wish_is_told() -> None:
    ticks, _ = play(Control({"web": scaled(99, most=7)}), Fleet(web=2), 1)

    assert (ticks[0][0].replicas, ticks[0][0].reason, ticks[0][0].terms["wished"]) == (7, "the maximum", 99)


def test_a_controller_that_has_just_come_up_lets_nothing_become_fewer() -> None:
    ticks, _ = play(Control({"web": scaled(1)}, window_s=10.0), Fleet(web=4), 15)

    sizes = [orders[0].replicas for orders in ticks]
    assert sizes == [4] * 10 + [1] * 5
    assert ticks[0][0].reason == "held: nothing new was heard"
    assert ticks[5][0].reason == "held: the controller has just come up"


def test_nothing_becomes_fewer_while_replicas_are_silent() -> None:
    fleet = Fleet(web=6)
    fleet.silent = {"web/5"}
    ticks, state = play(Control({"web": scaled(1)}), fleet, 30)

    assert {orders[0].replicas for orders in ticks} == {6}
    assert (ticks[-1][0].reason, ticks[-1][0].terms["silent"]) == ("held: some replicas are silent", 1)

    fleet.silent = {"web/3", "web/4", "web/5"}
    assert play(Control({"web": scaled(1)}), fleet, 1, state=state, begin=31)[0][0][0].reason == (
        "held: nothing new was heard"
    )


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (lambda snapshot: 1 // 0, "ZeroDivisionError: integer division or modulo by zero"),
        (lambda snapshot: None, "it returned (None, 1): return a Decision and the next state"),
        (lambda snapshot: Decision(-3), "it wants -3 replicas: return a whole number, 0 or more"),
        (lambda snapshot: Decision(2.5), "it wants 2.5 replicas: return a whole number, 0 or more"),  # type: ignore[arg-type]
        (lambda snapshot: Decision(2, -1), "it wants -1 machines: return a whole number, 0 or more"),
    ],
)
def test_a_policy_that_fails_is_held_and_told_once(what: Callable[[Snapshot], Any], told: str) -> None:
    control = Control({"web": scaled(what), "mail": scaled(3)})
    ticks, _ = play(control, Fleet(web=4, mail=1), 4)

    web = [orders[0] for orders in ticks]
    assert [order.replicas for order in web] == [4] * 4
    assert [order.failure for order in web] == [told, "", "", ""]
    assert all(order.reason == f"held: the policy failed: {told}" for order in web)
    assert ticks[0][1].replicas == 3


def test_a_failure_is_told_again_after_the_policy_has_worked() -> None:
    calls = iter(range(100))
    answers: dict[str, int] = {}

    def what(snapshot: Snapshot) -> int:
        return 4 if next(calls) == 2 else answers["missing"]

    ticks, _ = play(Control({"web": scaled(what)}), Fleet(web=4), 5)

    assert [orders[0].failure for orders in ticks] == ["KeyError: 'missing'", "", "", "KeyError: 'missing'", ""]


def test_families_are_asked_at_their_own_intervals() -> None:
    slow, quick = scaled(1, every_s=5.0), scaled(1)
    play(Control({"slow": slow, "quick": quick}), Fleet(slow=1, quick=1), 21)

    assert isinstance(slow.policy, Says)
    assert isinstance(quick.policy, Says)
    assert (len(slow.policy.seen), len(quick.policy.seen)) == (5, 21)


def test_the_rate_after_a_silence_is_that_of_all_the_time_since_the_last_word() -> None:
    policy: Policy[Any] = QueueDepth()
    control = Control({"web": Scaled(policy, CPU, bounds=Bounds(1, 100))})
    state = control.start()
    heard = [
        *((second, second, 10 * second) for second in range(1, 61)),
        *((second, 60, 600) for second in range(61, 91)),
    ]
    orders: list[Order] = []

    for second, heard_s, served in [*heard, (91, 91, 910)]:
        told = ReplicaReading(
            "s/web/0#1", "m", True, False, heard_s, 0, 0, served, served, 0.02 * served, 0.0004 * served
        )
        orders, state = control.step(state, {"web": FamilyReading(1, 1, (told,))}, None, second, 1e9 + second)

    assert orders[0].terms["rate_per_s"] == pytest.approx(10.0, rel=0.1)
    assert orders[0].replicas == 1


@pytest.mark.parametrize("types", [(), (SMALL,)], ids=["what_is_up", "types"])
def test_the_minimum_is_ordered_though_no_machine_is_known_to_have_room_for_it(types: tuple[MachineType, ...]) -> None:
    control = Control({"web": scaled(25, least=20)}, [Bundles("db", 12, CPU)], types)

    ticks, _ = play(control, Fleet(web=0), 1, MachinesReading({"m": {"CPU": 12.0}}))

    assert (ticks[0][0].replicas, ticks[0][0].terms["wished"]) == (20, 25)


def test_when_machines_are_short_each_gets_its_share() -> None:
    control = Control({"crowd": scaled(50), "calm": scaled(3)}, [Bundles("db", 2, CPU)], [SMALL])
    [orders], state = play(control, Fleet(crowd=4, calm=3), 1)

    assert {order.family: order.replicas for order in orders} == {"crowd": 7, "calm": 3}
    assert orders[0].reason == "machines are short: the family's share of them"
    assert orders[0].terms["wished"] == 50
    assert state.demand.counts == {"small": 3}


def test_without_types_what_is_up_is_all_there_is_and_nothing_is_asked_for() -> None:
    control = Control({"web": scaled(50)})
    [orders], state = play(control, Fleet(web=4), 1, MachinesReading({"a": {"CPU": 4.0}, "b": {"CPU": 4.0}}))

    assert orders[0].replicas == 8
    assert state.demand.counts == {}


def test_a_machine_that_is_lost_from_sight_ends_no_replica_that_serves() -> None:
    control = Control({"web": scaled(6)})
    [orders], _ = play(control, Fleet(web=6), 1, MachinesReading({"a": {"CPU": 4.0}}))

    assert orders[0].replicas == 6


def test_when_nothing_is_known_of_machines_nothing_is_clipped() -> None:
    [orders], _ = play(Control({"web": scaled(50)}), Fleet(web=4), 1, None)

    assert orders[0].replicas == 50


def test_a_family_that_is_not_read_is_left_alone() -> None:
    [orders], _ = play(Control({"web": scaled(5), "mail": scaled(5)}), Fleet(mail=1), 1)

    assert [order.family for order in orders] == ["mail"]


def test_machines_that_a_policy_wants_ahead_are_asked_for() -> None:
    control = Control({"web": scaled(lambda snapshot: Decision(2, 3, "insured"))}, types=[SMALL])
    _, state = play(control, Fleet(web=2), 5)

    assert state.demand.counts == {"small": 3}


def test_the_policy_is_told_how_many_replicas_fit_on_the_largest_machine() -> None:
    policy: Any = Says(lambda snapshot: 1)
    control = Control({"web": Scaled(policy, {"CPU": 0.5})})
    ready = {"head": {"memory": 1e9}, "small": {"CPU": 1.0}, "large": {"CPU": 4.0}}
    control.step(control.start(), {"web": FamilyReading(1)}, MachinesReading(ready), 1.0, 1.0)
    control.step(control.start(), {"web": FamilyReading(1)}, None, 1.0, 1.0)

    assert [snapshot.places for snapshot in policy.seen] == [8, None]
    assert [snapshot.machines_ready for snapshot in policy.seen] == [2, 0]
