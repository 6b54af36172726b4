"""The composition root of `raybeam simulate`: from a configuration to a run, its time line and its plot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING, DictConfig, OmegaConf

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator import Family, Faults, Sensor, Timeline, World, clairvoyant, score, simulate
from raybeam.autoscaler.simulator.files import check_format, write_table
from raybeam.autoscaler.simulator.report import draw_run, need_plotly
from raybeam.autoscaler.workload import trace_of

from .app import output_file
from .gathered import write_gathered
from .import_path import make_here_importable
from .policy_options import configured_policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from raybeam.autoscaler.simulator import Run

COLUMNS = (
    "run", "score", "cost_ratio", "late_1s", "late_5s", "p99_wait_s", "mean_wait_s", "replica_hours", "machine_hours",
    "actions", "reversals_per_hour", "recovery_s",
)  # fmt: skip


@dataclass
class PolicySection:
    """The group `policy`: a class, what it is made with, and what `raybeam tune` may change of that."""

    path: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)
    tunable: dict[str, Any] = field(default_factory=dict)


@dataclass
class FamilySection:
    """The family that is played; see `Family`."""

    slots: int = 1
    initial: int = 1
    min_replicas: int = 0
    max_replicas: int = 1000
    dispatch: str = "one_queue"


@dataclass
class WorldSection:
    """See `World`."""

    interval_s: float = 1.0
    start_s: float = 10.0
    end_s: float = 0.0
    take_back: bool = False
    boot_s: float = 45.0
    places: int = 4
    machine_idle_s: float = 60.0
    max_machines: int = 1000
    spare_machines: int = 0


@dataclass
class FaultsSection:
    """See `Faults`."""

    replica_mtbf_s: float | None = None
    machine_mtbf_s: float | None = None
    machines_lost_s: list[float] = field(default_factory=list)


@dataclass
class SensorSection:
    """See `Sensor`."""

    noise: float = 0.0
    lag_s: float = 0.0
    loss: float = 0.0


@dataclass
class SimulateSchema:
    """Everything that `raybeam simulate` can be told; `load` is checked by `trace_of`."""

    load: dict[str, Any] = field(default_factory=dict)
    policy: PolicySection = field(default_factory=PolicySection)
    family: FamilySection = field(default_factory=FamilySection)
    world: WorldSection = field(default_factory=WorldSection)
    faults: FaultsSection = field(default_factory=FaultsSection)
    sensor: SensorSection = field(default_factory=SensorSection)
    seed: int = 1
    timeline: str | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of one run.

    Attributes:
        figures: By the names of `COLUMNS`.
    """

    figures: Mapping[str, Any]

    def row(self) -> list[Any]:
        """For a table."""
        return [self.figures[name] for name in COLUMNS]


def simulate_job(config: DictConfig, console: Console, number: int | None, title: str) -> Simulated:
    """Play the run of one configuration.

    Args:
        config: The configuration.
        console: For progress and results.
        number: Of the run in a sweep; `None`: it is the only one.
        title: What is special about it.

    Raises:
        UsageError: The configuration is wrong.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    make_here_importable()
    timeline, report = (output_file(config, key, number) for key in ("timeline", "report"))
    if timeline is not None:
        check_format(timeline)
    if report is not None:
        if report == timeline:
            raise UsageError(f"timeline and report are both {report}: name two files")
        need_plotly()
    faults = plain["faults"] | {"machines_lost_s": tuple(plain["faults"]["machines_lost_s"])}
    world, seed = World(**plain["world"]), plain["seed"]
    trace = trace_of(plain["load"], seed)
    family = Family("family", trace, configured_policy(plain["policy"]), **plain["family"])
    with console.status(f"playing {len(trace.times):,} requests ..."):
        run = simulate(world, family, faults=Faults(**faults), sensor=Sensor(**plain["sensor"]), seed=seed)["family"]
        best = clairvoyant(world, trace, family.slots)
    figures = {
        "run": title or trace.name,
        "score": score(run, best),
        "cost_ratio": run.cost / best.cost,
        "late_1s": run.late(1.0),
        "late_5s": run.late(5.0),
        "p99_wait_s": run.wait_s(0.99),
        "mean_wait_s": run.mean_wait_s,
        "replica_hours": run.replica_s / 3600,
        "machine_hours": run.machine_s / 3600,
        "actions": run.actions,
        "reversals_per_hour": run.reversals_per_hour,
        "recovery_s": None if trace.onset_s is None else run.recovery_s(trace.onset_s),
    }
    if timeline is not None:
        write_table(timeline, Timeline.COLUMNS, run.timeline.rows)
    if report is not None:
        draw_run(run, family.slots, world.interval_s, f"{title or trace.name}: {_told(run, figures)}", report)
    console.print(f"{title or trace.name}: {_told(run, figures)}")
    for file in (timeline, report):
        if file is not None:
            console.print(f"  {file}", soft_wrap=True)
    return Simulated(figures)


def gather(runs: Sequence[Simulated], folder: Path, console: Console) -> None:
    """The runs of a sweep in one table, and where they stand between cost and lateness."""
    points = [(run.figures["run"], run.figures["cost_ratio"], run.figures["late_1s"]) for run in runs]
    write_gathered(COLUMNS, [run.row() for run in runs], points, folder, console)


def _told(run: Run, figures: Mapping[str, Any]) -> str:
    return (
        f"score {figures['score']:.2f}, cost {figures['cost_ratio']:.2f} x a clairvoyant's, "
        f"{figures['late_1s']:.2f} % over 1 s, {figures['late_5s']:.2f} % over 5 s, {run.actions} actions"
    )
