"""The day's data: the known numbers, and refusal of what is malformed."""

from pathlib import Path

import pytest

from examples.flights.day import COLUMNS, DATA, DataError, load_airports, load_day


@pytest.mark.parametrize(
    ("day", "flights", "cancelled"), [("2013-02-08", 930, 472), ("2013-07-10", 1004, 121), ("2013-05-15", 967, 17)]
)
def test_the_extract_has_the_numbers_of_the_source(day: str, flights: int, cancelled: int) -> None:
    loaded = load_day(day)

    assert len(loaded) == flights
    assert sum(flight.outcome == "cancelled" for flight in loaded) == cancelled


def test_the_storm_of_july_delayed_243_flights_by_more_than_an_hour() -> None:
    late = [
        flight for flight in load_day("2013-07-10") if flight.dep is not None and flight.dep - flight.sched_dep > 60
    ]

    assert len(late) == 243


def test_every_airport_of_the_days_is_known() -> None:
    airports = load_airports()

    for day in ("2013-02-08", "2013-07-10", "2013-05-15"):
        assert {name for flight in load_day(day) for name in (flight.origin, flight.destination)} <= airports.keys()


GOOD = "AA1-JFK-0600,AA,JFK,BOS,100,360,420,361,425"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("AA1,AA,JFK,BOS,many,360,420,361,425", ":3: seats='many' is no whole number"),
        ("AA1,AA,JFK,BOS,0,360,420,361,425", ":3: seats=0 is not between 1 and 900"),
        ("AA1,AA,JFK,BOS,100,360,300,361,425", ":3: sched_arr=300 is not between 360 and 1800"),
        ("AA1,AA,JFK,,100,360,420,361,425", ":3: destination is empty"),
        ("AA1,AA,JFK,BOS,100,360", ":3: the row has not 9 columns"),
        ("AA1,AA,JFK,BOS,100,360,420,361,425,9", ":3: the row has not 9 columns"),
        ("AA1,AA,JFK,BOS,100,360,420,,425", ":3: arr=425 although dep is empty"),
        (GOOD, ":3: flight_id='AA1-JFK-0600' is there twice"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    (tmp_path / "2013-01-01.csv").write_text("\n".join([",".join(COLUMNS), GOOD, row]))

    with pytest.raises(DataError, match=r"2013-01-01\.csv") as caught:
        load_day("2013-01-01", tmp_path)

    assert told in str(caught.value)


def test_a_missing_day_is_told_with_those_that_are_there() -> None:
    with pytest.raises(DataError, match="there are: 2013-02-08, 2013-05-15, 2013-07-10"):
        load_day("1999-01-01")


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "2013-01-01.csv").write_text("a,b\n1,2\n")

    with pytest.raises(DataError, match=":1: the columns are"):
        load_day("2013-01-01", tmp_path)
    with pytest.raises(DataError, match="make_extract"):
        load_airports(tmp_path)


def test_the_extract_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 400_000
