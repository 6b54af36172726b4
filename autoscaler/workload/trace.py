"""A trace: when requests come, and how long each of them takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from raybeam.actors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_REQUESTS = 20_000_000
"""A trace holds no more: they would take more than a gigabyte."""
MOST_STEPS = 10_000_000
"""Nothing is drawn or decided more often than so."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order in which they come.

    Attributes:
        name: What it is called.
        times: When each comes, seconds from the beginning.
        sizes: Seconds that each takes on a replica.
        duration_s: How long the trace is; what comes at its end or later is not in it.
        onset_s: When its crowd begins, if it has one.

    Raises:
        UsageError: It is empty or not in order, a number is negative, NaN or infinite, or there are more requests
            than `MOST_REQUESTS`.

    >>> Trace("three", [0.5, 1.0, 1.5], [0.25, 0.25, 0.5], 10.0).offered
    0.1
    >>> Trace("backwards", [1.0, 0.5], [0.1, 0.1], 10.0)
    Traceback (most recent call last):
    raybeam.actors.errors.UsageError: trace 'backwards': request 1 comes at 0.5 s, before the one ahead of it (1.0 s)
    """

    name: str
    times: Sequence[float]
    sizes: Sequence[float]
    duration_s: float
    onset_s: float | None = None

    def __post_init__(self) -> None:
        wrong = self._mistake()
        if wrong:
            raise UsageError(f"trace {self.name!r}: {wrong}")

    def _mistake(self) -> str:
        if not (isfinite(self.duration_s) and self.duration_s > 0):
            return f"duration_s={self.duration_s!r}: give a finite number above 0"
        if not len(self.times):
            return "it has no requests"
        if len(self.times) > MOST_REQUESTS:
            return f"its {len(self.times):,} requests are more than the {MOST_REQUESTS:,} that a trace holds"
        if len(self.times) != len(self.sizes):
            return f"{len(self.times)} times, but {len(self.sizes)} sizes"
        before = 0.0
        for index, at in enumerate(self.times):
            if not (isfinite(at) and at >= 0):
                return f"request {index} comes at {at!r} s: give finite seconds, 0 or more"
            if at < before:
                return f"request {index} comes at {at!r} s, before the one ahead of it ({before!r} s)"
            before = at
        for index, size in enumerate(self.sizes):
            if not (isfinite(size) and size >= 0):
                return f"request {index} takes {size!r} s: give finite seconds, 0 or more"
        if before >= self.duration_s:
            return f"its last request comes at {before!r} s, not before its end at {self.duration_s!r} s"
        return ""

    @property
    def offered(self) -> float:
        """Mean number of slots that it keeps busy, if nothing waits."""
        return sum(self.sizes) / self.duration_s

    @property
    def rate_per_s(self) -> float:
        """Mean requests per second."""
        return len(self.times) / self.duration_s
