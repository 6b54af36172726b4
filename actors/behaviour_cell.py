"""What the engines of all behaviours have in common: start, bounded mailbox, suspension, end and crash report."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from .behaviour import Behaviour
from .cell import ALIVE, Cell, crashed
from .crash import CrashReport
from .errors import CallbackError, CallTimeout, Exit, Overloaded
from .kernel.mailbox import Overflow, victim
from .message import Call, ExitMessage
from .once import OnceCalls

if TYPE_CHECKING:
    from .kernel.reason import ExitReason
    from .kernel.server import Ignore
    from .message import From
    from .pid import Pid
    from .runtime import Runtime

B = TypeVar("B", bound=Behaviour)
CLOCK_ERROR_S = 1e-6


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a process did not start; see `StartError`."""

    reason: object
    mend: str = ""


Outcome: TypeAlias = "Refused | Ignore | None"
"""Of a start; `None`: it is up."""


class Start:
    """The first message of a behaviour's process: run `init` and resolve `outcome`."""

    __slots__ = ("args", "kwargs", "outcome")

    def __init__(
        self,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        outcome: asyncio.Future[Outcome],
    ) -> None:
        self.args = args
        self.kwargs = kwargs
        self.outcome = outcome


class BehaviourCell(Cell, Generic[B]):
    """A process that runs a behaviour.

    Attributes:
        server: The instance of the user's class.
        suspended: Whether only system calls are served.
        held: What came while suspended.
        cancelled: Calls cancelled since those that wait were last looked through.
        messages_handled: Messages taken from the mailbox.
        started_at: Loop time of the start.
        last_message: What it handled when it failed, for the crash report.
        once: What it remembers of calls that it must do once, `None` before the first.
    """

    __slots__ = ("cancelled", "held", "last_message", "messages_handled", "once", "server", "started_at", "suspended")

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None, server: B) -> None:
        super().__init__(runtime, pid, parent)
        self.server = server
        self.suspended = False
        self.held: deque[object] | None = None
        self.cancelled = 0
        self.messages_handled = 0
        self.started_at = runtime.now()
        self.last_message: object = None
        self.once: OnceCalls | None = None
        server._cell = self

    def check_async(self, name: str, running: object) -> None:
        """Refuse what a callback gave when it is no coroutine.

        Raises:
            CallbackError: It is no async def.
        """
        if not hasattr(running, "__await__"):
            how = f"{self.description()}.{name}() must be an async def; it is a plain def that returned {running!r}"
            raise CallbackError(("bad_return_value", running), how)

    def description(self) -> str:
        """The class of the server."""
        return type(self.server).__qualname__

    def deliver_call(self, call: Call) -> None:
        """Accept a call, or refuse one when as many wait as may."""
        limit = self.server.mailbox_limit
        if limit is not None and self.queued_calls >= limit and not self._sweep() and not self._make_room():
            call.sender.fail(Overloaded())
            return
        self.calls[call.sender] = None
        self.queued_calls += 1
        self.deliver(call)

    def cancel_call(self, sender: From) -> None:
        """A caller gives its call up: what waits is skipped when its turn comes, what runs beside is cancelled."""
        if sender in self.calls:
            self.cancelled += 1
            if self.beside is not None:
                self.beside.cancel(sender)

    def nobody_waits(self, call: Call) -> bool:
        """Whether a call that waits is not to be begun, as it was cancelled."""
        return call.drop_expired and not call.sender.wanted()

    def _sweep(self) -> bool:
        """Take out what was cancelled, when it is much of what waits; whether that made room."""
        if self.cancelled * 4 < self.queued_calls:
            return False
        self.cancelled = 0
        before = self.queued_calls
        for queue in (self.held, self.mailbox, None if self.beside is None else self.beside.backlog):
            if queue:
                kept = [message for message in queue if not (type(message) is Call and self.nobody_waits(message))]
                self.queued_calls -= len(queue) - len(kept)
                queue.clear()
                queue.extend(kept)
        return self.queued_calls < before

    def _make_room(self) -> bool:
        """Refuse a call that waits, as the overflow policy says; whether there was one to refuse."""
        policy = self.server.mailbox_overflow
        if policy is Overflow.REJECT:
            return False
        queues = (self.held or deque(), self.mailbox)  # what came while suspended is older
        waiting = [(queue, index) for queue in queues for index, message in enumerate(queue) if type(message) is Call]
        position = victim(policy, len(waiting))
        if position is None:
            return False
        queue, index = waiting[position]
        refused = queue[index]
        del queue[index]
        assert type(refused) is Call
        self.queued_calls -= 1
        refused.sender.fail(Overloaded())
        return True

    def hold(self, message: object) -> None:
        """Keep a message that came while suspended."""
        if self.held is None:
            self.held = deque()
        self.held.append(message)
        if type(message) is Call:  # it waits still
            self.queued_calls += 1

    def unhold(self) -> None:
        """Put back what came while suspended, in order, before what came later."""
        if self.held:
            self.mailbox.extendleft(reversed(self.held))
            self.held = None

    def waiting_calls(self) -> list[From]:
        """The calls that the process has not begun with, those held while it is suspended included."""
        backlog = () if self.beside is None else self.beside.backlog
        held = [message.sender for message in (*(self.held or ()), *backlog) if type(message) is Call]
        return [*held, *super().waiting_calls()]

    def known_before(self, call: Call) -> bool:
        """Take a call that must be done once; whether it was before and there is nothing to do any more.

        If it is new, the answer to it will be remembered.
        """
        assert call.origin is not None
        if self.once is None:
            self.once = OnceCalls(self.pid.serial)
        return self.once.known_before(call, self.runtime.now())

    def refuse_start(self, start: Start, outcome: Ignore | Refused, reason: ExitReason) -> None:
        """End, because `init` failed or did not wish to start; the starter gets `outcome`."""
        if self.exit_reason is not ALIVE:
            return
        if self.parent is not None:  # the starter learns it from the outcome: its mailbox stays clean
            self.runtime.unlink(self, self.parent)
        self.runtime.finish(self, reason)
        if not start.outcome.done():
            start.outcome.set_result(outcome)

    async def terminated(self, told: object, reason: ExitReason) -> ExitReason:
        """Run `terminate(told)`; the exit reason: `reason`, or that of the callback's own failure."""
        try:
            await self.server.terminate(told)
        except Exit as exit_:
            return exit_.reason
        except asyncio.CancelledError as error:
            if self.is_ending():
                raise
            return crashed(error)
        except Exception as error:  # noqa: BLE001 (its failure becomes the exit reason)
            return crashed(error)
        return reason

    def report(self, reason: ExitReason, mend: str = "") -> None:
        """Tell the report sink of a crash; `mend` is what to write instead of what caused it."""
        try:
            state = self.reported_state()
        except Exception as error:  # noqa: BLE001 (the state may be half made; the crash is what must be told)
            state = f"not to be had: {error!r}"
        self.runtime.report(
            CrashReport(self.pid, self.description(), reason, self.last_message, state, self.names, mend)
        )

    def reported_state(self) -> object:
        """The state as a crash report may show it."""
        raise NotImplementedError

    def _from_parent(self, message: object) -> bool:
        return type(message) is ExitMessage and message.pid == self.parent

    def gave_up(self, error: BaseException, call: Call | None) -> bool:
        """Whether a handler failed as the deadline of its own call passed under way: an answer, not its fault."""
        if call is None or not call.drop_expired or call.deadline is None or not isinstance(error, CallTimeout):
            return False
        return self.runtime.now() >= call.deadline - CLOCK_ERROR_S


def start_message(
    runtime: Runtime, args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[Start, asyncio.Future[Outcome]]:
    """The message that starts a behaviour, and the future of its outcome."""
    outcome: asyncio.Future[Outcome] = runtime.loop.create_future()
    return Start(args, kwargs, outcome), outcome
