"""Traces from files: CSV, also compressed with gzip, and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from raybeam.actors import UsageError

from .trace import MOST_REQUESTS, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .service import Service

LONGEST_SHOWN = 60
TAIL_S = 1.0
"""A trace without a given length ends so long after its last request."""


@dataclass(frozen=True, slots=True)
class TraceFile:
    """How to read a file.

    A CSV file may begin with a line of names. Times are seconds, or dates in ISO 8601; dates without a zone are UTC.

    Attributes:
        path: A file that ends in `.csv`, `.csv.gz` or `.parquet` (which needs the package pyarrow).
        time: The column of times, counted from 0, or its name.
        size: The column of sizes. Default: there is none, and sizes are drawn.
        size_s: Seconds for each unit of size: 0.01 for tokens of which 100 are made in a second. Default 1.
        from_first: Times count from the first request. Default: yes.
        speedup: The trace is played so many times faster; sizes stay. Default 1.
        duration_s: Only so much of it, in the file's own seconds. Default: all of it.
    """

    path: str | Path
    time: int | str = 0
    size: int | str | None = None
    size_s: float = 1.0
    from_first: bool = True
    speedup: float = 1.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("size_s", "speedup", "duration_s"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value > 0):
                raise UsageError(f"{name}={value!r}: give a finite number above 0")


def read_trace(file: TraceFile, service: Service | None = None, seed: int = 1) -> Trace:
    """The trace in a file.

    Args:
        file: Where it is, and what is in which column.
        service: How long requests take, if the file has no sizes.
        seed: For what is drawn from `service`.

    Raises:
        UsageError: The file cannot be read, it has no requests, they are not in order, or a number is missing,
            negative, NaN or infinite; the message names file, row and value.
    """
    path = Path(file.path)
    if (file.size is None) == (service is None):
        raise UsageError(f"{path}: give either the column of the sizes or a distribution of service times")
    chance = Random(f"{path.name} {seed}")
    times: list[float] = []
    sizes: list[float] = []
    first = before = None
    for where, moment, size in _rows(path, file):
        at = _moment(moment, where)
        if before is not None and at < before:
            raise UsageError(f"{where}: time {_shown(moment)} is before the one above it: sort the file by time")
        before = at
        if first is None:
            first = at if file.from_first else 0.0
        if file.duration_s is not None and at - first >= file.duration_s:
            break
        if len(times) == MOST_REQUESTS:
            raise UsageError(f"{where}: a trace holds {MOST_REQUESTS:,} requests at most; give load.file.duration_s")
        times.append((at - first) / file.speedup)
        sizes.append(_number(size, where, "size") * file.size_s if service is None else service.draw(chance))
    if before is None:
        raise UsageError(f"{path}: there are no requests in it")
    if not times:
        raise UsageError(f"{path}: no request comes within {file.duration_s:g} s")
    length = times[-1] + TAIL_S if file.duration_s is None else file.duration_s / file.speedup
    return Trace(path.name, times, sizes, length)


def _rows(path: Path, file: TraceFile) -> Iterator[tuple[str, Any, Any]]:
    """Each row as where it is, its time and its size."""
    if path.suffix == ".parquet":
        yield from _parquet_rows(path, file)
    elif path.name.endswith((".csv", ".csv.gz")):
        yield from _csv_rows(path, file)
    else:
        raise UsageError(f"{path}: a trace is a file that ends in .csv, .csv.gz or .parquet")


def _csv_rows(path: Path, file: TraceFile) -> Iterator[tuple[str, str, str]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"{path} cannot be read: {told}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    places: tuple[int, int | None] | None = None
    try:
        for row in reader:
            if not row:
                continue
            where = f"{path}:{reader.line_num}"
            if places is None:
                named = isinstance(file.time, str) or isinstance(file.size, str) or not _is_moment(row, file.time)
                places = _places(row if named else None, file, where)
                if named:
                    continue
            yield where, _cell(row, places[0], where), "" if places[1] is None else _cell(row, places[1], where)
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: the row is not CSV: {error}") from None


def _parquet_rows(path: Path, file: TraceFile) -> Iterator[tuple[str, Any, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UsageError(f"{path}: Parquet needs the package pyarrow; or give a CSV file") from None
    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    places = _places(table.column_names, file, str(path))
    if max(places[0], places[1] or 0) >= table.num_columns:
        raise UsageError(f"{path}: there are only {table.num_columns} columns")
    moments = table.column(places[0]).to_pylist()
    sizes = [""] * len(moments) if places[1] is None else table.column(places[1]).to_pylist()
    for index, (moment, size) in enumerate(zip(moments, sizes, strict=True)):
        yield f"{path}, row {index}", moment, size


def _places(names: list[str] | None, file: TraceFile, where: str) -> tuple[int, int | None]:
    """Where the columns of time and size are."""

    def place(column: int | str) -> int:
        if isinstance(column, int):
            return column
        stripped = [name.strip() for name in names or []]
        if column not in stripped:
            raise UsageError(f"{where}: there is no column {column!r}; there are: {', '.join(stripped) or 'no names'}")
        return stripped.index(column)

    return place(file.time), None if file.size is None else place(file.size)


def _cell(row: list[str], place: int, where: str) -> str:
    if not 0 <= place < len(row):
        raise UsageError(f"{where}: there is no column {place}: the row has {len(row)}, and the first is number 0")
    return row[place]


def _is_moment(row: list[str], column: int | str) -> bool:
    """Whether a row begins the data; a number that no time can be is a mistake, and no name."""
    try:
        cell = row[int(column)]
    except IndexError:
        return False
    try:
        float(cell)
    except ValueError:
        try:
            _moment(cell, "")
        except UsageError:
            return False
    return True


def _moment(value: object, where: str) -> float:
    """A time in seconds."""
    if isinstance(value, str):
        try:
            return _number(float(value), where, "time")
        except ValueError:
            pass
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise UsageError(f"{where}: time {_shown(value)} is neither a number nor a date") from None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return _number(value, where, "time")


def _number(value: object, where: str, what: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever is no number is refused here
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {what} {_shown(value)} is no number") from None
    if not isfinite(number):
        raise UsageError(f"{where}: {what} {_shown(value)} is not finite")
    if what == "size" and number < 0:
        raise UsageError(f"{where}: size {_shown(value)} is negative")
    return number


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
