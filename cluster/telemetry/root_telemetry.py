"""The telemetry of a root: how the families of its system stand, and what happens to them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..kernel.health import Health
from ..names import root_name
from .instruments import GENERATION, OCCURRENCES, QUEUE_DEPTH, REPLICAS, REPLICAS_WANTED, RESTARTS
from .meter import Key
from .telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..blueprint import Blueprint
    from ..kernel.views import Table
    from ..replica_records import ReplicaRecords


class RootTelemetry:
    """What one root tells.

    Args:
        blueprint: Of the system.
        table: The directory's, as it is now.
        replicas: What the replicas have told.
        wanted: How many replicas a family should have.
        occurred: How often something of a kind has happened.

    Attributes:
        telemetry: Where it all goes.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        table: Callable[[], Table],
        replicas: ReplicaRecords,
        wanted: Callable[[str], int],
        occurred: Mapping[str, int],
    ) -> None:
        self._blueprint = blueprint
        self._table = table
        self._replicas = replicas
        self._wanted = wanted
        self._occurred = occurred
        self.telemetry = Telemetry(blueprint.name, blueprint.telemetry)
        self.telemetry.meter.watch(self)

    def start(self) -> None:
        """Begin; see `Telemetry.start`."""
        self.telemetry.start(root_name(self._blueprint.name))

    def readings(self) -> Iterator[tuple[Key, float]]:
        """See `raybeam.cluster.telemetry.meter.Source`."""
        system, table = self._blueprint.name, self._table()
        for name in self._blueprint.families:
            members = table.view(name).members
            health = Counter(member.health for member in members)
            for value in Health:
                yield Key(REPLICAS, (system, name, value.value)), health[value]
            beats = (self._replicas.beats.get(member.name) for member in members)
            yield Key(QUEUE_DEPTH, (system, name)), sum(beat.depth for beat in beats if beat is not None)
            yield Key(REPLICAS_WANTED, (system, name)), self._wanted(name)
            yield Key(RESTARTS, (system, name)), self._replicas.restarts[name]
        for kind, times in list(self._occurred.items()):
            yield Key(OCCURRENCES, (system, kind)), times
        yield Key(GENERATION, (system,)), table.generation
