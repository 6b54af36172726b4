"""One simulation: a scenario under one schedule, and which promises it broke."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from raybeam.actors import CallFailed, ClusterError, RaybeamError, ServiceError
from raybeam.actors.runtime import log

from .cluster import Driver, SimulatedCluster
from .faults import FaultSchedule
from .injection import Injection
from .inspection import leftovers, missing, missized
from .loop import SimulationLoop
from .promises import PROMISES, Broken

if TYPE_CHECKING:
    from .history import History
    from .scenario import Scenario

UP_WITHIN_S = 30.0
POLL_S = 0.1
QUIET_S = 1.0
SETTLES_S = 5.0
"""A lane that has lost many batches pauses before it sends again what waits."""
DRAINS_S = 10.0
PROBE_AGAIN_S = 0.1
CLOSING_ROUNDS = 5


@dataclass(frozen=True)
class Outcome:
    """What came of a simulation.

    Attributes:
        schedule: What went wrong in it.
        history: What happened.
        broken: The promises that were broken; empty: all held.
    """

    schedule: FaultSchedule
    history: History
    broken: tuple[Broken, ...]


def schedule_of(scenario: Scenario, seed: int) -> FaultSchedule:
    """The schedule that a seed stands for."""
    random = Random(f"schedule {seed}")  # noqa: S311 (faults, not secrets); seeded by text, whatever the hash seed is
    return FaultSchedule(seed, scenario.mix.draw(random, scenario.places()))


def simulate(scenario: Scenario, schedule: FaultSchedule | int) -> Outcome:
    """Run a scenario under a schedule, or under the one that a seed stands for, and check its promises.

    Example:
        >>> from raybeam.cluster.simulation.ledger import LedgerScenario
        >>> simulate(LedgerScenario(), 7).broken
        ()
    """
    planned = schedule_of(scenario, schedule) if isinstance(schedule, int) else schedule
    loop = SimulationLoop()
    level = log.level
    log.setLevel(logging.CRITICAL)
    collecting = gc.isenabled()
    gc.disable()
    try:
        simulation = _Simulation(loop, scenario, planned)
        asyncio.set_event_loop(loop)
        loop.run_until_complete(simulation.play())
        history = simulation.close()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        log.setLevel(level)
        if collecting:
            gc.enable()
    promises = (*PROMISES, *scenario.promises)
    return Outcome(planned, history, tuple(broken for promise in promises for broken in promise(history)))


class _Simulation:
    """The play of one simulation; its own code runs outside of all simulated processes."""

    def __init__(self, loop: SimulationLoop, scenario: Scenario, schedule: FaultSchedule) -> None:
        self._loop = loop
        self._scenario = scenario
        self._schedule = schedule
        self._driving: dict[str, bool] = {}
        self._probed: set[str] = set()
        self._cluster: SimulatedCluster

    async def play(self) -> None:
        """Bring the system up, let drivers and faults at it, and see whether it is well again afterwards."""
        scenario = self._scenario
        cluster = self._cluster = SimulatedCluster(
            self._loop, self._schedule.seed, scenario.parsed(), scenario.machines, scenario.drivers
        )
        history = cluster.recorder.history
        cluster.start_root(restarted=False)
        if not await self._until(lambda: not missing(cluster), UP_WITHIN_S):
            history.unhealed = f"the system never came up; missing: {', '.join(missing(cluster))}"
            return
        began = self._loop.time()
        history.faults_over_at = began + self._schedule.over_at_s
        Injection(cluster, self._drive).plan(self._schedule.faults)
        for index in range(scenario.drivers):
            cluster.start_driver(index, self._drive)
        await asyncio.sleep(self._schedule.over_at_s)
        await self._until(self._driven, max(0.0, began + scenario.runs_for_s - self._loop.time()))
        await self._heal()
        await asyncio.sleep(QUIET_S)
        await self._quiet()
        await scenario.check(cluster)
        history.left.extend(leftovers(cluster))
        history.missized.extend(missized(cluster))

    def close(self) -> History:
        """End everything that is left, unrecorded; the history."""
        cluster, loop = self._cluster, self._loop
        history = cluster.recorder.history
        history.over_at, history.turns = loop.time(), loop.turns
        history.errors.extend(f"{context['message']}: {context.get('exception')!r}" for context in loop.unhandled)
        cluster.recorder.closed = cluster.network.closed = True
        loop.bury(cluster.processes)
        loop.run_until_complete(_cancel_all(loop))
        return history

    async def _drive(self, driver: Driver) -> None:
        self._driving[driver.name] = True
        try:
            await self._scenario.drive(driver)
        except (CallFailed, ServiceError, ClusterError) as error:  # what calls may come to under faults
            self._cluster.recorder.event("driver", f"{driver.name} ended: {error!r}")
        except Exception as error:  # noqa: BLE001 (a mistake in the scenario: it would test nothing and pass)
            self._cluster.recorder.history.errors.append(f"{driver.name} raised {type(error).__name__}: {error}")
        finally:
            self._driving[driver.name] = False

    def _driven(self) -> bool:
        drivers = self._cluster.drivers.values()
        return not any(self._driving.get(driver.name, True) for driver in drivers)

    async def _heal(self) -> None:
        cluster, within_s = self._cluster, self._scenario.heals_within_s
        history = cluster.recorder.history
        until = self._loop.time() + within_s
        if not await self._until(lambda: not missing(cluster), within_s):
            history.unhealed = (
                f"{within_s} s after the last fault there is still missing: {', '.join(missing(cluster))}"
            )
            return
        drivers = list(cluster.drivers.values())
        for driver in drivers:
            cluster.task(driver.process, self._probe(driver))
        left_s = max(0.0, until - self._loop.time())
        if not await self._until(lambda: all(driver.name in self._probed for driver in drivers), left_s):
            history.unhealed = f"{within_s} s after the last fault calls still fail"
            return
        history.healed_at = self._loop.time()

    async def _probe(self, driver: Driver) -> None:
        while True:
            try:
                await self._scenario.probe(driver)
            except RaybeamError:
                await asyncio.sleep(PROBE_AGAIN_S)
            else:
                self._probed.add(driver.name)
                return

    async def _quiet(self) -> None:
        """Wait for what is under way: at the latest all have their answers by their deadlines."""
        history = self._cluster.recorder.history
        alive = {process.name for process in self._cluster.processes if process.alive}

        def under_way() -> list[float]:
            return [
                invocation.until
                for invocation in history.invocations
                if invocation.ended_at is None and invocation.caller in alive
            ]

        latest = max(under_way(), default=0.0) + QUIET_S
        await self._until(lambda: not under_way(), max(0.0, latest - self._loop.time()))
        await self._until(lambda: not any(leftovers(self._cluster)), SETTLES_S)
        await self._until(lambda: not any(missized(self._cluster)), DRAINS_S)

    async def _until(self, holds: object, within_s: float) -> bool:
        assert callable(holds)
        until = self._loop.time() + within_s
        while not holds():
            if self._loop.time() >= until:
                return False
            await asyncio.sleep(POLL_S)
        return True


async def _cancel_all(loop: SimulationLoop) -> None:
    current = asyncio.current_task()
    for _ in range(CLOSING_ROUNDS):
        left = [task for task in loop.tasks if not task.done() and task is not current]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1.0)
    for task in loop.tasks:
        if not task.done() and task is not current:
            with contextlib.suppress(RuntimeError):  # it does not let itself be ended
                task.get_coro().close()
