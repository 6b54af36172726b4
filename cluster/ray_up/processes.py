"""The processes of a machine, known by an environment variable that all of them carry.

Run as a file it is the `ray stop` of a machine, as Ray's own would end every Ray process of this user:

    python processes.py FOLDER          end the processes of a machine, or those of a cluster
    python processes.py FOLDER guard    wait for the end of the input, then do that and remove the folder
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time

import psutil

MACHINE_VARIABLE = "RAYBEAM_MACHINE"
RAYLET = "raylet"
SAME_START_S = 2.0
ENDED_WITHIN_S = 10.0
ROUND_S = 0.05
EXEC_S = 0.01


def processes_of(machine: str, name: str | None = None) -> list[psutil.Process]:
    """The living processes that carry a machine's folder, or a folder in it, in their environment.

    Args:
        machine: The folder of a machine, or that of a cluster for all its machines.
        name: Only those of this name.
    """
    found, blank = [], []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if name is not None and process.name() != name:
                continue
            environment = process.environ()
            if _carries(environment, machine):
                found.append(process)
            elif not environment:
                blank.append(process)
    if blank:
        # One that is just replacing its program has no environment for a moment.
        time.sleep(EXEC_S)
        for process in blank:
            with contextlib.suppress(psutil.Error, OSError):
                if _carries(process.environ(), machine):
                    found.append(process)
    return sorted(found, key=lambda process: process.pid)


def _carries(environment: dict[str, str], machine: str) -> bool:
    carried = environment.get(MACHINE_VARIABLE)
    return carried is not None and f"{carried}/".startswith(f"{machine}/")


def machines_with_raylet(cluster: str) -> set[str]:
    """The folders of the machines that are members of their cluster, as far as can be seen from here."""
    found = set()
    for process in processes_of(cluster, RAYLET):
        with contextlib.suppress(psutil.Error, OSError):
            found.add(process.environ()[MACHINE_VARIABLE])
    return found


def process_lives(pid: int, started: float) -> bool:
    """Whether a process is there, and is not another one with the same number."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < SAME_START_S and process.status() != psutil.STATUS_ZOMBIE
    return False


def end_processes_of(machine: str, within_s: float = ENDED_WITHIN_S) -> list[int]:
    """Kill a machine's processes, also those that appear meanwhile, but for the caller and its ancestors.

    Returns:
        Those that are still there after that time.
    """
    deadline = time.monotonic() + within_s
    while True:
        spared = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
        living = [process for process in processes_of(machine) if process.pid not in spared]
        if not living or time.monotonic() > deadline:
            return [process.pid for process in living]
        for process in living:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(ROUND_S)  # not until they are reaped: nobody may do that


def main() -> int:
    """End the machines in a folder."""
    folder, *guard = sys.argv[1:]
    if guard:
        sys.stdin.read()  # whoever holds the other end may die in any way
    left = end_processes_of(folder)
    if left:
        print(f"could not be ended: {', '.join(map(str, left))}", file=sys.stderr)
    if guard:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
