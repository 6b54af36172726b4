"""Calls to one replica over the whole path, side by side with a bare async Ray actor and a Ray Serve handle.

    python -m benchmarks.calls                  prints the table
    python -m benchmarks.calls --json FILE      writes the rows too
    python -m benchmarks.calls --quick          only 1 and 1000 callers

Each round lets the systems take turns; every caller makes its calls one after another. Figures are medians of the
rounds. `raybeam` has routing, validation, deadlines and metrics on; the peers have nothing of the kind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import ray
from rich.console import Console
from rich.table import Table

from benchmarks.ratio import Ratio
from raybeam.actors import GenServer, call
from raybeam.cluster import System, calm_collector
from raybeam.cluster.local import LocalCluster, LocalClusterOptions, connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    Add: TypeAlias = Callable[[bytes], Awaitable[int]]
    Figures: TypeAlias = list[list[tuple[float, ...]]]
    Load: TypeAlias = tuple[str, int]

ROUNDS = 5
PAYLOADS = {"small": b"x" * 16, "1MB": b"x" * 1_000_000}
SYSTEMS = ("raybeam", "ray-actor", "ray-serve")
CALLS = {
    # payload, callers: calls of each caller in a round, by system; one or two seconds each
    ("small", 1): (300, 300, 100),
    ("small", 10): (200, 60, 20),
    ("small", 100): (100, 15, 3),
    ("small", 1000): (150, 4, 1),
    ("small", 10_000): (6, 1, 1),
    ("1MB", 1): (60, 60, 40),
    ("1MB", 10): (20, 20, 8),
    ("1MB", 100): (3, 3, 1),
}
FEWER_ROUNDS = {10_000: 1}


class Counter(GenServer):
    mailbox_limit = 20_000  # as many as the peers are told to take

    async def init(self) -> None:
        self.total = 0

    @call(timeout_s=120.0)
    async def add(self, data: bytes) -> int:
        self.total += len(data)
        return self.total


class BareCounter:
    def __init__(self) -> None:
        self.total = 0

    async def add(self, data: bytes) -> int:
        self.total += len(data)
        return self.total


@dataclass(frozen=True, slots=True)
class Row:
    """One system under one load: medians of the rounds."""

    system: str
    concurrency: int
    payload: str
    calls_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float


async def load(add: Add, data: bytes, callers: int, each: int) -> tuple[float, ...]:
    """Calls per second, and the quantiles of their latencies in milliseconds."""
    latencies: list[float] = []

    async def caller() -> None:
        for _ in range(each):
            began = time.perf_counter()
            await add(data)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    rate = callers * each / (time.perf_counter() - began)
    latencies.sort()
    return rate, *(
        latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000 for share in (0.5, 0.99, 0.999)
    )


def played(adds: Sequence[Add], loads: Sequence[Load], numbers: Sequence[int]) -> dict[Load, Figures]:
    """Play each load once for each of some systems, `numbers` of `SYSTEMS`."""

    async def main() -> dict[Load, Figures]:
        figures: dict[Load, Figures] = {}
        for add in adds:
            await load(add, PAYLOADS["small"], 100, 1)
        for payload, callers in loads:
            figures[payload, callers] = []
            for add, number in zip(adds, numbers, strict=True):
                each = CALLS[payload, callers][number]
                figures[payload, callers].append([await load(add, PAYLOADS[payload], callers, each)])
        return figures

    return asyncio.run(main())


@contextlib.contextmanager
def serve_handle() -> Iterator[Any]:
    """A Serve deployment of one replica that takes as many requests as come."""
    from ray import serve

    serve.start(http_options={"location": "NoServer"})
    deployment: Any = serve.deployment(
        BareCounter, num_replicas=1, max_ongoing_requests=20_000, ray_actor_options={"num_cpus": 0.1}
    )
    yield serve.run(deployment.bind(), name="bench", route_prefix=None).add
    serve.shutdown()  # type: ignore[no-untyped-call]


def run_all(loads: Sequence[Load]) -> dict[Load, Figures]:
    """All figures, by payload and callers.

    Serve is there in its own turns only: its controller works all the time, also for nobody.
    """
    blueprint = {"name": "bench", "families": {"counter": {"service": Counter}}}
    options = LocalClusterOptions(machines=1, cpus_per_machine=4, dashboard=False)
    with LocalCluster(options) as cluster, connect(cluster.connection), System.start(blueprint) as system:
        bare_class: Any = ray.remote(BareCounter)
        bare = bare_class.options(max_concurrency=20_000, num_cpus=0.1).remote()
        adds = (system.ref(Counter).add, bare.add.remote)
        calm_collector()  # the pauses of this driver's collector would be those of all three
        figures: dict[Load, Figures] = {each: [[] for _ in SYSTEMS] for each in loads}
        for turn in range(ROUNDS):
            due = [(payload, callers) for payload, callers in loads if turn < FEWER_ROUNDS.get(callers, ROUNDS)]
            found = [played(adds, due, (0, 1))]
            with serve_handle() as served:
                found.append(played((served.remote,), due, (2,)))
            for each in due:
                for so_far, of_round in zip(figures[each], found[0][each] + found[1][each], strict=True):
                    so_far.extend(of_round)
        return figures


def rows_of(figures: dict[Load, Figures]) -> list[Row]:
    """One row for each system and load."""
    return [
        Row(system, callers, payload, *(round(median(column), 3) for column in zip(*found, strict=True)))
        for (payload, callers), systems in figures.items()
        for system, found in zip(SYSTEMS, systems, strict=True)
    ]


def ratios_of(figures: dict[Load, Figures]) -> list[Ratio]:
    """What is to be reached."""

    def ratio(what: str, load: Load, peer: int, column: int, goal: float, more: bool = True) -> Ratio:
        ours, theirs = figures[load][0], figures[load][peer]
        named = "Serve handle" if peer == 2 else "bare async actor"
        return Ratio(
            what, named, [row[column] for row in ours], [row[column] for row in theirs], goal, more_is_better=more
        )

    found = [
        ratio("calls/s, 1000 callers, one replica", ("small", 1000), 2, 0, 100),
        ratio("calls/s, 1000 callers, one replica", ("small", 1000), 1, 0, 30),
        ratio("p99 at that load, ms", ("small", 1000), 1, 2, 0.05, more=False),
        ratio("one idle call, ms", ("small", 1), 1, 1, 1.25, more=False),
    ]
    if ("1MB", 10) in figures:
        found.append(ratio("1 MB calls/s, 10 callers", ("1MB", 10), 1, 0, 0.9))
    return found


def measure() -> list[Ratio]:
    """All ratios of this benchmark."""
    return ratios_of(run_all(list(CALLS)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--quick", action="store_true", help="only the loads that goals are set for")
    options = parser.parse_args()
    console = Console()
    loads = [("small", 1), ("small", 1000), ("1MB", 10)] if options.quick else list(CALLS)
    with console.status("measuring ..."):
        figures = run_all(loads)
    rows = rows_of(figures)
    table = Table(title="medians of the rounds, taken in turns")
    for column in ("payload", "callers", "system", "calls/s", "p50 ms", "p99 ms", "p99.9 ms"):
        table.add_column(column, justify="right" if column != "system" else "left")
    for row in rows:
        table.add_row(
            row.payload, f"{row.concurrency}", row.system, f"{row.calls_per_s:,.0f}",
            f"{row.p50_ms:,.2f}", f"{row.p99_ms:,.2f}", f"{row.p999_ms:,.2f}",
        )  # fmt: skip
    console.print(table)
    ratios = Table(title="goals")
    for column in ("what", "ours", "peer", "theirs", "ratio", "goal", ""):
        ratios.add_column(column, justify="left" if column in ("what", "peer", "") else "right")
    for ratio in ratios_of(figures):
        ratios.add_row(*ratio.row())
    console.print(ratios)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
