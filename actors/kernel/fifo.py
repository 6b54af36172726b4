"""A queue as a value: what is added or taken gives a new queue, at a cost that hardly grows with its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
CHUNK: Final = 128


@dataclass(frozen=True, slots=True)
class Fifo(Generic[T]):
    """First in, first out.

    Attributes:
        chunks: The items in order, in pieces that are small enough to copy.
        count: How many items there are.

    >>> queue = Fifo().added((1, 2, 3))
    >>> taken, queue = queue.taken(2)
    >>> taken, list(queue), len(queue)
    ((1, 2), [3], 1)
    """

    chunks: tuple[tuple[T, ...], ...] = ()
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[T]:
        for chunk in self.chunks:
            yield from chunk

    def added(self, items: tuple[T, ...]) -> Fifo[T]:
        """With `items` behind the others."""
        if not items:
            return self
        chunks, count = self.chunks, self.count + len(items)
        if chunks and len(chunks[-1]) + len(items) <= CHUNK:
            return Fifo((*chunks[:-1], chunks[-1] + items), count)
        pieces = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
        return Fifo((*chunks, *pieces), count)

    def taken(self, count: int) -> tuple[tuple[T, ...], Fifo[T]]:
        """The first `count` items, or all there are, and the rest."""
        if count <= 0:
            return (), self
        taken: tuple[T, ...] = ()
        for index, chunk in enumerate(self.chunks):
            if len(taken) + len(chunk) > count:
                wanted = count - len(taken)
                rest = (chunk[wanted:], *self.chunks[index + 1 :])
                return taken + chunk[:wanted], Fifo(rest, self.count - count)
            taken += chunk
        return taken, Fifo()
