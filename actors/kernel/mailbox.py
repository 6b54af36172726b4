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


def victim(policy: Overflow, waiting_calls: list[int]) -> int | None:
    """The position in the mailbox of the call to refuse; `None`: the new one itself.

    Args:
        policy: What to do.
        waiting_calls: Positions of the waiting calls in the mailbox, oldest first.

    >>> victim(Overflow.REJECT, [0, 2]), victim(Overflow.DROP_OLDEST, [0, 2]), victim(Overflow.DROP_NEWEST, [0, 2])
    (None, 0, 2)
    """
    if policy is Overflow.REJECT or not waiting_calls:
        return None
    return waiting_calls[0] if policy is Overflow.DROP_OLDEST else waiting_calls[-1]
