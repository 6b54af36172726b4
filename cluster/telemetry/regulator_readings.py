"""What the regulator of a replica's service has done, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .instruments import (
    REGULATOR_ACCEPTED,
    REGULATOR_DELAYED,
    REGULATOR_DROPPED,
    REGULATOR_LEVEL,
    REGULATOR_LIMIT,
    REGULATOR_REJECTED,
    REGULATOR_UNDER_WAY,
)
from .meter import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybeam.actors.kernel.regulation.counters import RegulationCounters


class RegulatorReadings:
    """Reads the regulators of one service; tells nothing while it has none.

    Args:
        system: Of the replica.
        family: Of the replica.
        counters: What they have done, `None`: the service is not regulated.
    """

    def __init__(self, system: str, family: str, counters: Callable[[], RegulationCounters | None]) -> None:
        self._labels = (system, family)
        self._counters = counters

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `raybeam.cluster.telemetry.meter.Source`."""
        counters = self._counters()
        if counters is None:
            return
        yield Key(REGULATOR_ACCEPTED, self._labels), counters.accepted
        yield Key(REGULATOR_DELAYED, self._labels), counters.delayed
        for reason, calls in counters.rejected.items():
            yield Key(REGULATOR_REJECTED, (*self._labels, reason.value)), calls
        for reason, calls in counters.dropped.items():
            yield Key(REGULATOR_DROPPED, (*self._labels, reason.value)), calls
        yield Key(REGULATOR_UNDER_WAY, self._labels), counters.under_way
        if counters.limit is not None:
            yield Key(REGULATOR_LIMIT, self._labels), counters.limit
        yield Key(REGULATOR_LEVEL, self._labels), counters.level
