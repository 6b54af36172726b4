"""A system that needs more machines than there are: ray job submit --working-dir examples -- python grow.py"""

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
        return self.machine


if __name__ == "__main__":
    blueprint = {"name": "greetings", "families": {"greeter": {"service": Greeter, "replicas": 2, "cpus": 1.0}}}
    with connect(existing()):
        print(f"CPUs at the start: {ray.cluster_resources().get('CPU', 0):g}", flush=True)
        began = time.monotonic()
        with System.start(blueprint) as system:
            machine = system.ref(Greeter).where.sync()
            print(f"machine {machine[:6]} answered after {time.monotonic() - began:.0f} s")
            print(f"CPUs now: {ray.cluster_resources().get('CPU', 0):g}")
