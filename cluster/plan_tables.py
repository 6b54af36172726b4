"""A plan as tables on a terminal."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from rich.table import Table

from raybeam.autoscaler.kernel.ladder import FAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from raybeam.autoscaler.kernel.ladder import Rung

    from .plan import Planned


def show(planned: Planned, console: Console) -> None:
    """Print it."""
    rates, found = planned.rates, planned.found
    if planned.title:
        console.print(planned.title)
    if rates.peak != rates.mean:
        console.print(
            f"requests a second: mean {rates.mean:.4g}, p50 {rates.p50:.4g}, p95 {rates.p95:.4g}, p99 {rates.p99:.4g}, "
            f"peak {rates.peak:.4g}; planned for {planned.rate:.4g}"
        )
    console.print(_families(planned))
    console.print(_machines(planned))
    spare = f"with {found.domain} to spare" if found.domain.lost else "nothing is spared"
    console.print(f"availability {_share(found.availability)} ({spare})", highlight=False)
    if found.domain.lost:
        console.print(
            f"without the spare {_share(found.bare_availability)}, {_machine_count(found.bare.count())}, "
            f"{found.bare.price:.2f} an hour",
            highlight=False,
        )
    console.print(_ladder("as the load grows", "requests per s", planned.by_load, planned.rate))
    console.print(_ladder("as requests take longer", "", planned.by_service, None))


def _families(planned: Planned) -> Table:
    """A column for each family: so it fits on a narrow terminal."""
    domain = planned.found.domain
    table = Table(title="replicas")
    table.add_column("family")
    columns = []
    for name, each in planned.found.families.items():
        demand = each.demand
        table.add_column(name, justify="right")
        columns.append(
            {
                "requests per s": f"{demand.rate:.4g}",
                "slots kept busy (erlangs)": f"{demand.load:.4g}",
                "objective": f"{'wait ' if demand.of == 'wait' else ''}{_time(demand.slo_s)} @ {demand.share:g}",
                "replicas for it": f"{each.least}",
                f"replicas, {domain} to spare": f"{each.replicas}",
                "slots in use": f"{100 * each.utilisation:.0f} %",
                "wait: mean": _time(demand.mean_wait_s(each.replicas)),
                "wait: p50": _time(demand.wait_s(0.5, each.replicas)),
                "wait: p99": _time(demand.wait_s(0.99, each.replicas)),
                "late": _percent(demand.late(each.replicas)),
                f"wait: p99, {domain} lost": _time(demand.wait_s(0.99, each.left)),
                f"late, {domain} lost": _percent(demand.late(each.left)),
            }
        )
    for row in columns[0]:
        if domain.lost or str(domain) not in row:
            table.add_row(row, *(column[row] for column in columns))
    return table


def _machines(planned: Planned) -> Table:
    table = Table(title="machines", show_footer=True)
    counts = planned.found.plan.count()
    total = planned.found.plan.price
    footers = {"type": "all", "number": f"{sum(counts.values())}", "at most": "", "boot": "", "an hour": f"{total:.2f}"}
    for column, footer in footers.items():
        table.add_column(column, footer=footer, justify="left" if column == "type" else "right")
    for kind in planned.types:
        number = counts.get(kind.name, 0)
        if number:
            price = f"{number * kind.price:.2f}"
            table.add_row(kind.name, str(number), str(kind.max_machines), _time(kind.boot_s), price)
    return table


def _ladder(title: str, unit: str, rungs: Sequence[Rung], rate: float | None) -> Table:
    table = Table(title=f"what gives way {title}")
    table.add_column("times", justify="right")
    if rate is not None:
        table.add_column(unit, justify="right")
    table.add_column("what")
    for rung in rungs:
        far = rung.times >= FAR
        at = [] if rate is None else ["" if far else f"{rung.times * rate:.4g}"]
        table.add_row(f"over {FAR:,.0f}" if far else f"{rung.times:.2f}", *at, rung.what)
    return table


def _machine_count(counts: dict[str, int]) -> str:
    number = sum(counts.values())
    return f"{number} machine{'s' * (number != 1)}"


def _percent(share: float) -> str:
    return "under 0.0001 %" if 0 < share < 1e-6 else f"{100 * share:.2g} %"


def _share(share: float) -> str:
    return f"{100 * share:.6g} %"


def _time(seconds: float) -> str:
    """A duration in the unit that reads best.

    >>> _time(0.0123), _time(2.0), _time(0.0), _time(float("inf"))
    ('12.3 ms', '2 s', '0', 'endless')
    """
    if not isfinite(seconds):
        return "endless"
    if seconds == 0:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s"
