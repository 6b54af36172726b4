"""The breakers of a handle or replica: one for each family that the blueprint gives one, under an operator's hand."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .kernel.breaker import Breaker, BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from .blueprint import Blueprint
    from .kernel.breaker import BreakerSpec


class BreakerSwitch:
    """The breaker of one family, for all calls from this handle, from any thread; see `raybeam.cluster.kernel.breaker`.

    Args:
        spec: When it opens.
        clock: Seconds, monotonic. Default: the computer's.
    """

    def __init__(self, spec: BreakerSpec, clock: Callable[[], float] = time.monotonic) -> None:
        self._breaker = Breaker(spec)
        self._clock = clock
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<breaker: {self.state.value}>"

    @property
    def state(self) -> BreakerState:
        """Whether calls pass."""
        return self._breaker.state(self._clock())

    @property
    def retry_after_s(self) -> float:
        """Seconds until calls pass again."""
        return self._breaker.retry_after_s(self._clock())

    def melt(self) -> None:
        """A call failed."""
        now = self._clock()
        self._change(lambda breaker: breaker.melt(now))

    def reset(self) -> None:
        """Close it at once."""
        self._change(Breaker.reset)

    def disable(self) -> None:
        """Refuse all calls until it is enabled."""
        self._change(Breaker.disable)

    def enable(self) -> None:
        """Undo `disable`."""
        self._change(Breaker.enable)

    def _change(self, change: Callable[[Breaker], Breaker]) -> None:
        with self._lock:  # the clients of several event loops have one switch, and the operator yet another thread
            self._breaker = change(self._breaker)


def breakers_of(blueprint: Blueprint) -> dict[str, BreakerSwitch]:
    """The breakers that a blueprint wants."""
    return {
        name: BreakerSwitch(family.breaker) for name, family in blueprint.families.items() if family.breaker is not None
    }
