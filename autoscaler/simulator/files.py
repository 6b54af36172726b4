"""Time lines and tables as CSV or Parquet."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def check_format(path: Path, others: tuple[str, ...] = ()) -> None:
    """Raise `UsageError` unless a table can be written to such a file here; the message names `others` too."""
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UsageError(f"{path}: Parquet needs the package pyarrow; or name a .csv file") from None
    elif path.suffix != ".csv":
        raise UsageError(f"{path}: name a file that ends in {', '.join((*others, '.csv'))} or .parquet")


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table.

    Raises:
        UsageError: It is no `.csv` or `.parquet` file, or Parquet is not installed.
    """
    check_format(path)
    if path.suffix == ".parquet":
        from pyarrow import parquet, table

        parquet.write_table(table({name: [row[place] for row in rows] for place, name in enumerate(columns)}), path)
        return
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
