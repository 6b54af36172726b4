"""Rates, durations and objectives as one writes them on a command line."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Literal, NamedTuple

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER = r"[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|nan|inf)"
RATE = re.compile(rf"({NUMBER})(?:/(s|min|h))?", re.IGNORECASE)
OBJECTIVE = re.compile(rf"(?:(wait|answer):)?({NUMBER})(ms|s|min)?@({NUMBER})(%?)", re.IGNORECASE)
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
TRACES = (".csv", ".csv.gz", ".parquet")


class Objective(NamedTuple):
    """What is asked of a family.

    Attributes:
        of: Of what: the `"answer"`, or the `"wait"` alone.
        within_s: Seconds that it may take.
        share: Of so many requests, 0 to 1.
    """

    of: Literal["answer", "wait"]
    within_s: float
    share: float

    def __str__(self) -> str:
        what = "answered" if self.of == "answer" else "begun"
        return f"{100 * self.share:g} % of the requests {what} within {self.within_s:g} s"


def objective(text: str) -> Objective:
    """Read an objective: `300ms@0.99`, `2s@99%`, or `wait:300ms@0.99` for the wait alone.

    >>> objective("300ms@0.99")
    Objective(of='answer', within_s=0.3, share=0.99)

    Raises:
        UsageError: It is none, or no objective can be like that.
    """
    found = OBJECTIVE.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"slo={text!r}: write how fast and for which share, 300ms@0.99 for example, or wait:300ms@0.99 for the "
            "wait without the service"
        )
    of, amount, unit, share, percent = found.groups()
    within_s = float(amount) * SECONDS[(unit or "s").lower()]
    part = float(share) / (100.0 if percent else 1.0)
    if not (isfinite(within_s) and within_s >= 0):
        raise UsageError(f"slo={text!r}: {amount} is no time that can be kept")
    if not 0 < part <= 0.9999:
        raise UsageError(
            f"slo={text!r}: the share is above 0 and at most 0.9999 (no finite number of replicas keeps 1)"
        )
    return Objective("wait" if of and of.lower() == "wait" else "answer", within_s, part)


def loads_spelled_out(arguments: Sequence[str]) -> list[str]:
    """Arguments for Hydra in which a load that was given as a rate or as a file is spelled out.

    >>> loads_spelled_out(["load=200/s", "slo=1s@0.9"]), loads_spelled_out(["load=day.csv"])
    (['load=steady', 'load.shape.per_s=200', 'slo=1s@0.9'], ['load=file', "load.file.path='day.csv'"])

    Raises:
        UsageError: Rates and other loads are swept together.
    """
    spelled: list[str] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key != "load" or not equals:
            spelled.append(argument)
            continue
        parts = value.split(",")
        rates = [RATE.fullmatch(part.strip()) for part in parts]
        if all(rates):
            each = [float(rate[1]) / SECONDS[(rate[2] or "s").lower()] for rate in rates if rate]
            spelled += ["load=steady", f"load.shape.per_s={','.join(f'{number:.12g}' for number in each)}"]
        elif any(rates):
            raise UsageError(f"{argument}: sweep rates, or sweep loads by name, but not both at once")
        elif all(part.strip().endswith(TRACES) for part in parts):
            quoted = ",".join("'" + part.strip().strip("'\"").replace("'", "\\'") + "'" for part in parts)
            spelled += ["load=file", f"load.file.path={quoted}"]
        else:
            spelled.append(argument)
    return spelled
