"""Two courses of one load in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.autoscaler.simulator.report import need_plotly

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.elastic.course import Course

LIVE, SIMULATED = "#c2410c", "#1d4ed8"
PANES = (("rate_per_s", "requests per s"), ("queue", "waiting"), ("ready", "replicas ready"), ("wanted", "wanted"))


def draw_courses(live: Course, simulated: Course, title: str, path: Path) -> None:
    """Load, queue and replicas over time, live and simulated.

    Raises:
        UsageError: plotly is not installed.
    """
    need_plotly()
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=len(PANES), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for row, (column, name) in enumerate(PANES, 1):
        for label, course, colour in (("live", live, LIVE), ("simulated", simulated, SIMULATED)):
            line = go.Scatter(
                x=course.series["time_s"],
                y=course.series[column],
                name=label,
                legendgroup=label,
                showlegend=row == 1,
                line={"color": colour, "width": 1.5, "shape": "hv"},
            )
            figure.add_trace(line, row=row, col=1)
        figure.update_yaxes(title_text=name, rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title_text="seconds", row=len(PANES), col=1)
    figure.update_layout(title=title, height=820, hovermode="x unified", plot_bgcolor="white")
    figure.write_html(path)
