"""The HTML report of a run: one file that needs no network."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

from .record import RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    import plotly.graph_objects as go

COLOURS = {"feed": "#4c78a8", "flights": "#72b7b2", "airports": "#e0a030", "rebooking": "#d1495b"}
ENDED_IN_ORDER = "stopped"
"""What the root tells of a replica that it has ended itself."""
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.tile { background: #f5f6f8; border-radius: .5rem; padding: .7rem 1rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.5rem; } .held { color: #1a7f37; } .broken { color: #b3261e; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .3rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead { border-bottom: 2px solid #ccc; }
tbody tr:nth-child(even) { background: #fafafa; } .sub { color: #666; margin-top: 0; }
"""


def need_plotly() -> None:
    """Make sure that a report can be drawn.

    Raises:
        UsageError: plotly is not installed.
    """
    try:
        import plotly.graph_objects
        import plotly.io  # noqa: F401
    except ImportError:
        raise UsageError("the report needs plotly: pip install 'raybeam[report]', or report=null for none") from None


def write_report(record: RunRecord, path: Path) -> None:
    """Write the report.

    Raises:
        UsageError: plotly is not installed.
        OSError: The file cannot be written.
    """
    need_plotly()
    import plotly.io

    figures = [
        ("Departures and cancellations", _hours(record)),
        ("Queue depth", _depth(record)),
        ("Replicas", _replicas(record)),
        ("Waiting time in the mailbox (99th percentile of each interval)", _waits(record)),
    ]
    if record.capacity is not None:
        figures.insert(1, (f"Capacity of {record.capacity.family}", _capacity(record)))
    parts = [_head(record)]
    for number, (title, figure) in enumerate(figures):
        drawn = plotly.io.to_html(figure, full_html=False, include_plotlyjs="inline" if number == 0 else False)
        parts.append(f"<h2>{title}</h2>{drawn}")
    parts += [_families(record), _changes(record), _restarts(record)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>raybeam: {record.day}</title>"
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>",
        encoding="utf-8",
    )


def _head(record: RunRecord) -> str:
    outcome = "held" if record.ok else "broken"
    words = "every rule held" if record.ok else "a rule was broken"
    tiles = [
        ("events", f"{record.events:,}"),
        ("flights", f"{record.flights:,}"),
        ("rebooked", f"{record.rebooked:,}"),
        ("stranded", f"{record.stranded:,}"),
        ("restarts", str(sum(family.restarts for family in record.families.values()))),
        ("back after the kill", "-" if record.recovered_s is None else f"{record.recovered_s:.1f} s"),
    ]
    tile_html = "".join(f"<div class='tile'>{name}<b>{value}</b></div>" for name, value in tiles)
    rules = "".join(
        f"<tr><td>{html.escape(rule.rule)}</td><td>{html.escape(rule.counted)}</td>"
        f"<td class='{'held' if rule.held else 'broken'}'>{'held' if rule.held else 'broken'}</td></tr>"
        + "".join(f"<tr><td colspan='3' class='broken'>{html.escape(text)}</td></tr>" for text in rule.broken_by)
        for rule in record.rules
    )
    return (
        f"<h1>Flights out of New York, {record.day}: <span class='{outcome}'>{words}</span></h1>"
        f"<p class='sub'>played {record.speedup:g} times faster in {record.took_s:.0f} s, seed {record.seed}"
        f"{'' if record.killed is None else f'; {html.escape(record.killed)} was killed midway'}</p>"
        f"<div class='tiles'>{tile_html}</div><table><tbody>{rules}</tbody></table>"
    )


def _figure(x: str, y: str) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=340,
        margin={"l": 60, "r": 20, "t": 10, "b": 50},
        xaxis_title=x,
        yaxis_title=y,
        legend={"orientation": "h", "y": 1.12},
        hovermode="x unified",
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def _hours(record: RunRecord) -> go.Figure:
    figure = _figure("hour of the day (New York)", "flights")
    hours = list(range(len(record.departures_per_hour)))
    figure.add_bar(x=hours, y=record.departures_per_hour, name="departed", marker_color="#4c78a8")
    figure.add_bar(x=hours, y=record.cancellations_per_hour, name="cancelled (when known)", marker_color="#d1495b")
    figure.update_layout(barmode="stack")
    return figure


def _capacity(record: RunRecord) -> go.Figure:
    """Load, queue, replicas and machines of the family that scales, one below the other."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    assert record.capacity is not None
    columns = record.capacity.columns
    panes = (
        ("calls per s", (("load", "rate_per_s", "#6b7280"),)),
        ("waiting", (("queue", "queue", "#d1495b"),)),
        ("replicas", (("wanted", "wanted", "#93c5fd"), ("ready", "ready", "#1d4ed8"))),
        ("machines", (("machines", "machines_ready", "#15803d"), ("on their way", "machines_pending", "#86c79a"))),
    )
    figure = make_subplots(rows=len(panes), cols=1, shared_xaxes=True, vertical_spacing=0.04)
    for row, (title, curves) in enumerate(panes, 1):
        for name, column, colour in curves:
            style = {"color": colour, "width": 1.6, "shape": "linear" if row == 1 else "hv"}
            curve = go.Scatter(x=columns["at_s"], y=columns[column], name=name, mode="lines", line=style)
            figure.add_trace(curve, row=row, col=1)
        figure.update_yaxes(title_text=title, rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title_text="seconds since the start", row=len(panes), col=1)
    figure.update_layout(
        template="plotly_white",
        height=680,
        margin={"l": 60, "r": 20, "t": 10, "b": 50},
        legend={"orientation": "h", "y": 1.06},
        hovermode="x unified",
    )
    return figure


def _depth(record: RunRecord) -> go.Figure:
    figure = _figure("seconds since the start", "waiting")
    seconds = [sample.at_s for sample in record.samples]
    for name, colour in COLOURS.items():
        depths = [sample.families[name].depth for sample in record.samples]
        figure.add_scatter(x=seconds, y=depths, name=f"{name}: calls", line_color=colour)
    backlog = [sample.waiting for sample in record.samples]
    figure.add_scatter(
        x=seconds, y=backlog, name="passenger groups not sent yet", line={"color": "#999", "dash": "dot"}
    )
    _mark_restarts(figure, record)
    return figure


def _replicas(record: RunRecord) -> go.Figure:
    figure = _figure("seconds since the start", "replicas that serve")
    seconds = [sample.at_s for sample in record.samples]
    for name, colour in COLOURS.items():
        replicas = [sample.families[name].replicas for sample in record.samples]
        figure.add_scatter(x=seconds, y=replicas, name=name, line={"color": colour, "shape": "hv"})
    _mark_restarts(figure, record)
    return figure


def _waits(record: RunRecord) -> go.Figure:
    figure = _figure("seconds since the start", "milliseconds")
    seconds = [sample.at_s for sample in record.samples]
    for name, colour in COLOURS.items():
        waits = [sample.families[name].p99_s * 1000 or None for sample in record.samples]
        figure.add_scatter(x=seconds, y=waits, name=name, line_color=colour, connectgaps=True)
    figure.update_yaxes(type="log", rangemode="normal")
    return figure


def _mark_restarts(figure: go.Figure, record: RunRecord) -> None:
    for restart in record.restarts:
        if restart.kind == "down" and restart.text != ENDED_IN_ORDER:
            figure.add_vline(
                x=restart.at_s,
                line={"color": "#b3261e", "width": 1, "dash": "dash"},
                annotation={"text": f"{restart.subject} down", "font": {"size": 11, "color": "#b3261e"}},
            )


def _families(record: RunRecord) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{family.replicas}</td><td>{family.restarts}</td><td>{family.served:,}</td>"
        f"<td>{family.wait_p50_s * 1000:.1f}</td><td>{family.wait_p99_s * 1000:.1f}</td>"
        f"<td>{family.service_p50_s * 1000:.1f}</td><td>{family.service_p99_s * 1000:.1f}</td></tr>"
        for name, family in record.families.items()
    )
    return (
        "<h2>Families</h2><table><thead><tr><th>family</th><th>replicas</th><th>restarts</th><th>calls served</th>"
        "<th>wait p50, ms</th><th>wait p99, ms</th><th>service p50, ms</th><th>service p99, ms</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _changes(record: RunRecord) -> str:
    if record.capacity is None:
        return ""
    rows = "".join(
        f"<tr><td>{change.at_s:.1f} s</td><td>{change.before} → {change.after}</td>"
        f"<td style='text-align:left'>{html.escape(change.reason)}</td></tr>"
        for change in record.capacity.changes
    )
    return (
        f"<h2>What the autoscaler did with {html.escape(record.capacity.family)}</h2><table><thead><tr><th>at</th>"
        "<th>replicas</th><th style='text-align:left'>why</th></tr></thead>"
        f"<tbody>{rows or '<tr><td>nothing</td></tr>'}</tbody></table>"
    )


def _restarts(record: RunRecord) -> str:
    rows = "".join(
        f"<tr><td>{restart.at_s:.2f} s</td><td style='text-align:left'>{html.escape(restart.subject)}</td>"
        f"<td>{html.escape(restart.kind)}</td><td style='text-align:left'>{html.escape(restart.text)}</td></tr>"
        for restart in record.restarts
    )
    return (
        "<h2>Replicas that went and came</h2><table><thead><tr><th>at</th><th style='text-align:left'>replica</th>"
        "<th></th><th style='text-align:left'>what</th></tr></thead>"
        f"<tbody>{rows or '<tr><td>none</td></tr>'}</tbody></table>"
    )
