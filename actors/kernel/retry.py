"""What a caller does when it does not know whether a call was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, slots=True)
class AtMostOnce:
    """Never send again: the caller gets the error and decides."""


@dataclass(frozen=True, slots=True)
class AtLeastOnce:
    """Send again until answered or the deadline has passed. The handler must bear being run twice.

    Attributes:
        first_delay_s: Seconds before the first repetition; doubled each time.
        max_delay_s: The longest delay.
        jitter: Share of each delay that is drawn at random (0 to 1), so that callers do not come back in step.
    """

    first_delay_s: float = 0.02
    max_delay_s: float = 1.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.first_delay_s <= self.max_delay_s:
            raise ValueError(
                f"first_delay_s={self.first_delay_s!r}, max_delay_s={self.max_delay_s!r}: "
                "need 0 < first_delay_s <= max_delay_s"
            )
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter!r}: give a share from 0 to 1")

    def delay_s(self, attempt: int, random: Random) -> float:
        """Seconds to wait before repetition number `attempt`, counted from 1.

        >>> from random import Random
        >>> policy = AtLeastOnce(first_delay_s=0.1, max_delay_s=1.0, jitter=0.0)
        >>> [policy.delay_s(attempt, Random(1)) for attempt in (1, 2, 3, 9)]
        [0.1, 0.2, 0.4, 1.0]
        """
        full = min(self.max_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 60))
        return full * (1 - self.jitter * random.random())


Retry: TypeAlias = AtMostOnce | AtLeastOnce
AT_MOST_ONCE: Final = AtMostOnce()
