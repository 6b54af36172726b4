"""Registry: keys of your own for processes, unique or shared, that vanish with their processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import gen_server, process
from .errors import NoProcess, UsageError
from .pid import Destination, Pid, Via
from .registry_server import Entry, Registry
from .runtime import current_runtime
from .server_cell import ServerCell
from .threads import from_any_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .cell import Cell
    from .kernel.names import Table
    from .pid import Name
    from .runtime import Runtime


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
    "Registry",
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
