"""Two runtimes agree on what a lost connection has cut, though each notices losses on its own.

Each side numbers its own connection to the other and begins a new number when it has lost the other. Every signal
carries both numbers as its sender knows them. So a signal sent before its sender knew of the receiver's loss is told
from one sent after it: the first belongs to links and calls that the receiver has given up, and is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


@dataclass(frozen=True, slots=True)
class Connection:
    """What one side knows.

    Attributes:
        mine: Number of this side's connection, counted from 1.
        theirs: The other side's number as last heard; before that, the 1 that everybody begins with.
    """

    mine: int = 1
    theirs: int = 1


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a signal carries: the sender's number, and the receiver's as the sender last heard it."""

    number: int
    heard: int


class Verdict(Enum):
    """What to do with a signal that has arrived."""

    TAKE = "take"
    DROP = "drop"


def stamp(connection: Connection) -> Stamp:
    """The stamp of a signal sent now."""
    return Stamp(connection.mine, connection.theirs)


def lost(connection: Connection) -> Connection:
    """This side has lost the other, and has given up all that depended on the connection."""
    return replace(connection, mine=connection.mine + 1)


def arrived(connection: Connection, carried: Stamp) -> tuple[Connection, bool, Verdict]:
    """Judge a signal.

    Returns:
        What is known now; whether the other side had lost this one, so that this side must give up what depended on
        the connection before anything else; and what to do with the signal.

    >>> arrived(Connection(1, 1), Stamp(2, 1))
    (Connection(mine=1, theirs=2), True, <Verdict.TAKE: 'take'>)
    >>> arrived(Connection(2, 1), Stamp(1, 1))
    (Connection(mine=2, theirs=1), False, <Verdict.DROP: 'drop'>)
    """
    if carried.number < connection.theirs:
        return connection, False, Verdict.DROP
    cut = carried.number > connection.theirs
    stale = carried.heard < connection.mine
    return replace(connection, theirs=carried.number), cut, Verdict.DROP if stale else Verdict.TAKE
