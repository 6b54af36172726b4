"""How the lanes and breakers of a client stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.breaker import BreakerState
from .instruments import BREAKER_OPEN, LANE_OUTSTANDING
from .meter import Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..breakers import BreakerSwitch
    from ..lane import Lane


class ClientReadings:
    """Reads one client.

    Args:
        system: Its system.
        families: That it calls.
        lanes: That it has at the moment.
        breakers: Of families that have one.
    """

    def __init__(
        self,
        system: str,
        families: tuple[str, ...],
        lanes: Mapping[str, Lane],
        breakers: Mapping[str, BreakerSwitch],
    ) -> None:
        self._system = system
        self._families = families
        self._lanes = lanes
        self._breakers = breakers

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `raybeam.cluster.telemetry.meter.Source`."""
        outstanding = dict.fromkeys(self._families, 0)
        for lane in list(self._lanes.values()):
            if lane.traffic is not None and lane.traffic.family in outstanding:
                outstanding[lane.traffic.family] += lane.outstanding
        for family, calls in outstanding.items():
            yield Key(LANE_OUTSTANDING, (self._system, family)), calls
        for family, breaker in self._breakers.items():
            if family in outstanding:
                is_open = breaker.state is not BreakerState.OK
                yield Key(BREAKER_OPEN, (self._system, family)), float(is_open)
