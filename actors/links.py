"""Links, monitors and exit signals: how processes learn of each other's ends."""

from __future__ import annotations

import itertools
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from .kernel.reason import KILL, KILLED, NOPROC, NORMAL
from .message import Down, ExitMessage
from .pid import Pid, Ref, RemoteName

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .cell import Cell
    from .distribution import Distribution
    from .kernel.reason import ExitReason
    from .pid import Destination


class Links:
    """The part of a runtime that links and monitors its processes.

    All signals take effect in the order in which they were sent, and none within another. As a process that ends first
    tells those linked to it, who both links and monitors it gets the exit signal before the `Down`, as in OTP.

    Attributes:
        name: Of the runtime.
        distribution: The connections to other runtimes, `None` when there are none.
        loop: Of the runtime.
    """

    loop: asyncio.AbstractEventLoop

    def __init__(self, name: str) -> None:
        self.name = name
        self.distribution: Distribution | None = None
        self._refs = itertools.count(1)
        self._signals: deque[Callable[[], object]] = deque()
        self._handing_out = False

    def cell(self, destination: Destination) -> Cell | None:
        """The living cell at a destination."""
        raise NotImplementedError

    def finish(self, cell: Cell, reason: ExitReason) -> None:
        """End a process."""
        raise NotImplementedError

    def new_ref(self) -> Ref:
        """A reference that nobody had before."""
        return Ref(self.name, next(self._refs))

    def queue_signal(self, act: Callable[[], object]) -> None:
        """Have a signal take effect with the next ones."""
        self._signals.append(act)

    def queue_exit(self, sender: Pid, target: Pid, reason: ExitReason) -> None:
        """Queue the exit signal of a link."""
        self._signals.append(partial(self._exit, sender, target, reason, True))

    def tell_watcher(self, watcher: Pid | Callable[[ExitReason], object], message: Down) -> None:
        """Tell who monitors a process that it has ended: functions at once, processes with the next signals."""
        if callable(watcher):
            watcher(message.reason)
        else:
            self._signals.append(partial(self._down, watcher, message))

    def link(self, one: Cell, other: Pid) -> None:
        """Link two processes; if `other` is gone, `one` gets the exit signal `noproc`."""
        if one.pid == other:
            return
        cell = self.cell(other)
        if cell is None:
            one.links.add(other)
            self.exit_signal(other, one.pid, NOPROC, via_link=True)
            return
        one.links.add(other)
        cell.linked_by(one.pid)

    def unlink(self, one: Cell, other: Pid) -> None:
        """Undo a link, from either side."""
        one.links.discard(other)
        cell = self.cell(other)
        if cell is not None:
            cell.unlinked_by(one.pid)

    def monitor(self, watcher: Cell, target: Destination) -> Ref:
        """Have `watcher` get one `Down` when `target` ends (at once when it is not there)."""
        ref = self.new_ref()
        cell = self.cell(target)
        if cell is None:
            watcher.deliver(Down(ref, target, NOPROC))
            return ref
        if watcher.watching is None:
            watcher.watching = {}
        watcher.watching[ref] = target if isinstance(target, RemoteName) else cell.pid
        if isinstance(target, Pid):
            cell.watched_by(ref, watcher.pid)
        else:
            cell.watched_by(ref, lambda reason: self.tell_watcher(watcher.pid, Down(ref, target, reason)))
        return ref

    def demonitor(self, watcher: Cell, ref: Ref, *, flush: bool = True) -> None:
        """Undo a monitor; with `flush`, a `Down` already in the mailbox is removed too."""
        target = watcher.watching.pop(ref, None) if watcher.watching else None
        cell = self.cell(target) if target is not None else None
        if cell is not None:
            cell.unwatched_by(ref)
        if flush:
            for message in watcher.mailbox:
                if isinstance(message, Down) and message.ref == ref:
                    watcher.mailbox.remove(message)
                    break

    def ended(self, target: Destination) -> asyncio.Future[ExitReason]:
        """A future of the exit reason of a process: how shells wait for an end (`noproc`: not there)."""
        future: asyncio.Future[ExitReason] = self.loop.create_future()
        cell = self.cell(target)
        if cell is None:
            future.set_result(NOPROC)
            return future
        ref = self.watch(cell, lambda reason: None if future.done() else future.set_result(reason))
        future.add_done_callback(lambda _: cell.unwatched_by(ref))
        return future

    def watch(self, cell: Cell, told: Callable[[ExitReason], object]) -> Ref:
        """Have `told` called with the exit reason of a living process when it ends, before anybody else runs."""
        ref = self.new_ref()
        cell.watched_by(ref, told)
        return ref

    def exit(self, sender: Pid | None, target: Pid, reason: ExitReason) -> None:
        """Send an exit signal; `kill` cannot be trapped."""
        self.exit_signal(sender, target, reason, via_link=False)

    def exit_signal(self, sender: Pid | None, target: Pid, reason: ExitReason, *, via_link: bool) -> None:
        """Send an exit signal, or let one of a link take effect."""
        self._signals.append(partial(self._exit, sender, target, reason, via_link))
        self.hand_out_signals()

    def hand_out_signals(self) -> None:
        """Let signals take effect in order; not recursive, so that long chains of links cannot exhaust the stack."""
        if self._handing_out:
            return
        self._handing_out = True
        try:
            while self._signals:
                self._signals.popleft()()
        finally:
            self._handing_out = False

    def _down(self, watcher: Pid, message: Down) -> None:
        cell = self.cell(watcher)
        if cell is not None and cell.watching is not None and cell.watching.pop(message.ref, None) is not None:
            cell.deliver(message)

    def _exit(self, sender: Pid | None, target: Pid, reason: ExitReason, via_link: bool) -> None:
        if target.runtime != self.name and self.distribution is not None:
            self.distribution.exit_signal(sender, target, reason, via_link=via_link)
            return
        cell = self.cell(target)
        if cell is None:
            return
        if via_link:
            if sender not in cell.links:
                return
            cell.links.discard(sender)
        if reason == KILL and not via_link:
            self.finish(cell, KILLED)
        elif cell.trap_exit:
            cell.deliver(ExitMessage(sender if sender is not None else cell.pid, reason))
        elif reason != NORMAL or sender == target:
            self.finish(cell, reason)
