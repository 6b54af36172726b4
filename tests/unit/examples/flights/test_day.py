"""The day's data: the known numbers, and refusal of what is malformed."""

from pathlib import Path

import pytest

from examples.flights.day import COLUMNS, DATA, DataError, load_airports, load_day
from examples.flights.events import events_of


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


AIRPORTS = "airport,latitude,longitude\nJFK,40.64,-73.779\nBOS,42.363,-71.006\n"
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
        ("A1,AA,JFK,BOS,100,360,420,361,425", ":3: flight_id='A1' is shorter than 3 characters"),
        ("AA2,AA,JFK,BOS,1_0,360,420,361,425", ":3: seats='1_0' is no whole number"),
        ("AA2,AA,JFK,XXX,100,360,420,361,425", ":3: destination='XXX' is not in"),
        ("AA2,AA,jfk,BOS,100,360,420,361,425", ":3: origin='jfk' is not in"),
        ('AA2,AA,"JFK,BOS,100,360,420,361,425\n' + GOOD, ":3: the row is not CSV: unexpected end of data"),
        ('AA2,AA,"J\nK",BOS,100,360', ":3: the row has not 9 columns"),
        (f"AA2,AA,{'J' * 200_000},BOS,100,360,420,361,425", ":3: the row is not CSV: field larger than"),
        (f"AA2,AA,JFK,BOS,{'9' * 5_000},360,420,361,425", ":3: seats='99999"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    (tmp_path / "2013-01-01.csv").write_text("\n".join([",".join(COLUMNS), GOOD, row]))
    (tmp_path / "airports.csv").write_text(AIRPORTS)

    with pytest.raises(DataError, match=r"2013-01-01\.csv") as caught:
        load_day("2013-01-01", tmp_path)

    assert told in str(caught.value)
    assert len(str(caught.value)) < 500


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path: Path) -> None:
    rows = "\n".join([",".join(COLUMNS), GOOD, GOOD.replace("BOS", "B\xd6S")])
    (tmp_path / "2013-01-01.csv").write_bytes(rows.encode("latin-1"))
    (tmp_path / "airports.csv").write_bytes(AIRPORTS.replace("BOS", "B\xd6S").encode("latin-1"))

    with pytest.raises(DataError, match=r"2013-01-01\.csv:3: byte 0xd6 is not UTF-8: save the file as UTF-8"):
        load_day("2013-01-01", tmp_path)
    with pytest.raises(DataError, match=r"airports\.csv:3: byte 0xd6 is not UTF-8"):
        load_airports(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: the columns are []"),
        ("airport,latitude,longitude\n", ": there are no airports in it"),
        (AIRPORTS + "LGA,far,-73.9\n", ":4: latitude='far' is no number"),
        (AIRPORTS + "LGA,nan,-73.9\n", ":4: latitude=nan is not between -90 and 90 degrees"),
        (AIRPORTS + "LGA,40.8,-739\n", ":4: longitude=-739.0 is not between -180 and 180 degrees"),
        (AIRPORTS + "LGA,40.8\n", ":4: the row has not 3 columns"),
        (AIRPORTS + ",40.8,-73.9\n", ":4: airport is empty"),
        (AIRPORTS + "\nJFK,40.8,-73.9\n", ":5: airport='JFK' is there twice"),
    ],
)
def test_malformed_airports_are_refused_also_when_a_day_is_loaded(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "2013-01-01.csv").write_text("\n".join([",".join(COLUMNS), GOOD]))
    (tmp_path / "airports.csv").write_text(text)

    for load in (lambda: load_airports(tmp_path), lambda: load_day("2013-01-01", tmp_path)):
        with pytest.raises(DataError) as caught:
            load()
        assert f"airports.csv{told}" in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)

    with pytest.raises(DataError, match=r"2013-05-15\.csv cannot be read: Permission denied"):
        load_day("2013-05-15")


def test_what_is_loaded_makes_a_stream_of_events(tmp_path: Path) -> None:
    latest = "XYZ,AA,JFK,BOS,900,1440,2880,4320,5760"
    (tmp_path / "2013-01-01.csv").write_text("\n".join([",".join(COLUMNS), GOOD, latest]))
    (tmp_path / "airports.csv").write_text(AIRPORTS)

    assert len(events_of(load_day("2013-01-01", tmp_path), seed=1)) == 6


def test_a_missing_day_is_told_with_those_that_are_there() -> None:
    with pytest.raises(DataError, match="there are: 2013-02-08, 2013-05-15, 2013-07-10"):
        load_day("1999-01-01")


def test_a_folder_that_cannot_be_looked_at_has_no_days() -> None:
    with pytest.raises(DataError, match="there are: none"):
        load_day("2013-05-15", Path("/", "x" * 5_000))


def test_wrong_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "2013-01-01.csv").write_text("a,b\n1,2\n")

    with pytest.raises(DataError, match=":1: the columns are"):
        load_day("2013-01-01", tmp_path)
    with pytest.raises(DataError, match="make_extract"):
        load_airports(tmp_path)


def test_the_extract_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 400_000
