"""What a full mailbox does with one more call."""

from enum import Enum


class Overflow(Enum):
    """Which call is refused when as many wait as may wait.

    `REJECT` refuses the new one (the default: what was accepted is served), `DROP_OLDEST` the one that has
    waited longest (its caller has the least patience left), `DROP_NEWEST` the one that came last before.
    """

    REJECT = "reject"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"


def victim(policy: Overflow, waiting: int) -> int | None:
    """Which of the waiting calls, oldest first, is refused; `None`: the new one itself.

    Args:
        policy: What to do.
        waiting: How many calls wait.

    >>> victim(Overflow.REJECT, 3), victim(Overflow.DROP_OLDEST, 3), victim(Overflow.DROP_NEWEST, 3)
    (None, 0, 2)
    """
    if policy is Overflow.REJECT or waiting == 0:
        return None
    return 0 if policy is Overflow.DROP_OLDEST else waiting - 1
