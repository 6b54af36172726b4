"""The guard of a local cluster: starts its nodes, and ends every process of theirs when the driver is gone.

It runs in a session of its own, adopts orphans among its descendants (Linux child subreaper) and reads from a pipe
that only the driver holds: when the pipe closes, however the driver died, all descendants are killed and the
cluster's folder is removed. Should the guard itself be killed, the kernel kills its nodes (`fate_share`). It tells
what happens in JSON lines on its standard output.

    commands:  {"do": "stop"}   {"do": "kill_machine", "index": 1}
               {"do": "add_machine", "index": 3, "arguments": [...]}
    events:    {"event": "ready"}   {"event": "machine", "index": 3}   {"event": "killed", "index": 1}
               {"event": "failed", "index": 3, "why": "..."}

A machine that does not come up ends the cluster while it starts. Afterwards only that machine is ended.

It is run as a file, not as a module of raybeam: without importing Ray it is there at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36
STARTED = "Ray runtime started"
LOG_LINES_SHOWN = 3
KILLED_WITHIN_S = 2.0
FATE_SHARE = Path(__file__).with_name("fate_share.py")


class Guard:
    """Keeps the nodes of one cluster.

    Args:
        plan: `folder`, `start_timeout_s`, `environment`, `command` (starts a node, stays while it lives and prints
            `STARTED` when it is up), `head` (its arguments), `machines` (arguments of each), `head_address`, `port`.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.folder = Path(plan["folder"])
        self.nodes: dict[int, subprocess.Popen[str]] = {}
        self.deadlines: dict[int, float] = {}  # of machines that are not up yet
        self.inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()  # may be put to in a signal handler
        self.ready = False

    def run(self) -> None:
        """Start everything, serve commands until told to stop, and leave nothing behind."""
        threading.Thread(target=self._read_commands, daemon=True).start()
        try:
            self._start_node(0, self.plan["head"])
            while self.handle(self.next_message()):
                pass
        finally:
            end_descendants(os.getpid())
            shutil.rmtree(self.folder, ignore_errors=True)

    def next_message(self) -> dict[str, Any]:
        """What came in, or that a machine is late."""
        if not self.deadlines:
            return self.inbox.get()
        index = min(self.deadlines, key=self.deadlines.__getitem__)
        try:
            return self.inbox.get(timeout=max(0.0, self.deadlines[index] - time.monotonic()))
        except queue.Empty:
            return {"late": index}

    def handle(self, message: dict[str, Any]) -> bool:
        """Handle one message; whether to go on."""
        match message:
            case {"do": "stop"}:
                return False
            case {"do": "kill_machine", "index": int(index)}:
                self._end_node(index)
                tell(event="killed", index=index)
            case {"do": "add_machine", "arguments": list(arguments), "index": int(index)}:
                self._start_node(index, arguments)
            case {"gcs": True}:
                for index, arguments in enumerate(self.plan["machines"], start=1):
                    self._start_node(index, arguments)
            case {"up": int(index)} if index in self.deadlines:
                del self.deadlines[index]
                if self.ready:
                    tell(event="machine", index=index)
                elif not self.deadlines and len(self.nodes) > len(self.plan["machines"]):
                    self.ready = True
                    tell(event="ready")
            case {"late": int(index)}:
                return self._failed(index, f"was not up within {self.plan['start_timeout_s']:g} s")
            case {"ended": int(index), "code": code, "log": log} if index in self.deadlines or not self.ready:
                return self._failed(index, f"ended with status {code}: {log}")
            case {"ended": int(index)}:
                self.nodes.pop(index, None)
        return True

    def _failed(self, index: int, why: str) -> bool:
        """A machine did not come up; whether to go on: a cluster that serves does not end for one machine more."""
        self._end_node(index)
        tell(event="failed", index=index, why=f"machine {index} {why}")
        return self.ready

    def _end_node(self, index: int) -> None:
        self.deadlines.pop(index, None)
        node = self.nodes.pop(index, None)
        if node is not None and node.poll() is None:
            kill_tree(node.pid)

    def _start_node(self, index: int, arguments: list[str]) -> None:
        """Start a node that dies with this process; what a Ray node starts dies with its raylet."""
        self.deadlines[index] = time.monotonic() + self.plan["start_timeout_s"]
        assert threading.current_thread() is threading.main_thread()  # the node's fate is bound to the thread
        try:
            node = subprocess.Popen(
                [sys.executable, "-I", "-S", str(FATE_SHARE), str(os.getpid()), *self.plan["command"], *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **self.plan["environment"]},
                cwd=self.folder,
            )
        except OSError as error:
            self.inbox.put({"ended": index, "code": error.errno, "log": str(error)})
            return
        self.nodes[index] = node
        threading.Thread(target=self._follow, args=(index, node), daemon=True).start()
        if index == 0:
            threading.Thread(target=self._await_gcs, args=(node,), daemon=True).start()

    def _follow(self, index: int, node: subprocess.Popen[str]) -> None:
        """Tell when a node is up and when it has ended; keep its last words."""
        lines: list[str] = []
        assert node.stdout is not None
        for line in node.stdout:
            if STARTED in line:
                self.inbox.put({"up": index})
            if line.strip() and not line.startswith((" ", "Traceback")):
                lines = [*lines[-LOG_LINES_SHOWN:], line.strip()]
        self.inbox.put({"ended": index, "code": node.wait(), "log": " | ".join(lines[-LOG_LINES_SHOWN:])})

    def _await_gcs(self, head: subprocess.Popen[str]) -> None:
        """The other nodes may start as soon as the head's port answers, long before the head is complete."""
        address = (self.plan["head_address"], self.plan["port"])
        while head.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(address, timeout=1.0).close()
                self.inbox.put({"gcs": True})
                return
            time.sleep(0.05)

    def _read_commands(self) -> None:
        for line in sys.stdin:
            self.inbox.put(json.loads(line))
        self.inbox.put({"do": "stop"})  # end of file: the driver is gone


def tell(**event: object) -> None:
    """Tell the driver, if it still listens."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(event), flush=True)


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        _kill([top, *top.children(recursive=True)])


def end_descendants(pid: int, within_s: float = math.inf) -> list[int]:
    """Kill all descendants of a process, also those that appear meanwhile; the ids of those that are still there."""
    deadline = time.monotonic() + within_s
    while (living := _living_descendants(pid)) and time.monotonic() < deadline:
        _kill(living)
    return [process.pid for process in living]


def _living_descendants(pid: int) -> list[psutil.Process]:
    living = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.status() != psutil.STATUS_ZOMBIE:
                    living.append(process)
    return living


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=KILLED_WITHIN_S)


def main() -> None:
    """Read the plan from the first line of the standard input and carry it out."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guard = Guard(json.loads(sys.stdin.readline()))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: guard.inbox.put({"do": "stop"}))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    guard.run()


if __name__ == "__main__":
    main()
