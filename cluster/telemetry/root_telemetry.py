"""The telemetry of a root: how the families of its system stand, and what happens to them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..kernel.health import Health
from ..names import root_name
from .instruments import (
    GENERATION,
    OCCURRENCES,
    QUEUE_DEPTH,
    REPLICAS,
    REPLICAS_WANTED,
    RESTARTS,
    SCALING_BACKLOG,
    SCALING_DECIDED,
    SCALING_DECISIONS,
    SCALING_OFFERED,
    SCALING_OLDEST,
    SCALING_RATE,
    SCALING_START,
)
from .meter import Key
from .telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from raybeam.autoscaler.history import History

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
        scaling: What was decided for the families that scale.

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
        scaling: History,
    ) -> None:
        self._blueprint = blueprint
        self._table = table
        self._replicas = replicas
        self._wanted = wanted
        self._occurred = occurred
        self._scaling = scaling
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
            yield from self._scaled(name)
        for kind, times in list(self._occurred.items()):
            yield Key(OCCURRENCES, (system, kind)), times
        yield Key(GENERATION, (system,)), table.generation

    def _scaled(self, family: str) -> Iterator[tuple[Key, float]]:
        """How a family is scaled: decisions, and of the numbers behind the latest those that its policy tells."""
        system, latest = self._blueprint.name, self._scaling.latest.get(family)
        if latest is None:
            return
        for (direction, reason), times in list(self._scaling.decisions[family].items()):
            yield Key(SCALING_DECISIONS, (system, family, direction, reason)), times
        yield Key(SCALING_DECIDED, (system, family)), latest.after
        for instrument, column in ((SCALING_BACKLOG, "queue"), (SCALING_OLDEST, "oldest_wait_s")):
            yield Key(instrument, (system, family)), self._scaling.last(family, column)
        for instrument, term in (
            (SCALING_RATE, "rate_per_s"),
            (SCALING_OFFERED, "offered"),
            (SCALING_START, "start_s"),
        ):
            if term in latest.terms:
                yield Key(instrument, (system, family)), latest.terms[term]
