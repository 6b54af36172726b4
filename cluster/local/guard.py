"""The guard of a local cluster: starts its nodes, and ends every process of theirs when the driver is gone.

It runs in a session of its own, adopts orphans among its descendants (Linux child subreaper) and reads from a pipe
that only the driver holds: when the pipe closes, however the driver died, all descendants are killed and the
cluster's folder is removed. It tells what happens in JSON lines on its standard output.

    commands:  {"do": "stop"}   {"do": "kill_machine", "index": 1}   {"do": "add_machine"}
    events:    {"event": "ready"}   {"event": "failed", "why": "..."}   {"event": "machine", "index": 3}
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36
STARTED = "Ray runtime started"
LOG_LINES_SHOWN = 3


class Guard:
    """Keeps the nodes of one cluster.

    Args:
        plan: `folder`, `start_timeout_s`, `environment`, `head` (arguments), `machines` (arguments of each).
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.folder = Path(plan["folder"])
        self.nodes: dict[int, subprocess.Popen[str]] = {}
        self.inbox: queue.Queue[dict[str, Any]] = queue.Queue()
        self.ready = False

    def run(self) -> None:
        """Start everything, serve commands until told to stop, and leave nothing behind."""
        threading.Thread(target=self._read_commands, daemon=True).start()
        try:
            self._start_node(0, self.plan["head"])
            waiting = {0}
            while True:
                message = self.inbox.get(timeout=self.plan["start_timeout_s"]) if waiting else self.inbox.get()
                if not self._handle(message, waiting):
                    return
        except queue.Empty:
            late = ", ".join(str(index) for index in sorted(waiting))
            tell(event="failed", why=f"machine {late} was not up within {self.plan['start_timeout_s']:.0f} s")
        finally:
            end_descendants()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _handle(self, message: dict[str, Any], waiting: set[int]) -> bool:
        """Handle one message; whether to go on."""
        match message:
            case {"do": "stop"}:
                return False
            case {"do": "kill_machine", "index": int(index)}:
                kill_tree(self.nodes.pop(index).pid)
                tell(event="killed", index=index)
            case {"do": "add_machine", "arguments": list(arguments), "index": int(index)}:
                waiting.add(index)
                self._start_node(index, arguments)
            case {"gcs": True}:
                for index, arguments in enumerate(self.plan["machines"], start=1):
                    waiting.add(index)
                    self._start_node(index, arguments)
            case {"up": int(index)}:
                waiting.discard(index)
                if not waiting and len(self.nodes) > len(self.plan["machines"]) and not self.ready:
                    self.ready = True
                    tell(event="ready")
                elif self.ready:
                    tell(event="machine", index=index)
            case {"ended": int(index), "code": code, "log": log} if index in waiting:
                tell(event="failed", why=f"machine {index} ended with status {code}: {log}")
                return False
        return True

    def _start_node(self, index: int, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *arguments]
        node = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.plan["environment"]},
            cwd=self.folder,
        )
        self.nodes[index] = node
        threading.Thread(target=self._follow, args=(index, node), daemon=True).start()
        if index == 0:
            threading.Thread(target=self._await_gcs, daemon=True).start()

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

    def _await_gcs(self) -> None:
        """The other nodes may start as soon as the head's port answers, long before the head is complete."""
        import socket
        import time

        address = (self.plan["head_address"], self.plan["port"])
        while self.nodes[0].poll() is None:
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


def end_descendants() -> None:
    """Kill all descendants of this process, also those that appear meanwhile."""
    while children := psutil.Process().children(recursive=True):
        _kill(children)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


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
