"""The command line: `raybeam run`, `simulate`, `plan`, `tune`, `ray-config`, `version`.

Exit status: 0 all is well; 1 the run's verdict is not; 2 a mistake in what was asked, or a cluster that does not
start, told in one line; 130 Ctrl-C. A traceback means that raybeam itself is wrong.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import traceback
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from raybeam.actors import RaybeamError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omegaconf import DictConfig

LONGEST_LINE = 500
BROKEN_PIPE = 141
USAGE = """usage: raybeam COMMAND ...

  run [group=choice] [key=value] ...   play a system's main job on a Ray cluster; -m sweeps, --help tells more
  simulate [group=choice] [key=value]  play a load on paper, with a scaling policy in charge; -m sweeps
  plan [group=choice] [key=value]      capacity for a load on paper: load=200/s slo=300ms@0.99; -m sweeps
  tune [group=choice] [key=value]      search a scaling policy's parameters on a load, and doubt what was found
  ray-config target=... [key=value]    write a cluster file for ray up or KubeRay: blueprint=... load=...; -m sweeps
  version                              print the version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "simulate": simulate,
        "plan": plan,
        "tune": tune,
        "ray-config": ray_config,
        "version": print_version,
    }
    if not given or given[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if given else 2
    command = commands.get(given[0])
    if command is None:
        close = get_close_matches(given[0], commands, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        print(f"raybeam: there is no command {given[0]!r}{hint}\n\n{USAGE}", end="", file=sys.stderr)
        return 2
    try:
        return command(given[1:])
    except KeyboardInterrupt:
        print("raybeam: interrupted; everything that was started has been ended", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 (the outermost place: told in one line, or as a mistake of ours)
        return tell(error)


def print_version(arguments: list[str]) -> int:
    """`raybeam version`."""
    print(version("raybeam"))
    return 0


def run(arguments: list[str]) -> int:
    """`raybeam run`: a Hydra application."""
    from rich.console import Console

    from .app import Outcome, RunSchema, run_job

    outcomes: list[Outcome] = []
    console = Console()

    def play(config: DictConfig, number: int | None, title: str) -> int:
        outcomes.append(run_job(config, console, number))
        return 0 if outcomes[-1].ok else 1

    status = _play_with_hydra("run", "config", RunSchema, play, arguments)
    if len(outcomes) > 1:
        for outcome in outcomes:
            console.print(f"{'ok    ' if outcome.ok else 'BROKEN'}  {outcome.title}")
    return status


def simulate(arguments: list[str]) -> int:
    """`raybeam simulate`: a Hydra application."""
    from hydra.core.hydra_config import HydraConfig
    from rich.console import Console

    from .quantities import loads_spelled_out
    from .simulate import Simulated, SimulateSchema, gather, simulate_job

    runs: list[Simulated] = []
    folders: list[Path] = []
    console = Console()

    def play(config: DictConfig, number: int | None, title: str) -> int:
        overrides = "" if number is None else " ".join(HydraConfig.get().overrides.task)
        runs.append(simulate_job(config, console, number, overrides))
        folders[:] = [Path(HydraConfig.get().sweep.dir)]
        return 0

    status = _play_with_hydra("simulate", "simulate", SimulateSchema, play, loads_spelled_out(arguments))
    if len(runs) > 1:
        gather(runs, folders[0], console)
    return status


def plan(arguments: list[str]) -> int:
    """`raybeam plan`: a Hydra application."""
    from hydra.core.hydra_config import HydraConfig
    from rich.console import Console

    from .plan import Planned, PlanSchema, gather_plans, plan_job
    from .quantities import loads_spelled_out

    plans: list[Planned] = []
    folders: list[Path] = []
    console = Console()

    def play(config: DictConfig, number: int | None, title: str) -> int:
        overrides = "" if number is None else " ".join(HydraConfig.get().overrides.task)
        plans.append(plan_job(config, console, number, overrides))
        folders[:] = [Path(HydraConfig.get().sweep.dir)]
        return 0

    status = _play_with_hydra("plan", "plan", PlanSchema, play, loads_spelled_out(arguments))
    if len(plans) > 1:
        gather_plans(plans, folders[0], console)
    return status


def tune(arguments: list[str]) -> int:
    """`raybeam tune`: a Hydra application."""
    from hydra.core.config_store import ConfigStore
    from rich.console import Console

    from .quantities import loads_spelled_out
    from .simulate import SimulateSchema
    from .tune import TuneSchema, tune_job

    console = Console()

    def play(config: DictConfig, number: int | None, title: str) -> int:
        tune_job(config, console, number, title)
        return 0

    ConfigStore.instance().store(name="simulate_schema", node=SimulateSchema)
    return _play_with_hydra("tune", "tune", TuneSchema, play, loads_spelled_out(arguments))


def ray_config(arguments: list[str]) -> int:
    """`raybeam ray-config`: a Hydra application."""
    from importlib.resources import as_file, files

    from .quantities import loads_spelled_out
    from .ray_config import RayConfigSchema, ray_config_job

    def play(config: DictConfig, number: int | None, title: str) -> int:
        with as_file(files("raybeam.configs") / "ray") as shipped:
            written = ray_config_job(config, shipped, number)
        if config["out"] is None:
            print(written, end="")
        return 0

    return _play_with_hydra("ray_config", "ray_config", RayConfigSchema, play, loads_spelled_out(arguments))


def _play_with_hydra(
    command: str,
    config_name: str,
    schema: type[object],
    play: Callable[[DictConfig, int | None, str], int],
    arguments: list[str],
) -> int:
    """Play the jobs that the arguments of a command ask for; the worst exit status.

    Args:
        command: Its name.
        config_name: Of the configuration in `raybeam.configs`.
        schema: What the configuration may hold.
        play: Plays a job, by its configuration, its number in a sweep and its title; its exit status.
        arguments: Of the command.
    """
    import hydra
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    statuses: list[int] = []

    def task(config: DictConfig) -> None:
        """Play one job. Nothing is raised: Hydra tells errors in its own words, and in a sweep not at all."""
        if BROKEN_PIPE in statuses:
            return
        number, title = _place_in_sweep()
        try:
            statuses.append(play(config, number, title))
        except BrokenPipeError:
            statuses.append(BROKEN_PIPE)
        except Exception as error:  # noqa: BLE001 (told in one line, or as a mistake of ours)
            statuses.append(tell(error, title))

    # A SIGTERM, like Ctrl-C, must end what was started.
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on; `main` tells them in one line
    ConfigStore.instance().store(name=f"{command}_schema", node=schema)
    sys.argv = [f"raybeam {command}", *arguments]
    try:
        hydra.main(version_base="1.3", config_path="pkg://raybeam.configs", config_name=config_name)(task)()
    except (HydraException, OmegaConfBaseException, BrokenPipeError):
        raise
    except OSError as error:
        raise UsageError(f"the folder of the run, hydra.run.dir or hydra.sweep.dir, cannot be made: {error}") from error
    except Exception as error:  # Hydra's own checks let some mistakes through
        raise UsageError(f"Hydra cannot read this: {type(error).__name__}: {error}") from error
    return max(statuses, default=0)


def _place_in_sweep() -> tuple[int | None, str]:
    """The number of the job that Hydra runs now and a title for it; nothing, when it is the only one."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    running = HydraConfig.get()
    if running.mode is not RunMode.MULTIRUN:
        return None, ""
    return running.job.num, f"job {running.job.num} ({' '.join(running.overrides.task)}): "


def tell(error: Exception, title: str = "") -> int:
    """Tell what went wrong, in one line if it was the user; the exit status."""
    told = one_line(error)
    if told is None:
        traceback.print_exception(error)
        print(f"raybeam: {title}this is a mistake in raybeam or in the job; please report it", file=sys.stderr)
        return 1
    print(f"raybeam: {title}{told}", file=sys.stderr)
    return 2


def one_line(error: BaseException) -> str | None:
    """What a user did wrong, in one line of at most `LONGEST_LINE` characters; `None` when it was not the user.

    Of a traceback, which a remote error carries in its text, the line before it and its last words are kept.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, RaybeamError):
        return _joined(str(error))
    if isinstance(error, HydraException | OmegaConfBaseException):
        texts = [str(error)]
        cause = error.__cause__
        if cause is not None and str(cause) not in texts[0]:
            texts.append(str(cause))
        return _joined(". ".join(texts).partition("Config search path:")[0])
    return None


def _joined(text: str) -> str:
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if re.match(r'\s+File ".*", line \d+', line)]
    if frames:
        last_words = itertools.dropwhile(lambda line: line[0].isspace(), lines[frames[-1] + 1 :])
        lines = [lines[0].removesuffix("Traceback (most recent call last):"), *last_words]
    noise = ("full_key:", "object_type=", "reference_type=", "Set the environment variable HYDRA_FULL_ERROR")
    kept = [line for line in (" ".join(line.split()) for line in lines) if line and not line.startswith(noise)]
    joined = " ".join(kept)
    if len(joined) <= LONGEST_LINE:
        return joined
    half = (LONGEST_LINE - 5) // 2
    return f"{joined[:half]} ... {joined[-half:]}"


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
