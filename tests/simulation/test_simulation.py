"""Simulated systems hold their promises, and a seed replays exactly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raybeam.cluster.simulation import Outcome, simulate
from raybeam.cluster.simulation.ledger import LedgerScenario

ROOT = Path(__file__).parents[2]
DIGESTS = """
from raybeam.cluster.simulation import simulate
from raybeam.cluster.simulation.ledger import LedgerScenario
print([simulate(LedgerScenario(), seed).history.digest() for seed in range(460, 475)])
"""


def told(outcome: Outcome) -> str:
    return "\n".join([str(outcome.schedule), *(f"{broken.promise}: {broken.text}" for broken in outcome.broken)])


@pytest.mark.parametrize("part", range(10))
def test_no_schedule_breaks_a_promise(part: int) -> None:
    for seed in range(part * 12, part * 12 + 12):
        outcome = simulate(LedgerScenario(), seed)
        assert not outcome.broken, told(outcome)


def test_a_seed_replays_exactly_in_other_processes_and_whatever_the_hash_seed() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    here = [simulate(LedgerScenario(), seed).history.digest() for seed in range(460, 475)]

    assert seen == {f"{here}\n"}
