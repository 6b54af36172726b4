"""A day of flights, read from the committed extract. Bad data is refused with file, line, column and value."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
COLUMNS = ("flight_id", "carrier", "origin", "destination", "seats", "sched_dep", "sched_arr", "dep", "arr")
AIRPORT_COLUMNS = ("airport", "latitude", "longitude")
SHORTEST_ID = 3
LONGEST_SHOWN = 120


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
    """All flights of a day, in the order of their scheduled departure; both airports of each are in `airports.csv`.

    Raises:
        DataError: A file is missing or cannot be read, or a row is malformed.
    """
    path = folder / f"{day}.csv"
    if not os.path.isfile(path):  # unlike `Path.is_file`, false also for what may not be looked at
        there = ", ".join(sorted(file.stem for file in folder.glob("2*.csv"))) if os.path.isdir(folder) else ""
        raise DataError(f"workload.day={day}: no file {path}; there are: {there or 'none'}")
    flights: dict[str, Flight] = {}
    lines: dict[str, str] = {}
    for where, row in _rows(path, COLUMNS):
        flight = _flight(row, where)
        if flight.flight_id in flights:
            raise DataError(f"{where}: flight_id={flight.flight_id!r} is there twice")
        flights[flight.flight_id] = flight
        lines[flight.flight_id] = where
    if not flights:
        raise DataError(f"{path}: there are no flights in it")
    airports = load_airports(folder)
    for flight in flights.values():
        for column, airport in (("origin", flight.origin), ("destination", flight.destination)):
            if airport not in airports:
                raise DataError(
                    f"{lines[flight.flight_id]}: {column}={_shown(airport)} is not in {folder / 'airports.csv'}: "
                    "add the airport there, or correct the row"
                )
    return tuple(sorted(flights.values(), key=lambda flight: (flight.sched_dep, flight.flight_id)))


def _flight(row: dict[str, str], where: str) -> Flight:
    def whole(column: str, least: int, most: int) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", row[column]):
            raise DataError(f"{where}: {column}={_shown(row[column])} is no whole number")
        value = int(row[column])
        if not least <= value <= most:
            raise DataError(f"{where}: {column}={value} is not between {least} and {most}")
        return value

    for column in ("flight_id", "carrier", "origin", "destination"):
        if not row[column].strip():
            raise DataError(f"{where}: {column} is empty")
    if len(row["flight_id"]) < SHORTEST_ID:
        raise DataError(f"{where}: flight_id={row['flight_id']!r} is shorter than {SHORTEST_ID} characters")
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
        DataError: The file is missing or cannot be read, or a row is malformed.
    """
    path = folder / "airports.csv"
    if not os.path.isfile(path):
        raise DataError(f"no file {path}: run python -m examples.flights.make_extract")
    airports: dict[str, Airport] = {}
    for where, row in _rows(path, AIRPORT_COLUMNS):
        name = row["airport"]
        if not name.strip():
            raise DataError(f"{where}: airport is empty")
        if name in airports:
            raise DataError(f"{where}: airport={_shown(name)} is there twice")
        airports[name] = Airport(name, _degrees(row, "latitude", 90, where), _degrees(row, "longitude", 180, where))
    if not airports:
        raise DataError(f"{path}: there are no airports in it: run python -m examples.flights.make_extract")
    return airports


def _degrees(row: dict[str, str], column: str, most: int, where: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        raise DataError(f"{where}: {column}={_shown(row[column])} is no number") from None
    if not -most <= value <= most:
        raise DataError(f"{where}: {column}={value} is not between -{most} and {most} degrees")
    return value


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV file, each with where it begins as `file:line`."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8: save the file as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        if tuple(header) != columns:
            raise DataError(f"{path}:1: the columns are {_shown(header)}, they must be {list(columns)}")
        line = reader.line_num + 1
        for values in reader:
            where, line = f"{path}:{line}", reader.line_num + 1
            if values and len(values) != len(columns):
                raise DataError(f"{where}: the row has not {len(columns)} columns")
            if values:
                yield where, dict(zip(columns, values, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{line}: the row is not CSV: {error}; is a quotation mark not closed?") from None


def _shown(value: object) -> str:
    """A value of a file, short enough for one line."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
