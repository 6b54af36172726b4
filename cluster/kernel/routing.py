"""Which replica gets a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random


def two_choices(members: Sequence[str], depth: Callable[[str], int], random: Random) -> str | None:
    """The less loaded of two members drawn at random; `None` when there are none.

    Two choices take the longest queue from log n / log log n down to log log n (Mitzenmacher, *The Power of Two
    Choices in Randomized Load Balancing*, 2001), and unlike always taking the shortest queue do not send
    everybody to the same replica on old news.

    >>> from random import Random
    >>> two_choices(["a"], len, Random(1)), two_choices([], len, Random(1))
    ('a', None)
    >>> two_choices(["a", "b"], {"a": 5, "b": 1}.__getitem__, Random(1))
    'b'
    """
    count = len(members)
    if count == 0:
        return None
    if count == 1:
        return members[0]
    first = random.randrange(count)
    second = random.randrange(count - 1)
    if second >= first:
        second += 1
    one, other = members[first], members[second]
    return one if depth(one) <= depth(other) else other
