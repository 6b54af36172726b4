"""When replicas may go: not before keeping them has cost as much as starting them anew (the ski rental).

And not after every change upwards: changes of direction have an allowance, so that no load makes the fleet flap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Hold:
    """The most that was needed of late.

    Attributes:
        needs: Times and what was needed then, falling; what a later need exceeds is left out.
    """

    needs: tuple[tuple[float, int], ...] = ()

    def observe(self, now_s: float, need: int, hold_s: float) -> Hold:
        """With what is needed now; what is older than `hold_s` is forgotten.

        >>> hold = Hold().observe(0.0, 9, 20.0).observe(5.0, 4, 20.0)
        >>> hold.most, hold.observe(21.0, 4, 20.0).most
        (9, 4)
        """
        kept = tuple(entry for entry in self.needs if entry[0] > now_s - hold_s and entry[1] > need)
        return Hold((*kept, (now_s, need)))

    @property
    def most(self) -> int:
        """The most that was needed within the time; 0: nothing is known."""
        return self.needs[0][1] if self.needs else 0


SAVED = 0.2
"""Share of an hour's changes of direction that may be made in a row."""


@dataclass(frozen=True, slots=True)
class Turns:
    """An allowance of changes of direction, as a token bucket: going up is never refused, turning down needs a token.

    Attributes:
        rising: Whether the last change was upwards.
        left: Turns downwards that may be made now; `None`: as many as may be saved.
        at_s: When that was so.
    """

    rising: bool = False
    left: float | None = None
    at_s: float = 0.0

    def allow(self, now_s: float, present: int, wanted: int, per_hour: float) -> tuple[bool, Turns]:
        """Whether a change may be made, and the allowance after it.

        Args:
            now_s: Time, seconds.
            present: Replicas there are.
            wanted: Replicas that there would be.
            per_hour: Most changes of direction in an hour, up and down counted.

        >>> turns, downs = Turns(), 0
        >>> for second in range(0, 3600, 10):
        ...     _, turns = turns.allow(second, 5, 9, 30.0)
        ...     allowed, turns = turns.allow(second + 5, 9, 5, 30.0)
        ...     downs += allowed
        >>> downs
        14
        """
        most = per_hour / 2.0 * SAVED
        grown = most if self.left is None else self.left + (now_s - self.at_s) * (per_hour / 2.0 - most) / 3600.0
        left = min(grown, max(most, 1.0))
        if wanted >= present or not self.rising:
            return True, Turns(self.rising if wanted == present else wanted > present, left, now_s)
        if left < 1.0:
            return False, replace(self, left=left, at_s=now_s)
        return True, Turns(False, left - 1.0, now_s)
