"""The record of a run: what the report shows and the summary tells."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FamilySample:
    """One family at one time; waiting times in seconds over the last interval."""

    depth: int
    replicas: int
    restarts: int
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The system at one time: seconds since the start, minutes of the day, groups that wait in `flights`."""

    at_s: float
    day_min: float
    waiting: int
    families: dict[str, FamilySample]


@dataclass(frozen=True, slots=True)
class Restart:
    """A replica went or came: seconds since the start, its name, what happened."""

    at_s: float
    subject: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Scaled:
    """The autoscaler changed the number of replicas: seconds since the start, from how many to how many, and why."""

    at_s: float
    before: int
    after: int
    reason: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """How a family that scales went.

    Attributes:
        family: Its name.
        columns: Equally long; `at_s` is seconds since the start, the others are those of the system's scaling series.
        changes: What the autoscaler did.
    """

    family: str
    columns: dict[str, list[float]]
    changes: list[Scaled]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the verdict."""

    rule: str
    held: bool
    counted: str
    broken_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FamilyTotal:
    """One family over the whole run; waiting and service times in seconds."""

    replicas: int
    restarts: int
    served: int
    wait_p50_s: float
    wait_p99_s: float
    service_p50_s: float
    service_p99_s: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A whole run."""

    day: str
    speedup: float
    seed: int
    took_s: float
    cluster_start_s: float
    system_start_s: float
    events: int
    refused: int
    flights: int
    passengers: int
    rebooked: int
    stranded: int
    groups: int
    late_noticed: int
    killed: str | None
    recovered_s: float | None
    departures_per_hour: list[int]
    cancellations_per_hour: list[int]
    families: dict[str, FamilyTotal]
    rules: list[Rule]
    samples: list[Sample] = field(repr=False)
    restarts: list[Restart] = field(repr=False)
    capacity: Capacity | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Whether every rule held."""
        return all(rule.held for rule in self.rules)
