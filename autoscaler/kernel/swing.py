"""How far a rate moves while replicas start, beyond chance: neither trend nor burst, and there is no forecasting it.

Counts in blocks of half a start each are compared with those a start later. What their squared difference exceeds
chance by is the variance of the swing; it is kept for each octave of the rate, for what swings at night may not do so
by day. Changes by more than half are bursts, which are insured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp, floor, log2, sqrt

AROUND = 5
"""Blocks that are compared: the two, the one between them, and their neighbours."""
BURST = 0.5
"""Changes by a larger factor are bursts."""
OCTAVES = 16
"""Octaves that are remembered."""
FEW = 20
"""Pairs from which on they are believed."""
MEMORY = 100
"""Blocks that are remembered at least."""


@dataclass(frozen=True, slots=True)
class Octave:
    """What was seen while the rate was within a factor of two.

    Attributes:
        number: The octave: rates from 2 to the power of it on.
        excess: Sum of what squared relative changes exceed chance by.
        spread: Variance of that sum if there is nothing but chance.
        pairs: How many were compared, older ones weighing less.
    """

    number: int
    excess: float = 0.0
    spread: float = 0.0
    pairs: float = 0.0


@dataclass(frozen=True, slots=True)
class Swing:
    """What was seen so far.

    Attributes:
        count: Arrivals in the block that is not over.
        block_s: Seconds of it.
        blocks: Rates and seconds of the blocks before it, the latest last.
        octaves: What was seen at each rate.
    """

    count: float = 0.0
    block_s: float = 0.0
    blocks: tuple[tuple[float, float], ...] = ()
    octaves: tuple[Octave, ...] = ()

    def observe(self, arrivals: float, elapsed_s: float, lead_s: float, peaked: float, memory_s: float) -> Swing:
        """With the arrivals since the snapshot before.

        Args:
            arrivals: How many.
            elapsed_s: In how many seconds.
            lead_s: How long a replica takes to start.
            peaked: How much rougher than Poisson's the counts are, as variance over mean.
            memory_s: How far back swings count, seconds.
        """
        if elapsed_s <= 0:
            return self
        count, block_s = self.count + arrivals, self.block_s + elapsed_s
        if block_s < 0.999 * lead_s / 2.0:
            return replace(self, count=count, block_s=block_s)
        if block_s > lead_s:
            return Swing(octaves=self.octaves)  # Snapshots are too far apart to tell.
        blocks = (*self.blocks[1 - AROUND :], (count / block_s, block_s))
        if len(blocks) < AROUND:
            return Swing(0.0, 0.0, blocks, self.octaves)
        (early, early_s), (late, late_s) = blocks[1], blocks[3]
        keep = exp(-block_s / max(memory_s, MEMORY * block_s))
        octaves = {
            octave.number: Octave(octave.number, octave.excess * keep, octave.spread * keep, octave.pairs * keep)
            for octave in self.octaves
        }
        # The blocks around both are looked at too: one in the middle of which the rate jumps looks like a small change.
        if all(before > 0 and BURST <= after / before <= 1.0 / BURST for (before, _), (after, _) in pairwise(blocks)):
            chance = peaked * (late / late_s + early / early_s) / (early * early)
            number = floor(log2(early))
            known = octaves.get(number, Octave(number))
            octaves[number] = Octave(
                number,
                known.excess + (late / early - 1.0) ** 2 - chance,
                # Squares of normal numbers vary by twice their mean's square; half more, as the pairs overlap.
                known.spread + 3.0 * chance * chance,
                known.pairs + 1.0,
            )
        kept = sorted(octaves.values(), key=lambda octave: octave.pairs)[-OCTAVES:]
        return Swing(0.0, 0.0, blocks, tuple(kept))

    def beyond(self, rate: float) -> float:
        """By how much the rate will have changed, a start later, besides chance: a standard deviation.

        >>> swing, slow = Swing(), Swing()
        >>> for second in range(3000):
        ...     swing = swing.observe(100 + 40 * (second // 20 % 2), 1.0, 10.0, 1.0, 3600.0)
        ...     slow = slow.observe(100, 1.0, 10.0, 1.0, 3600.0)
        >>> swing.beyond(120.0) > 10.0, slow.beyond(100.0)
        (True, 0.0)
        """
        if rate <= 0:
            return 0.0
        number = log2(rate) - 0.5
        near = [octave for octave in self.octaves if abs(octave.number - number) <= 1.0]
        pairs = sum([octave.pairs for octave in near])
        if pairs < FEW:
            return 0.0
        # One standard error of it may be chance.
        sure = sum([octave.excess for octave in near]) - sqrt(sum([octave.spread for octave in near]))
        return rate * sqrt(max(sure, 0.0) / pairs)
