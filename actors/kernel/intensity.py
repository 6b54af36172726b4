"""Restart intensity: more than so many restarts within a period, and the supervisor gives up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .reason import NOCONNECTION

if TYPE_CHECKING:
    from .reason import ExitReason


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart that counts.

    Attributes:
        at: When it was, monotonic seconds.
        child: What the supervisor calls the child.
        domain: The failure domain whose loss caused it, `None` when it was the child's own fault.
    """

    at: float
    child: object = None
    domain: object = None


@dataclass(frozen=True, slots=True)
class Limit:
    """What a supervisor bears.

    Attributes:
        intensity: How many restarts within the period are borne.
        period_s: The period, seconds.
        domain_window_s: Restarts for the loss of one failure domain count once when they come within so many seconds.
    """

    intensity: int
    period_s: float
    domain_window_s: float = 5.0


def failure_domain(reason: ExitReason) -> object | None:
    """What was lost as a whole, if a child did not fail by itself: the machine in `("noconnection", machine)`.

    >>> failure_domain(("noconnection", "machine-3")), failure_domain("boom")
    ('machine-3', None)
    """
    match reason:
        case (str(kind), domain) if kind == NOCONNECTION:
            return domain
        case _:
            return None


def counted(restarts: tuple[Restart, ...], now: float, period_s: float) -> tuple[Restart, ...]:
    """The restarts that still count, of those given oldest first. One exactly `period_s` old does.

    OTP takes the time in whole seconds, so there one counts for up to a second more.
    """
    first = next((index for index, restart in enumerate(restarts) if now - restart.at <= period_s), len(restarts))
    return restarts[first:]


def add_restart(restarts: tuple[Restart, ...], restart: Restart, limit: Limit) -> tuple[tuple[Restart, ...], bool]:
    """Count one restart, unless the loss of its failure domain was counted just before.

    Args:
        restarts: Those that counted before, oldest first.
        restart: The new one.
        limit: What is borne.

    Returns:
        The restarts that count now, and whether they are borne.

    >>> limit = Limit(intensity=2, period_s=5.0)
    >>> before = (Restart(1.0), Restart(5.0))
    >>> [add_restart(before, Restart(at), limit)[1] for at in (6.0, 6.1)]
    [False, True]
    >>> lost = [Restart(at, child, "machine-3") for at, child in ((6.0, "a"), (6.5, "b"), (7.0, "c"))]
    >>> state = ()
    >>> for restart in lost:
    ...     state, borne = add_restart(state, restart, limit)
    >>> len(state), borne
    (1, True)
    """
    now = counted(restarts, restart.at, limit.period_s)
    if not _counted_with_its_domain(now, restart, limit.domain_window_s):
        now = (*now, restart)
    return now, len(now) <= limit.intensity


def _counted_with_its_domain(restarts: tuple[Restart, ...], restart: Restart, window_s: float) -> bool:
    if restart.domain is None:
        return False
    for other in reversed(restarts):
        if restart.at - other.at > window_s:
            return False
        if other.domain == restart.domain:
            return True
    return False
