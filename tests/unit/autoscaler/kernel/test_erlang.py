"""Erlang's formulas against published tables, brute force and each other."""

from math import factorial, isclose

import pytest

from raybeam.autoscaler.kernel.erlang import (
    cheapest,
    erlang_b,
    erlang_c,
    halfin_whitt,
    later_than,
    mean_wait_s,
    servers_for,
    square_root_staffing,
)


@pytest.mark.parametrize(
    ("servers", "load"), [(1, 0.0101), (5, 1.36), (10, 4.46), (20, 12.0), (50, 37.9), (100, 84.1)]
)  # traffic tables of ITU-T for a blocking of 1 %
def test_the_published_traffic_at_one_percent_blocking_is_reproduced(servers: int, load: float) -> None:
    assert erlang_b(servers, load) == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize("servers", range(8))
@pytest.mark.parametrize("load", [0.1, 1.0, 3.5, 7.0])
def test_blocking_equals_the_sum_of_the_textbook(servers: int, load: float) -> None:
    terms = [load**n / factorial(n) for n in range(servers + 1)]

    assert isclose(erlang_b(servers, load), terms[-1] / sum(terms))


@pytest.mark.parametrize(("servers", "load"), [(2, 1.0), (5, 4.0), (9, 6.5)])
def test_waiting_equals_the_sum_of_the_textbook(servers: int, load: float) -> None:
    last = load**servers / factorial(servers) * servers / (servers - load)

    expected = last / (sum(load**n / factorial(n) for n in range(servers)) + last)

    assert isclose(erlang_c(servers, load), expected)


def test_the_limit_of_many_servers_is_near_the_exact_formula() -> None:
    blocked = erlang_b(420, 400.0)

    assert halfin_whitt(420, 400.0) == pytest.approx(blocked / (1 - 400 / 420 * (1 - blocked)), rel=0.05)


def test_one_server_waits_as_pollaczek_and_khinchine_say() -> None:
    assert mean_wait_s(1, 0.5, 2.0, cv=1.0) == pytest.approx(2.0)
    assert mean_wait_s(1, 0.5, 2.0, cv=0.0) == pytest.approx(1.0)
    assert mean_wait_s(1, 1.0, 2.0) == float("inf")


@pytest.mark.parametrize("load", [0.3, 9.0, 120.0, 900.0])
def test_the_fewest_servers_hold_the_target_and_one_less_does_not(load: float) -> None:
    servers = servers_for(load, 0.5, 0.3, 0.02)

    assert later_than(0.3, servers, load, 0.5) <= 0.02
    assert servers - 1 <= load or later_than(0.3, servers - 1, load, 0.5) > 0.02


@pytest.mark.parametrize("load", [0.4, 5.0, 33.3, 700.0])
@pytest.mark.parametrize("slots", [1, 4])
def test_the_cheapest_number_is_that_of_trying_all(load: float, slots: int) -> None:
    def cost(replicas: int) -> float:
        if replicas * slots <= load:
            return float("inf")
        late = sum(later_than(wait_s, replicas * slots, load, 0.5) for wait_s in (1.0, 5.0))
        return replicas + 10 * load / slots * late

    least = int(load / slots)

    assert cheapest(load, 0.5, 1.0, 10.0, slots=slots) == min(range(least, least + 80), key=cost)


def test_square_root_staffing_grows_with_the_root() -> None:
    assert [square_root_staffing(load, 2.0) - load for load in (100, 10000)] == [20, 200]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_numbers_that_cannot_be_are_refused(bad: float) -> None:
    for call in (
        lambda: erlang_b(3, bad),
        lambda: later_than(bad, 3, 1.0, 1.0),
        lambda: servers_for(1.0, bad, 1.0),
        lambda: cheapest(1.0, 1.0, 1.0, bad),
    ):
        with pytest.raises(ValueError, match="give a finite number"):
            call()
