"""Registry: keys of your own for processes, unique or shared, that vanish with their processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from . import gen_server, process
from .errors import AlreadyRegistered, NoProcess, UsageError
from .gen_server import GenServer
from .kernel.names import Table
from .pid import Destination, Pid, Via
from .runtime import current_runtime
from .server_cell import ServerCell
from .threads import from_any_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from .cell import Cell
    from .pid import Name, Ref
    from .runtime import Runtime

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
        if isinstance(self.listeners, str):
            raise UsageError(f"listeners={self.listeners!r}: give a list of pids and names")


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
    has to see to it itself. So let the registry start before the processes that use it, and under the same supervisor
    strategy `"rest_for_one"` or `"one_for_all"`.

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


# -- API -------------------------------------------------------------------------------------------------------------


async def start(
    registry: type[Registry] = Registry, *args: object, name: Name | None = None, timeout_s: float | None = None
) -> Pid:
    """Start a registry that nobody is linked to.

    Args:
        registry: Its class. Default: `Registry` itself.
        *args: For its `init`: a `RegistrySpec`, unless a subclass says otherwise. Default: all options as they are.
        name: A name to register. Default: none.
        timeout_s: Seconds that `init` may take. Default: for ever.

    Raises:
        StartError: An option is wrong, or the name is taken (reason `("already_started", pid)`).
    """
    return await gen_server.start(registry, *args, name=name, timeout_s=timeout_s)


async def start_link(
    registry: type[Registry] = Registry, *args: object, name: Name | None = None, timeout_s: float | None = None
) -> Pid:
    """Like `start`, linked to the calling process, which becomes the parent."""
    return await gen_server.start_link(registry, *args, name=name, timeout_s=timeout_s)


@from_any_thread
def register(registry: Destination, key: Hashable, value: object = None) -> None:
    """Register the calling process under a key.

    Args:
        registry: Pid or name of a `Registry`.
        key: Any hashable term; `1` and `1.0` are the same key.
        value: What others find with the pid. Default `None`.

    Raises:
        AlreadyRegistered: The unique key is taken; `pid` says by whom, which may be the caller itself.
        NotAProcessError: The caller is not a process.
        NoProcess: There is no such registry.
    """
    cell = process.own_cell()
    _server(cell.runtime, registry).enter(key, cell, value)


@from_any_thread
def unregister(registry: Destination, key: Hashable, match: Callable[[object], bool] | None = None) -> None:
    """Remove the calling process's entries under a key; nothing happens when it has none.

    Args:
        registry: Pid or name of a `Registry`.
        key: The key.
        match: Which entries, by their values. Default: all.
    """
    cell = process.own_cell_dead_or_alive()
    _server(cell.runtime, registry).leave(key, cell, match)


@from_any_thread
def update_value(
    registry: Destination, key: Hashable, change: Callable[[object], object]
) -> tuple[object, object] | None:
    """Replace the value of the calling process under a unique key by `change(value)`.

    Returns:
        The new and the old value; `None`, and nothing is changed, when the key is not the caller's.

    Raises:
        UsageError: The registry has duplicate keys.
    """
    table, pid = _unique(_server(current_runtime(), registry), "update_value"), process.self_pid()
    for old in table.values(key, pid):
        new = change(old)
        table.replace(key, pid, new)
        return new, old
    return None


@from_any_thread
def lookup(registry: Destination, key: Hashable, match: Callable[[object], bool] | None = None) -> list[Entry]:
    """The entries under a key, in no promised order.

    Args:
        registry: Pid or name of a `Registry`.
        key: The key.
        match: Which entries, by their values. Default: all.
    """
    found = _table(registry).lookup(key)
    return [Entry(pid, value) for pid, value in found if match is None or match(value)]


def dispatch(registry: Destination, key: Hashable, function: Callable[[list[Entry]], object]) -> None:
    """Call `function` with all entries under a key, in the calling process; not at all when there are none."""
    entries = lookup(registry, key)
    if entries:
        function(entries)


@from_any_thread
def keys(registry: Destination, pid: Pid) -> list[Hashable]:
    """The keys of a process, a duplicate key once for each entry."""
    return _table(registry).keys(pid)


@from_any_thread
def values(registry: Destination, key: Hashable, pid: Pid) -> list[object]:
    """What a process has under a key."""
    return _table(registry).values(key, pid)


@from_any_thread
def select(
    registry: Destination, match: Callable[[Hashable, Pid, object], bool] | None = None
) -> list[tuple[Hashable, Pid, object]]:
    """All entries as `(key, pid, value)`, or those for which `match(key, pid, value)` holds. Looks at every entry."""
    return [entry for entry in _table(registry).entries() if match is None or match(*entry)]


def count(registry: Destination) -> int:
    """How many entries there are."""
    return len(_table(registry))


def meta(registry: Destination, key: Hashable, default: object = None) -> object:
    """A piece of metadata, or `default`."""
    return _server(current_runtime(), registry)._meta.get(key, default)


@from_any_thread
def put_meta(registry: Destination, key: Hashable, value: object) -> None:
    """Keep a piece of metadata with the registry."""
    _server(current_runtime(), registry)._meta[key] = value


@from_any_thread
def delete_meta(registry: Destination, key: Hashable) -> None:
    """Forget a piece of metadata; nothing happens when it is not there."""
    _server(current_runtime(), registry)._meta.pop(key, None)


def via(registry: Destination, key: Hashable) -> Via:
    """The name `key` of a unique registry, to be used where a name may stand.

    Args:
        registry: Pid or name of a `Registry`; by name it may be restarted meanwhile.
        key: The key.

    As `name=` of a start it registers the new process, with the value `None`; a key that is taken fails the start
    with `("already_started", pid)`. As a destination it leads to who has the key at that moment, or to nobody.
    """
    return Via(_RegistryNames(registry), key)


class _RegistryNames(NamedTuple):
    """A registry as a `NameResolver`."""

    registry: Destination

    def __repr__(self) -> str:
        return f"registry {self.registry!r}"

    def whereis_name(self, runtime: Runtime, key: Hashable) -> Pid | None:
        """Who has the key; nobody has while the registry is not there."""
        try:
            return _unique(_server(runtime, self.registry), "via").holder(key)
        except NoProcess:
            return None

    def register_name(self, runtime: Runtime, key: Hashable, cell: Cell) -> None:
        """Register the process under the key."""
        server = _server(runtime, self.registry)
        _unique(server, "via")
        server.enter(key, cell, None)


def _server(runtime: Runtime, registry: Destination) -> Registry:
    cell = runtime.cell(registry)
    server = cell.server if isinstance(cell, ServerCell) else None
    if cell is not None and not isinstance(server, Registry):
        raise UsageError(f"{registry!r} is no Registry but {cell.description()}")
    if not isinstance(server, Registry) or server._table is None:
        raise NoProcess((registry, "registry"))
    return server


def _table(registry: Destination) -> Table[Pid]:
    table = _server(current_runtime(), registry)._table
    assert table is not None
    return table


def _unique(server: Registry, operation: str) -> Table[Pid]:
    table = server._table
    assert table is not None
    if not table.unique:
        raise UsageError(f"{operation}() needs a registry with unique keys; {server.pid} has duplicate keys")
    return table


__all__ = [
    "Entry",
    "Registered",
    "Registry",
    "RegistrySpec",
    "Unregistered",
    "count",
    "delete_meta",
    "dispatch",
    "keys",
    "lookup",
    "meta",
    "put_meta",
    "register",
    "select",
    "start",
    "start_link",
    "unregister",
    "update_value",
    "values",
    "via",
]
