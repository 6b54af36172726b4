"""What stands for the other side: for a process of another runtime, and for one of its callers."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Final, NoReturn

from .cell import Cell
from .errors import CallFailed, NoProcess
from .kernel.reason import NOPROC
from .message import Call, From, SystemCall
from .pid import Pid, RemoteName
from .signals import Answer, Ask, Deliver, Demonitor, Link, Monitor, Signal, Unlink

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .distribution import Distribution
    from .kernel.reason import ExitReason
    from .pid import Ref
    from .runtime import Runtime

LOCATE: Final = "locate"
"""The system call that the runtime answers, not the process: the pid of who lives there, or `None`."""


class RemoteCell(Cell):
    """Stands for a process of another runtime."""

    __slots__ = ("distribution", "target")

    def __init__(self, runtime: Runtime, distribution: Distribution, address: Pid | RemoteName) -> None:
        super().__init__(runtime, Pid(address.runtime, 0) if isinstance(address, RemoteName) else address, None)
        self.scheduled = True  # no carrier ever runs it
        self.distribution = distribution
        self.target: Pid | str = address.name if isinstance(address, RemoteName) else address

    def deliver(self, message: object) -> None:
        """Send a message."""
        if isinstance(message, SystemCall):
            ask = Ask(self.target, 0, message.argument, message.sender.caller, operation=message.operation)
            self.distribution.ask(self, ask, message.sender)
        else:
            self.send(Deliver(self.target, message))

    def deliver_call(self, call: Call) -> None:
        """Send a call; its answer comes back to its sender."""
        timeout_s = None if call.deadline is None else max(0.0, call.deadline - self.runtime.now())
        ask = Ask(self.target, 0, call.request, call.sender.caller, timeout_s, call.drop_expired)
        self.calls[call.sender] = None
        self.distribution.ask(self, ask, call.sender)

    def linked_by(self, pid: Pid) -> None:
        """A process of this runtime links itself to it."""
        assert isinstance(self.target, Pid)
        self.links.add(pid)
        self.send(Link(pid, self.target))

    def unlinked_by(self, pid: Pid) -> None:
        """A process of this runtime undoes its link."""
        assert isinstance(self.target, Pid)
        self.links.discard(pid)
        self.send(Unlink(pid, self.target))

    def watched_by(self, ref: Ref, watcher: Pid | Callable[[ExitReason], object]) -> None:
        """Somebody of this runtime monitors it."""
        super().watched_by(ref, watcher)
        self.send(Monitor(ref, self.target))

    def unwatched_by(self, ref: Ref) -> None:
        """Somebody of this runtime undoes a monitor."""
        if self.watchers and ref in self.watchers:
            super().unwatched_by(ref)
            self.send(Demonitor(ref, self.target))

    def send(self, signal: Signal) -> None:
        """Send a signal; keep the cell while it has something to remember."""
        self.distribution.send(self.pid.runtime, signal)
        self.distribution.remember(self)

    @property
    def forgettable(self) -> bool:
        """Whether nothing depends on it any more."""
        return not (self.links or self.watchers or self.calls)

    async def handle(self, message: object) -> NoReturn:
        """Nothing is ever handled here."""
        raise AssertionError("a process of another runtime is not run here")

    def description(self) -> str:
        """Its address."""
        return str(self.target)


class RemoteFrom(From):
    """The right to answer a call that came from another runtime."""

    __slots__ = ("distribution", "done", "number", "peer", "timer")

    def __init__(self, distribution: Distribution, peer: str, number: int, server: Cell, caller: Pid | None) -> None:
        self.distribution = distribution
        self.peer = peer
        self.number = number
        self.server = server
        self.caller = caller
        self.done = False
        self.timer: asyncio.TimerHandle | None = None

    def expire_at(self, when: float) -> None:
        """Nobody waits for the answer any more at `when`, loop time."""
        context = contextvars.Context()  # the current one would keep the process that runs just now in memory
        self.timer = self.server.runtime.loop.call_at(when, self.abandon, context=context)

    def reply(self, value: object) -> None:
        """Send the answer."""
        self._answer(Answer(self.number, value))

    def fail(self, error: BaseException) -> None:
        """Send an error as the answer."""
        self._answer(Answer(self.number, error=error))

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self.done = True
        self.server.calls.pop(self, None)
        self.distribution.answered(self)
        if self.timer is not None:
            self.timer.cancel()

    def server_ended(self, reason: ExitReason) -> None:
        """The callee died before it answered."""
        self.fail(NoProcess() if reason == NOPROC else CallFailed(reason))

    def _answer(self, answer: Answer) -> None:
        if not self.handed_over(self._answer, answer) and not self.done:
            self.abandon()
            self.distribution.send(self.peer, answer)
