"""How fast a process gets through its calls: what a waiting time can be expected from."""

from __future__ import annotations

from typing import Final, NamedTuple

SMOOTHING: Final = 0.1


class Pace(NamedTuple):
    """How long it takes from one answer to the next while calls wait.

    Attributes:
        call_s: Seconds for a call, smoothed; `None` before the first.
        done_at: When the last call was done, if others waited then; else `None`: what comes next says nothing.
    """

    call_s: float | None = None
    done_at: float | None = None


UNKNOWN: Final = Pace()


def done(pace: Pace, took_s: float, in_flight: int, waiting: int, now: float) -> Pace:
    """The pace after a call is done.

    Args:
        pace: Before.
        took_s: What the call took, seconds.
        in_flight: Calls that were under way when it began, itself included.
        waiting: Calls that wait now.
        now: The time.

    >>> pace = done(UNKNOWN, 0.2, in_flight=2, waiting=1, now=5.0)
    >>> pace.call_s, round(done(pace, 0.3, in_flight=2, waiting=0, now=5.2).call_s, 6)
    (0.1, 0.11)
    """
    seen_s = took_s / in_flight if pace.done_at is None else now - pace.done_at
    call_s = seen_s if pace.call_s is None else pace.call_s + (seen_s - pace.call_s) * SMOOTHING
    return Pace(call_s, now if waiting else None)
