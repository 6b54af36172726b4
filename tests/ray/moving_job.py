"""A job for a cluster: its system answers from one machine, and after the loss of that from another."""

import contextlib
import time

import ray

from raybeam.actors import CallFailed, GenServer, query
from raybeam.cluster import System
from raybeam.cluster.local import connect, existing

MOVED_WITHIN_S = 90.0


class Greeter(GenServer):
    async def init(self) -> None:
        self.machine: str = ray.get_runtime_context().get_node_id()

    @query
    async def where(self) -> str:
        return self.machine


if __name__ == "__main__":
    blueprint = {"name": "moving", "families": {"greeter": {"service": Greeter, "cpus": 1.0}}}
    with connect(existing()), System.start(blueprint) as system:
        greeter = system.ref(Greeter)
        first = greeter.where.sync()
        print("first answer", flush=True)
        deadline = time.monotonic() + MOVED_WITHIN_S
        moved = False
        while not moved and time.monotonic() < deadline:
            with contextlib.suppress(CallFailed):
                moved = greeter.where.sync() != first
            time.sleep(0.2)
        print("answer of another machine" if moved else "still there", flush=True)
