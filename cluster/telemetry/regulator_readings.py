"""What the regulator of a replica's service has done, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

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
    from collections.abc import Callable, Iterator, Mapping
    from enum import Enum

    from raybeam.actors.cell import Cell


class Counters(Protocol):
    """The counters of a regulator; those of calls only grow."""

    @property
    def accepted(self) -> int: ...  # noqa: D102
    @property
    def delayed(self) -> int: ...  # noqa: D102
    @property
    def rejected(self) -> Mapping[Enum, int]: ...  # noqa: D102
    @property
    def dropped(self) -> Mapping[Enum, int]: ...  # noqa: D102
    @property
    def under_way(self) -> int: ...  # noqa: D102
    @property
    def limit(self) -> int | None: ...  # noqa: D102
    @property
    def level(self) -> int: ...  # noqa: D102


class Gate(Protocol):
    """Where the calls of a regulated process wait."""

    def counters(self) -> Counters:
        """What was done, and how things stand."""
        ...


class RegulatorReadings:
    """Reads the regulator of one process; tells nothing while it has none.

    Args:
        system: Of the replica.
        family: Of the replica.
        cell: The process, as it is now.
    """

    def __init__(self, system: str, family: str, cell: Callable[[], Cell | None]) -> None:
        self._labels = (system, family)
        self._cell = cell

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `raybeam.cluster.telemetry.meter.Source`."""
        gate = cast("Gate | None", getattr(self._cell(), "gate", None))
        if gate is None:
            return
        counters = gate.counters()
        yield Key(REGULATOR_ACCEPTED, self._labels), counters.accepted
        yield Key(REGULATOR_DELAYED, self._labels), counters.delayed
        for reason, calls in counters.rejected.items():
            yield Key(REGULATOR_REJECTED, (*self._labels, str(reason.value))), calls
        for reason, calls in counters.dropped.items():
            yield Key(REGULATOR_DROPPED, (*self._labels, str(reason.value))), calls
        yield Key(REGULATOR_UNDER_WAY, self._labels), counters.under_way
        if counters.limit is not None:
            yield Key(REGULATOR_LIMIT, self._labels), counters.limit
        yield Key(REGULATOR_LEVEL, self._labels), counters.level
