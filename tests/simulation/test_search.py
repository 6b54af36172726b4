"""What breaks a promise is shrunk, told and replayed."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from raybeam.actors import AtLeastOnce, AtMostOnce, CallFailed, GenServer, UsageError, call, query
from raybeam.cluster.simulation import (
    Broken,
    Driver,
    Fault,
    FaultMix,
    FaultSchedule,
    History,
    Scenario,
    note,
    schedule_of,
    simulate,
)
from raybeam.cluster.simulation.__main__ import main, parse_seeds
from raybeam.cluster.simulation.faults import KINDS, KillReplica, KillRoot, LoseReplies, Partition
from raybeam.cluster.simulation.ledger import LedgerScenario
from raybeam.cluster.simulation.search import examine
from raybeam.cluster.simulation.shrink import shrink


class Ticket(GenServer):
    """Sells tickets by numbers that it counts itself, and so sells some twice: its state ends with its process."""

    async def init(self) -> None:
        self.last = 0

    @call(timeout_s=2.0)
    async def sell(self) -> int:
        self.last += 1
        note("sold", self.last)
        return self.last

    @query
    async def sold(self) -> int:
        return self.last


def sold_once(history: History) -> Iterator[Broken]:
    seen: set[object] = set()
    for event in history.events:
        if event.kind == "sold":
            if event.data in seen:
                yield Broken("sold_once", f"ticket {event.data[0]} was sold twice", event.at)
            seen.add(event.data)


class Box(Scenario):
    blueprint: ClassVar[dict[str, object]] = {
        "name": "box",
        "families": {"ticket": {"service": Ticket, "pattern": "singleton", "max_restarts": 100}},
    }
    mix = FaultMix(kinds=(KillReplica, KillRoot, LoseReplies), least=4)
    promises = (sold_once,)

    async def drive(self, driver: Driver) -> None:
        ticket = driver.ref(Ticket)
        for _ in range(10):
            try:
                await ticket.sell()
            except CallFailed:
                note("unsold")
            await asyncio.sleep(driver.random.random())

    async def probe(self, driver: Driver) -> None:
        await driver.ref(Ticket).sold()


BOX = "tests.simulation.test_search:Box"


def test_a_promise_of_ones_own_is_checked_and_what_breaks_it_is_shrunk() -> None:
    finding = next(filter(None, (examine(Box(), seed) for seed in range(50))))

    assert len(finding.shrunk.faults) <= 2 < len(finding.schedule.faults)
    assert any(type(fault) is KillReplica for fault in finding.shrunk.faults)
    assert finding.broken[0].promise == "sold_once"
    assert any("KillReplica" in line for line in finding.lines)


def test_a_finding_is_told_with_its_schedule_and_how_to_replay_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--scenario", BOX, "--seeds", "50", "--jobs", "1"]) == 1
    told = capsys.readouterr().out
    lines = told.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("seed ") and line[5:].isdecimal())
    saved = tmp_path / "schedule"
    saved.write_text("\n".join(lines[first : lines.index("", first)]))

    assert "sold_once: ticket" in told
    assert f"--scenario {BOX} --seeds" in told
    assert main(["--scenario", BOX, "--schedule", str(saved)]) == 1
    saved.write_text("seed 1")
    assert main(["--scenario", BOX, "--schedule", str(saved)]) == 0


def test_many_seeds_are_run_by_several_processes() -> None:
    command = [sys.executable, "-m", "raybeam.cluster.simulation", "--seeds", "0-23", "--jobs", "2"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)  # apart: the processes' helper stays

    assert "24 fault schedules" in told.stdout
    assert "all promises held" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (["--seeds", "many"], "give a count"),
        (["--scenario", "tests.simulation.test_search:Ticket"], "derive the class from"),
        (["--schedule", "/no/such/file"], "No such file"),
    ],
)
def test_a_mistake_in_what_is_asked_is_told(
    arguments: list[str], mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert mend in capsys.readouterr().out.replace("\n", " ")


def test_seeds_are_a_count_a_range_or_a_list() -> None:
    assert parse_seeds("2,5-7") == [2, 5, 6, 7]


def test_every_kind_of_fault_is_drawn_printed_and_read_again() -> None:
    scenario = LedgerScenario()
    schedules = [schedule_of(scenario, seed) for seed in range(200)]

    assert {type(fault) for schedule in schedules for fault in schedule.faults} == set(KINDS)
    assert [FaultSchedule.parse(str(schedule)) for schedule in schedules] == schedules


@pytest.mark.parametrize("line", ["KillRoot", "KillNobody(at_s=1.0)", "KillRoot(at_s=now)", "KillRoot(when=1.0)"])
def test_a_line_that_is_no_fault_is_told(line: str) -> None:
    with pytest.raises(UsageError, match=r"is no fault; there are: .*KillRoot\(at_s, for_s\)"):
        FaultSchedule.parse(line)


def test_shrinking_finds_the_two_faults_that_matter_and_shortens_them() -> None:
    choice = random.Random(1)
    faults: list[Fault] = [KillRoot(float(at), choice.random()) for at in range(20)]
    faults[3], faults[15] = Partition(3.0, 8.0, "m0", "m1"), LoseReplies(15.0, 4.0)

    def breaks(tried: FaultSchedule) -> bool:
        found = [fault for fault in tried.faults if type(fault) in (Partition, LoseReplies) and fault.for_s >= 2.0]
        return len(found) == 2

    smallest = shrink(FaultSchedule(1, tuple(faults)), breaks)

    assert smallest.faults == (Partition(3.0, 2.0, "m0", "m1"), LoseReplies(15.0, 2.0))


def test_a_schedule_of_no_faults_breaks_nothing_and_everything_succeeds() -> None:
    outcome = simulate(LedgerScenario(), FaultSchedule(3))

    assert outcome.broken == ()
    assert {type(made.retry) for made in outcome.history.invocations} >= {AtMostOnce, AtLeastOnce}
    assert [made for made in outcome.history.invocations if made.method not in ("crash", "add") and not made.ok] == []
