"""The dynamic supervisor's decisions: what follows the end of one of many children that are nobody's siblings.

Children come at run time, each is restarted alone, and all share one restart intensity: OTP's `simple_one_for_one`.
Since children do not depend on each other, a decision needs only the one child concerned, so that it costs the same
with a hundred thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from .intensity import add_restart
from .reason import ExitReason, is_normal_end

if TYPE_CHECKING:
    from .supervision import Flags


class Verdict(Enum):
    """What follows the end of a child: it comes back, it is forgotten, or the supervisor gives up."""

    RESTART = "restart"
    FORGET = "forget"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Intensity:
    """The restarts that count, of all children together."""

    restarts: tuple[float, ...] = ()


def after_end(
    intensity: Intensity, flags: Flags, restart: str, reason: ExitReason, now: float
) -> tuple[Intensity, Verdict, bool]:
    """Judge the end of a child.

    Args:
        intensity: Restarts so far.
        flags: Of the supervisor.
        restart: The child's restart type.
        reason: Why it ended.
        now: Monotonic seconds.

    Returns:
        The restarts that count now, what follows, and whether the end is worth a report.
    """
    match restart:
        case "permanent":
            wanted, told = True, True
        case "transient":
            wanted = told = not is_normal_end(reason)
        case _:
            wanted, told = False, not is_normal_end(reason)
    if not wanted:
        return intensity, Verdict.FORGET, told
    counted, verdict = attempt(intensity, flags, now)
    return counted, verdict, told


def attempt(intensity: Intensity, flags: Flags, now: float) -> tuple[Intensity, Verdict]:
    """Count one attempt to restart a child; failed attempts that are tried again count too."""
    restarts, borne = add_restart(intensity.restarts, now, flags.intensity, flags.period_s)
    return Intensity(restarts), Verdict.RESTART if borne else Verdict.GIVE_UP
