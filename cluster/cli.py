"""The command line: `raybeam run`, `raybeam version`.

Exit status: 0 all is well; 1 the run's verdict is not; 2 a mistake in what was asked, or a cluster that does not
start, told in one line; 130 Ctrl-C. A traceback means that raybeam itself is wrong.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING, NoReturn

from raybeam.actors import RaybeamError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from omegaconf import DictConfig

USAGE = """usage: raybeam COMMAND ...

  run [group=choice] [key=value] ...   play a system's main job on a Ray cluster; -m sweeps, --help tells more
  version                              print the version
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str]], int]] = {"run": run, "version": print_version}
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
        return 141
    except Exception as error:  # noqa: BLE001 (the outermost place: told in one line, or as a mistake of ours)
        told = one_line(error)
        if told is None:
            traceback.print_exc()
            print("raybeam: this is a mistake in raybeam or in the job; please report it", file=sys.stderr)
            return 1
        print(f"raybeam: {told}", file=sys.stderr)
        return 2


def print_version(arguments: list[str]) -> int:
    """`raybeam version`."""
    print(version("raybeam"))
    return 0


def run(arguments: list[str]) -> int:
    """`raybeam run`: a Hydra application."""
    import hydra
    from hydra.core.config_store import ConfigStore
    from rich.console import Console

    from .app import Outcome, RunSchema, run_job

    outcomes: list[Outcome] = []
    refused = 0
    console = Console()

    def task(config: DictConfig) -> bool:
        nonlocal refused
        try:
            outcomes.append(run_job(config, console))
        except RaybeamError as error:  # told here, since Hydra would tell it once more in its own words
            refused += 1
            print(f"raybeam: {one_line(error)}", file=sys.stderr)
            return False
        return outcomes[-1].ok

    # A SIGTERM, like Ctrl-C, must end what was started.
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on; `main` tells them in one line
    ConfigStore.instance().store(name="run_schema", node=RunSchema)
    sys.argv = ["raybeam run", *arguments]
    hydra.main(version_base="1.3", config_path="pkg://raybeam.configs", config_name="config")(task)()
    if len(outcomes) > 1:
        for outcome in outcomes:
            console.print(f"{'ok    ' if outcome.ok else 'BROKEN'}  {outcome.title}")
    if refused:
        return 2
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def one_line(error: BaseException) -> str | None:
    """What a user did wrong, in one line; `None` when it was not the user."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, RaybeamError):
        return _joined(str(error))
    if isinstance(error, HydraException | OmegaConfBaseException):
        texts = [str(error)]
        cause = error.__cause__
        if cause is not None and str(cause) not in texts[0]:
            texts.append(str(cause))
        return _joined(". ".join(texts))
    return None


def _joined(text: str) -> str:
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    noise = ("full_key:", "object_type=", "reference_type=", "Set the environment variable HYDRA_FULL_ERROR")
    return " ".join(line for line in lines if line and not line.startswith(noise))


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
