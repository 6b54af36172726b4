"""What the regulators of a service have done: over all restarts of its process, and in many replicas together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybeam.actors.regulated_cell import counters_of

if TYPE_CHECKING:
    from raybeam.actors import Pid, RegulationCounters, Runtime
    from raybeam.actors.kernel.reason import ExitReason


class ServiceRegulation:
    """The counters of a replica's service, which go on when its process is restarted.

    Args:
        runtime: Where it runs; its `on_ended` is taken.
        service: Its name there.
    """

    def __init__(self, runtime: Runtime, service: str) -> None:
        self._runtime = runtime
        self._service = service
        self._past: RegulationCounters | None = None
        runtime.on_ended = self._ended

    def counters(self) -> RegulationCounters | None:
        """What was done until now; `None`: the service is not regulated. It may be asked from any thread."""
        cell = self._runtime.cell(self._service)
        return together(self._past, None if cell is None else counters_of(cell))

    def _ended(self, pid: Pid, reason: ExitReason) -> None:
        cell = self._runtime.cell(pid)
        if cell is not None and self._service in cell.names:
            counters = counters_of(cell)
            self._past = together(self._past, None if counters is None else counters.past())


def together(one: RegulationCounters | None, other: RegulationCounters | None) -> RegulationCounters | None:
    """The sum of two, of which either may be missing.

    >>> from raybeam.actors import RegulationCounters
    >>> together(None, None) is None, together(RegulationCounters(accepted=2), None).accepted
    (True, 2)
    """
    if one is None or other is None:
        return one if other is None else other
    return one + other
