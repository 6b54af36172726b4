"""`make bench` runs all benchmarks; `python -m benchmarks NAME` one of them."""

import importlib
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.ratio import Ratio


NAMES = ("local_call", "replica_calls")


def main() -> int:
    wanted = sys.argv[1:] or NAMES
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    ratios: list[Ratio] = []
    console = Console()
    for name in wanted:
        with console.status(f"measuring {name} ..."):
            ratios += importlib.import_module(f"benchmarks.{name}").measure()
    table = Table(title="medians of interleaved rounds")
    for column in ("what", "ours", "peer", "theirs", "ratio", "goal", ""):
        table.add_column(column, justify="left" if column in ("what", "peer", "") else "right")
    for ratio in ratios:
        table.add_row(*ratio.row())
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
