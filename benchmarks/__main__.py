"""`make bench` runs all benchmarks; `python -m benchmarks NAME` one of them."""

import importlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.goal import Goal
    from benchmarks.ratio import Ratio


NAMES = ("local_call", "processes", "restart", "telemetry", "calls", "overload", "simulator", "controller")


LONG = ("live",)
"""These take too long to be run with all others."""


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    unknown = [name for name in wanted if name not in (*NAMES, *LONG)]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are: {', '.join((*NAMES, *LONG))}", file=sys.stderr)
        return 2
    figures: list[Ratio | Goal] = []
    console = Console()
    for name in wanted:
        with console.status(f"measuring {name} ..."):
            figures += importlib.import_module(f"benchmarks.{name}").measure()
    table = Table(title="medians of rounds, interleaved with those of the peer")
    for column in ("what", "ours", "peer", "theirs", "ratio", "goal", ""):
        table.add_column(column, justify="left" if column in ("what", "peer", "") else "right")
    for figure in figures:
        table.add_row(*figure.row())
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
