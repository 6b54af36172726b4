"""Whether and when a call is made again after an attempt that had no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from raybeam.actors.kernel.outcome import Outcome
from raybeam.actors.kernel.retry import AtLeastOnce, AtMostOnce, ExactlyOnce

if TYPE_CHECKING:
    from random import Random

    from raybeam.actors.kernel.retry import Retry

_PAUSES: Final = AtLeastOnce()


@dataclass(frozen=True, slots=True)
class Again:
    """Make the call again.

    Attributes:
        delay_s: After so many seconds.
        same: Only at the same replica as before: what it did is known there alone.
        counts: Whether it counts as a repetition against the budget. What reached nobody does not.
    """

    delay_s: float
    same: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Tell the caller how the last attempt ended."""


@dataclass(frozen=True, slots=True)
class OutOfTime:
    """Tell the caller that the deadline has passed."""


Verdict: TypeAlias = Again | GiveUp | OutOfTime


def after_attempt(
    retry: Retry,
    outcome: Outcome,
    attempt: int,
    left_s: float,
    random: Random,
    *,
    maybe_done: bool,
    retry_after_s: float | None = None,
) -> Verdict:
    """What to do after an attempt.

    Args:
        retry: The strategy of the method.
        outcome: How this attempt ended.
        attempt: Its number, counted from 1.
        left_s: Seconds until the deadline.
        random: For the jitter.
        maybe_done: Whether this or an earlier attempt may have been done.
        retry_after_s: When a callee that refused it wants to be asked again.

    >>> from random import Random
    >>> def verdict(retry, outcome, maybe_done=False):
    ...     return type(after_attempt(retry, outcome, 1, 5.0, Random(1), maybe_done=maybe_done)).__name__
    >>> [verdict(AtMostOnce(), outcome) for outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.REJECTED)]
    ['Again', 'GiveUp', 'GiveUp']
    >>> [verdict(AtLeastOnce(), outcome) for outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.FAILED)]
    ['Again', 'Again', 'GiveUp']
    """
    if outcome is Outcome.OK or outcome is Outcome.FAILED:
        return GiveUp()
    if outcome is not Outcome.NOT_SENT and isinstance(retry, AtMostOnce):
        return GiveUp()
    if outcome is Outcome.REJECTED and retry_after_s is None:
        return GiveUp()  # what does not validate does not validate the next time either
    policy = _PAUSES if isinstance(retry, AtMostOnce) else retry
    delay_s = policy.delay_s(attempt, random)
    if outcome is Outcome.REJECTED and retry_after_s is not None:
        delay_s = max(delay_s, retry_after_s * (1 + policy.jitter * random.random()))
        if delay_s >= left_s:
            return GiveUp()  # "overloaded" says more than "timed out"
    if delay_s >= left_s:
        return OutOfTime()
    same = isinstance(retry, ExactlyOnce) and maybe_done
    return Again(delay_s, same, counts=outcome is not Outcome.NOT_SENT)
