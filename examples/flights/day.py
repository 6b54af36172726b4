"""A day of flights, read from the committed extract. Bad data is refused with file, line, column and value."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from raybeam.actors import UsageError

DATA = Path(__file__).parent / "data"
COLUMNS = ("flight_id", "carrier", "origin", "destination", "seats", "sched_dep", "sched_arr", "dep", "arr")


class DataError(UsageError):
    """A data file is missing or malformed; the message says where and what."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight as the data tells it; times are minutes since midnight in New York.

    Attributes:
        dep: The actual departure; `None`: cancelled.
        arr: The actual arrival; `None` although it departed: diverted.
    """

    flight_id: str
    carrier: str
    origin: str
    destination: str
    seats: int
    sched_dep: int
    sched_arr: int
    dep: int | None
    arr: int | None

    @property
    def outcome(self) -> str:
        """How it ended: `"cancelled"`, `"arrived"` or `"diverted"`."""
        if self.dep is None:
            return "cancelled"
        return "diverted" if self.arr is None else "arrived"


@dataclass(frozen=True, slots=True)
class Airport:
    """Where an airport is, in degrees."""

    name: str
    latitude: float
    longitude: float


def load_day(day: str, folder: Path = DATA) -> tuple[Flight, ...]:
    """All flights of a day, in the order of their scheduled departure.

    Raises:
        DataError: There is no such file, or a row is malformed.
    """
    path = folder / f"{day}.csv"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in folder.glob("2*.csv")))
        raise DataError(f"workload.day={day}: no file {path}; there are: {there or 'none'}")
    flights: dict[str, Flight] = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise DataError(f"{path}:1: the columns are {reader.fieldnames}, they must be {list(COLUMNS)}")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise DataError(f"{where}: the row has not {len(COLUMNS)} columns")
            flight = _flight(row, where)
            if flight.flight_id in flights:
                raise DataError(f"{where}: flight_id={flight.flight_id!r} is there twice")
            flights[flight.flight_id] = flight
    if not flights:
        raise DataError(f"{path}: there are no flights in it")
    return tuple(sorted(flights.values(), key=lambda flight: (flight.sched_dep, flight.flight_id)))


def _flight(row: dict[str, str], where: str) -> Flight:
    def whole(column: str, least: int, most: int) -> int:
        try:
            value = int(row[column])
        except ValueError:
            raise DataError(f"{where}: {column}={row[column]!r} is no whole number") from None
        if not least <= value <= most:
            raise DataError(f"{where}: {column}={value} is not between {least} and {most}")
        return value

    for column in ("flight_id", "carrier", "origin", "destination"):
        if not row[column].strip():
            raise DataError(f"{where}: {column} is empty")
    sched_dep = whole("sched_dep", 0, 1440)
    flight = Flight(
        row["flight_id"],
        row["carrier"],
        row["origin"],
        row["destination"],
        whole("seats", 1, 900),
        sched_dep,
        whole("sched_arr", sched_dep, sched_dep + 1440),
        None if row["dep"] == "" else whole("dep", sched_dep - 120, sched_dep + 2880),
        None if row["arr"] == "" else whole("arr", sched_dep - 120, sched_dep + 4320),
    )
    if flight.dep is None and flight.arr is not None:
        raise DataError(f"{where}: arr={flight.arr} although dep is empty: a cancelled flight does not arrive")
    return flight


def load_airports(folder: Path = DATA) -> dict[str, Airport]:
    """All airports by name.

    Raises:
        DataError: The file is missing or a row is malformed.
    """
    path = folder / "airports.csv"
    if not path.is_file():
        raise DataError(f"no file {path}: run python -m examples.flights.make_extract")
    airports = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                airport = Airport(row["airport"], float(row["latitude"]), float(row["longitude"]))
            except (KeyError, TypeError, ValueError):
                raise DataError(f"{path}:{reader.line_num}: must be airport,latitude,longitude: {row}") from None
            airports[airport.name] = airport
    return airports
