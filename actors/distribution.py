"""Processes of other runtimes: links, monitors, messages and calls reach across, with the semantics they have at home.

A process elsewhere is stood for by a `RemoteCell`, which keeps what this runtime knows of it (who is linked to it, who
monitors it, who waits for its answer) and sends signals in place of acting. So the code that sends, links or calls
does not know the difference. When the connection to a runtime is lost, all its processes have ended for this one,
with the reason `noconnection`; nobody can say what became of calls under way.

How signals travel is a `Transport`'s business: over lanes between replicas, through a simulated network in tests.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from .errors import CallTimeout, Disconnected, NoProcess
from .kernel.reason import NOCONNECTION, NOPROC
from .message import Call, Down, From, SystemCall
from .pid import Pid, RemoteName
from .remote_cell import LOCATE, RemoteCell, RemoteFrom
from .signals import Abandon, Answer, Ask, Deliver, Demonitor, Ended, ExitSignal, Link, Monitor, Signal, Unlink

if TYPE_CHECKING:
    import asyncio

    from .kernel.reason import ExitReason
    from .pid import Ref
    from .runtime import Runtime


class Transport(Protocol):
    """Carries signals to other runtimes, in order; a loss is told by `Distribution.peer_lost`."""

    def send(self, peer: str, signal: Signal) -> None:
        """Send a signal to the runtime named `peer`, connecting to it if need be. Never waits.

        Raises:
            InvalidArgumentsError: It holds what cannot leave this process; see `signals.in_words`.
        """
        ...


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A runtime can be reached: a message to those who called `monitor_peers`."""

    runtime: str


@dataclass(frozen=True, slots=True)
class PeerDown:
    """A runtime is gone, or out of reach: a message to those who called `monitor_peers`."""

    runtime: str


class Distribution:
    """The connections of one runtime to others.

    Args:
        runtime: Whose.
        transport: Carries the signals.
    """

    def __init__(self, runtime: Runtime, transport: Transport) -> None:
        self.runtime = runtime
        self.peers: dict[str, None] = {}
        self._transport = transport
        self._known: WeakValueDictionary[Pid | RemoteName, RemoteCell] = WeakValueDictionary()
        self._kept: dict[Pid | RemoteName, RemoteCell] = {}  # those that something depends on
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[RemoteCell, From]] = {}
        self._answering: dict[str, dict[int, RemoteFrom]] = {}  # by peer: its calls of processes here
        self._watched: dict[str, dict[Ref, Pid]] = {}  # by peer: its monitors of processes here
        self._watchers: dict[Pid, None] = {}

    # -- from this runtime -------------------------------------------------------------------------

    def cell(self, address: Pid | RemoteName) -> RemoteCell:
        """What stands for a process of another runtime, whether it lives or not."""
        found = self._known.get(address)
        if found is None:
            found = self._known[address] = RemoteCell(self.runtime, self, address)
        return found

    def remember(self, cell: RemoteCell) -> None:
        """Keep a cell while something depends on it."""
        address = _address(cell)
        if cell.forgettable:
            self._kept.pop(address, None)
        else:
            self._kept[address] = cell

    def ask(self, cell: RemoteCell, ask: Ask, sender: From) -> None:
        """Send a call and keep who waits for its answer."""
        number = next(self._numbers)
        cell.calls[sender] = None
        self._asked[number] = (cell, sender)
        sender.future.add_done_callback(lambda done: self._settled(number, done, timed=ask.timeout_s is not None))
        numbered = Ask(
            ask.target, number, ask.request, ask.caller, ask.timeout_s, ask.drop_expired, operation=ask.operation
        )
        try:
            cell.send(numbered)
        except Exception as error:  # noqa: BLE001 (what cannot be sent is the caller's to know)
            sender.fail(error)

    def answered(self, sender: RemoteFrom) -> None:
        """Forget a call of a process here."""
        asking = self._answering.get(sender.peer, {})
        if asking.pop(sender.number, None) is not None and not asking:
            del self._answering[sender.peer]

    def exit_signal(self, sender: Pid | None, target: Pid, reason: ExitReason, *, via_link: bool) -> None:
        """Pass an exit signal on."""
        cell = self.cell(target)
        if sender is not None and via_link:
            cell.links.discard(sender)
        cell.send(ExitSignal(sender, target, reason, via_link))

    def send(self, peer: str, signal: Signal) -> None:
        """Send a signal.

        Raises:
            InvalidArgumentsError: It holds what cannot leave this process.
        """
        self._transport.send(peer, signal)

    def monitor_peers(self, pid: Pid) -> None:
        """Have a process of this runtime told by `PeerUp` and `PeerDown`; those known are told at once."""
        self._watchers[pid] = None
        for peer in self.peers:
            self._tell(pid, PeerUp(peer))

    # -- from the transport ------------------------------------------------------------------------

    def peer_up(self, peer: str) -> None:
        """A runtime can be reached."""
        if peer not in self.peers:
            self.peers[peer] = None
            for pid in list(self._watchers):
                self._tell(pid, PeerUp(peer))

    def peer_lost(self, peer: str) -> None:
        """The connection to a runtime is lost: its processes have ended, as far as this one can tell."""
        self._lose([self._kept.pop(address) for address in list(self._kept) if address.runtime == peer])
        for sender in list(self._answering.get(peer, {}).values()):
            sender.abandon()
        for ref, pid in self._watched.pop(peer, {}).items():
            watched = self.runtime.cell(pid)
            if watched is not None:
                watched.unwatched_by(ref)
        if peer in self.peers:
            del self.peers[peer]
            for pid in list(self._watchers):
                self._tell(pid, PeerDown(peer))

    def receive(self, peer: str, signal: Signal) -> None:
        """Act on a signal of another runtime."""
        runtime = self.runtime
        match signal:
            case Deliver(target, message):
                cell = runtime.cell(target)
                if cell is not None:
                    cell.deliver(message)
            case Ask():
                self._asked_from(peer, signal)
            case Answer(number, value, error):
                self._answered(number, value, error)
            case Abandon(number):
                asking = self._answering.get(peer, {}).get(number)
                if asking is not None:
                    asking.abandon()
            case Link(sender, target):
                self._link(sender, target)
            case Unlink(sender, target):
                cell = runtime.cell(target)
                if cell is not None:
                    cell.links.discard(sender)
                self._unlinked(sender, target)
            case ExitSignal(sender, target, reason, via_link):
                if sender is not None and via_link:
                    self._unlinked(sender, target)
                runtime.exit_signal(sender, target, reason, via_link=via_link)
            case Monitor(ref, target):
                self._monitor(peer, ref, target)
            case Demonitor(ref):
                pid = self._watched.get(peer, {}).pop(ref, None)
                cell = None if pid is None else runtime.cell(pid)
                if cell is not None:
                    cell.unwatched_by(ref)
            case Ended(ref, target, reason):
                self._ended(peer, ref, target, reason)

    # -- inside ------------------------------------------------------------------------------------

    def _asked_from(self, peer: str, ask: Ask) -> None:
        runtime = self.runtime
        cell = runtime.cell(ask.target)
        if ask.operation == LOCATE:
            self.send(peer, Answer(ask.number, None if cell is None else cell.pid))
            return
        if cell is None:
            self.send(peer, Answer(ask.number, error=NoProcess()))
            return
        sender = RemoteFrom(self, peer, ask.number, cell, ask.caller)
        self._answering.setdefault(peer, {})[ask.number] = sender
        if ask.operation is not None:
            cell.calls[sender] = None
            cell.deliver(SystemCall(ask.operation, ask.request, sender))
            return
        now = runtime.now()
        deadline = None
        if ask.timeout_s is not None:
            deadline = now + ask.timeout_s
            sender.expire_at(deadline)
        cell.deliver_call(Call(ask.request, sender, deadline, ask.drop_expired, now))

    def _answered(self, number: int, value: object, error: BaseException | None) -> None:
        asked = self._asked.get(number)
        if asked is None:
            return  # a late answer: nobody waits any more
        self._forget(number)
        _, sender = asked
        if error is None:
            sender.reply(value)
        else:
            sender.fail(error)

    def _settled(self, number: int, done: asyncio.Future[object], *, timed: bool) -> None:
        """Nobody waits any more for an answer; the other side sees it by itself when it was told how long."""
        cell = self._forget(number)
        if cell is not None and not timed and (done.cancelled() or isinstance(done.exception(), CallTimeout)):
            cell.send(Abandon(number))

    def _forget(self, number: int) -> RemoteCell | None:
        asked = self._asked.pop(number, None)
        if asked is None:
            return None
        cell, sender = asked
        cell.calls.pop(sender, None)
        self.remember(cell)
        return cell

    def _link(self, sender: Pid, target: Pid) -> None:
        cell = self.runtime.cell(target)
        if cell is None:
            self.send(sender.runtime, ExitSignal(target, sender, NOPROC, via_link=True))
            return
        cell.links.add(sender)
        linked = self.cell(sender)
        linked.links.add(target)
        self.remember(linked)

    def _unlinked(self, sender: Pid, target: Pid) -> None:
        linked = self.cell(sender)
        linked.links.discard(target)
        self.remember(linked)

    def _monitor(self, peer: str, ref: Ref, target: Pid | str) -> None:
        cell = self.runtime.cell(target)
        if cell is None:
            self.send(peer, Ended(ref, target, NOPROC))
            return
        self._watched.setdefault(peer, {})[ref] = cell.pid

        def ended(reason: ExitReason) -> None:
            self._watched.get(peer, {}).pop(ref, None)
            self.runtime.queue_signal(lambda: self.send(peer, Ended(ref, target, reason)))

        cell.watched_by(ref, ended)

    def _ended(self, peer: str, ref: Ref, target: Pid | str, reason: ExitReason) -> None:
        address = RemoteName(peer, target) if isinstance(target, str) else target
        cell = self._kept.get(address)
        watcher = cell.watchers.pop(ref, None) if cell is not None and cell.watchers else None
        if cell is None or watcher is None:
            return
        self.remember(cell)
        self.runtime.tell_watcher(watcher, Down(ref, address, reason))
        self.runtime.hand_out_signals()

    def _lose(self, cells: list[RemoteCell]) -> None:
        for cell in cells:
            calls, cell.calls = cell.calls, {}
            for sender in calls:
                sender.fail(Disconnected())
        for cell in cells:  # all links before all monitors, as one process may hold both, by pid and by name
            linked, cell.links = cell.links, set()
            for pid in sorted(linked):
                self.runtime.queue_exit(cell.pid, pid, NOCONNECTION)
        for cell in cells:
            watchers, cell.watchers = cell.watchers or {}, None
            for ref, watcher in watchers.items():
                self.runtime.tell_watcher(watcher, Down(ref, _address(cell), NOCONNECTION))
        self.runtime.hand_out_signals()

    def _tell(self, pid: Pid, message: PeerUp | PeerDown) -> None:
        cell = self.runtime.cell(pid)
        if cell is None:
            self._watchers.pop(pid, None)
        else:
            cell.deliver(message)


def _address(cell: RemoteCell) -> Pid | RemoteName:
    return RemoteName(cell.pid.runtime, cell.target) if isinstance(cell.target, str) else cell.target


__all__ = ["Distribution", "PeerDown", "PeerUp", "Transport"]
