"""What was decided and why: changes for long, spells between them for a while."""

from __future__ import annotations

from dataclasses import replace
from math import isclose, isnan

from raybeam.autoscaler.history import CHANGES_KEPT, HOLDS_KEPT, KINDS_KEPT, OTHER, History
from raybeam.autoscaler.kernel.control import Order
from raybeam.autoscaler.kernel.observation import Looked, Observation
from raybeam.autoscaler.kernel.snapshot import Snapshot


def order(before: int, after: int, reason: str = "so it is", queue: int = 0, arrivals: int = 0) -> Order:
    seen = Observation(Snapshot(1.0, queue=queue, arrivals=arrivals, ready=before), Looked(1.0), 2.0, 0)
    return Order("web", seen, before, after, reason, {"offered": 3.91234})


def test_a_change_is_told_once_and_a_spell_is_one_entry() -> None:
    history = History(["web"])
    told = [history.add(float(second), each) for second, each in enumerate([order(2, 2)] * 3 + [order(2, 5)] * 2)]

    assert [is_news for _, is_news in told] == [False, False, False, True, False]
    assert [(entry.direction, entry.time_s, entry.until_s, entry.times) for entry in history.of("web").entries] == [
        ("hold", 0.0, 2.0, 3),
        ("up", 3.0, 4.0, 2),
    ]
    assert str(history.latest["web"]) == "2 -> 5: so it is (offered 3.912)"
    assert history.decisions["web"] == {("hold", "so it is"): 3, ("up", "so it is"): 2}


def test_changes_are_kept_longer_than_holds() -> None:
    history = History(["web"])
    for number in range(5000):
        history.add(float(number), order(2, 2, f"hold {number}"))
        if number % 10 == 0:
            history.add(number + 0.5, order(2, 3, f"change {number}"))
    entries = history.of("web").entries

    assert len(history.of("web").changes) == 500 <= CHANGES_KEPT
    assert sum(entry.direction == "hold" for entry in entries) == HOLDS_KEPT
    assert [entry.time_s for entry in entries] == sorted(entry.time_s for entry in entries)


def test_a_dry_run_is_told_as_one() -> None:
    entry, is_news = History(["web"]).add(0.0, replace(order(2, 5), dry_run=True))

    assert (str(entry), is_news) == ("dry run: 2 -> 5: so it is (offered 3.912)", True)


def test_reasons_are_counted_by_their_kind_and_only_so_many_kinds() -> None:
    history = History(["web"])
    for number in range(100):
        history.add(float(number), order(2, 2, f"held: reason {number}"))
        history.add(float(number), order(2, 2, f"{number} of them"))

    assert history.decisions["web"]["hold", "held"] == 100
    assert history.decisions["web"]["hold", OTHER] == 100 - KINDS_KEPT + 1
    assert len(history.decisions["web"]) == KINDS_KEPT + 1


def test_the_mean_wait_is_the_mean_queue_over_the_rate() -> None:
    history = History(["web"])
    for second, (queue, arrivals) in enumerate([(0, 20), (10, 20), (0, 0)]):
        history.add(float(second), order(2, 2, queue=queue, arrivals=arrivals))
    series = history.of("web").series

    assert series["rate_per_s"][1] == 10.0
    assert isclose(series["wait_s"][1], 0.5)
    assert isnan(series["wait_s"][2])
