"""The composition root of `raybeam tune`: a policy's parameters searched on a load, and held against its default."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import mean
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from raybeam.actors import UsageError
from raybeam.autoscaler.simulator.files import check_format, write_table
from raybeam.autoscaler.simulator.report import draw_trials, need_plotly
from raybeam.autoscaler.simulator.search import Range, best_of, candidates, compared, rungs
from raybeam.autoscaler.workload import hint

from .app import output_file
from .import_path import make_here_importable
from .policy_options import configured_policy
from .simulate import SimulateSchema
from .trials import DEFAULT, Trial, Trials, play_trial, with_values, world_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from raybeam.autoscaler.simulator.search import Point, Verdict

MOST_TRIALS = 10_000


@dataclass
class TuneSchema(SimulateSchema):
    """Everything that `raybeam tune` can be told."""

    trials: int = 27
    seeds: int = 4
    held_out_seeds: int = 6
    held_out: float = 0.333
    workers: int | None = None
    out: str | None = None
    table: str | None = None


def tune_job(config: DictConfig, console: Console, number: int | None, title: str) -> Verdict:
    """Search, tell, and write what one configuration asks for.

    Args:
        config: The configuration.
        console: For progress and results.
        number: Of the job in a sweep; `None`: it is the only one.
        title: What is special about it.

    Raises:
        UsageError: The configuration is wrong.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    out, table, report = (output_file(config, key, number) for key in ("out", "table", "report"))
    named = [file for file in (out, table, report) if file is not None]
    if len(set(named)) < len(named):
        raise UsageError(f"out, table and report are {', '.join(map(str, named))}: name different files")
    if table is not None:
        check_format(table)
    if report is not None:
        need_plotly()
    _check(plain)
    make_here_importable()
    configured_policy(plain["policy"])
    ranges = ranges_of(plain["policy"])
    for share in (0.0, 1.0):
        configured_policy(with_values(plain["policy"], tuple((each.name, each.at(share)) for each in ranges)))
    for part in ("train", "held out"):
        world_of(json.dumps(plain), part, plain["seed"])  # what is wrong with the load is told before anything is begun
    trials, best = _searched(plain, ranges, console)
    scores = trials.scores("held out")
    verdict = compared(scores[DEFAULT], scores[best])
    _tell(trials, best, verdict, title or str(plain["policy"]["path"]), console)
    if table is not None:
        names = [each.name for each in ranges]
        write_table(table, (*names, "part", "seed", "score", "cost_ratio", "late_1s", "late_5s"), _rows(trials, names))
    if report is not None:
        draw_trials(_points(trials), f"{title or plain['policy']['path']}: values tried", report)
    if out is not None:
        out.write_text(_snippet(plain["policy"], best, verdict))
    for file in named:
        console.print(f"  {file}", soft_wrap=True)
    return verdict


def ranges_of(policy: Mapping[str, Any]) -> list[Range]:
    """What may be changed of a policy.

    Raises:
        UsageError: Nothing, a key is unknown, or a range is none.
    """
    ranges: list[Range] = []
    for name, given in policy["tunable"].items():
        where = f"policy.tunable.{name}"
        options: Any = policy["options"]
        for part in str(name).split("."):
            if not isinstance(options, Mapping) or part not in options:
                known = list(options) if isinstance(options, Mapping) else []
                raise UsageError(
                    f"{where}: policy.options has no {name!r}{hint(part, known)}; an option that is not there yet is "
                    f"added with its default, +policy.options.{name}=VALUE"
                )
            options = options[part]
        numbers = isinstance(given, list) and all(
            isinstance(each, int | float) and not isinstance(each, bool) for each in given
        )
        if not numbers or len(given) != 2:
            raise UsageError(f"{where}={given!r}: give the smallest and the largest value, [0.5, 2.0] for example")
        ranges.append(Range(str(name), given[0], given[1], whole=all(isinstance(each, int) for each in given)))
    if not ranges:
        raise UsageError("policy.tunable is empty: say what may be changed, '+policy.tunable.NAME=[LOW,HIGH]'")
    return ranges


def _check(plain: Mapping[str, Any]) -> None:
    for key, least in (("trials", 1), ("seeds", 1), ("held_out_seeds", 2), ("workers", 1)):
        value = plain[key]
        if value is not None and not least <= value <= MOST_TRIALS:
            raise UsageError(f"{key}={value!r}: give a number from {least} to {MOST_TRIALS}")
    if not 0.05 <= plain["held_out"] <= 0.95:
        raise UsageError(f"held_out={plain['held_out']!r}: give a share from 0.05 to 0.95")


def _searched(plain: Mapping[str, Any], ranges: Sequence[Range], console: Console) -> tuple[Trials, Point]:
    """All runs, and the point that was best where it was chosen."""
    told = json.dumps(plain)
    steps = rungs(plain["trials"], plain["seeds"])
    finals = steps[-1][0]
    total = sum((number + 1) * len(seeds) for number, seeds in steps) + (finals + 1) * plain["held_out_seeds"]
    points = candidates(ranges, plain["trials"], plain["seed"])
    trials = Trials()
    columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    workers = min(plain["workers"] or os.cpu_count() or 1, total)
    spawned = ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if workers > 1 else nullcontext()
    with Progress(*columns, console=console, transient=True) as progress, spawned as pool:
        bar = progress.add_task("", total=total)

        def play(those: Sequence[Point], part: str, seeds: Sequence[int]) -> None:
            jobs = [(told, point, part, plain["seed"] + seed) for seed in seeds for point in (DEFAULT, *those)]
            for trial in _played(jobs, pool):
                trials.runs.append(trial)
                progress.advance(bar)

        try:
            for number, seeds in steps:
                points = points[:number] if seeds.start == 0 else _survivors(trials, points, number)
                play(points, "train", seeds)
            points = _survivors(trials, points, finals)
            play(points, "held out", range(MOST_TRIALS, MOST_TRIALS + plain["held_out_seeds"]))
        except BaseException:
            if pool is not None:
                pool.shutdown(cancel_futures=True)
            raise
    return trials, points[0]


def _played(jobs: Sequence[tuple[str, Point, str, int]], pool: ProcessPoolExecutor | None) -> Iterator[Trial]:
    if pool is None:
        yield from (play_trial(*job) for job in jobs)
    else:
        yield from (future.result() for future in as_completed([pool.submit(play_trial, *job) for job in jobs]))


def _survivors(trials: Trials, points: Sequence[Point], number: int) -> list[Point]:
    scores = trials.scores("train")
    return best_of({point: scores[point] for point in points}, number)


def _tell(trials: Trials, best: Point, verdict: Verdict, title: str, console: Console) -> None:
    table = Table(title=f"{title}: score, 1 is a clairvoyant's, less is better")
    for column in ("", "chosen on", "held out", "cost ratio", "% > 1 s", "% > 5 s"):
        table.add_column(column, justify="right" if column else "left")
    for name, point in (("default", DEFAULT), ("best", best)):
        held = [trial for trial in trials.runs if trial.point == point and trial.part == "held out"]
        table.add_row(
            name,
            f"{mean(trials.scores('train')[point]):.3f}",
            f"{mean(trial.score for trial in held):.3f}",
            f"{mean(trial.cost_ratio for trial in held):.3f}",
            f"{mean(trial.late_1s for trial in held):.2f}",
            f"{mean(trial.late_5s for trial in held):.2f}",
        )
    console.print(table)
    console.print(f"best: {', '.join(f'{name}={value:g}' for name, value in best)}", soft_wrap=True)
    console.print(_told(verdict), soft_wrap=True)


def _told(verdict: Verdict) -> str:
    gain = f"{verdict.gain:+.3f} on the held-out part, of which up to {verdict.noise:.3f} may be luck"
    if verdict.better:
        return f"recommended: the tuned values win by {gain}"
    return f"recommended: stay with the default. The best values gain {gain}"


def _rows(trials: Trials, names: Sequence[str]) -> list[list[Any]]:
    """All runs; the default has no values."""
    return [
        [
            *(dict(each.point).get(name) for name in names),
            *(each.part, each.seed, each.score, each.cost_ratio, each.late_1s, each.late_5s),
        ]
        for each in trials.runs
    ]


def _points(trials: Trials) -> list[tuple[str, float, float]]:
    """Name, score where it was chosen, score held out: of all that were played on both."""
    train, held = trials.scores("train"), trials.scores("held out")
    return [
        (", ".join(f"{name}={value:g}" for name, value in point) or "default", mean(train[point]), mean(held[point]))
        for point in held
    ]


def _snippet(policy: Mapping[str, Any], best: Point, verdict: Verdict) -> str:
    chosen = with_values(policy, best if verdict.better else DEFAULT)
    return f"# {_told(verdict)}.\n{OmegaConf.to_yaml(OmegaConf.create({**chosen, 'tunable': policy['tunable']}))}"
