"""Python's garbage collector, kept from pausing a process that has to answer in time."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 20)


def calm_collector() -> None:
    """Spare what lives now all later collections, and let them come more seldom.

    A full collection looks at every object, and a process that has imported Ray holds hundreds of thousands: it takes
    100 ms and more, during which no call is answered. What has been there since the start hardly ever becomes garbage
    later, so it is put aside (`gc.freeze`). Replicas do so when their service has come up; a driver that wants even
    answers calls this once, when it has started.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
