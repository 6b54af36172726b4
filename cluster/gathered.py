"""The runs of a sweep: one table, and a front between cost and lateness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator.files import write_table
from raybeam.autoscaler.simulator.picture import picture_front
from raybeam.autoscaler.simulator.report import COST_AND_LATENESS, draw_front

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console


def write_gathered(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    points: Sequence[tuple[str, float, float]],
    folder: Path,
    console: Console,
    axes: tuple[str, str] = COST_AND_LATENESS,
) -> None:
    """Write `table.csv`, `table.parquet`, `front.html` and `front.png`, and tell which of them could not be written.

    Args:
        columns: Names of the columns of the table.
        rows: A row for each run.
        points: Of each run its name, its cost and its lateness.
        folder: Where to write.
        console: Where to tell.
        axes: What is cost, and what is lateness.
    """
    write_table(folder / "table.csv", columns, rows)
    console.print(f"{len(rows)} runs in {folder / 'table.csv'}", soft_wrap=True)
    title = f"{axes[0]}, {axes[1]}"
    names = told_apart([name for name, _, _ in points])
    points = [(name, cost, late) for name, (_, cost, late) in zip(names, points, strict=True)]
    writers: dict[str, Callable[[Path], None]] = {
        "table.parquet": lambda path: write_table(path, columns, rows),
        "front.html": lambda path: draw_front(points, title, path, axes),
        "front.png": lambda path: picture_front(points, title, path, axes),
    }
    for name, write in writers.items():
        try:
            write(folder / name)
        except UsageError as error:
            console.print(f"  no {name}: {error}", soft_wrap=True, markup=False)
        else:
            console.print(f"  {folder / name}", soft_wrap=True)


def told_apart(names: Sequence[str]) -> list[str]:
    """Names of runs without the overrides that all of them have.

    >>> told_apart(["load=steady target=0.5", "load=steady target=0.9"])
    ['target=0.5', 'target=0.9']
    """
    shared = set.intersection(*(set(name.split()) for name in names)) if len(names) > 1 else set()
    return [" ".join(word for word in name.split() if word not in shared) or name for name in names]
