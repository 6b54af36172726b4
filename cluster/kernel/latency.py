"""How long the latest calls of a method took, to tell which take unusually long."""

from __future__ import annotations

from typing import Final

from .histogram import Histogram

WINDOW_S: Final = 10.0
ENOUGH: Final = 30


class RecentLatency:
    """Durations of the calls of the last ten to twenty seconds. Time is passed in.

    >>> recent = RecentLatency()
    >>> recent.quantile(0.95, now=0.0) is None
    True
    >>> for _ in range(100):
    ...     recent.add(0.010, now=1.0)
    >>> 0.009 < recent.quantile(0.95, now=1.0) < 0.012, recent.quantile(0.95, now=60.0)
    (True, None)
    """

    def __init__(self) -> None:
        self._now = Histogram()
        self._before = Histogram()
        self._since = 0.0

    def add(self, seconds: float, now: float) -> None:
        """A call took so long."""
        self._turn(now)
        self._now.add(seconds)

    def quantile(self, share: float, now: float) -> float | None:
        """What `share` of the calls did not exceed; `None`: there were too few to tell."""
        self._turn(now)
        both = self._now.copy()
        both.merge(self._before)
        return both.quantile(share) if both.total >= ENOUGH else None

    def _turn(self, now: float) -> None:
        if now - self._since >= WINDOW_S:
            self._before = self._now if now - self._since < 2 * WINDOW_S else Histogram()
            self._now = Histogram()
            self._since = now
