"""When replicas may go: not before what keeping them has cost as much as starting them anew (the ski rental)."""

from __future__ import annotations

from dataclasses import dataclass


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
