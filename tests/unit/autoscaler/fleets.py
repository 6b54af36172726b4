"""Fleets for the controller's tests: a simulated one, with faults between it and the controller."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybeam.actors import ChildSpec, Pid, Runtime, Supervisor, SupervisorSpec, gen_server, process, supervisor
from raybeam.actors.testing import run
from raybeam.autoscaler.controller import Controller
from raybeam.autoscaler.history import History
from raybeam.autoscaler.kernel.queue_depth import QueueDepth
from raybeam.autoscaler.simulator import Family, World
from raybeam.autoscaler.simulator.controlled import SimulatedFleet, control_of
from raybeam.autoscaler.workload import Exponential, FlashCrowd, Steady, draw

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from raybeam.autoscaler.fleet import FamilyReading, MachinesReading
    from raybeam.autoscaler.kernel.policy import Policy
    from raybeam.autoscaler.simulator.run import Run

WORLD = World(start_s=10.0, boot_s=45.0, places=4)


def crowd(policy: Policy[Any] | None = None, seed: int = 3) -> Family:
    """A family whose load becomes tenfold after two minutes, for five."""
    trace = draw("crowd", FlashCrowd(10.0, 10.0, 120.0), Exponential(0.3), 600.0, seed=seed)
    return Family("web", trace, policy or QueueDepth(), initial=5, min_replicas=1, max_replicas=200)


def calm(policy: Policy[Any] | None = None, duration_s: float = 120.0) -> Family:
    """A family with a steady load."""
    trace = draw("calm", Steady(10.0), Exponential(0.3), duration_s, seed=3)
    return Family("web", trace, policy or QueueDepth(), initial=5, min_replicas=1, max_replicas=200)


class FaultyFleet(SimulatedFleet):
    """A simulated fleet that may be silent, fail or hang, and that keeps what it was asked.

    Attributes:
        silent: Readings are those of the moment when this was set.
        failing: Names of methods that raise.
        hanging: Names of methods that never answer.
        slow_s: Seconds that it takes to tell of the machines.
        calls: Each call with its time.
        reasons: Why replicas were wanted.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.silent = False
        self.failing: set[str] = set()
        self.hanging: set[str] = set()
        self.slow_s = 0.0
        self.reasons: list[str] = []
        self.calls: list[tuple[str, float, object]] = []
        self._latest: Mapping[str, FamilyReading] = {}

    def read(self) -> Mapping[str, FamilyReading]:
        now = super().read()
        if not self.silent:
            self._latest = now
            return now
        old = {name: {replica.name: replica for replica in family.replicas} for name, family in self._latest.items()}
        return {
            name: replace(
                family,
                replicas=tuple(
                    old[name].get(replica.name) or replace(replica, heard_s=0.0) for replica in family.replicas
                ),
            )
            for name, family in now.items()
        }

    async def machines(self) -> MachinesReading:
        await self._came("machines", None)
        await asyncio.sleep(self.slow_s)
        return await super().machines()

    async def scale(self, family: str, replicas: int, reason: str) -> None:
        await self._came("scale", replicas)
        self.reasons.append(reason)
        await super().scale(family, replicas, reason)

    async def request_machines(self, shape: Sequence[Mapping[str, float]]) -> None:
        await self._came("request", len(shape))
        await super().request_machines(shape)

    async def recall(self) -> bytes | None:
        await self._came("recall", None)
        return await super().recall()

    async def remember(self, data: bytes) -> None:
        await self._came("remember", len(data))
        await super().remember(data)

    def asked(self, what: str) -> list[tuple[float, Any]]:
        """When something was asked, and with what."""
        return [(at, given) for name, at, given in self.calls if name == what]

    async def _came(self, what: str, given: object) -> None:
        self.calls.append((what, self.now(), given))
        if what in self.failing:
            raise OSError(f"no {what} today")
        if what in self.hanging:
            await asyncio.sleep(1e9)


class _Tree(Supervisor):
    async def init(self, *args: Any) -> SupervisorSpec:
        return SupervisorSpec([ChildSpec("controller", (Controller, *args))], intensity=10)


class Played:
    """A play: the controller under a supervisor, over a simulated fleet, under virtual time.

    Attributes:
        told: What the controller told.
        history: What it decided.
        runs: What became of the families.
        fleet: What it scaled.
    """

    def __init__(
        self,
        *families: Family,
        disturb: Callable[[Played], Awaitable[None]] | None = None,
        prepare: Callable[[FaultyFleet], None] = lambda fleet: None,
        world: World = WORLD,
        **options: Any,
    ) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.history = History([family.name for family in families])
        self.fleet: FaultyFleet
        self.top: Pid
        self._control = options
        self.runs: dict[str, Run] = run(self._play(families, disturb, prepare, world))

    @property
    def web(self) -> Run:
        return self.runs["web"]

    async def controller(self) -> Pid:
        """The controller's process."""
        [info] = await supervisor.which_children(self.top)
        assert isinstance(info.child, Pid)
        return info.child

    async def crash(self) -> None:
        """The controller dies at once, without a last word."""
        process.exit_process(await self.controller(), "kill")

    async def _play(
        self,
        families: tuple[Family, ...],
        disturb: Callable[[Played], Awaitable[None]] | None,
        prepare: Callable[[FaultyFleet], None],
        world: World,
    ) -> dict[str, Run]:
        async with Runtime(reports=lambda report: None) as runtime:
            self.fleet = FaultyFleet(world, families, runtime.loop.time)
            prepare(self.fleet)
            control = control_of(world, families, **self._control)

            def told(kind: str, subject: str, text: str) -> None:
                self.told.append((kind, subject, text))

            self.top = await supervisor.start(_Tree, self.fleet, control, self.history, told)
            if disturb is not None:
                await disturb(self)
            await asyncio.sleep(self.fleet.horizon_s - runtime.loop.time())
            await gen_server.stop(self.top, "shutdown")
            return self.fleet.finish()
