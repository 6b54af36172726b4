"""The connections of a replica's runtime to those of other replicas: signals between processes travel in lanes.

A connection is made by the first signal and watched by a pending call on the other replica, its lifeline, so that the
death of the replica is seen in milliseconds. One lifeline serves all links and monitors between two runtimes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from raybeam.actors import CallFailed, Distribution, InvalidArgumentsError
from raybeam.actors.runtime import log
from raybeam.actors.signals import in_words

from . import envelope
from .kernel.connection import Connection, Stamp, Verdict, arrived, lost, stamp
from .lane import Lane, Link, LinkDown

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from raybeam.actors import Runtime
    from raybeam.actors.signals import Signal

    from .kernel.views import Table

AGAIN_S = 0.5


class PeerLink(Link, Protocol):
    """A link to another replica that also tells of its end."""

    async def ended(self) -> None:
        """Returns when the service of the replica has ended.

        Raises:
            LinkDown: The replica is dead.
        """
        ...


class PeerSource(Protocol):
    """How other replicas are reached."""

    async def link(self, name: str) -> PeerLink:
        """A link to the replica with that name.

        Raises:
            LookupError: There is no such replica any more.
        """
        ...


class Mesh:
    """Carries the signals of one runtime; see `raybeam.actors.distribution.Transport`.

    Args:
        runtime: Whose. It is given a `Distribution`.
        source: How other replicas are reached.
    """

    def __init__(self, runtime: Runtime, source: PeerSource) -> None:
        self._name = runtime.name
        self._source = source
        self._members: set[str] = set()
        self._dead: set[str] = set()
        self._known: dict[str, Connection] = {}
        self._wires: dict[str, _Wire] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.distribution = runtime.distribution = Distribution(runtime, self)

    def follow(self, table: Table) -> None:
        """The replicas of the system are those of the table now."""
        listed = {member.name for view in table.views.values() for member in view.members}
        self._dead &= listed
        members = listed - self._dead - {self._name}
        for gone in sorted(self._members - members):
            self._lost(gone, dead=True)
            self._known.pop(gone, None)
        came, self._members = members - self._members, members
        for name in sorted(came):
            self.distribution.peer_up(name)

    def send(self, peer: str, signal: Signal) -> None:
        """See `Transport.send`."""
        try:
            payload = envelope.dump_signal(self._stamp(peer), signal)
        except InvalidArgumentsError as error:
            payload = envelope.dump_signal(self._stamp(peer), in_words(signal, error))
        self._wire(peer).send(payload)

    def receive(self, peer: str, payload: bytes) -> None:
        """A signal has come from another replica."""
        carried, signal = envelope.load_signal(payload)
        self._known[peer], cut, verdict = arrived(self._known.get(peer, Connection()), carried)
        if cut:
            self.distribution.peer_lost(peer)
            if peer in self._members:
                self.distribution.peer_up(peer)
        self._wire(peer)  # what comes from there may depend on here: so its lifeline is held from here too
        if verdict is Verdict.TAKE and signal is not None:
            self.distribution.receive(peer, signal)

    def keep_up(self, idle_s: float) -> None:
        """Greet over each connection that nothing was sent over for `idle_s` seconds: the idle are forgotten."""
        since = asyncio.get_running_loop().time() - idle_s
        for peer, wire in list(self._wires.items()):
            if wire.used_at < since:
                wire.send(envelope.dump_signal(self._stamp(peer), None))

    async def close(self) -> None:
        """End all connections."""
        wires = list(self._wires.values())
        self._wires.clear()
        for wire in wires:
            await wire.close()

    # -- inside ------------------------------------------------------------------------------------

    def _stamp(self, peer: str) -> Stamp:
        return stamp(self._known.setdefault(peer, Connection()))

    def _wire(self, peer: str) -> _Wire:
        wire = self._wires.get(peer)
        if wire is None:
            wire = self._wires[peer] = _Wire(self, peer)
            wire.open()
        return wire

    def _lost(self, peer: str, *, dead: bool) -> None:
        """Give up a connection, and all that depends on it; greet a peer that lives, so that it learns of it.

        The directory may be behind: a peer that is known to be dead is not taken up again.
        """
        wire = self._wires.pop(peer, None)
        if wire is not None:
            wire.abandon()
        self._known[peer] = lost(self._known.get(peer, Connection()))
        self.distribution.peer_lost(peer)
        if dead:
            self._dead.add(peer)
            self._members.discard(peer)
        else:
            self._spawn(self._greet(peer))

    async def _greet(self, peer: str) -> None:
        await asyncio.sleep(AGAIN_S)
        if peer in self._members:
            self.distribution.peer_up(peer)
            self._wire(peer).send(envelope.dump_signal(self._stamp(peer), None))

    def _spawn(self, running: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Wire:
    """One lane to another replica, with its lifeline; opened in the background."""

    def __init__(self, mesh: Mesh, peer: str) -> None:
        self._mesh = mesh
        self._peer = peer
        self._waiting: deque[bytes] = deque()
        self._lane: Lane | None = None
        self._over = False
        self._task: asyncio.Task[None] | None = None

    @property
    def used_at(self) -> float:
        """Loop time at which something was sent last; one that is not open yet is not idle."""
        return float("inf") if self._lane is None else self._lane.used_at

    def open(self) -> None:
        """Connect, then watch."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, payload: bytes) -> None:
        """Send, or keep until the lane is there."""
        if self._lane is None:
            self._waiting.append(payload)
            return
        try:
            self._lane.post((envelope.SIGNAL, self._mesh._name, payload, None, None))
        except CallFailed as failure:
            log.warning("the connection to %s is given up: %s", self._peer, failure)
            self._ended(dead=False)

    def abandon(self) -> None:
        """Stop in the background; nothing of it is told any more."""
        self._over = True
        self._mesh._spawn(self.close())

    async def close(self) -> None:
        """Stop."""
        self._over = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lane is not None:
            await self._lane.close()

    async def _run(self) -> None:
        try:
            link = await self._mesh._source.link(self._peer)
        except LookupError:
            self._ended(dead=True)
            return
        except Exception as error:  # noqa: BLE001 (Ray's head may be away)
            log.info("%s cannot be looked up: %s", self._peer, error)
            self._ended(dead=False)
            return
        lane_id = f"{self._mesh.distribution.runtime.random.getrandbits(128):032x}"
        self._lane = Lane(link, self._peer, lambda dead: self._ended(dead=dead), lane_id=lane_id)
        while self._waiting:
            self.send(self._waiting.popleft())
        try:
            await link.ended()
        except LinkDown:
            self._ended(dead=True)

    def _ended(self, *, dead: bool) -> None:
        if not self._over:
            self._over = True
            self._mesh._lost(self._peer, dead=dead)
