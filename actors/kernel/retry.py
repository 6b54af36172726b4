"""Retry strategies: what a caller does when it does not know whether a call was done, or knows that it was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ..errors import OptionError
from .options import check_count, check_numbers

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, slots=True)
class _Repeating:
    """A call may be made again: each pause before is twice the last one, less a random share of it.

    Attributes:
        first_delay_s: Seconds before the first repetition. Default 0.02.
        max_delay_s: The longest pause. Default 1.
        jitter: Share of each pause that is drawn at random (0 to 1), so that callers do not come back in step. Default
            0.5.
    """

    first_delay_s: float = 0.02
    max_delay_s: float = 1.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        check_numbers(self, "first_delay_s", "max_delay_s", "jitter")
        if not 0 < self.first_delay_s <= self.max_delay_s:
            raise OptionError(
                f"first_delay_s={self.first_delay_s!r}, max_delay_s={self.max_delay_s!r}: "
                "need 0 < first_delay_s <= max_delay_s"
            )
        if not 0 <= self.jitter <= 1:
            raise OptionError(f"jitter={self.jitter!r}: give a share from 0 to 1")

    def delay_s(self, attempt: int, random: Random) -> float:
        """Seconds to wait before repetition number `attempt`, counted from 1.

        >>> from random import Random
        >>> policy = AtLeastOnce(first_delay_s=0.1, max_delay_s=1.0, jitter=0.0)
        >>> [policy.delay_s(attempt, Random(1)) for attempt in (1, 2, 3, 9)]
        [0.1, 0.2, 0.4, 1.0]
        """
        full = min(self.max_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 60))
        return full * (1 - self.jitter * random.random())


@dataclass(frozen=True, slots=True)
class AtMostOnce:
    """The call is done once or not at all: it is made again only while it has surely reached nobody.

    When its outcome is unknown, or the callee refused it, the caller gets the error and decides.
    """


@dataclass(frozen=True, slots=True)
class AtLeastOnce(_Repeating):
    """The call is made again until it is answered or its deadline has passed. The handler must bear being run twice.

    Attributes:
        budget: Share of the calls (0 to 1) that may be repetitions, over the caller's calls to the family. It keeps
            callers from burying a family that is in trouble; ten repetitions a second are always allowed. Default 0.2.
    """

    budget: float = 0.2

    def __post_init__(self) -> None:
        _Repeating.__post_init__(self)
        check_numbers(self, "budget")
        _check_budget(self.budget)


@dataclass(frozen=True, slots=True)
class ExactlyOnce(_Repeating):
    """The call is made again when its outcome is unknown, and the callee does it once: it knows repetitions.

    The callee keeps the answers that its caller may not have got yet, and gives them again instead of running the
    handler again (after Lee et al., *Implementing Linearizability at Large Scale and Low Latency*, SOSP 2015). What it
    keeps lives as long as its state: a repetition never goes to another process, which does not know what was done.
    When the process is gone, the outcome stays unknown and the caller is told.

    Attributes:
        window: Calls of one caller that may be under way at once, and so answers that the callee keeps for it; more
            wait at the caller. Default 1000.
        budget: As in `AtLeastOnce`.
    """

    window: int = 1000
    budget: float = 0.2

    def __post_init__(self) -> None:
        _Repeating.__post_init__(self)
        check_numbers(self, "budget")
        _check_budget(self.budget)
        mend = "give a whole number of calls from 1 to 1000000"
        check_count("window", self.window, mend)
        if self.window > 1_000_000:
            raise OptionError(f"window={self.window!r}: {mend}")


Retry: TypeAlias = AtMostOnce | AtLeastOnce | ExactlyOnce
AT_MOST_ONCE: Final = AtMostOnce()


def _check_budget(budget: float) -> None:
    if not 0 <= budget <= 1:
        raise OptionError(f"budget={budget!r}: give a share of the calls from 0 to 1")
