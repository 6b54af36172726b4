"""The token bucket: so many calls a second on the average, and a few more in a burst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ...errors import OptionError
from ..options import check_numbers

ALMOST: Final = 1e-9  # a token that floating point has not quite made whole


@dataclass(frozen=True, slots=True)
class Rate:
    """How many calls are begun.

    Attributes:
        per_s: Calls a second. Required.
        burst: Calls that may be begun at once after a time of rest. Default 1.
        max_wait_s: Seconds that a call may wait for its token; one that would wait longer is refused at once, and told
            when there will be a token. Default 0: it is refused when there is none.
    """

    per_s: float
    burst: int = 1
    max_wait_s: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, "per_s", "burst", "max_wait_s")
        if not self.per_s > 0:
            raise OptionError(f"per_s={self.per_s!r}: give calls a second, more than 0")
        if not self.burst >= 1:
            raise OptionError(f"burst={self.burst!r}: give 1 or more, or no call would ever have a token")
        if not self.max_wait_s >= 0:
            raise OptionError(f"max_wait_s={self.max_wait_s!r}: give seconds, 0 or more")


class Bucket(NamedTuple):
    """The tokens that there are.

    Attributes:
        tokens: How many, at most the burst.
        at: When that was so.
    """

    tokens: float
    at: float


def refilled(bucket: Bucket, per_s: float, burst: int, now: float) -> Bucket:
    """The bucket at a later time.

    >>> refilled(Bucket(0.0, at=10.0), per_s=4.0, burst=5, now=10.5).tokens
    2.0
    >>> refilled(Bucket(0.0, at=10.0), per_s=4.0, burst=5, now=20.0).tokens
    5.0
    """
    if now <= bucket.at:
        return bucket
    return Bucket(min(float(burst), bucket.tokens + per_s * (now - bucket.at)), now)


def taken(bucket: Bucket) -> Bucket | None:
    """The bucket without one token; `None`: there was none.

    >>> taken(Bucket(1.5, at=0.0)), taken(Bucket(0.5, at=0.0))
    (Bucket(tokens=0.5, at=0.0), None)
    """
    if bucket.tokens < 1 - ALMOST:
        return None
    return Bucket(max(0.0, bucket.tokens - 1), bucket.at)


def wait_s(bucket: Bucket, per_s: float, calls: int) -> float:
    """Seconds until there are tokens for so many calls, 0 when there are.

    >>> wait_s(Bucket(1.0, at=0.0), per_s=2.0, calls=3)
    1.0
    """
    short = calls - bucket.tokens
    return 0.0 if short <= ALMOST else short / per_s
