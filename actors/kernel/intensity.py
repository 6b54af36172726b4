"""Restart intensity: more than so many restarts within a period, and the supervisor gives up."""

from __future__ import annotations


def add_restart(
    restarts: tuple[float, ...], now: float, intensity: int, period_s: float
) -> tuple[tuple[float, ...], bool]:
    """Count one restart.

    A restart exactly `period_s` old still counts. OTP takes the time in whole seconds, so there it counts for
    up to a second more.

    Args:
        restarts: When the restarts that still counted were, oldest first.
        now: Monotonic seconds.
        intensity: How many restarts within the period are borne.
        period_s: The period, seconds.

    Returns:
        The restarts that count now, and whether they are borne.

    >>> add_restart((1.0, 5.0), 6.0, 2, 5.0)
    ((1.0, 5.0, 6.0), False)
    >>> add_restart((1.0, 5.0), 6.1, 2, 5.0)
    ((5.0, 6.1), True)
    """
    counted = (*(at for at in restarts if now - at <= period_s), now)
    return counted, len(counted) <= intensity
