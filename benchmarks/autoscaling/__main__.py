"""`make bench-autoscaling`, `python -m benchmarks.autoscaling [--json FILE] [--quick] [--policy PATH]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.autoscaling.goals import beaten, goals
from benchmarks.autoscaling.play import made, play
from benchmarks.autoscaling.row import IN_HINDSIGHT, OURS, Row
from benchmarks.autoscaling.scenarios import SCENARIOS
from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.goal import Goal

SEEDS = 3
WIDTH = 160
ALL = "best of all, per trace"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autoscaling", description=__doc__)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows there")
    parser.add_argument("--quick", action="store_true", help="one seed instead of several")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"so many seeds (default {SEEDS})")
    parser.add_argument("--trace", metavar="TEXT", default="", help="only traces with this in their name")
    parser.add_argument("--policy", metavar="PATH", action="append", default=[], help="also package.module:Class")
    parser.add_argument("--alone", action="store_true", help="without peers; needs --policy")
    given = parser.parse_args(arguments)
    seeds = 1 if given.quick else given.seeds
    numbers = [number for number, scenario in enumerate(SCENARIOS) if given.trace in scenario.name]
    if not numbers or seeds < 1:
        print("nothing to play: no trace has that in its name, or there are no seeds", file=sys.stderr)
        return 2
    try:
        for path in given.policy:
            made(path)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    if given.alone and not given.policy:
        print("--alone without --policy: nobody plays", file=sys.stderr)
        return 2
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    tasks = [(number, seed, given.policy, not given.alone) for number in numbers for seed in range(1, seeds + 1)]
    rows = _play_all(tasks, console)
    order = {scenario.name: number for number, scenario in enumerate(SCENARIOS)}
    rows.sort(key=lambda row: (order[row.trace], row.seed))
    console.print(_by_trace(rows))
    console.print(_by_policy(rows))
    held = goals(rows)
    if held:
        console.print(_goals(held))
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
        console.print(f"{len(rows)} rows in {given.json}")
    return 0


def _play_all(tasks: Sequence[tuple[int, int, list[str], bool]], console: Console) -> list[Row]:
    """All traces with all seeds, on all cores."""
    rows: list[Row] = []
    columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(min(os.cpu_count() or 1, len(tasks))) as pool,
    ):
        bar = progress.add_task("", total=len(tasks))
        for future in as_completed([pool.submit(play, *task) for task in tasks]):
            rows += future.result()
            progress.advance(bar)
    return rows


def _by_trace(rows: Sequence[Row]) -> Table:
    table = Table(title="each policy on each trace: means over the seeds")
    for column in (
        "trace", "policy", "score", "cost ratio", "% > 1 s", "% > 5 s", "p99 wait, s", "replica h", "machine h",
        "actions", "reversals/h", "recovery, s",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column in ("trace", "policy") else "right")
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.trace, row.policy].append(row)
    last = None
    for (trace, policy), of in groups.items():
        if last not in (None, trace):
            table.add_section()
        recovery = [row.recovery_s for row in of if row.recovery_s is not None]
        table.add_row(
            trace if trace != last else "",
            policy,
            f"{mean(row.score for row in of):.2f}",
            f"{mean(row.cost_ratio for row in of):.2f}",
            f"{mean(row.late_1s for row in of):.2f}",
            f"{mean(row.late_5s for row in of):.2f}",
            f"{mean(row.p99_wait_s for row in of):.1f}",
            f"{mean(row.replica_hours for row in of):.1f}",
            f"{mean(row.machine_hours for row in of):.1f}",
            f"{mean(row.actions for row in of):.0f}",
            f"{mean(row.reversals_per_hour for row in of):.0f}",
            f"{mean(recovery):.0f}" if recovery else "",
        )
        last = trace
    return table


def _by_policy(rows: Sequence[Row]) -> Table:
    table = Table(title="score: 1 is a clairvoyant's, less is better")
    for column in (
        "policy",
        "mean",
        "smooth traces",
        "worst trace",
        "",
        "cost ratio",
        "% > 1 s",
        "reversals/h",
        "beaten",
        "by first fit",
    ):
        table.add_column(column, justify="left" if column in ("policy", "") else "right")
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.policy].append(row)
    best: dict[tuple[str, int], Row] = {}
    for row in rows:
        key = row.trace, row.seed
        if key not in best or row.score < best[key].score:
            best[key] = row
    groups[ALL] = list(best.values())
    for policy, of in sorted(groups.items(), key=lambda entry: mean(row.score for row in entry[1])):
        smooth = [row.score for row in of if row.smooth]
        worst = max(of, key=lambda row: row.score)
        table.add_row(
            policy,
            f"{mean(row.score for row in of):.2f}",
            f"{mean(smooth):.2f}" if smooth else "",
            f"{worst.score:.2f}",
            worst.trace,
            f"{mean(row.cost_ratio for row in of):.2f}",
            f"{mean(row.late_1s for row in of):.2f}",
            f"{mean(row.reversals_per_hour for row in of):.0f}",
            "" if policy in (ALL, IN_HINDSIGHT) else f"{beaten(policy, rows)}",
            f"{mean(row.score_first_fit for row in of):.2f}",
        )
    return table


def _goals(reached: Sequence[Goal]) -> Table:
    table = Table(title=f"{OURS}: what has to be reached")
    for column in ("", "figure", "goal", ""):
        table.add_column(column, justify="right" if column in ("figure", "goal") else "left")
    for goal in reached:
        what, figure, *_, bound, verdict = goal.row()
        table.add_row(what, figure, bound, verdict)
    return table


if __name__ == "__main__":
    sys.exit(main())
