"""Plays scenarios recorded from real Erlang/OTP against raybeam's behaviours, and compares what happened.

    python tests/conformance/run.py FILE ...

Each scenario is played through the public API of the behaviours, under virtual time. Prints each mismatch and, at
the end, `N passed, M failed`; the exit status is 1 when one failed. `data/SCHEMA.md` says what a scenario is.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from raybeam.actors import testing  # noqa: E402
from tests.conformance import traces  # noqa: E402

KINDS = ("supervisor", "gen_server", "gen_statem", "gen_event", "pg", "alarm_handler")


def problems_of(scenario: dict[str, Any]) -> list[str]:
    """Play one scenario: what differs from OTP (27, where versions do)."""
    if scenario["kind"] not in KINDS:
        return [f"{scenario['id']}: there is no interpreter for the kind {scenario['kind']!r}"]
    interpreter = importlib.import_module(f"tests.conformance.{scenario['kind']}")
    wanted = {**scenario, "trace": scenario.get("trace_27", scenario["trace"])}
    try:
        played = testing.run(interpreter.play(wanted))
        return traces.diff(wanted, played, parts=("ret", "events", "snap", "reports"))
    except Exception:  # noqa: BLE001 (a scenario that cannot be played is a mismatch like any other)
        return [f"{scenario['id']}: could not be played\n{traceback.format_exc()}"]


def main(arguments: list[str] | None = None) -> int:
    """Play all scenarios of the files given; the exit status."""
    parser = argparse.ArgumentParser(description="Play OTP's scenarios against raybeam.")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="scenario files (JSON lines)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only scenarios whose id contains this")
    parser.add_argument("--quiet", action="store_true", help="no mismatches, only counts")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    passed = failed = 0
    for file in options.files:
        if not file.is_file():
            print(f"run.py: there is no file {file}", file=sys.stderr)
            return 2
        for scenario in traces.load(file):
            if options.only not in scenario["id"]:
                continue
            problems = problems_of(scenario)
            passed, failed = (passed, failed + 1) if problems else (passed + 1, failed)
            if problems and not options.quiet:
                print("\n".join(problems), flush=True)
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
