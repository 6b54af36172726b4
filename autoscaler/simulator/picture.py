"""Drawings as PNG, for places where a page cannot be shown; made with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.actors import UsageError

from .report import COLOURS, COST_AND_LATENESS, GRID, INK, front

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def picture_front(
    points: Sequence[tuple[str, float, float]], title: str, path: Path, axes: tuple[str, str] = COST_AND_LATENESS
) -> None:
    """What `draw_front` draws, as PNG; the runs on the front have their names.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("a PNG needs matplotlib: pip install 'raybeam[report]'") from None
    best = sorted(front(points), key=lambda point: point[1])
    figure = Figure(figsize=(9.0, 5.6), dpi=120, layout="constrained")
    pane = figure.add_subplot()
    pane.step(
        [cost for _, cost, _ in best],
        [late for _, _, late in best],
        where="post",
        color=COLOURS["ready"],
        linewidth=1.5,
        label="the front",
    )
    pane.scatter(
        [cost for _, cost, _ in points],
        [late for _, _, late in points],
        color=COLOURS["queue"],
        zorder=3,
        label="runs",
    )
    left, right = pane.get_xlim()
    for name, cost, late in best:
        beyond = cost > (left + right) / 2  # a long name would leave the picture on that side
        pane.annotate(
            name,
            (cost, late),
            xytext=(-6 if beyond else 6, 6),
            textcoords="offset points",
            ha="right" if beyond else "left",
            fontsize=8,
            color=INK,
        )
    pane.set_title(title, color=INK)
    pane.set_xlabel(axes[0])
    pane.set_ylabel(axes[1])
    pane.set_ylim(bottom=0)
    pane.grid(color=GRID)
    pane.legend()
    figure.savefig(path, format="png")
