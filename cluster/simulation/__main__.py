"""`python -m raybeam.cluster.simulation`: run many fault schedules, and shrink and show what breaks a promise."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from raybeam.actors import UsageError

from .faults import FaultSchedule
from .search import Finding, examine, examine_all, load_scenario, per_second

if TYPE_CHECKING:
    from collections.abc import Sequence

LEDGER = "raybeam.cluster.simulation.ledger:LedgerScenario"
LINES_SHOWN = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status: 0 all promises held, 1 one was broken, 2 a mistake in what was asked."""
    parser = argparse.ArgumentParser(prog="python -m raybeam.cluster.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1000", help="a count (1000), a range (500-600) or a list (17,18)")
    parser.add_argument("--scenario", default=LEDGER, help="package.module:Class; default: %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: one for each core")
    parser.add_argument("--schedule", type=Path, help="replay a printed schedule from a file, - for standard input")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first broken promise")
    asked = parser.parse_args(arguments)
    console = Console(stderr=False, highlight=False)
    try:
        scenario = load_scenario(asked.scenario)
        if asked.schedule is not None:
            text = sys.stdin.read() if str(asked.schedule) == "-" else asked.schedule.read_text()
            finding = examine(scenario, FaultSchedule.parse(text))
            if finding is not None:
                _show(console, finding, asked.scenario)
                return 1
            console.print("all promises held")
            return 0
        seeds = parse_seeds(asked.seeds)
    except (UsageError, ValueError, OSError) as error:
        console.print(f"[red]{error}[/]")
        return 2
    return _search(console, asked.scenario, seeds, asked.jobs, keep_going=asked.keep_going)


def parse_seeds(text: str) -> list[int]:
    """Which seeds a text names.

    >>> parse_seeds("3"), parse_seeds("17,18"), parse_seeds("17,"), parse_seeds("500-502")
    ([0, 1, 2], [17, 18], [17], [500, 501, 502])
    """
    seeds: list[int] = []
    for part in filter(None, map(str.strip, text.split(","))):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (not dash or last.isdecimal())):
            raise UsageError(f"seeds {text!r}: give a count (1000), a range (500-600) or a list (17,18)")
        seeds += range(int(first), int(last) + 1) if dash else [int(first)]
    return list(range(seeds[0])) if text.strip().isdecimal() else seeds


def _search(console: Console, path: str, seeds: list[int], jobs: int, *, keep_going: bool) -> int:
    findings: list[Finding] = []
    began = time.monotonic()
    rates = TextColumn("{task.fields[rate]:.0f} schedules/s")
    columns = (BarColumn(), MofNCompleteColumn(), rates, TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("simulating", total=len(seeds), rate=0.0)
        done = 0

        def told(seed: int, finding: Finding | None) -> None:
            nonlocal done
            done += 1
            progress.update(bar, advance=1, rate=per_second(done, began))
            if finding is not None:
                findings.append(finding)

        ran = examine_all(path, seeds, min(jobs, len(seeds)), told, stop_at_first=not keep_going)
    for finding in findings:
        _show(console, finding, path)
    rate = per_second(ran, began)
    console.print(
        f"{ran} fault schedules in {time.monotonic() - began:.1f} s ({rate:.0f}/s, {jobs} processes): "
        + (f"[red]{len(findings)} broke a promise[/]" if findings else "all promises held")
    )
    return 1 if findings else 0


def _show(console: Console, finding: Finding, path: str) -> None:
    console.rule(f"[red]seed {finding.schedule.seed} breaks a promise")
    for broken in finding.broken[:5]:
        console.print(f"[red]{broken.promise}[/]: {broken.text}", markup=True, soft_wrap=True)
    drawn, left = len(finding.schedule.faults), len(finding.shrunk.faults)
    console.print(f"\nIts schedule, shrunk from {drawn} faults to {left}:\n")
    console.print(str(finding.shrunk), markup=False, soft_wrap=True)
    console.print("\nWhat happened around it (virtual seconds):\n")
    for line in finding.lines[:LINES_SHOWN]:
        console.print(line, markup=False, soft_wrap=True)
    command = "python -m raybeam.cluster.simulation" + ("" if path == LEDGER else f" --scenario {path}")
    console.print(f"\nReplay: {command} --seeds {finding.schedule.seed},", soft_wrap=True)
    console.print(f"or save the schedule above: {command} --schedule FILE\n", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
