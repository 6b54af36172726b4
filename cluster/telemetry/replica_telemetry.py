"""The telemetry of a replica: of the calls that it serves, its queue, its crashes and its regulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .instruments import HANDLER_TIME, QUEUE_WAIT
from .regulator_readings import RegulatorReadings
from .served_calls import ServedCalls
from .telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.actors import RegulationCounters

    from ..blueprint import Blueprint
    from ..kernel.histogram import Histogram
    from ..names import ReplicaName


class ReplicaTelemetry:
    """What one replica tells.

    Args:
        name: Of the replica.
        blueprint: Of its system.
        waits: Waiting times, as the replica counts them.
        services: Times in the handlers, likewise.
        regulation: What the service's regulators have done, `None`: it is not regulated.

    Attributes:
        telemetry: Where it all goes.
        served: Is told of the calls and casts that come, and of crashes.
    """

    def __init__(
        self,
        name: ReplicaName,
        blueprint: Blueprint,
        waits: Histogram,
        services: Histogram,
        regulation: Callable[[], RegulationCounters | None],
    ) -> None:
        self._service = f"{name.system}/{name.family}"
        self.telemetry = Telemetry(name.system, blueprint.telemetry)
        methods = blueprint.families[name.family].service_class().interface
        self.served = ServedCalls(self.telemetry, name.family, methods)
        self._regulator = RegulatorReadings(name.system, name.family, regulation)
        meter = self.telemetry.meter
        meter.watch(self._regulator)
        meter.histogram(QUEUE_WAIT, waits, name.system, name.family)
        meter.histogram(HANDLER_TIME, services, name.system, name.family)

    def start(self) -> None:
        """Begin; see `Telemetry.start`."""
        self.telemetry.start(self._service)
