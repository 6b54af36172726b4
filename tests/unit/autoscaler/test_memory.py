"""What the controller knows, as bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybeam.autoscaler import memory
from raybeam.autoscaler.fleet import FamilyReading, ReplicaReading
from raybeam.autoscaler.kernel.combine import Most
from raybeam.autoscaler.kernel.control import Control, Scaled
from raybeam.autoscaler.kernel.policy import Decision, Policy
from raybeam.autoscaler.kernel.queue_depth import QueueDepth
from raybeam.autoscaler.kernel.static import Static
from raybeam.autoscaler.memory import LARGEST, described, latest_s, read, write

if TYPE_CHECKING:
    import pytest

    from raybeam.autoscaler.kernel.control import State
    from raybeam.autoscaler.kernel.snapshot import Snapshot


@dataclass(frozen=True)
class Hoards:
    """A policy that remembers more than is good."""

    size: int = LARGEST
    what: str = "bytes"

    def start(self) -> object:
        return b"x" * self.size if self.what == "bytes" else (lambda: None)

    def decide(self, snapshot: Snapshot, state: object) -> tuple[Decision, object]:
        return Decision(1), state


def control(**policies: Policy[Any]) -> Control:
    return Control({name: Scaled(policy, {"CPU": 1.0}) for name, policy in policies.items()})


def after(control: Control, seconds: int, every_s: int = 1) -> State:
    state = control.start()
    for second in range(every_s, seconds + 1, every_s):
        told = ReplicaReading("s/web/0#1", "m", ready=True, heard_s=float(second), arrivals=3 * second, in_flight=1)
        readings = {name: FamilyReading(1, 1, (told,)) for name in control.families}
        _, state = control.step(state, readings, None, float(second), 1e9 + second)
    return state


def test_what_was_learned_is_known_again() -> None:
    web = control(web=QueueDepth())
    state = after(web, 60)
    data, left_out = write(state, web)
    again, dropped = read(data, web)

    assert (left_out, dropped) == ([], {})
    assert again.families["web"] == replace(state.families["web"], window_s=0.0)
    assert again.demand == state.demand
    assert latest_s(again) == 1e9 + 60


def test_an_hour_of_the_default_policy_is_small() -> None:
    web = control(web=QueueDepth())
    data, _ = write(after(web, 3600, every_s=5), web)

    assert len(data) < LARGEST / 4


def test_what_another_version_wrote_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    web = control(web=Static(1))
    data, _ = write(after(web, 3), web)
    monkeypatch.setattr(memory, "_header", lambda: b"raybeam scaling 9\n")
    state, dropped = read(data, web)

    assert dropped == {"web": "another version of raybeam wrote what was remembered"}
    assert state == web.start()


def test_another_policy_or_other_options_begin_anew_and_the_others_do_not() -> None:
    before = control(web=QueueDepth(), mail=Static(1), shop=QueueDepth())
    after_it = control(web=QueueDepth(wait_s=0.5), mail=Static(1), shop=Static(2))
    state, dropped = read(write(after(before, 3), before)[0], after_it)

    assert dropped == dict.fromkeys(("web", "shop"), "its policy was another one")
    assert state.families["mail"].looked is not None
    assert state.families["web"] == after_it.start().families["web"]


def test_what_cannot_be_read_is_dropped() -> None:
    web = control(web=Static(1))
    data, _ = write(after(web, 3), web)

    assert read(data[:-9], web)[1] == {"web": "what was remembered cannot be read"}
    assert read(b"", web)[1] == {"web": "another version of raybeam wrote what was remembered"}


def test_a_state_that_is_too_large_or_no_data_is_left_out() -> None:
    both = control(large=Hoards(), odd=Hoards(what="function"), web=Static(1))
    data, left_out = write(after(both, 3), both)
    state, dropped = read(data, both)

    assert left_out == ["large", "odd"]
    assert dropped == {}
    assert state.families["web"].looked is not None
    assert state.families["large"].looked is None


def test_a_policy_is_described_with_all_its_options() -> None:
    inner = "raybeam.autoscaler.kernel.static.Static(replicas={}, machines=None)"

    assert described(Most(Static(1), Static(2))) == (
        f"raybeam.autoscaler.kernel.combine.Most(first={inner.format(1)}, second={inner.format(2)})"
    )
