"""What is told of the lanes to one family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .instruments import (
    LANE_BATCH_SIZE,
    LANE_BATCHES,
    LANE_BYTES,
    LANE_BYTES_BACK,
    LANE_LOST,
    LANE_RESENT,
)

if TYPE_CHECKING:
    from .telemetry import Telemetry


class LaneTraffic:
    """The batches of the lanes to one family.

    Args:
        telemetry: Where they are counted.
        family: Whose.

    Attributes:
        family: Whose.
    """

    __slots__ = ("_batches", "_lost", "_received", "_resent", "_sent", "_sizes", "_telemetry", "family")

    def __init__(self, telemetry: Telemetry, family: str) -> None:
        self.family = family
        self._telemetry = telemetry
        meter, system = telemetry.meter, telemetry.system
        self._batches = meter.series(LANE_BATCHES, system, family)
        self._sizes = meter.series(LANE_BATCH_SIZE, system, family)
        self._sent = meter.series(LANE_BYTES, system, family)
        self._received = meter.series(LANE_BYTES_BACK, system, family)
        self._lost = meter.series(LANE_LOST, system, family)
        self._resent = meter.series(LANE_RESENT, system, family)

    def sent(self, messages: int, again: int, size: int) -> None:
        """A batch of so many messages, some of them again, and so many bytes is sent."""
        if self._telemetry.counting:
            self._batches.add(1)
            self._sent.add(size)
            if messages:
                self._sizes.add(messages)
            if again:
                self._resent.add(again)

    def received(self, size: int) -> None:
        """A reply has come."""
        if self._telemetry.counting:
            self._received.add(size)

    def lost(self) -> None:
        """A batch had no reply."""
        if self._telemetry.counting:
            self._lost.add(1)
