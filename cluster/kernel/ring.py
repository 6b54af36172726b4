"""Consistent hashing: which place of a family a key belongs to.

Each place has many points on a ring of hashes, and a key belongs to the place of the next point (Karger et al.,
*Consistent Hashing and Random Trees*, STOC 1997). When places are added, only the keys that the new ones take move.
With bounded loads (Mirrokni, Thorup, Zadimoghaddam, *Consistent Hashing with Bounded Loads*, SODA 2018) a key whose
place has more than its share of the work goes to the next place on the ring.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING, Final
from uuid import UUID

from raybeam.actors.errors import InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

POINTS: Final = 160


class Ring:
    """Places on the ring.

    >>> four, five = Ring(range(4)), Ring(range(5))
    >>> four.place("apple") == Ring(range(4)).place("apple")
    True
    >>> moved = sum(four.place(key) != five.place(key) for key in range(1000))
    >>> 100 < moved < 300
    True
    """

    def __init__(self, places: Iterable[int]) -> None:
        points = sorted((_hash(f"{place}/{point}".encode()), place) for place in places for point in range(POINTS))
        self._hashes = [hashed for hashed, _ in points]
        self._owners = [place for _, place in points]

    def place(self, key: object) -> int:
        """The place that a key belongs to.

        Raises:
            InvalidArgumentsError: It cannot be a key.
        """
        return self._owners[self._at(key)]

    def walk(self, key: object) -> Iterator[int]:
        """All places, in the order in which they would take the key."""
        at = self._at(key)
        seen: set[int] = set()
        for step in range(len(self._owners)):
            place = self._owners[(at + step) % len(self._owners)]
            if place not in seen:
                seen.add(place)
                yield place

    def _at(self, key: object) -> int:
        return bisect_right(self._hashes, _hash(key_bytes(key))) % len(self._hashes)


def key_bytes(key: object) -> bytes:
    """A key as bytes, the same in every process. `1` and `"1"` are one key, as they may be to the method's types.

    Raises:
        InvalidArgumentsError: It is no string, number, bytes, date, UUID, or tuple of such.
    """
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    if isinstance(key, bytes):
        return key
    if isinstance(key, int | float | UUID | date):
        return str(key).encode()
    if isinstance(key, tuple):
        return b"".join(b"%d:%b" % (len(part), part) for part in map(key_bytes, key))
    raise InvalidArgumentsError(
        f"{key!r} cannot be the key of a call: give a string, a number, bytes or a tuple of such"
    )


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")
