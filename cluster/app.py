"""The composition root of `raybeam run`: from a configuration to a cluster, a job, and its outcome."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml
from omegaconf import MISSING, DictConfig, OmegaConf

from raybeam.actors import UsageError

from .import_path import import_object, make_here_importable
from .local import LocalCluster, LocalClusterOptions, connect, existing
from .ray_up import LocalRayUp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from .local import Connection


@dataclass
class ClusterSection:
    """The group `cluster`; see `LocalClusterOptions` for the keys of a local one, the others need none."""

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

    def check_report(self) -> None:
        """Raise `UsageError` if no report can be drawn here; called before any cluster is started."""
        ...

    def play(self, context: RunContext) -> Outcome:
        """Play the job on the cluster."""
        ...


def run_job(config: DictConfig, console: Console, sweep_number: int | None = None) -> Outcome:
    """Play the job of one configuration.

    Args:
        config: The configuration.
        console: For progress and results.
        sweep_number: Number of the job in a sweep; `None`: it is the only one.

    Raises:
        UsageError: The configuration is wrong; nothing was started.
        ClusterError: The cluster does not start or cannot be reached.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    system, workload = dict(plain["system"]), dict(plain["workload"])
    job = load_job(str(system.pop("job", "")))(system, workload, plain["seed"])
    section = plain["cluster"]
    kind = section.pop("kind")
    address = section.pop("address")
    if kind not in ("local", "ray_up", "existing"):
        raise UsageError(f"cluster.kind={kind!r}: 'local', 'ray_up' or 'existing'")
    options = LocalClusterOptions(**section)
    summary, report = (output_file(config, key, sweep_number) for key in ("summary", "report"))
    if report is not None:
        if report == summary:
            raise UsageError(f"summary and report are both {report}: name two files")
        job.check_report()
    if kind == "existing":
        joined = existing(address)
        with connect(joined):
            return job.play(RunContext(joined, 0.0, console, summary, report))
    began = time.monotonic()
    cluster: LocalCluster | LocalRayUp
    if kind == "local":
        cluster, starting = LocalCluster(options), f"starting {options.machines} machines ..."
    else:
        cluster, starting = LocalRayUp(_shipped_local_file()), "ray up ..."
    with contextlib.ExitStack() as ends:
        with console.status(starting):
            ends.enter_context(cluster)
        ends.enter_context(connect(cluster.connection))
        return job.play(RunContext(cluster.connection, time.monotonic() - began, console, summary, report))


def _shipped_local_file() -> dict[str, Any]:
    """The shipped file of local machines, under a name and addresses that nobody else has."""
    config: dict[str, Any] = yaml.safe_load((resources.files("raybeam.configs") / "ray" / "local.yaml").read_text())
    number = os.getpid()
    config["cluster_name"] = f"run-{number}"
    config["provider"]["network"] = f"127.{number % 100 + 100}.{number // 100 % 250 + 1}"
    return config


def output_file(config: DictConfig, key: str, sweep_number: int | None) -> Path | None:
    """The file that a key of the configuration names, after a test that it can be written; `None`: none is wanted.

    In a sweep the job's number goes before the suffix, so that no job overwrites the file of another, unless the name
    is made of other keys already, like `${workload.day}.json`.

    Raises:
        UsageError: It cannot be written.
    """
    if config[key] is None:
        return None
    given = str(config[key])
    path = Path(given).absolute()
    if given.endswith("/") or not given.strip() or os.path.isdir(path):
        raise UsageError(f"{key}={given!r} is a folder: name a file, or null for none")
    written_as = OmegaConf.to_container(config, resolve=False)
    assert isinstance(written_as, dict)
    if sweep_number is not None and not re.search(r"\$\{(?!oc\.)", written_as[key]):
        path = path.with_name(f"{path.stem}-{sweep_number}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.open("x").close()
            path.unlink()
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileExistsError:
        raise UsageError(f"{key}={given!r} cannot be written: {path.parent} is no folder") from None
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{key}={given!r} cannot be written: {told}") from None
    return path


def load_job(path: str) -> type[Job]:
    """The job class behind an import path.

    Raises:
        UsageError: It cannot be imported, or is no job.
    """
    make_here_importable()
    try:
        job = import_object(path)
    except ValueError as error:
        absent = isinstance(error.__cause__, ModuleNotFoundError) and path.startswith("examples.")
        hint = " (the examples need a checkout: run this in its folder)" if absent else ""
        raise UsageError(f"system.job: {error}{hint}") from None
    if not (isinstance(job, type) and all(callable(getattr(job, name, None)) for name in ("play", "check_report"))):
        raise UsageError(f"system.job={path!r} is no job: name a class with the methods of raybeam.cluster.app.Job")
    found: type[Job] = job
    return found
