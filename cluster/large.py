"""Large values: arguments and answers that do not travel inside a lane's batches but beside them.

On Ray that is the object store: numpy arrays, Arrow tables and the like are then written once and read in place, so the
receiver gets them read-only. They are kept no longer than the message. What is pickled in their stead says which it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from raybeam.actors import MessageTooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGE_BYTES = 100_000
MAX_LARGE_BYTES = 1024 * 1024 * 1024
"""The large values of one message may take so much together."""

LargeValues: TypeAlias = tuple[object, ...]
"""The large values of one message."""

Exchanged: TypeAlias = bytes | tuple[bytes, LargeValues]
"""A reply as it travels: with the large values of its answers, when there are any."""

LargeCounts: TypeAlias = tuple[tuple[int, int], ...]
"""Which messages of a batch, by position, have large values, and how many."""

_SMALL = frozenset({int, float, bool, type(None), list, dict, tuple, set})  # the last: what is in them is not looked at


@dataclass(frozen=True, slots=True)
class Beside:
    """Stands in a pickled message for its large value number `index`."""

    index: int


def size_of(value: object) -> int:
    """Bytes of a value that could be large; 0 for what does not say."""
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    size = getattr(value, "nbytes", 0)
    return size if isinstance(size, int) else 0


def set_aside(
    args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object], LargeValues]:
    """Take the large values out of arguments: what is left, and they.

    Only arguments themselves are looked at, not what they are made of.

    Raises:
        MessageTooLarge: They take more than `MAX_LARGE_BYTES`.

    >>> args, kwargs, large = set_aside((1, b"x" * 200_000), {})
    >>> args, len(large)
    ((1, Beside(index=0)), 1)
    >>> put_back(args, kwargs, large)[0] == (1, b"x" * 200_000)
    True
    """
    if not (any(_is_large(value) for value in args) or (kwargs and any(_is_large(value) for value in kwargs.values()))):
        return args, kwargs, ()
    large: list[object] = []

    def aside(value: object) -> object:
        if not _is_large(value):
            return value
        large.append(value)
        return Beside(len(large) - 1)

    args, kwargs = tuple(map(aside, args)), {name: aside(value) for name, value in kwargs.items()}
    size = sum(map(size_of, large))
    if size > MAX_LARGE_BYTES:
        raise MessageTooLarge(f"its large values take {too_large(size, MAX_LARGE_BYTES)}")
    return args, kwargs, tuple(large)


def put_back(
    args: tuple[object, ...], kwargs: dict[str, object], large: LargeValues
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Undo `set_aside`."""

    def back(value: object) -> object:
        return large[value.index] if type(value) is Beside else value

    return tuple(map(back, args)), {name: back(value) for name, value in kwargs.items()}


def values_at(counts: LargeCounts, values: Sequence[object]) -> dict[int, LargeValues]:
    """The large values of the messages of a batch, by position.

    >>> values_at(((0, 1), (7, 2)), ["a", "b", "c"])
    {0: ('a',), 7: ('b', 'c')}
    """
    left = iter(values)
    return {position: tuple(islice(left, count)) for position, count in counts}


def too_large(size: int, limit: int) -> str:
    """What to do about a message of that size."""
    return (
        f"{size / 1e6:,.0f} MB, and {limit / 1e6:,.0f} MB may be: send it in parts, or put it where both ends can "
        "read it and send the place"
    )


def _is_large(value: object) -> bool:
    return type(value) not in _SMALL and size_of(value) > LARGE_BYTES
