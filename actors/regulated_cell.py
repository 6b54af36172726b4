"""The engine of a regulated process: its calls wait at a gate instead of in the mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .behaviour import Behaviour
from .behaviour_cell import BehaviourCell
from .gate import Gate, OwedTurn, RegulatedCalls
from .kernel.regulation.line import Waiter
from .message import Cast
from .runtime import current_runtime
from .server_cell import ServerCell
from .statem_cell import StatemCell

if TYPE_CHECKING:
    from .cell import Cell
    from .gen_server import GenServer
    from .gen_statem import GenStatem
    from .kernel.regulation.counters import RegulationCounters
    from .kernel.regulation.regulation import Regulation
    from .message import Call, From
    from .pid import Destination, Pid
    from .runtime import Runtime

B = TypeVar("B", bound=Behaviour)


class RegulatedCell(BehaviourCell[B]):
    """What a regulated process does otherwise, whatever its behaviour.

    Attributes:
        gate: Where its calls wait.
    """

    __slots__ = ()
    gate: Gate

    def deliver(self, message: object) -> None:
        """Put a message into the mailbox; casts are counted and, like all but calls, always pass."""
        if type(message) is Cast:
            self.gate.casts += 1
        super().deliver(message)

    def deliver_call(self, call: Call) -> None:
        """Take a call in, or refuse it."""
        self.gate.arrive(call)

    def cancel_call(self, sender: From) -> None:
        """A caller gives its call up."""
        super().cancel_call(sender)
        self.gate.left(sender, learn=False)

    def waiting_calls(self) -> list[From]:
        """The calls that the process has not begun with."""
        return [*self.gate.waiting_calls(), *super().waiting_calls()]

    def oldest_waiting(self) -> Call | None:
        """The call that has waited longest."""
        return self.gate.oldest_waiting()

    def turn_unused(self) -> None:
        """No call could be begun: it is as if nothing had come."""

    async def handle(self, message: object) -> None:
        """Do what one message asks for; a turn is used for the call that the regulator says."""
        if type(message) is Waiter or type(message) is OwedTurn:
            if self.suspended:
                self.hold(message)
                return
            call = self.gate.next(message)
            if call is None:
                self.turn_unused()
                return
            message = call
        await super().handle(message)


class RegulatedServerCell(RegulatedCell["GenServer"], ServerCell):
    """A regulated process that runs a `GenServer`."""

    __slots__ = ("gate",)

    def __init__(
        self, runtime: Runtime, pid: Pid, parent: Pid | None, server: GenServer, regulation: Regulation
    ) -> None:
        super().__init__(runtime, pid, parent, server)
        self.gate = Gate(self, regulation)
        self.calls = RegulatedCalls(self.gate)

    def turn_unused(self) -> None:
        """The time-out that was asked for goes on, or begins if only this turn kept it from that."""
        if self.timer is None:
            self._arm()

    def concurrent_limit(self) -> int:
        """How many concurrent queries may be under way: its places, if their number is limited."""
        return self.gate.most_places or super().concurrent_limit()


class RegulatedStatemCell(RegulatedCell["GenStatem"], StatemCell):
    """A regulated process that runs a `GenStatem`."""

    __slots__ = ("gate",)

    def __init__(
        self, runtime: Runtime, pid: Pid, parent: Pid | None, server: GenStatem, regulation: Regulation
    ) -> None:
        super().__init__(runtime, pid, parent, server)
        self.gate = Gate(self, regulation)
        self.calls = RegulatedCalls(self.gate)


def regulation_counters(destination: Destination) -> RegulationCounters | None:
    """What the regulator of a process of this runtime has accepted, delayed and refused, and how things stand.

    `None`: nobody lives there, or it is not regulated. It asks nobody, so it works however busy the process is.
    """
    cell = current_runtime().cell(destination)
    return None if cell is None else counters_of(cell)


def counters_of(cell: Cell) -> RegulationCounters | None:
    """The same of a cell. It may be asked from any thread."""
    return cell.gate.counters() if isinstance(cell, RegulatedCell) else None
