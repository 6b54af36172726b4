"""What is asked for: whole machines, clipped, lowered only after a while."""

from raybeam.autoscaler.kernel.allotment import Claim
from raybeam.autoscaler.kernel.machines import MachineDemand, needed, shape
from raybeam.autoscaler.kernel.plan import Bundles, MachineType

CPU = {"CPU": 1.0}
SMALL = MachineType("small", {"CPU": 4.0, "GPU": 0.0}, max_machines=5)


def test_families_share_machines() -> None:
    claims = [Claim("a", 3, 1, CPU), Claim("b", 5, 1, CPU)]

    assert needed(claims, {}, [], [SMALL]) == {"small": 2}


def test_machines_that_a_policy_wants_ahead_are_there_for_others_too_as_far_as_its_replicas_do_not_take_them() -> None:
    claims = [Claim("a", 3, 1, CPU), Claim("b", 4, 1, CPU)]

    assert needed(claims, {"a": 1}, [], [SMALL]) == {"small": 2}
    assert needed(claims, {"a": 3}, [], [SMALL]) == {"small": 4}


def test_families_that_do_not_scale_need_machines_too() -> None:
    assert needed([Claim("a", 4, 1, CPU)], {}, [Bundles("db", 1, {"CPU": 3.0})], [SMALL]) == {"small": 2}


def test_what_cannot_be_had_is_not_asked_for_since_it_is_all_or_nothing() -> None:
    counts = needed([Claim("a", 99, 1, CPU), Claim("g", 1, 1, {"GPU": 1.0})], {"a": 50}, [], [SMALL])

    assert counts == {"small": 5}
    assert shape(counts, [SMALL]) == [{"CPU": 4.0}] * 5
    assert shape({"small": 9}, [SMALL]) == [{"CPU": 4.0}] * 5


def test_the_request_rises_at_once_and_falls_when_less_was_needed_for_as_long_as_the_platform_waits() -> None:
    demand = MachineDemand()
    asked = []
    for second, count in enumerate([1] * 5 + [3] * 5 + [1] * 70):
        demand = demand.observe(float(second), {"small": count}, 60.0)
        asked.append(demand.counts["small"])

    assert asked == [1] * 5 + [3] * (5 + 59) + [1] * 11


def test_a_type_that_is_no_longer_needed_is_forgotten() -> None:
    demand = MachineDemand().observe(0.0, {"small": 2}, 10.0).observe(5.0, {}, 10.0)

    assert (demand.counts, demand.observe(11.0, {}, 10.0).counts) == ({"small": 2}, {})
