"""CoDel, controlled delay (Nichols and Jacobson, RFC 8289): drops calls while the queue *stands*, lets bursts pass.

The law looks at the time that each call has waited when its turn comes. Waiting times that stay above `target_s` for
`interval_s` mean a queue that never empties. Then one call is dropped, the next one after `interval_s / sqrt(2)`, then
`interval_s / sqrt(3)`, and so on, until waiting times are below the target.

The law was made for senders that slow down when something is lost. Callers do not, so two rules are added: no call is
begun that waited longer than `target_s + interval_s` (`longest_wait_s`), and while the law drops, a call that can be
expected to wait longer than `target_s` is refused when it comes, so that its caller hears it at once. Such a refusal
counts as the next drop that the law asks for, so what was accepted is rather served.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple

from ...errors import OptionError
from ..options import check_numbers

MARGIN: Final = 0.8  # of the longest wait may be expected: what is expected is not exact
SAME_EPISODE: Final = 16  # intervals after which a standing queue is a new one, as in RFC 8289


@dataclass(frozen=True, slots=True)
class CoDel:
    """When a queue stands.

    Attributes:
        target_s: Waiting time, seconds, that is borne for ever. Default 0.1.
        interval_s: Seconds that waiting times may stay above the target: longer than the longest usual handler.
            Default 1.
    """

    target_s: float = 0.1
    interval_s: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, "target_s", "interval_s")
        if not 0 < self.target_s <= self.interval_s:
            raise OptionError(
                f"target_s={self.target_s!r}, interval_s={self.interval_s!r}: need 0 < target_s <= interval_s"
            )

    @property
    def longest_wait_s(self) -> float:
        """What is promised: no call that is served has waited longer, unless nobody waited behind it."""
        return self.target_s + self.interval_s


class Episode(NamedTuple):
    """What CoDel remembers of one queue.

    Attributes:
        above_until: When waiting times will have been above the target for the interval; `None`: they are below.
        dropping: Whether the queue stands.
        drops: Drops since it stands, which give the time of the next.
        drops_at_first: What `drops` began with.
        drop_next_at: When the next call is to be dropped.
        paid: Whether a call was refused instead of the next one to be dropped.
    """

    above_until: float | None = None
    dropping: bool = False
    drops: int = 0
    drops_at_first: int = 0
    drop_next_at: float = 0.0
    paid: bool = False


CALM: Final = Episode()


def judge(codel: CoDel, episode: Episode, waited_s: float, now: float, behind: int) -> tuple[Episode, bool]:
    """A call's turn has come: whether it is dropped.

    Args:
        codel: The limits.
        episode: What is remembered.
        waited_s: Seconds that the call has waited.
        now: The time.
        behind: Calls that wait behind it; the last one is never dropped.

    >>> codel, episode = CoDel(target_s=0.1, interval_s=1.0), CALM
    >>> told = []
    >>> for now in (0.0, 0.9, 1.0, 1.5, 1.8):
    ...     episode, dropped = judge(codel, episode, 0.2, now, behind=10)
    ...     told.append(dropped)
    >>> told
    [False, False, True, False, False]
    >>> judge(codel, episode, 0.2, 2.0, behind=10)[1], judge(codel, episode, 0.05, 2.0, behind=10)[1]
    (True, False)
    >>> judge(codel, CALM, 1.2, 0.0, behind=10)[1], judge(codel, CALM, 1.2, 0.0, behind=0)[1]
    (True, False)
    """
    if waited_s < codel.target_s or behind == 0:
        if episode.above_until is None and not episode.dropping:
            return episode, False
        return episode._replace(above_until=None, dropping=False, paid=False), False
    standing = episode.above_until is not None and now >= episode.above_until
    if episode.above_until is None:
        episode = episode._replace(above_until=now + codel.interval_s)
    if episode.dropping and standing:
        if now >= episode.drop_next_at:
            drops = episode.drops + 1
            drop_next_at = episode.drop_next_at + codel.interval_s / sqrt(drops)
            dropped = not episode.paid or waited_s > codel.longest_wait_s
            return episode._replace(drops=drops, drop_next_at=drop_next_at, paid=False), dropped
    elif standing:
        grown = episode.drops - episode.drops_at_first
        again = grown > 1 and now - episode.drop_next_at < SAME_EPISODE * codel.interval_s
        drops = grown if again else 1
        drop_next_at = now + codel.interval_s / sqrt(drops)
        dropped = not episode.paid or waited_s > codel.longest_wait_s
        return Episode(episode.above_until, True, drops, drops, drop_next_at), dropped
    return episode, waited_s > codel.longest_wait_s


def admit(codel: CoDel, episode: Episode, expected_wait_s: float) -> tuple[Episode, bool]:
    """A call comes: whether it is taken in.

    >>> standing = Episode(above_until=1.0, dropping=True)
    >>> admit(CoDel(0.1, 1.0), CALM, 0.5)[1], admit(CoDel(0.1, 1.0), standing, 0.5)[1]
    (True, False)
    """
    if expected_wait_s <= (codel.target_s if episode.dropping else MARGIN * codel.longest_wait_s):
        return episode, True
    return (episode if episode.paid else episode._replace(paid=True)), False
