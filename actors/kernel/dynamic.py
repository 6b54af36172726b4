"""The dynamic supervisor's decisions: what follows the end of one of many children that are nobody's siblings.

Children come at run time, each is restarted alone, and all share one restart intensity: OTP's `simple_one_for_one`.
Since children do not depend on each other, a decision needs only the one child concerned, so that it costs the same
with a hundred thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from .backoff import next_failure
from .intensity import Restart, add_restart, failure_domain
from .reason import ExitReason, is_normal_end
from .supervision_protocol import Handle, Restarting

if TYPE_CHECKING:
    from .childspec import ChildSpec
    from .supervision_state import Flags


class Member(NamedTuple):
    """A child.

    Attributes:
        key: What the supervisor calls it, whatever its pid is.
        spec: How it is started and stopped.
        args: More arguments for its start.
        handle: The running child; the one it was while `restarting`.
        restarting: Whether a restart waits: for a backoff, or to be tried again after it failed.
        counted: Whether the restart that waits has been counted already.
        restarts: How often it was restarted.
        started_at: When it was started last, monotonic seconds.
        failures: How often it failed without recovering in between.
    """

    key: int
    spec: ChildSpec
    args: tuple[object, ...]
    handle: Handle
    restarting: bool = False
    counted: bool = False
    restarts: int = 0
    started_at: float = 0.0
    failures: int = 0

    @property
    def shown(self) -> Handle | Restarting:
        """What reports say in place of its pid."""
        return Restarting(self.handle) if self.restarting else self.handle


class Verdict(Enum):
    """What follows: the child is started, its start waits, it is forgotten, or the supervisor gives up."""

    START = "start"
    WAIT = "wait"
    FORGET = "forget"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows an event.

    Attributes:
        verdict: What is done.
        member: The child from now on.
        restarts: Those that count now, of all children together.
        delay_s: How long a start waits, seconds.
        told: Whether the end is worth a report.
    """

    verdict: Verdict
    member: Member
    restarts: tuple[Restart, ...]
    delay_s: float = 0.0
    told: bool = True


def after_end(
    restarts: tuple[Restart, ...], flags: Flags, member: Member, reason: ExitReason, now: float, chance: float
) -> Decision:
    """Judge the end of a child.

    Args:
        restarts: Those that counted before.
        flags: Of the supervisor.
        member: The child.
        reason: Why it ended.
        now: Monotonic seconds.
        chance: A random number from 0 to 1, for the jitter of a backoff.
    """
    normal = is_normal_end(reason)
    if member.spec.restart == "temporary" or (member.spec.restart == "transient" and normal):
        return Decision(Verdict.FORGET, member, restarts, told=not normal)
    restart = Restart(now, member.key, failure_domain(reason))
    restarts, borne = add_restart(restarts, restart, flags.limit)
    if not borne:
        return Decision(Verdict.GIVE_UP, member, restarts)
    backoff = member.spec.backoff or flags.backoff
    failures, delay_s = next_failure(backoff, member.failures, now - member.started_at, chance)
    member = member._replace(failures=failures)
    if backoff is None:
        return Decision(Verdict.START, member, restarts)
    return Decision(Verdict.WAIT, member._replace(restarting=True, counted=True), restarts, delay_s)


def after_wait(restarts: tuple[Restart, ...], flags: Flags, member: Member, now: float) -> Decision:
    """The time for a restart that waits has come; one that failed before counts like any other."""
    borne = True
    if not member.counted:
        restarts, borne = add_restart(restarts, Restart(now, member.key), flags.limit)
    return Decision(Verdict.START if borne else Verdict.GIVE_UP, member, restarts)


def after_failed_start(restarts: tuple[Restart, ...], flags: Flags, member: Member, chance: float) -> Decision:
    """A restart failed: it will be tried again."""
    failures, delay_s = next_failure(member.spec.backoff or flags.backoff, member.failures, 0.0, chance)
    waiting = member._replace(restarting=True, counted=False, restarts=member.restarts + 1, failures=failures)
    return Decision(Verdict.WAIT, waiting, restarts, delay_s)


def after_start(member: Member, handle: Handle, now: float) -> Member:
    """A restart worked."""
    return member._replace(handle=handle, restarting=False, counted=False, restarts=member.restarts + 1, started_at=now)
