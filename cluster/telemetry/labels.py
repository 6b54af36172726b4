"""Values of labels, bounded: each value is a series in every store behind, for as long as that keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER: Final = "_OTHER"
"""Stands for all values beyond the bound; OpenTelemetry's conventions use the same word."""
MAX_REASONS: Final = 32


class Bounded:
    """Lets known values pass, and so many more; all others become `OTHER`.

    Args:
        known: Values that may come.
        room: How many more are let in, first come, first served. Default: none.

    >>> reasons = Bounded(["timeout"], room=1)
    >>> [reasons.of(value) for value in ("timeout", "disk", "net", "disk")]
    ['timeout', 'disk', '_OTHER', 'disk']
    """

    __slots__ = ("_known", "_room")

    def __init__(self, known: Iterable[str] = (), room: int = 0) -> None:
        self._known = set(known)
        self._room = room

    def of(self, value: str) -> str:
        """The value, or what stands for it."""
        if value in self._known:
            return value
        if self._room <= 0:
            return OTHER
        self._room -= 1
        self._known.add(value)
        return value
