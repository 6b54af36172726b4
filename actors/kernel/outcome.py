"""How a call ended, as far as its caller can know."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """What became of a call. Whether it is safe to make it again depends on this alone.

    Attributes:
        OK: It was done, here is its answer.
        NOT_SENT: It never reached a callee, or its callee ended before it came to it. It was not done.
        REJECTED: A callee refused it at once: overloaded, or its arguments do not validate. It was not done.
        UNKNOWN: The deadline passed or the connection was lost under way. It may have been done, or not.
        FAILED: It was begun and ended with an error: the callee's own (`ServiceError`), or a crash.
    """

    OK = "ok"
    NOT_SENT = "not sent"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    FAILED = "failed"

    @property
    def surely_not_done(self) -> bool:
        """Whether the call certainly had no effect, so that making it again is safe whatever it does.

        >>> [outcome.name for outcome in Outcome if outcome.surely_not_done]
        ['NOT_SENT', 'REJECTED']
        """
        return self is Outcome.NOT_SENT or self is Outcome.REJECTED
