"""Calls that a process does exactly once: a repetition gets the answer of the first, made or still to be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import CallFailed, Interrupted
from .kernel.once import Answered, Known, OnceTable, Origin
from .message import Call, From

if TYPE_CHECKING:
    from .kernel.reason import ExitReason


class OnceCalls:
    """What one process remembers; see `raybeam.actors.kernel.once`.

    Args:
        life: Which life of the process's state it is.
    """

    def __init__(self, life: int) -> None:
        self._life = life
        self._table = OnceTable()
        self._under_way: dict[tuple[str, int], _OnceFrom] = {}

    def __len__(self) -> int:
        """How many calls are remembered."""
        return len(self._table)

    def known_before(self, call: Call, now: float) -> bool:
        """See `BehaviourCell.known_before`."""
        origin = call.origin
        assert origin is not None
        if origin.life != self._life:  # what that life did is not known here
            call.sender.fail(Interrupted(ANOTHER_LIFE, begun=False))
            return True
        key = (origin.client, origin.number)
        match self._table.begin(origin, now, call.deadline):
            case Known.NEW:
                call.sender = self._under_way[key] = _OnceFrom(self, origin, call.sender)
                return False
            case Known.UNDER_WAY:
                self._under_way[key].senders.append(call.sender)
            case Known.SETTLED:
                call.sender.fail(CallFailed("answered_before"))
            case Answered(ok, value):
                _answer(call.sender, ok, value)
        return True

    def finish(self, origin: Origin, ok: bool, value: object) -> None:
        """A call has its answer."""
        self._under_way.pop((origin.client, origin.number), None)
        self._table.finish(origin, Answered(ok, value))


ANOTHER_LIFE = "state_was_lost"
"""The callee's state is not the one that the call was meant for: that one ended with its process."""


class _OnceFrom(From):
    """The right to answer a call and all its repetitions, once."""

    __slots__ = ("calls", "origin", "senders")

    def __init__(self, calls: OnceCalls, origin: Origin, sender: From) -> None:
        self.server = sender.server
        self.caller = sender.caller
        self.calls = calls
        self.origin = origin
        self.senders = [sender]

    def reply(self, value: object) -> None:
        if not self.handed_over(self.reply, value):
            self._finish(True, value)

    def fail(self, error: BaseException) -> None:
        if not self.handed_over(self.fail, error):
            self._finish(False, error)

    def wanted(self) -> bool:
        return any(sender.wanted() for sender in self.senders)

    def abandon(self) -> None:
        for sender in self.senders:
            sender.abandon()

    def server_ended(self, reason: ExitReason) -> None:
        for sender in self.senders:
            sender.server_ended(reason)

    def _finish(self, ok: bool, value: object) -> None:
        self.calls.finish(self.origin, ok, value)
        for sender in self.senders:
            _answer(sender, ok, value)


def _answer(sender: From, ok: bool, value: object) -> None:
    if ok:
        sender.reply(value)
    else:
        assert isinstance(value, BaseException)
        sender.fail(value)
