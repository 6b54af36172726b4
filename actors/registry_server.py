"""The process of a registry, its options, and what its listeners are told; `registry` has the functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from . import process
from .errors import AlreadyRegistered, UsageError
from .gen_server import GenServer
from .kernel.names import Table
from .pid import Pid, RemoteName, Via

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .cell import Cell
    from .pid import Destination, Ref

UNIQUE = "unique"
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class RegistrySpec:
    """Options of a registry.

    Attributes:
        keys: `"unique"` (a key has one process) or `"duplicate"` (any number, one process more than once too).
            Default `"unique"`.
        listeners: Processes that get `Registered` and `Unregistered` messages. Default: none.
        meta: Anything to keep with the registry, see `meta`. Default: nothing.
    """

    keys: str = UNIQUE
    listeners: Sequence[Destination] = ()
    meta: Mapping[Hashable, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.keys not in (UNIQUE, DUPLICATE):
            raise UsageError(f"keys={self.keys!r}: use 'unique' or 'duplicate'")
        given: object = self.listeners
        if isinstance(given, str | Pid | RemoteName | Via) or not isinstance(given, Sequence):
            raise UsageError(f"listeners={given!r}: give a list of pids and names")
        for listener in given:
            if not isinstance(listener, str | Pid | RemoteName | Via):
                raise UsageError(f"listeners={given!r}: {listener!r} is no destination; give pids and names")
        meta: object = self.meta
        if not isinstance(meta, Mapping):
            raise UsageError(f"meta={meta!r}: give a mapping, such as a dict")


class Entry(NamedTuple):
    """A process under a key, with the value it gave."""

    pid: Pid
    value: object


@dataclass(frozen=True, slots=True)
class Registered:
    """To listeners: a process has registered a key."""

    registry: Pid
    key: Hashable
    pid: Pid
    value: object


@dataclass(frozen=True, slots=True)
class Unregistered:
    """To listeners: an entry is gone: unregistered, or its process ended."""

    registry: Pid
    key: Hashable
    pid: Pid


class Registry(GenServer):
    """A process that knows which processes have registered a key.

    **What it is.** Elixir's `Registry`: names of any hashable kind, for the processes of one runtime. Processes
    register themselves; reading and registering happen at once, without a message to the registry, so they cost no
    more than a look into a `dict`. An entry is gone the moment its process ends.

    With *unique* keys it is where processes are found by what they stand for. `via(registry, key)` is a name like any
    other: start a process under it, call it, make a reference to it.

        >>> from raybeam.actors import GenServer, Registry, RegistrySpec, Runtime, call, gen_server, process, registry
        >>> from raybeam.actors.testing import run
        >>> class Flight(GenServer):
        ...     async def init(self, seats: int) -> None:
        ...         self.seats = seats
        ...     @call
        ...     async def book(self) -> int:
        ...         self.seats -= 1
        ...         return self.seats
        >>> async def main() -> int:
        ...     async with Runtime():
        ...         await gen_server.start(Registry, name="flights")
        ...         flight = registry.via("flights", ("LH", 454))
        ...         await gen_server.start(Flight, 300, name=flight)
        ...         return await gen_server.ref(Flight, flight).book()
        >>> run(main())
        299

    With *duplicate* keys it is a place to publish and subscribe: `dispatch` hands all entries of a key to a function.

        >>> class Board(GenServer):
        ...     async def init(self, airport: str) -> None:
        ...         registry.register("boards", airport, "arrivals")
        ...         self.shown: list[object] = []
        ...     async def handle_info(self, message: object) -> None:
        ...         self.shown.append(message)
        ...     @call
        ...     async def rows(self) -> list[object]:
        ...         return self.shown
        >>> async def publish() -> list[object]:
        ...     async with Runtime():
        ...         await gen_server.start(Registry, RegistrySpec(keys="duplicate"), name="boards")
        ...         board = await gen_server.start(Board, "JFK")
        ...         def tell(entries: list[registry.Entry]) -> None:
        ...             for entry in entries:
        ...                 process.send(entry.pid, "LH 454 has landed")
        ...         registry.dispatch("boards", "JFK", tell)
        ...         return await gen_server.ref(Board, board).rows()
        >>> run(publish())
        ['LH 454 has landed']

    **A failure and its outcome.** A process that crashes loses its entries at once; the one that its supervisor starts
    in its place registers again, in its `init` or by `name=`. Registry and registered processes are linked: should the
    registry end, so do they, and come back with it, registered; one that traps exits gets an `ExitMessage` instead and
    has to see to it itself. A registry that is *stopped* (reason `"normal"`) ends nobody, as no normal end does: the
    processes live on without entries. Stop it with reason `"shutdown"` to take them along. So let the registry start
    before the processes that use it, and under the same supervisor strategy `"rest_for_one"` or `"one_for_all"`.

    **Options** are those of `RegistrySpec`: pass one to the start, as above.

    **When not to use it.** For a few fixed names, `name="..."` at the start is enough. A registry knows the processes
    of its own runtime only.
    """

    mailbox_limit: ClassVar[int | None] = None
    _table: Table[Pid] | None = None

    async def init(self, spec: RegistrySpec | None = None) -> None:
        """Set up, empty."""
        spec = spec or RegistrySpec()
        process.trap_exit(True)
        self._listeners = tuple(spec.listeners)
        self._meta = dict(spec.meta)
        self._watches: dict[Pid, Ref] = {}
        self._table = Table(unique=spec.keys == UNIQUE)

    def get_state(self) -> object:
        """How many entries there are, and the metadata."""
        return None if self._table is None else {"entries": len(self._table), "meta": self._meta}

    def enter(self, key: Hashable, cell: Cell, value: object) -> None:
        """Register a process: what `register` and `via` names do.

        Raises:
            AlreadyRegistered: The unique key is taken.
        """
        assert self._table is not None
        holder = self._table.add(key, cell.pid, value)
        if holder is not None:
            raise AlreadyRegistered(key, holder)
        if cell.pid not in self._watches:
            self._attach(cell)
        self._tell(Registered(self.pid, key, cell.pid, value))

    def leave(self, key: Hashable, cell: Cell, match: Callable[[object], bool] | None = None) -> None:
        """Unregister a process."""
        assert self._table is not None
        removed = self._table.remove(key, cell.pid, match)
        if removed and cell.pid not in self._table:
            self._detach(cell)
        for _ in removed:
            self._tell(Unregistered(self.pid, key, cell.pid))

    def _attach(self, cell: Cell) -> None:
        """Link with a process, which may not run yet, and be told of its end before anybody can look."""
        cell.links.add(self.pid)
        self._cell.links.add(cell.pid)
        self._watches[cell.pid] = self.runtime.watch(cell, lambda _: self._ended(cell.pid))

    def _detach(self, cell: Cell) -> None:
        cell.links.discard(self.pid)
        self._cell.links.discard(cell.pid)
        cell.unwatched_by(self._watches.pop(cell.pid))

    def _ended(self, pid: Pid) -> None:
        assert self._table is not None
        self._cell.links.discard(pid)  # so that the exit signal, still on its way, is none of a linked process
        self._watches.pop(pid, None)
        for key in self._table.remove_owner(pid):
            self._tell(Unregistered(self.pid, key, pid))

    def _tell(self, event: Registered | Unregistered) -> None:
        for listener in self._listeners:
            cell = self.runtime.cell(listener)
            if cell is not None:
                cell.deliver(event)
