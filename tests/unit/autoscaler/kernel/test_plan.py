"""Replicas to machines."""

import pytest

from raybeam.autoscaler.kernel.plan import Bundles, Candidate, MachineType, dry_run, pack, victims

SMALL = MachineType("small", {"CPU": 4.0, "memory": 16.0}, price=1.0)
LARGE = MachineType("large", {"CPU": 16.0, "memory": 64.0}, price=3.0)


def test_many_replicas_go_to_the_machines_that_are_cheapest_for_each() -> None:
    assert pack([Bundles("web", 16, {"CPU": 1.0})], [SMALL, LARGE]).count() == {"large": 1}


def test_few_replicas_do_not_buy_a_large_machine() -> None:
    assert pack([Bundles("web", 2, {"CPU": 1.0})], [SMALL, LARGE]).count() == {"small": 1}


def test_families_share_machines() -> None:
    plan = pack([Bundles("web", 2, {"CPU": 1.0}), Bundles("model", 1, {"CPU": 2.0})], [SMALL])

    assert plan.count() == {"small": 1}
    assert sorted(plan.machines[0].families) == ["model", "web", "web"]


def test_replicas_go_only_where_the_labels_are() -> None:
    gpu = MachineType("gpu", {"CPU": 4.0}, price=9.0, labels={"kind": "gpu"})

    plan = pack([Bundles("model", 1, {"CPU": 1.0}, {"kind": "gpu"})], [SMALL, gpu])

    assert plan.count() == {"gpu": 1}


def test_the_request_is_clipped_to_the_maximum_and_lowered_again() -> None:
    few = MachineType("few", {"CPU": 4.0}, max_machines=3)

    high = pack([Bundles("web", 100, {"CPU": 1.0})], [few])
    low = pack([Bundles("web", 1, {"CPU": 1.0})], [few])

    assert high.request() == [{"CPU": 4.0}] * 3
    assert high.homeless == {"web": 88}
    assert low.request() == [{"CPU": 4.0}]


def test_the_minimum_is_there_without_any_replica() -> None:
    assert pack([], [MachineType("base", {"CPU": 1.0}, min_machines=2)]).count() == {"base": 2}


def test_a_dry_run_tells_what_would_change() -> None:
    change = dry_run(pack([Bundles("web", 4, {"CPU": 1.0})], [SMALL, LARGE]), {"small": 3, "large": 1}, [SMALL, LARGE])

    assert change.give_back == {"small": 2, "large": 1}
    assert change.price_before - change.price_after == 5.0


def test_the_emptiest_machine_is_emptied_and_idle_replicas_go_before_busy_ones_there() -> None:
    replicas = [Candidate("a", "m1", busy=1), Candidate("b", "m2"), Candidate("c", "m2"), Candidate("d", "m1")]

    assert victims(replicas, 1) == ["b"]
    assert victims([*replicas, Candidate("e", "m3", busy=2)], 4) == ["e", "b", "c", "d"]


def test_the_only_copy_stays_whatever_is_asked_for() -> None:
    assert victims([Candidate("a", "m1", only_copy=True), Candidate("b", "m1")], 2) == ["b"]


@pytest.mark.parametrize("bad", [float("nan"), -1.0, float("inf")])
def test_numbers_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="give a finite number"):
        MachineType("odd", {"CPU": bad})
    with pytest.raises(ValueError, match="give a finite number"):
        Bundles("odd", 1, {"CPU": bad})


def test_a_machine_without_resources_is_refused() -> None:
    with pytest.raises(ValueError, match="carries nothing"):
        MachineType("none", {"CPU": 0.0})


def test_a_hundred_thousand_replicas_are_packed_at_once() -> None:
    large = MachineType("large", {"CPU": 16.0}, max_machines=100_000)

    assert pack([Bundles("web", 100_000, {"CPU": 1.0})], [large]).count() == {"large": 6250}


def test_tiny_parts_of_a_machine_are_packed_without_an_end_of_patience() -> None:
    plan = pack([Bundles("web", 30, {"CPU": 0.1})], [MachineType("small", {"CPU": 1.0})])

    assert plan.count() == {"small": 3}
