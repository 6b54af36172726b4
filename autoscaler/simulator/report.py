"""Drawings of simulations as HTML pages, made with plotly."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .run import Run

GRID = "#e4e4e0"
INK = "#33332f"
COST_AND_LATENESS = "cost / clairvoyant's cost", "% waiting over 1 s"
COLOURS = {
    "arrivals per s": "#6b7280",
    "queue": "#c2410c",
    "ready": "#1d4ed8",
    "wanted": "#93c5fd",
    "machines": "#15803d",
}


def need_plotly() -> None:
    """Raise `UsageError` if plotly is not installed."""
    try:
        import plotly.graph_objects
        import plotly.subplots  # noqa: F401
    except ImportError:
        raise UsageError("the plot needs plotly: pip install 'raybeam[report]', or report=null for none") from None


def draw_run(run: Run, slots: int, interval_s: float, title: str, path: Path) -> None:
    """Load, queue, replicas and machines over time, one below the other.

    Raises:
        UsageError: plotly is not installed.
    """
    need_plotly()
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    line = run.timeline
    times = line.column("time_s")
    panes = (
        ("requests per s", (("arrivals per s", [count / interval_s for count in line.column("arrivals")]),)),
        ("waiting", (("queue", line.column("queue")),)),
        (
            f"replicas of {slots} slot{'s' if slots > 1 else ''}",
            (("wanted", line.column("target")), ("ready", line.column("ready"))),
        ),
        ("machines", (("machines", line.column("machines_ready")),)),
    )
    figure = make_subplots(rows=len(panes), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for row, (name, curves) in enumerate(panes, 1):
        for label, values in curves:
            shape = "linear" if row == 1 else "hv"
            style = {"color": COLOURS[label], "width": 1.5, "shape": shape}
            figure.add_trace(go.Scatter(x=times, y=values, name=label, mode="lines", line=style), row=row, col=1)
        figure.update_yaxes(title_text=name, rangemode="tozero", gridcolor=GRID, row=row, col=1)
    figure.update_xaxes(title_text="seconds", row=len(panes), col=1)
    _write(figure, title, path, 820, "x unified")


def draw_front(
    points: Sequence[tuple[str, float, float]], title: str, path: Path, axes: tuple[str, str] = COST_AND_LATENESS
) -> None:
    """Cost against lateness of many runs, with the front of those that no other beats in both.

    Args:
        points: Of each run its name, its cost, and its lateness.
        title: Of the page.
        path: Where to write it.
        axes: What is cost, and what is lateness. Default: over a clairvoyant's, and the percentage over 1 s.

    Raises:
        UsageError: plotly is not installed.
    """
    need_plotly()
    import plotly.graph_objects as go

    best = sorted(front(points), key=lambda point: point[1])
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[cost for _, cost, _ in best],
            y=[late for _, _, late in best],
            text=[name for name, _, _ in best],
            textposition="top right",
            mode="lines+text",
            name="the front",
            line={"color": COLOURS["ready"], "shape": "hv", "width": 1.5},
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[cost for _, cost, _ in points],
            y=[late for _, _, late in points],
            text=[name for name, _, _ in points],
            mode="markers",
            name="runs",
            marker={"color": COLOURS["queue"], "size": 8},
        )
    )
    figure.update_xaxes(title_text=axes[0], gridcolor=GRID)
    figure.update_yaxes(title_text=axes[1], rangemode="tozero", gridcolor=GRID)
    _write(figure, title, path, 560, "closest")


def draw_trials(points: Sequence[tuple[str, float, float]], title: str, path: Path) -> None:
    """The score where values were chosen, against that of a part that was held out; the diagonal is where both are one.

    Args:
        points: Of each its name and both scores; the one called `default` stands out.
        title: Of the page.
        path: Where to write it.

    Raises:
        UsageError: plotly is not installed.
    """
    need_plotly()
    import plotly.graph_objects as go

    figure = go.Figure()
    both = [score for _, *scores in points for score in scores]
    ends = [min(both), max(both)]
    line = {"color": COLOURS["arrivals per s"], "width": 1, "dash": "dot"}
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name="the same on both", line=line))
    for name, colour in (("default", COLOURS["ready"]), ("tried", COLOURS["queue"])):
        those = [point for point in points if (point[0] == "default") == (name == "default")]
        figure.add_trace(
            go.Scatter(
                x=[train for _, train, _ in those],
                y=[held for _, _, held in those],
                text=[label for label, _, _ in those],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 9},
            )
        )
    figure.update_xaxes(title_text="score where it was chosen", gridcolor=GRID)
    figure.update_yaxes(title_text="score held out", gridcolor=GRID)
    _write(figure, title, path, 560, "closest")


def front(points: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Those that no other beats: none is at most as dear and at most as late, and better in one of them.

    >>> [name for name, _, _ in front([("a", 1.0, 5.0), ("b", 2.0, 1.0), ("c", 2.0, 3.0)])]
    ['a', 'b']
    """
    return [
        (name, cost, late)
        for name, cost, late in points
        if not any(
            other_cost <= cost and other_late <= late and (other_cost, other_late) != (cost, late)
            for _, other_cost, other_late in points
        )
    ]


def _write(figure: object, title: str, path: Path, height: int, hover: str) -> None:
    from plotly.io import to_html

    figure.update_layout(  # type: ignore[attr-defined]  # plotly has no types
        height=height,
        plot_bgcolor="white",
        font={"family": "system-ui, sans-serif", "color": INK},
        margin={"l": 70, "r": 20, "t": 20, "b": 50},
        legend={"orientation": "h", "y": 1.06},
        hovermode=hover,
    )
    drawn = to_html(figure, full_html=False, include_plotlyjs="inline")
    head = f"<!doctype html><meta charset='utf-8'><title>{escape(title)}</title>"
    page = f"{head}<h3 style='font-family: system-ui, sans-serif'>{escape(title)}</h3>{drawn}"
    path.write_text(page, encoding="utf-8")
