"""The telemetry of a client: of its calls, its lanes and its breakers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.breaker import BreakerState
from .client_calls import FamilyCalls
from .instruments import BREAKER_OPEN, LANE_OUTSTANDING
from .lane_traffic import LaneTraffic
from .meter import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..blueprint import Blueprint
    from ..breakers import BreakerSwitch
    from ..lane import Lane
    from .telemetry import Telemetry


class ClientTelemetry:
    """What one client tells.

    Args:
        telemetry: Where it goes.
        blueprint: Of the system, with the families that it may call.
        lanes: That it has at the moment.
        breakers: Of families that have one.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        blueprint: Blueprint,
        lanes: Mapping[str, Lane],
        breakers: Mapping[str, BreakerSwitch],
    ) -> None:
        self._telemetry = telemetry
        self._blueprint = blueprint
        self._lanes = lanes
        self._breakers = breakers
        self._calls: dict[str, FamilyCalls] = {}
        self._traffic: dict[str, LaneTraffic] = {}
        telemetry.meter.watch(self)

    def calls(self, family: str) -> FamilyCalls:
        """Where the calls to a family are counted and traced."""
        calls = self._calls.get(family)
        if calls is None:
            methods = self._blueprint.families[family].service_class().interface
            calls = self._calls[family] = FamilyCalls(self._telemetry, family, methods)
        return calls

    def traffic(self, family: str) -> LaneTraffic:
        """Where the batches to a family are counted."""
        traffic = self._traffic.get(family)
        if traffic is None:
            traffic = self._traffic[family] = LaneTraffic(self._telemetry, family)
        return traffic

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `raybeam.cluster.telemetry.meter.Source`."""
        system = self._blueprint.name
        outstanding = dict.fromkeys(self._blueprint.families, 0)
        for lane in list(self._lanes.values()):
            if lane.traffic is not None and lane.traffic.family in outstanding:
                outstanding[lane.traffic.family] += lane.outstanding
        for family, calls in outstanding.items():
            yield Key(LANE_OUTSTANDING, (system, family)), calls
        for family, breaker in self._breakers.items():
            if family in outstanding:
                yield Key(BREAKER_OPEN, (system, family)), float(breaker.state is not BreakerState.OK)
