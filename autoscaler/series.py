"""How a family went, row by row, for plots: bounded in size, the latest rows in full, older ones thinned."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import nan

ROWS = 7200
"""Rows that are kept of a family: two hours of a tick a second, the latest of them in full."""


@dataclass(frozen=True, slots=True)
class Row:
    """A family at one tick.

    Attributes:
        time_s: Seconds since the epoch.
        rate_per_s: Requests that came, a second; `nan`: nobody could tell.
        queue: Requests that waited.
        in_flight: Requests that were being served.
        oldest_wait_s: How long the oldest that waited had waited.
        ready: Replicas that served.
        starting: Replicas on their way.
        draining: Replicas about to end.
        wanted: Replicas that were wanted from then on.
        machines_ready: Machines that were up and could carry its replicas.
        machines_pending: Machines that were on their way.
        wait_s: Mean wait of the requests that came, by Little's law: the mean queue over the rate; `nan`: none came.
    """

    time_s: float
    rate_per_s: float
    queue: float
    in_flight: float
    oldest_wait_s: float
    ready: float
    starting: float
    draining: float
    wanted: float
    machines_ready: float
    machines_pending: float
    wait_s: float = nan


COLUMNS = tuple(Row.__dataclass_fields__)
"""Names of the columns of a `Series`."""
MEANS = (COLUMNS.index("rate_per_s"), COLUMNS.index("wait_s"))
"""Two rows become one with the mean of these; of all others the larger stays, so that no peak is lost."""


class Series:
    """The rows of one family.

    When it is full, each two of the older half become one: so it always reaches back to the beginning, at first an hour
    in full, before that at half the resolution, and the further back the coarser.

    >>> series = Series(rows=8)
    >>> for second in range(20):
    ...     series.add(Row(second, 5.0, second % 3, 0, 0, ready=1, starting=0, draining=0, wanted=1,
    ...                    machines_ready=1, machines_pending=0))
    >>> list(series.column("time_s"))
    [0.0, 12.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0]
    """

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._columns = [array("d") for _ in COLUMNS]

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, row: Row) -> None:
        """One more row."""
        if len(self) >= self._rows:
            self._thin()
        for name, column in zip(COLUMNS, self._columns, strict=True):
            column.append(getattr(row, name))

    def column(self, name: str) -> array[float]:
        """One column; the caller's own."""
        return self._columns[COLUMNS.index(name)][:]

    def last(self, name: str) -> float:
        """The latest value of a column."""
        return self._columns[COLUMNS.index(name)][-1]

    def columns(self) -> dict[str, array[float]]:
        """All of them, by name."""
        return {name: self.column(name) for name in COLUMNS}

    def _thin(self) -> None:
        half = self._rows // 4 * 2
        for place, column in enumerate(self._columns):
            if place == 0:
                merged = column[0:half:2]
            else:
                join = _mean if place in MEANS else max
                merged = array("d", map(join, column[0:half:2], column[1:half:2]))
            self._columns[place] = merged + column[half:]


def _mean(one: float, other: float) -> float:
    """Of those that are known."""
    if one != one:
        return other
    return one if other != other else (one + other) / 2
