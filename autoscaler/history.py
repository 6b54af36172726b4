"""What was decided, why, and how it went: what an operator looks at. It decides nothing."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING

from .series import Row, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .kernel.control import Order

CHANGES_KEPT = 1000
"""Changes that are kept of each family: at the most that a calm policy makes, weeks."""
KINDS_KEPT = 32
"""Kinds of decisions that are counted apart, for each family; all others count as `OTHER`."""
OTHER = "other"
HOLDS_KEPT = 200
"""Spells without a change that are kept of each family."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision, and how long it was the same.

    Attributes:
        time_s: When it was made first, seconds since the epoch.
        family: For which family.
        before: Replicas that were wanted.
        after: Replicas that are wanted.
        reason: The term that decided, in words.
        terms: The numbers behind it, the latest.
        until_s: When it was made last.
        times: How often it was made in a row.
        dry_run: Whether nothing was done about it.
    """

    time_s: float
    family: str
    before: int
    after: int
    reason: str
    terms: Mapping[str, float]
    until_s: float
    times: int = 1
    dry_run: bool = False

    @property
    def direction(self) -> str:
        """`"up"`, `"down"` or `"hold"`."""
        return "up" if self.after > self.before else "down" if self.after < self.before else "hold"

    @property
    def why(self) -> str:
        """The reason with its numbers."""
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in self.terms.items())
        return f"{self.reason} ({numbers})" if numbers else self.reason

    def __str__(self) -> str:
        size = f"{self.before} -> {self.after}" if self.after != self.before else f"{self.after}"
        return f"{'dry run: ' if self.dry_run else ''}{size}: {self.why}"


@dataclass(frozen=True, slots=True)
class FamilyHistory:
    """All that is known of the scaling of one family. Plain data: it can be sent anywhere.

    Attributes:
        entries: Decisions in the order of time: each change, and the latest spells between them.
        series: Columns of numbers by name, see `series.Row`.
    """

    entries: Sequence[Entry]
    series: Mapping[str, Sequence[float]]

    @property
    def changes(self) -> list[Entry]:
        """Those decisions that changed the number."""
        return [entry for entry in self.entries if entry.direction != "hold"]


class History:
    """Decisions and series of all families, within bounds.

    Args:
        families: Their names.

    Attributes:
        latest: The latest decision for each family that had one.
        decisions: How often there was each direction and kind of reason, its words up to the first colon, by family.
    """

    def __init__(self, families: Iterable[str]) -> None:
        self.latest: dict[str, Entry] = {}
        self.decisions: dict[str, Counter[tuple[str, str]]] = {}
        self._changes: dict[str, deque[Entry]] = {}
        self._holds: dict[str, deque[Entry]] = {}
        self._series: dict[str, Series] = {}
        for name in families:
            self.decisions[name] = Counter()
            self._changes[name] = deque(maxlen=CHANGES_KEPT)
            self._holds[name] = deque(maxlen=HOLDS_KEPT)
            self._series[name] = Series()

    def add(self, time_s: float, order: Order) -> tuple[Entry, bool]:
        """One more decision: its entry, and whether it is a change that is news."""
        name = order.family
        self._series[name].add(_row(time_s, order, self.last(name, "queue")))
        last = self.latest.get(name)
        entry = Entry(
            time_s, name, order.before, order.replicas, order.reason, order.terms, time_s, dry_run=order.dry_run
        )
        self._count(name, entry)
        kept = self._holds[name] if entry.direction == "hold" else self._changes[name]
        same = last is not None and (last.before, last.after, last.reason) == (entry.before, entry.after, entry.reason)
        if last is not None and same:
            entry = kept[-1] = replace(entry, time_s=last.time_s, times=last.times + 1)
        else:
            kept.append(entry)
        self.latest[name] = entry
        return entry, not same and entry.direction != "hold"

    def of(self, family: str) -> FamilyHistory:
        """All that is known of a family."""
        entries = sorted((*self._changes[family], *self._holds[family]), key=lambda entry: entry.time_s)
        return FamilyHistory(tuple(entries), self._series[family].columns())

    def last(self, family: str, column: str) -> float:
        """The latest value of a column of its series; `nan`: there is none."""
        series = self._series[family]
        return series.last(column) if len(series) else nan

    def _count(self, family: str, entry: Entry) -> None:
        counts, key = self.decisions[family], (entry.direction, entry.reason.partition(":")[0])
        counts[key if key in counts or len(counts) < KINDS_KEPT else (entry.direction, OTHER)] += 1


def _row(time_s: float, order: Order, queue_before: float) -> Row:
    seen, elapsed_s = order.snapshot, order.observation.elapsed_s
    rate = seen.arrivals / elapsed_s if elapsed_s else nan
    return Row(
        time_s,
        rate,
        seen.queue,
        seen.in_flight,
        seen.oldest_wait_s,
        seen.ready,
        seen.starting,
        seen.draining,
        order.replicas,
        seen.machines_ready,
        seen.machines_pending,
        (queue_before + seen.queue) / 2 / rate if elapsed_s and rate else nan,
    )
