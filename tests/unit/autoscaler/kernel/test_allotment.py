"""Who gets what when machines are short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raybeam.autoscaler.kernel.allotment import Claim, allot, types_of_ready
from raybeam.autoscaler.kernel.plan import MachineType, pack

CPU = {"CPU": 1.0}


def small(most: int) -> MachineType:
    return MachineType("small", {"CPU": 4.0}, max_machines=most)


def test_all_get_what_they_want_if_it_can_be_had() -> None:
    assert allot([Claim("a", 5, 1, CPU), Claim("b", 3, 1, CPU)], [small(2)]) == {"a": 5, "b": 3}


def test_who_asks_for_much_shares_what_those_who_ask_for_little_leave() -> None:
    claims = [Claim("crowd", 50, 1, CPU), Claim("storm", 50, 1, CPU), Claim("calm", 2, 1, CPU)]

    assert allot(claims, [small(5)]) == {"crowd": 9, "storm": 9, "calm": 2}


def test_minima_come_first() -> None:
    assert allot([Claim("a", 8, 1, CPU), Claim("b", 8, 6, CPU)], [small(2)]) == {"a": 2, "b": 6}


def test_large_replicas_count_for_what_they_take() -> None:
    granted = allot([Claim("large", 9, 0, {"CPU": 2.0}), Claim("light", 9, 0, CPU)], [small(2)])

    assert granted == {"large": 2, "light": 4}


def test_a_family_that_no_machine_carries_gets_nothing_and_keeps_nobody_else_from_it() -> None:
    granted = allot([Claim("gpu", 2, 1, {"GPU": 1.0}), Claim("web", 3, 1, CPU)], [small(1)])

    assert granted == {"gpu": 0, "web": 3}


def test_a_family_that_needs_labels_gets_no_more_than_the_machines_that_have_them_carry() -> None:
    ssd = MachineType("ssd", {"CPU": 4.0}, labels={"disk": "ssd"}, max_machines=1)

    assert allot([Claim("db", 6, 1, CPU, {"disk": "ssd"})], [ssd, small(1)]) == {"db": 4}


def test_machines_that_are_up_are_types_of_which_there_are_no_more() -> None:
    ready = {"head": {"memory": 9e9}, "a": {"CPU": 4.0, "node:a": 1.0}, "b": {"CPU": 4.0, "node:b": 1.0}}

    assert allot([Claim("web", 99, 1, CPU)], types_of_ready(ready, ["CPU"])) == {"web": 8}


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 4), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=6
    ),
    st.integers(0, 8),
)
def test_no_more_than_wanted_never_more_than_fits_and_always_the_same(
    drawn: list[tuple[int, int, float]], most: int
) -> None:
    claims = [Claim(str(n), wish, least, {"CPU": cpus}) for n, (wish, least, cpus) in enumerate(drawn)]
    granted = allot(claims, [small(most)])

    assert all(granted[claim.family] <= claim.replicas for claim in claims)
    assert sum(granted[claim.family] * claim.resources["CPU"] for claim in claims) <= 4 * most
    assert granted == allot(claims, [small(most)])
    if not pack([claim.bundles(claim.replicas) for claim in claims], [small(most)]).homeless:
        assert granted == {claim.family: claim.replicas for claim in claims}


@given(st.lists(st.integers(0, 40), min_size=2, max_size=6), st.integers(1, 6))
def test_of_equal_replicas_nobody_gets_two_more_than_one_who_wants_more(wishes: list[int], most: int) -> None:
    claims = [Claim(str(n), wish, 0, CPU) for n, wish in enumerate(wishes)]
    granted = allot(claims, [small(most)])
    unsatisfied = [granted[claim.family] for claim in claims if granted[claim.family] < claim.replicas]

    assert max(granted.values()) <= min(unsatisfied, default=40) + 1
