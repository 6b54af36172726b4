"""Makes faults happen in a simulated cluster, and undoes them when they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cluster import MACHINE_LOSS_NOTICED_S, Driver, SimulatedCluster
from .faults import (
    CrashService,
    Duplicate,
    Fault,
    ForgetLanes,
    KillDriver,
    KillMachine,
    KillReplica,
    KillRoot,
    LoseReplies,
    LoseRequests,
    Partition,
    Scale,
    SlowMachine,
    StopProcess,
    Straggle,
)
from .inspection import forget_lanes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .loop import OsProcess

SHARES = {LoseRequests: "lost_requests", LoseReplies: "lost_replies", Duplicate: "duplicates", Straggle: "stragglers"}
STALLED_SHARE = 0.8


class Injection:
    """Injects the faults of one schedule.

    Args:
        cluster: Where.
        main: What a driver runs that comes after a crash.
    """

    def __init__(self, cluster: SimulatedCluster, main: Callable[[Driver], Awaitable[None]]) -> None:
        self._cluster = cluster
        self._main = main
        self._shares: dict[str, list[float]] = {}

    def plan(self, faults: tuple[Fault, ...]) -> None:
        """Let the faults happen at their times, counted from now."""
        loop = self._cluster.loop
        for fault in faults:
            loop.at(loop.outside, fault.at_s, self._begin, fault)

    def _begin(self, fault: Fault) -> None:
        cluster = self._cluster
        cluster.recorder.event("fault", repr(fault))
        match fault:
            case LoseRequests() | LoseReplies() | Duplicate() | Straggle():
                self._noise(SHARES[type(fault)], fault.share, fault.for_s)
            case Partition():
                self._partition(fault)
            case SlowMachine():
                self._stall(fault, cluster.loop.time() + fault.for_s)
            case StopProcess():
                actor = cluster.actor_at(fault.family, fault.index)
                if actor is not None:
                    self._stand_still([actor.process], fault.for_s)
            case CrashService():
                actor = cluster.actor_at(fault.family, fault.index)
                if actor is not None:
                    cluster.crash_service(actor, "injected")
            case ForgetLanes():
                actor = cluster.actor_at(fault.family, fault.index)
                if actor is not None and actor.replica is not None:
                    forget_lanes(cluster, actor.replica)
            case KillReplica():
                actor = cluster.actor_at(fault.family, fault.index)
                if actor is not None:
                    cluster.kill(actor.process)
            case KillRoot():
                cluster.kill_root()
                self._after(max(0.1, fault.for_s), lambda: cluster.start_root(restarted=True))
            case KillDriver():
                driver = cluster.drivers.pop(fault.driver, None)
                if driver is not None:
                    cluster.kill(driver.process)
                    self._after(fault.for_s, lambda: cluster.start_driver(fault.driver, self._main))
            case KillMachine():
                self._lose_machine(fault)
            case Scale():
                cluster.scale(fault.family, fault.replicas)

    def _after(self, delay_s: float, action: Callable[[], object]) -> None:
        self._cluster.loop.at(self._cluster.loop.outside, delay_s, action)

    def _noise(self, name: str, share: float, for_s: float) -> None:
        shares = self._shares.setdefault(name, [])
        shares.append(share)
        setattr(self._cluster.network.noise, name, max(shares))

        def over() -> None:
            shares.remove(share)
            setattr(self._cluster.network.noise, name, max(shares, default=0.0))

        self._after(for_s, over)

    def _partition(self, fault: Partition) -> None:
        network = self._cluster.network
        ways = [(fault.sender, fault.receiver)] + ([] if fault.one_way else [(fault.receiver, fault.sender)])
        for sender, receiver in ways:
            network.partition(sender, receiver, 1)
            self._after(fault.for_s, lambda sender=sender, receiver=receiver: network.partition(sender, receiver, -1))  # type: ignore[misc]  # bound early

    def _stall(self, fault: SlowMachine, until: float) -> None:
        """Stand still for `stall_s`, go on for a quarter of that, and so on."""
        cluster = self._cluster
        if cluster.loop.time() >= until:
            return
        here = [process for process in cluster.processes if process.alive and process.machine == fault.machine]
        self._stand_still(here, fault.stall_s)
        self._after(fault.stall_s / STALLED_SHARE, lambda: self._stall(fault, until))

    def _stand_still(self, processes: list[OsProcess], for_s: float) -> None:
        loop, stalls = self._cluster.loop, self._cluster.recorder.history.stalls
        for process in processes:
            loop.stop_process(process)
            stalls[process.name] = stalls.get(process.name, 0.0) + for_s
            self._after(for_s, lambda process=process: loop.continue_process(process))  # type: ignore[misc]  # bound early

    def _lose_machine(self, fault: KillMachine) -> None:
        cluster = self._cluster
        machine = cluster.machines[fault.machine]
        if not machine.alive:
            return
        machine.alive = False
        noticed_s = cluster.network.drawn(MACHINE_LOSS_NOTICED_S)
        root = cluster.registry.root
        if root is not None and root[0].machine == machine.name:
            cluster.registry.root = None
            self._after(noticed_s + 0.5, lambda: cluster.start_root(restarted=True))
        for process in cluster.processes:
            if process.machine == machine.name:
                cluster.kill(process, noticed_s)

        def noticed() -> None:
            machine.seen_alive = machine.alive

        def back() -> None:
            machine.alive = machine.seen_alive = True

        self._after(noticed_s, noticed)
        self._after(fault.for_s, back)
