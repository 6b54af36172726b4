"""Circuit breakers: no more calls to a family that keeps failing, for a while.

After jlouis/fuse: each failure *melts* the fuse a bit; more melts than it bears within a window blow it, and after a
while it is reset. Operators can disable it (all calls are refused) whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


@dataclass(frozen=True, slots=True)
class BreakerSpec:
    """When a breaker opens.

    Attributes:
        melts: Failures within the window that are borne; one more opens it. Default 10.
        window_s: The window, seconds. Default 10.
        reset_s: Seconds until it closes again. Default 5.
    """

    melts: int = 10
    window_s: float = 10.0
    reset_s: float = 5.0

    def __post_init__(self) -> None:
        if self.melts < 0:
            raise ValueError(f"melts={self.melts!r}: give 0 or more failures that are borne")
        if not self.window_s > 0:
            raise ValueError(f"window_s={self.window_s!r}: give seconds above 0")
        if not self.reset_s > 0:
            raise ValueError(f"reset_s={self.reset_s!r}: give seconds above 0")


class BreakerState(Enum):
    """Whether calls pass."""

    OK = "ok"
    BLOWN = "blown"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker at one time.

    Attributes:
        spec: When it opens.
        failures: Times of the failures within the window, oldest first.
        blown_until: When it closes again; 0: it is closed.
        disabled: Whether an operator has disabled it.

    >>> breaker = Breaker(BreakerSpec(melts=1, window_s=10.0, reset_s=5.0))
    >>> blown = breaker.melt(now=1.0).melt(now=2.0)
    >>> blown.state(now=3.0).value, blown.retry_after_s(now=3.0), blown.state(now=7.0).value
    ('blown', 4.0, 'ok')
    >>> breaker.melt(now=1.0).melt(now=12.0).state(now=12.0).value
    'ok'
    >>> blown.disable().state(now=99.0).value, blown.disable().enable().state(now=99.0).value
    ('disabled', 'ok')
    """

    spec: BreakerSpec
    failures: tuple[float, ...] = ()
    blown_until: float = 0.0
    disabled: bool = False

    def state(self, now: float) -> BreakerState:
        """Whether calls pass."""
        if self.disabled:
            return BreakerState.DISABLED
        return BreakerState.BLOWN if now < self.blown_until else BreakerState.OK

    def retry_after_s(self, now: float) -> float:
        """Seconds until calls pass again; as long as a reset takes when nobody knows."""
        return self.spec.reset_s if self.disabled else max(0.0, self.blown_until - now)

    def melt(self, now: float) -> Breaker:
        """A call failed."""
        if now < self.blown_until:
            return self
        failures = (*(at for at in self.failures if at > now - self.spec.window_s), now)
        if len(failures) > self.spec.melts:
            return replace(self, failures=(), blown_until=now + self.spec.reset_s)
        return replace(self, failures=failures)

    def reset(self) -> Breaker:
        """Close it at once and forget all failures."""
        return replace(self, failures=(), blown_until=0.0)

    def disable(self) -> Breaker:
        """Refuse all calls until it is enabled."""
        return replace(self, disabled=True)

    def enable(self) -> Breaker:
        """Undo `disable`; as after a reset."""
        return replace(self.reset(), disabled=False)
