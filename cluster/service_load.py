"""What a replica's service has to do, in the numbers that routing, draining and scaling go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybeam.actors import RegulationCounters, Runtime


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do.

    Attributes:
        waiting: Messages that wait.
        in_flight: Calls that are worked on.
        oldest_wait_s: How long the call that waits longest has waited, as of the last `look`.
        service_total_s: Seconds in the handlers since the replica came up.
        service_square_s2: The sum of the squares of these.
    """

    waiting: int = 0
    in_flight: int = 0
    oldest_wait_s: float = 0.0
    service_total_s: float = 0.0
    service_square_s2: float = 0.0

    @property
    def left(self) -> int:
        """All that there is to do."""
        return self.waiting + self.in_flight


class ServiceLoad:
    """Measures one service.

    Args:
        runtime: Where it runs.
        service: Its name there.
    """

    def __init__(self, runtime: Runtime, service: str) -> None:
        self._runtime = runtime
        self._service = service
        self._oldest: float | None = None
        self._total_s = 0.0
        self._square_s2 = 0.0

    def served(self, served_s: float) -> None:
        """A call was served."""
        self._total_s += served_s
        self._square_s2 += served_s * served_s

    def look(self) -> None:
        """Look which call waits longest; in the thread of the runtime, now and then."""
        cell = self._runtime.cell(self._service)
        call = None if cell is None else cell.oldest_waiting()
        self._oldest = None if call is None else call.enqueued_at

    def now(self, regulation: RegulationCounters | None) -> Load:
        """The load at the moment. It may be asked from any thread.

        Args:
            regulation: What the service's regulator tells; `None`: it is not regulated.
        """
        cell = self._runtime.cell(self._service)
        if cell is None:
            return Load(service_total_s=self._total_s, service_square_s2=self._square_s2)
        unanswered, mailbox = len(cell.calls), len(cell.mailbox)
        waits = cell.queued_calls if regulation is None else regulation.depth
        oldest = self._oldest
        return Load(
            max(waits, mailbox),
            max(unanswered - waits, int(cell.scheduled)),
            max(0.0, self._runtime.now() - oldest) if waits and oldest is not None else 0.0,
            self._total_s,
            self._square_s2,
        )
