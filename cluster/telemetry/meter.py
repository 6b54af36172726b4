"""Where values are collected until somebody takes them: appending to a list is all that a call pays for.

Values may come from several threads; one thread takes them. Appending to a list, and removing what was there a moment
ago from its front, need no lock in CPython.
"""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from .instruments import Kind
from .labels import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..kernel.histogram import Histogram
    from .instruments import Instrument

MAX_SERIES: Final = 1000
MOST_OF_HISTOGRAM: Final = 1000


class Key(NamedTuple):
    """A series: an instrument and the values of its labels."""

    instrument: Instrument
    labels: tuple[str, ...]


class Source(Protocol):
    """Something that can be read at any time, from another thread."""

    def readings(self) -> Iterable[tuple[Key, float]]:
        """How things stand: gauges as they are, counters as their sum since the source began."""
        ...


class Series:
    """The values of one series that nobody has taken yet.

    Attributes:
        add: Adds a value: a duration, or by how much a counter has grown.
    """

    __slots__ = ("_values", "add")

    def __init__(self) -> None:
        self._values: list[float] = []
        self.add = self._values.append

    def take(self) -> list[float]:
        """Take the values out."""
        count = len(self._values)
        taken = self._values[:count]
        del self._values[:count]
        return taken


class Taken(NamedTuple):
    """What a meter has collected since the last time.

    Attributes:
        grown: By how much counters have grown.
        durations: New values of histograms.
        gauges: How things stand.
    """

    grown: dict[Key, float]
    durations: dict[Key, Sequence[float]]
    gauges: dict[Key, float]


class Meter:
    """All series of one handle to a system, of one replica, or of one root."""

    def __init__(self) -> None:
        self._series: dict[Key, Series] = {}
        self._per_instrument: defaultdict[Instrument, int] = defaultdict(int)
        self._counted_by: dict[Key, tuple[Key, ...]] = {}
        self._histograms: dict[Key, tuple[Histogram, Histogram]] = {}
        self._sources: weakref.WeakKeyDictionary[Source, dict[Key, float]] = weakref.WeakKeyDictionary()
        self._watching = threading.Lock()
        self._told: set[Key] = set()

    def series(self, instrument: Instrument, *labels: str) -> Series:
        """The series with those values of its labels, `OTHER` for all of them when there are too many already."""
        key = self._bounded(Key(instrument, labels))
        series = self._series.get(key)
        if series is None:
            series = self._series.setdefault(key, Series())
            self._per_instrument[instrument] += 1
        return series

    def timed(self, duration: Instrument, counts: tuple[Instrument, ...], *labels: str) -> Series:
        """A series of durations whose number is counted too: what goes to a histogram may be a sample.

        Args:
            duration: Of what.
            counts: Counters of it; they may have fewer labels, the first ones.
            labels: Values of the labels.
        """
        series = self.series(duration, *labels)
        key = self._bounded(Key(duration, labels))
        self._counted_by[key] = tuple(Key(count, key.labels[: 1 + len(count.labels)]) for count in counts)
        return series

    def histogram(self, instrument: Instrument, histogram: Histogram, *labels: str) -> None:
        """Take a histogram over that somebody else counts into."""
        self._histograms[Key(instrument, labels)] = (histogram, histogram.copy())

    def watch(self, source: Source) -> None:
        """Read a source each time, as long as somebody else holds it."""
        with self._watching:
            self._sources[source] = {}

    def take(self) -> Taken:
        """Take out what was collected. One thread at a time."""
        grown: defaultdict[Key, float] = defaultdict(float)
        durations: dict[Key, Sequence[float]] = {}
        gauges: defaultdict[Key, float] = defaultdict(float)
        for key, series in list(self._series.items()):
            values = series.take()
            if not values:
                continue
            if key.instrument.kind is Kind.HISTOGRAM:
                durations[key] = values
                for counted in self._counted_by.get(key, ()):
                    grown[counted] += len(values)
            else:
                grown[key] += sum(values)
        for key, (histogram, before) in list(self._histograms.items()):
            now = histogram.copy()
            new = now.since(before)
            if new.total:
                durations[key] = new.sample(MOST_OF_HISTOGRAM)
                self._histograms[key] = (histogram, now)
        with self._watching:
            sources = list(self._sources.items())
        for source, told in sources:
            try:
                readings = list(source.readings())
            except RuntimeError:  # it changed while it was read: it will be next time
                continue
            for key, value in readings:
                if key.instrument.kind is Kind.GAUGE:
                    gauges[key] += value
                    continue
                growth = value - told.get(key, 0.0)
                told[key] = value
                if growth:
                    grown[key] += growth if growth > 0 else value  # less than before: it began anew
        for gone in self._told - gauges.keys():
            gauges[gone] = 0.0  # else its last value would be told for ever
        self._told = {key for key, value in gauges.items() if value}
        return Taken(dict(grown), durations, dict(gauges))

    def _bounded(self, key: Key) -> Key:
        if key in self._series or self._per_instrument[key.instrument] < MAX_SERIES:
            return key
        return Key(key.instrument, (key.labels[0], *(OTHER,) * (len(key.labels) - 1)))


def sample(values: Sequence[float], most: int) -> Sequence[float]:
    """At most so many of the values, from all parts of them, so with about the same quantiles.

    >>> sample([5.0, 1.0, 4.0, 2.0, 3.0, 6.0], 3), sample([2.0, 1.0], 3)
    ([1.0, 2.0, 6.0], [2.0, 1.0])
    """
    count = len(values)
    if count <= most:
        return values
    return [values[int((index + 0.5) * count / most)] for index in range(most)]
