"""The composition root of `raybeam plan`: from a configuration to a capacity on paper."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from raybeam.actors import UsageError
from raybeam.autoscaler.kernel.capacity import Domain, capacity
from raybeam.autoscaler.kernel.ladder import of_load, of_service
from raybeam.autoscaler.simulator.files import check_format, write_table
from raybeam.autoscaler.workload import Rates, rates_of, service_of, steady_rate, times_of, trace_of

from .app import output_file
from .gathered import write_gathered
from .machine_types import checked_number, machine_types
from .offered import demands_of
from .plan_tables import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from raybeam.autoscaler.kernel.capacity import Capacity
    from raybeam.autoscaler.kernel.ladder import Rung
    from raybeam.autoscaler.kernel.plan import MachineType
    from raybeam.autoscaler.workload import Times

RATES = ("peak", "p99", "p95", "p50", "mean")
COLUMNS = (
    "run", "rate", "replicas", "machines", "price", "utilisation", "mean_wait_s", "p99_wait_s", "late", "late_degraded",
    "availability", "breaks_first", "breaks_at",
)  # fmt: skip
FAMILY_COLUMNS = (
    "family", "rate", "load", "least", "replicas", "left", "utilisation", "mean_wait_s", "p50_wait_s", "p99_wait_s",
    "late", "late_degraded",
)  # fmt: skip


@dataclass
class ReplicaSection:
    """What one replica is."""

    slots: int = 1
    resources: dict[str, float] = field(default_factory=lambda: {"CPU": 1.0})


@dataclass
class PlanSchema:
    """Everything that `raybeam plan` can be told; `load`, `machines` and `families` are checked here."""

    load: dict[str, Any] = field(default_factory=dict)
    machines: dict[str, Any] = field(default_factory=dict)
    slo: str = "wait:1s@0.99"
    at: str = "peak"
    window_s: float = 60.0
    family: ReplicaSection = field(default_factory=ReplicaSection)
    survive: str = "machine"
    lost: int = 1
    availability: float = 0.999
    blueprint: str | None = None
    entry: str | None = None
    families: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    out: str | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """What a plan says.

    Attributes:
        title: What is special about it.
        rates: Of the load.
        rate: Requests a second that it is for.
        found: The capacity.
        types: What machines may be had.
        by_load: What gives way as the load grows.
        by_service: And as requests take longer.
    """

    title: str
    rates: Rates
    rate: float
    found: Capacity
    types: Sequence[MachineType]
    by_load: Sequence[Rung]
    by_service: Sequence[Rung]

    def row(self) -> list[Any]:
        """For a table of plans: `COLUMNS`; of waits and shares the worst of all families."""
        all_of = self.found.families.values()
        return [
            self.title,
            self.rate,
            sum(each.replicas for each in all_of),
            len(self.found.plan.machines),
            self.found.plan.price,
            max(each.utilisation for each in all_of),
            max(each.demand.mean_wait_s(each.replicas) for each in all_of),
            max(each.demand.wait_s(0.99, each.replicas) for each in all_of),
            max(each.demand.late(each.replicas) for each in all_of),
            max(each.demand.late(each.left) for each in all_of),
            self.found.availability,
            self.by_load[0].what,
            self.by_load[0].times * self.rate,
        ]

    def family_rows(self) -> list[list[Any]]:
        """A row for each family: `FAMILY_COLUMNS`."""
        return [
            [
                name,
                each.demand.rate,
                each.demand.load,
                each.least,
                each.replicas,
                each.left,
                each.utilisation,
                each.demand.mean_wait_s(each.replicas),
                each.demand.wait_s(0.5, each.replicas),
                each.demand.wait_s(0.99, each.replicas),
                each.demand.late(each.replicas),
                each.demand.late(each.left),
            ]
            for name, each in self.found.families.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data; what is infinite is `None`."""
        plan, bare = self.found.plan, self.found.bare
        return {
            "rate": self.rate,
            "rates": {name: getattr(self.rates, name) for name in RATES},
            "families": [_finite(FAMILY_COLUMNS, row) for row in self.family_rows()],
            "survives": str(self.found.domain),
            "machines": plan.count(),
            "price": plan.price,
            "availability": self.found.availability,
            "bare": {"machines": bare.count(), "price": bare.price, "availability": self.found.bare_availability},
            "request": plan.request(),
            "as_load_grows": [{"what": rung.what, "times": rung.times} for rung in self.by_load],
            "as_service_slows": [{"what": rung.what, "times": rung.times} for rung in self.by_service],
        }


def plan_job(config: DictConfig, console: Console, number: int | None, title: str) -> Planned:
    """Make and show the plan of one configuration.

    Args:
        config: The configuration.
        console: For the tables.
        number: Of the plan in a sweep; `None`: it is the only one.
        title: What is special about it.

    Raises:
        UsageError: The configuration is wrong, or there is no such capacity.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    out = output_file(config, "out", number)
    if out is not None and out.suffix != ".json":
        check_format(out, others=(".json",))
    with console.status("planning ..."):
        planned = planned_from(plain, title)
    show(planned, console)
    if out is not None:
        if out.suffix == ".json":
            out.write_text(json.dumps(planned.as_json(), indent=1) + "\n")
        else:
            write_table(out, FAMILY_COLUMNS, planned.family_rows())
        console.print(f"  {out}", soft_wrap=True)
    return planned


def planned_from(plain: Mapping[str, Any], title: str = "") -> Planned:
    """The plan of a configuration in plain data; raises as `plan_job`."""
    types = machine_types(plain["machines"])
    survive, lost = str(plain["survive"]), plain["lost"]
    if survive == "none":
        survive, lost = "machine", 0
    domain = Domain(lost, None if survive == "machine" else survive, plain["availability"])
    checked_number("window_s", plain["window_s"])
    for name, amount in plain["family"]["resources"].items():
        checked_number(f"family.resources.{name}", amount)
    rates, times = _load(plain)
    if plain["at"] not in RATES:
        raise UsageError(f"at={plain['at']!r}: give one of {', '.join(RATES)}")
    rate: float = getattr(rates, plain["at"])
    if rate == 0:
        raise UsageError(f"the load has no requests ({plain['at']} is 0 a second): there is nothing to plan for")
    demands = demands_of(plain, rate, times)
    found = capacity(demands, types, domain)
    return Planned(title, rates, rate, found, types, of_load(found, types), of_service(found))


def gather_plans(plans: Sequence[Planned], folder: Path, console: Console) -> None:
    """The plans of a sweep in one table, and where they stand between cost and waits."""
    rows = [planned.row() for planned in plans]
    price, wait_s = COLUMNS.index("price"), COLUMNS.index("p99_wait_s")
    points = [(row[0], row[price], row[wait_s]) for row in rows]
    write_gathered(COLUMNS, rows, points, folder, console, ("cost per hour", "99th percentile of the wait, s"))


def _load(plain: Mapping[str, Any]) -> tuple[Rates, Times]:
    """The rates of the load, and how long its requests take."""
    load = plain["load"]
    service = service_of(load)
    steady = steady_rate(load)
    if steady is not None:
        if service is None:
            raise UsageError("load.service is missing: how long do requests take?")
        return Rates(steady, steady, steady, steady, steady), times_of(service)
    trace = trace_of(load, plain["seed"])
    return rates_of(trace, plain["window_s"]), times_of(trace.sizes if service is None else service)


def _finite(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in zip(columns, row, strict=True)
    }
