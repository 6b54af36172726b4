"""The main job: plays a day through the operations centre, kills a replica midway, and holds the end to account."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.live import Live
from rich.table import Table

from examples.flights.checks import verdict
from examples.flights.config import FlightsConfig
from examples.flights.day import load_airports, load_day
from examples.flights.events import events_of
from examples.flights.record import (
    Capacity,
    FamilySample,
    FamilyTotal,
    Restart,
    Rule,
    RunRecord,
    Sample,
    Scaled,
)
from examples.flights.report import need_plotly, write_report
from examples.flights.services import Airports, Feed, Flights, Progress, Rebooking
from raybeam.actors import CallFailed, ClusterError, ServiceError, UsageError
from raybeam.cluster import System
from raybeam.cluster.app import Outcome, RunContext
from raybeam.cluster.kernel.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from raybeam.cluster.status import SystemStatus

SAMPLE_S = 0.5
PLAIN_LINE_EVERY_S = 5.0
SCALES = "rebooking"
DRAIN_S = 180.0


class FlightsJob:
    """See `raybeam.cluster.app.Job`."""

    def __init__(self, system: Mapping[str, object], workload: Mapping[str, object], seed: int) -> None:
        self.config = config = FlightsConfig.parse(system, workload)
        self.seed = seed
        self.flights = load_day(config.day, config.folder)
        load_airports(config.folder)
        if config.until_min is not None:
            self.flights = tuple(flight for flight in self.flights if flight.sched_dep < config.until_min)
            if not self.flights:
                raise UsageError(f"workload.until_min={config.until_min}: no flight leaves before that minute")
        self.events = events_of(self.flights, seed)
        self.minute_s = config.minute_s
        self.blueprint = config.blueprint(seed)

    def check_report(self) -> None:
        """See `raybeam.cluster.app.Job`."""
        need_plotly()

    def play(self, context: RunContext) -> Outcome:
        """Play the day, hold the end to account, write summary and report."""
        began = time.monotonic()
        with context.console.status("starting the system ..."):
            system = System.start(self.blueprint)
        with system:
            start_s = time.monotonic() - began
            if context.connection.dashboard_url is not None:
                context.console.print(f"Ray dashboard: {context.connection.dashboard_url}")
            record = asyncio.run(_Run(self, system, context, start_s).play())
        title = f"{self.config.day}: {record.rebooked:,} rebooked, {record.stranded:,} stranded"
        _print_summary(record, context.console)
        _write(record, context)
        return Outcome(record.ok, title)


class _Run:
    """One play of the day."""

    def __init__(self, job: FlightsJob, system: System, context: RunContext, start_s: float) -> None:
        self.job = job
        self.system = system
        self.context = context
        self.start_s = start_s
        self.feed = system.ref(Feed)
        self.board = system.ref(Flights)
        self.airports = system.ref(Airports)
        self.rebooking = system.ref(Rebooking)
        self.began = time.monotonic()
        self.began_wall = time.time()
        self.sent = 0
        self.refused = 0
        self.day_min = 0.0
        self.killed: str | None = None
        self.samples: list[Sample] = []
        self.before: dict[str, Histogram] = {}
        self.status: SystemStatus = system.status()
        self.progress: Progress | None = None
        self.killing: asyncio.Task[None] | None = None

    async def play(self) -> RunRecord:
        watching = asyncio.create_task(self._watch())
        watching.add_done_callback(self._tell_blind)
        try:
            await self._send_events()
            await self._drain()
            await asyncio.sleep(self.job.config.after_s)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        if self.killing is not None:
            await self.killing
        await self._sample()
        return await self._record()

    async def _send_events(self) -> None:
        kill_at = self.job.config.kill_at
        victim = None if kill_at is None else int(kill_at * (len(self.job.events) - 1))
        loop = asyncio.get_running_loop()
        began = loop.time() - self.job.events[0].at_min * self.job.minute_s
        for number, event in enumerate(self.job.events):
            due = began + event.at_min * self.job.minute_s
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            self.day_min = event.at_min
            if number == victim:
                self.killing = asyncio.create_task(self._kill())
            try:
                await self.feed.publish(event)
            except ServiceError as error:
                self.refused += 1
                self.context.console.print(f"refused: {error}")
            self.sent += 1

    async def _drain(self) -> None:
        """Wait until every group knows what becomes of it."""
        async with asyncio.timeout(DRAIN_S):
            while True:
                progress = await self.board.progress()
                if progress.rebooked + progress.stranded == progress.groups:
                    return
                await asyncio.sleep(0.2)

    async def _kill(self) -> None:
        """SIGKILL the OS process of a rebooking replica, wherever it runs."""
        name, machine, pid = await self.rebooking.whereabouts()
        await asyncio.to_thread(_kill_process, machine, pid)
        self.killed = name

    async def _watch(self) -> None:
        """Take samples and show where the day stands."""
        console = self.context.console
        if console.is_terminal:
            with Live(console=console, refresh_per_second=4, transient=True) as live:
                while True:
                    await self._sample()
                    live.update(self._table())
                    await asyncio.sleep(SAMPLE_S)
        shown = -PLAIN_LINE_EVERY_S
        while True:
            await self._sample()
            if self.samples and self.samples[-1].at_s - shown >= PLAIN_LINE_EVERY_S:
                shown = self.samples[-1].at_s
                console.print(self._line(), soft_wrap=True)
            await asyncio.sleep(SAMPLE_S)

    def _tell_blind(self, watching: asyncio.Task[None]) -> None:
        """The watching ended by itself, which it never should: the run goes on, but not without a word."""
        if not watching.cancelled():
            error = watching.exception()
            self.context.console.print(f"no more progress and samples: {type(error).__name__}: {error}")

    async def _sample(self) -> None:
        try:
            self.status = await asyncio.to_thread(self.system.status)
            self.progress = await self.board.progress()
        except (CallFailed, ClusterError):
            return  # a replica or the root is restarted: the next sample will do
        families = {}
        for name, family in self.status.families.items():
            waits = family.waits.since(self.before[name]) if name in self.before else family.waits
            self.before[name] = family.waits
            families[name] = FamilySample(
                family.depth, len(family.replicas), family.restarts, waits.quantile(0.5), waits.quantile(0.99)
            )
        at_s = time.monotonic() - self.began
        self.samples.append(Sample(at_s, self.day_min, self.progress.waiting, families))

    def _line(self) -> str:
        sample = self.samples[-1]
        families = "  ".join(
            f"{name} {family.replicas}x depth {family.depth} p99 {family.p99_s * 1000:.0f} ms"
            for name, family in sample.families.items()
        )
        return (
            f"{_clock(self.day_min)}  {self.sent}/{len(self.job.events)} events  {families}  waiting {sample.waiting}"
        )

    def _table(self) -> Table:
        progress, sample = self.progress, self.samples[-1] if self.samples else None
        table = Table(
            title=f"{self.job.config.day} {_clock(self.day_min)}   {self.sent:,} of {len(self.job.events):,} events"
        )
        for column in ("family", "replicas", "depth", "restarts", "wait p50, ms", "wait p99, ms"):
            table.add_column(column, justify="left" if column == "family" else "right")
        for name, family in sample.families.items() if sample is not None else ():
            table.add_row(
                name,
                str(family.replicas),
                str(family.depth),
                str(family.restarts),
                f"{family.p50_s * 1000:.1f}",
                f"{family.p99_s * 1000:.1f}",
            )
        if progress is not None:
            states = ", ".join(f"{count} {state}" for state, count in sorted(progress.states.items()))
            killed = "" if self.killed is None else f"\n{self.killed} was killed"
            table.caption = (
                f"{states}\n{progress.rebooked:,} groups rebooked, {progress.stranded:,} stranded, "
                f"{progress.groups - progress.rebooked - progress.stranded:,} to do{killed}"
            )
        return table

    async def _record(self) -> RunRecord:
        feed, board, airports = await asyncio.gather(self.feed.ledger(), self.board.ledger(), self.airports.ledger())
        progress = await self.board.progress()
        job = self.job
        checks = verdict(job.flights, job.events, feed, board, airports)
        restarts = [
            Restart(occurred.at - self.began_wall, occurred.subject, occurred.kind, occurred.text)
            for occurred in self.status.occurrences
            if occurred.kind in ("up", "down", "health", "placement") and occurred.at >= self.began_wall
        ]
        return RunRecord(
            day=job.config.day,
            speedup=job.config.speedup,
            seed=job.seed,
            took_s=time.monotonic() - self.began,
            cluster_start_s=self.context.cluster_start_s,
            system_start_s=self.start_s,
            events=len(job.events),
            refused=self.refused,
            flights=len(job.flights),
            passengers=board.passengers_of_cancelled,
            rebooked=sum(booking.size for booking in board.outcomes.values() if booking.seats),
            stranded=sum(booking.size for booking in board.outcomes.values() if not booking.seats),
            groups=progress.groups,
            late_noticed=progress.late_noticed,
            killed=self.killed,
            recovered_s=self._recovered_s(),
            departures_per_hour=_per_hour([event.at_min for event in job.events if event.kind == "departed"]),
            cancellations_per_hour=_per_hour([event.at_min for event in job.events if event.kind == "cancelled"]),
            families={
                name: FamilyTotal(
                    len(family.replicas),
                    family.restarts,
                    family.waits.total,
                    family.waits.quantile(0.5),
                    family.waits.quantile(0.99),
                    family.services.quantile(0.5),
                    family.services.quantile(0.99),
                )
                for name, family in self.status.families.items()
            },
            rules=[Rule(check.rule, check.held, check.counted, check.broken_by) for check in checks],
            samples=self.samples,
            restarts=restarts,
            capacity=await asyncio.to_thread(self._capacity),
        )

    def _capacity(self) -> Capacity | None:
        """How rebooking was scaled since the run began; `None`: its number is fixed."""
        if self.job.blueprint.families[SCALES].scaling is None:
            return None
        history = self.system.scaling_history(SCALES)
        times = history.series["time_s"]
        first = next((place for place, at in enumerate(times) if at >= self.began_wall), len(times))
        columns = {name: list(column[first:]) for name, column in history.series.items() if name != "time_s"}
        columns["at_s"] = [at - self.began_wall for at in times[first:]]
        changes = [
            Scaled(entry.time_s - self.began_wall, entry.before, entry.after, entry.reason)
            for entry in history.changes
            if entry.time_s >= self.began_wall
        ]
        return Capacity(SCALES, columns, changes)

    def _recovered_s(self) -> float | None:
        """Seconds from the loss of the killed replica, as the root saw it, until another served in its place."""
        if self.killed is None:
            return None
        place = self.killed.partition("#")[0]
        occurrences = self.status.occurrences
        lost_at = [seen.at for seen in occurrences if seen.kind == "down" and seen.subject == self.killed]
        back_at = [seen.at for seen in occurrences if seen.kind == "up" and seen.subject.startswith(f"{place}#")]
        return min((at - lost_at[0] for at in back_at if lost_at and at >= lost_at[0]), default=None)


def _kill_process(machine: str, pid: int) -> None:
    """SIGKILL a process on the machine it runs on."""

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)

    there = NodeAffinitySchedulingStrategy(machine, soft=False)
    ray.get(ray.remote(kill).options(num_cpus=0, scheduling_strategy=there).remote(), timeout=30)


def _per_hour(minutes: list[int]) -> list[int]:
    hours = [0] * (max(minutes, default=0) // 60 + 1)
    for minute in minutes:
        hours[minute // 60] += 1
    return hours


def _clock(minute: float) -> str:
    return f"{int(minute) // 60:02d}:{int(minute) % 60:02d}"


def _write(record: RunRecord, context: RunContext) -> None:
    """Write summary and report."""
    try:
        if context.summary is not None:
            told = asdict(record) | {"ok": record.ok, "samples": len(record.samples)}
            context.summary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            context.console.print(f"summary: {context.summary}")
        if context.report is not None:
            write_report(record, context.report)
            context.console.print(f"report:  {context.report}")
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error


def _print_summary(record: RunRecord, console: Console) -> None:
    table = Table(title=f"{record.day}, {record.speedup:g} times faster, in {record.took_s:.1f} s")
    for column in ("rule", "counted", ""):
        table.add_column(column, overflow="fold")
    for rule in record.rules:
        table.add_row(rule.rule, rule.counted, "[green]held[/]" if rule.held else "[red]BROKEN[/]")
        for example in rule.broken_by:
            table.add_row("", example, "")
    console.print(table)
    families = Table(caption="waiting and service times: p50 / p99")
    for column in ("family", "replicas", "restarts", "calls", "wait, ms", "service, ms"):
        families.add_column(column, justify="left" if column == "family" else "right")
    for name, family in record.families.items():
        times = ((family.wait_p50_s, family.wait_p99_s), (family.service_p50_s, family.service_p99_s))
        shown = [f"{p50_s * 1000:.1f} / {p99_s * 1000:.1f}" for p50_s, p99_s in times]
        families.add_row(name, str(family.replicas), str(family.restarts), f"{family.served:,}", *shown)
    console.print(families)
    if record.capacity is not None:
        ready = record.capacity.columns["ready"]
        console.print(
            f"{record.capacity.family}: {min(ready, default=0):.0f} to {max(ready, default=0):.0f} replicas, "
            f"changed {len(record.capacity.changes)} times by the autoscaler"
        )
    if record.killed is not None:
        back = "did not come back" if record.recovered_s is None else f"was replaced in {record.recovered_s:.1f} s"
        console.print(f"{record.killed} was killed midway and {back}")
