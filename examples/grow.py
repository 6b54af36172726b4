"""A system that needs more machines than there are: ray job submit --working-dir examples -- python grow.py"""

import os
import time

import ray

from raybeam.actors import GenServer, query
from raybeam.cluster import System
from raybeam.cluster.local import connect, existing


class Greeter(GenServer):
    async def init(self) -> None:
        self.machine: str = ray.get_runtime_context().get_node_id()

    @query
    async def where(self) -> str:
        return f"process {os.getpid()} on machine {self.machine[:6]}"


if __name__ == "__main__":
    blueprint = {"name": "greetings", "families": {"greeter": {"service": Greeter, "replicas": 2, "cpus": 1.0}}}
    with connect(existing()):
        print("machines:", len(ray.nodes()))  # type: ignore[no-untyped-call]
        began = time.monotonic()
        with System.start(blueprint) as system:
            print("answered by", system.ref(Greeter).where.sync(), f"after {time.monotonic() - began:.0f} s")
            print("machines:", len(ray.nodes()))  # type: ignore[no-untyped-call]
