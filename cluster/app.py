"""The composition root of `raybeam run`: from a configuration to a cluster, a job, and its outcome."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import MISSING, DictConfig, OmegaConf

from raybeam.actors import UsageError

from .import_path import import_object
from .local import LocalCluster, LocalClusterOptions, connect, existing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from .local import Connection


@dataclass
class ClusterSection:
    """The group `cluster`; see `LocalClusterOptions` for the keys of a local one."""

    kind: str = MISSING
    machines: int = 3
    cpus_per_machine: int = 2
    object_store_mb: int = 100
    dashboard: bool = True
    port: int = 0
    start_timeout_s: float = 90.0
    address: str | None = None


@dataclass
class RunSchema:
    """Everything that `raybeam run` can be told; `system` and `workload` are checked by the job."""

    cluster: ClusterSection = field(default_factory=ClusterSection)
    system: dict[str, Any] = field(default_factory=dict)
    workload: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    summary: str | None = None
    report: str | None = None


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a job gets besides its own configuration.

    Attributes:
        connection: The cluster; this process is connected to it.
        cluster_start_s: Seconds that its start took; 0 when it was there.
        console: For progress and results.
        summary: Where to write the figures as JSON.
        report: Where to write the HTML report.
    """

    connection: Connection
    cluster_start_s: float
    console: Console
    summary: Path | None
    report: Path | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        ok: Whether everything held that must hold.
        title: What was run, in a few words.
    """

    ok: bool
    title: str


class Job(Protocol):
    """A job that `raybeam run` can play; named in the configuration as `system.job: package.module:Class`."""

    def __init__(self, system: Mapping[str, object], workload: Mapping[str, object], seed: int) -> None:
        """Check the configuration and read the data, before any cluster is started; raise `UsageError`."""
        ...

    def play(self, context: RunContext) -> Outcome:
        """Play the job on the cluster."""
        ...


def run_job(config: DictConfig, console: Console) -> Outcome:
    """Play the job of one configuration.

    Raises:
        UsageError: The configuration is wrong; nothing was started.
        ClusterError: The cluster does not start or cannot be reached.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    system, workload = dict(plain["system"]), dict(plain["workload"])
    job = load_job(str(system.pop("job", "")))(system, workload, plain["seed"])
    summary, report = (None if plain[key] is None else Path(plain[key]).absolute() for key in ("summary", "report"))
    section = plain["cluster"]
    kind = section.pop("kind")
    address = section.pop("address")
    if kind == "existing":
        joined = existing(address)
        with connect(joined):
            return job.play(RunContext(joined, 0.0, console, summary, report))
    if kind != "local":
        raise UsageError(f"cluster.kind={kind!r}: 'local' or 'existing'")
    began = time.monotonic()
    cluster = LocalCluster(LocalClusterOptions(**section))
    try:
        with console.status(f"starting {cluster.options.machines} machines ..."):
            cluster.start()
        with connect(cluster.connection):
            return job.play(RunContext(cluster.connection, time.monotonic() - began, console, summary, report))
    finally:
        cluster.stop()


def load_job(path: str) -> type[Job]:
    """The job class behind an import path.

    Raises:
        UsageError: It cannot be imported, or is no job.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        job = import_object(path)
    except ValueError as error:
        absent = isinstance(error.__cause__, ModuleNotFoundError) and path.startswith("examples.")
        hint = " (the examples need a checkout: run this in its folder)" if absent else ""
        raise UsageError(f"system.job: {error}{hint}") from None
    if not (isinstance(job, type) and callable(getattr(job, "play", None))):
        raise UsageError(f"system.job={path!r} is no job: name a class like raybeam.cluster.app.Job, with `play`")
    found: type[Job] = job
    return found
