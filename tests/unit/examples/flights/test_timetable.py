"""Earliest arrival against an exhaustive search."""

from hypothesis import given, settings
from hypothesis import strategies as st

from examples.flights.day import Airport, Flight
from examples.flights.timetable import CHANGE_MIN, Timetable, distance_km, ground_min

AIRPORTS = {
    "A": Airport("A", 40.0, -74.0),
    "B": Airport("B", 40.5, -74.5),  # near A
    "C": Airport("C", 30.0, -90.0),
    "D": Airport("D", 30.6, -90.5),  # near C
}


def flight(number: int, origin: str, destination: str, departs: int, takes: int) -> Flight:
    return Flight(f"X{number}", "X", origin, destination, 100, departs, departs + takes, None, None)


def exhaustive(flights: list[Flight], origin: str, destination: str, ready: int) -> int | None:
    """The earliest arrival over every sequence of at most three flights."""
    best: int | None = None

    def ground(one: str, other: str) -> int | None:
        return 0 if one == other else ground_min(AIRPORTS[one], AIRPORTS[other])

    def go(at: str, since: int, taken: list[Flight]) -> None:
        nonlocal best
        if taken:
            last = ground(at, destination)
            if last is not None and (best is None or since + last < best):
                best = since + last
        if len(taken) == 3:
            return
        for candidate in flights:
            transfer = ground(at, candidate.origin)
            change = CHANGE_MIN if taken else 0
            if transfer is None or since + transfer + change > candidate.sched_dep or candidate in taken:
                continue
            go(candidate.destination, candidate.sched_arr, [*taken, candidate])

    go(origin, ready, [])
    return best


legs = st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.integers(0, 900), st.integers(30, 300))


@settings(max_examples=200, deadline=None)
@given(drawn=st.lists(legs, max_size=6), ready=st.integers(0, 600), way=st.permutations("ABCD"))
def test_the_search_finds_what_an_exhaustive_search_finds(
    drawn: list[tuple[str, str, int, int]], ready: int, way: list[str]
) -> None:
    flights = [
        flight(number, origin, destination, departs, takes)
        for number, (origin, destination, departs, takes) in enumerate(drawn)
        if origin != destination
    ]
    used = {name for each in flights for name in (each.origin, each.destination)}
    if not {way[0], way[1]} <= used:
        return
    found = Timetable(flights, AIRPORTS).earliest_arrival(way[0], way[1], ready, lambda flight_id: True)
    wanted = exhaustive(flights, way[0], way[1], ready)

    if wanted is None:
        assert found is None
    else:
        assert found is not None
        # The exhaustive search stops at three flights; the other may do better with more.
        assert found.arrives <= wanted
        assert len(found.flight_ids) > 3 or found.arrives == wanted


def test_a_full_flight_is_not_taken() -> None:
    flights = [flight(1, "A", "C", 100, 100), flight(2, "A", "C", 300, 100)]
    timetable = Timetable(flights, AIRPORTS)

    found = timetable.earliest_arrival("A", "C", 0, lambda flight_id: flight_id != "X1")

    assert found is not None
    assert found.flight_ids == ("X2",)
    assert timetable.earliest_arrival("A", "C", 301, lambda flight_id: True) is None


def test_a_near_airport_is_reached_by_ground() -> None:
    found = Timetable([flight(1, "B", "D", 300, 100)], AIRPORTS | {"A": AIRPORTS["A"]})
    with_ends = Timetable([flight(1, "B", "D", 300, 100), flight(2, "C", "A", 0, 30)], AIRPORTS)

    assert "A" not in found.ground
    way = with_ends.earliest_arrival("A", "C", 0, lambda flight_id: flight_id == "X1")
    assert way is not None
    assert way.arrives == 400 + (ground_min(AIRPORTS["D"], AIRPORTS["C"]) or 0)


def test_distances_are_great_circles() -> None:
    assert round(distance_km(Airport("JFK", 40.640, -73.779), Airport("LAX", 33.943, -118.408)), -2) == 4000
