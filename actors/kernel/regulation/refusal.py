"""Why a call is not done."""

from enum import Enum


class Refusal(Enum):
    """The reason that a refused caller is told, and that refusals are counted by."""

    QUEUE_FULL = "queue_full"
    """As many calls wait as may."""
    DISPLACED = "displaced"
    """It waited, and gave its place in a full queue up to another call."""
    RATE = "rate"
    """There is no token for it, and will be none soon enough."""
    CODEL = "codel"
    """The queue has stood for too long: a standing queue helps nobody."""
    DEADLINE = "deadline"
    """Its answer would come, or came, too late for its caller."""
    DAMPED = "damped"
    """The queue was made shorter, as the machine is short of CPU time or memory."""
    CANCELLED = "cancelled"
    """Its caller wants it no longer."""
