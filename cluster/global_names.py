"""Names for processes of the whole system: one process has a name, wherever it lives. After OTP's `global`.

A process of any replica is started under a name, or is given one; processes of all replicas reach it by that name:

    >>> from raybeam.actors import GenServer, Runtime, call, gen_server
    >>> from raybeam.actors.testing import run
    >>> from raybeam.cluster import Global, global_names
    >>> class Stock(GenServer):
    ...     async def init(self, items: int) -> None:
    ...         self.items = items
    ...     @call
    ...     async def take(self, count: int) -> int:
    ...         self.items -= count
    ...         return self.items
    >>> async def main() -> list[object]:
    ...     async with Runtime():
    ...         await global_names.start()  # in a test; every replica of a system has done so already
    ...         pid = await gen_server.start(Stock, 10, name=Global("stock"))
    ...         stock = gen_server.ref(Stock, Global("stock"))
    ...         seen: list[object] = [await stock.take(3), global_names.whereis_name("stock") == pid]
    ...         other = await gen_server.start(Stock, 5)
    ...         seen.append(await global_names.register_name("stock", other))
    ...         await gen_server.stop(pid)
    ...         return [*seen, await global_names.register_name("stock", other)]
    >>> run(main())
    [7, True, False, True]

**Names** are hashable terms that can be pickled, at most 1024 bytes: strings, tuples of plain values, your own classes
if they are equal to their copies and can be imported by all replicas. As keys of a `dict`, `1` and `1.0` are the same.
A process may have several names. `Global(name)` stands wherever a name does: as `name=` of a start, and as the
destination of a call, cast, message, stop, monitor or reference. A driver asks `System.whereis_name` and makes typed
references to a name by `System.named`.

**Registering** asks the root of the system, the only one that gives names away, so no two processes are given one name.
**Reading** does not: each replica has a table of all names, to which the root sends every change. It may lag behind by
what is under way: a call to a process that has just ended fails with `NoProcess`, and may be tried again. So names are
for processes that live for a while; a change costs a message to each replica.

**A failure and its outcome.** A name is free again when its process has ended, or its replica is lost.

- *The root is lost.* Ray restarts it, and the replicas tell it what they have. Until then the names go on to be found,
  and who registers one waits, for `timeout_s`; then it gets a `ClusterError`, and the name is not registered. Before
  the new root gives a name away it hears all replicas, or has waited 5 seconds for those that are silent.
- *A replica is cut off from the root* but lives: its names are given up, and others may take them. When it is back, or
  when a replica that was silent speaks after the 5 seconds, two processes may have one name. Then the `conflict` rule
  of the process whose replica came back decides:

  | rule | outcome |
  |---|---|
  | `random_exit_name`, the default | one of both, at random, has the name; the other is killed |
  | `random_notify_name` | one of both, at random, has the name; the other gets a `GlobalNameConflict` message |
  | `notify_all_name` | neither has it, and both get a `GlobalNameConflict` |
  | a function `(name, pid1, pid2)` | the one it returns has it; with `None` neither has. It may also return a rule |

  A function is run in the replica that came back, in a process of its own; `pid1` is the one that has the name at that
  moment, `pid2` the one that came back. It may be `async`, take 5 seconds, and be called again when things have changed
  meanwhile. If it fails, neither process has the name. In OTP too the loser is just unregistered after a function of
  your own: send it a message if it must know.

**When not to use it.** For processes of one runtime use `Registry`: it needs no other process to be asked. For any
number of processes under one name use `pg`. For a service that clients call, make it a family (`pattern: singleton`):
it is replaced when its machine dies, and its clients wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybeam.actors import Pid, RemoteName, StartError, UsageError, Via, gen_server, process
from raybeam.actors.runtime import current_runtime
from raybeam.actors.server_cell import ServerCell

from .kernel.name_protocol import Rule
from .name_authority import AUTHORITY, NameAuthority
from .name_server import SERVER, GlobalNameConflict, Holdings, NameServer, Register, Unregister
from .sealed_names import NAME_LIMIT, check_name

if TYPE_CHECKING:
    from collections.abc import Hashable

    from raybeam.actors import Runtime
    from raybeam.actors.cell import Cell

    from .name_server import Chooser

random_exit_name = Rule.RANDOM_EXIT
"""One of both, at random, keeps the name; the other is killed."""
random_notify_name = Rule.RANDOM_NOTIFY
"""One of both, at random, keeps the name; the other is sent a `GlobalNameConflict`."""
notify_all_name = Rule.NOTIFY_ALL
"""Neither keeps the name, both are sent a `GlobalNameConflict`."""

TIMEOUT_S = 10.0
MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class _GlobalNames:
    """The names of the system as a resolver; see `raybeam.actors.pid.AwaitedResolver`."""

    conflict: Rule | Chooser = random_exit_name

    def __repr__(self) -> str:
        return "global names"

    def whereis_name(self, runtime: Runtime, key: Hashable) -> Pid | None:
        """Who has the name, as far as `runtime` knows."""
        server = _server(runtime)
        pid = None if server is None else server.table.get(key)
        return None if pid is None or runtime.cell(pid) is None else pid

    def register_name(self, runtime: Runtime, key: Hashable, cell: Cell) -> None:
        """Not possible without waiting."""
        raise UsageError(f"the root must be asked for the name {key!r}: `await global_names.register_name(...)`")

    async def claim_name(self, runtime: Runtime, key: Hashable, cell: Cell) -> Pid | None:
        """Register a process of `runtime`."""
        return await _register(key, cell.pid, self.conflict, TIMEOUT_S, replace=False)


class Global(Via):
    """A name of the whole system, used as any other name.

    Args:
        name: The name.
        conflict: When a process is started under the name: what decides if another comes to have it too. Default
            `random_exit_name`.

    >>> Global("stock")
    <'stock' via global names>
    """

    __slots__ = ()

    def __new__(cls, name: Hashable, conflict: Rule | Chooser = random_exit_name) -> Global:
        """Make the name."""
        return super().__new__(cls, _GlobalNames(conflict), name)

    def __getnewargs__(self) -> tuple[Hashable, Rule | Chooser]:
        assert isinstance(self.resolver, _GlobalNames)
        return self.key, self.resolver.conflict


async def register_name(
    name: Hashable, pid: Pid, conflict: Rule | Chooser = random_exit_name, *, timeout_s: float = TIMEOUT_S
) -> bool:
    """Give a process a name.

    Args:
        name: Any hashable term that can be pickled, see above.
        pid: A process of any replica.
        conflict: What decides if another process comes to have the name too: `random_exit_name` (the default),
            `random_notify_name`, `notify_all_name`, or a function, see above.
        timeout_s: Seconds to wait for the root. Default 10, which spans a restart of it.

    Returns:
        `False` if a living process has the name, be it `pid`.

    Raises:
        ClusterError: The root did not answer in time; the name is not registered.
        NoProcess: The process has ended.
        Disconnected: The process lives in another runtime, to which the connection was lost; the outcome is unknown.
        UsageError: The term cannot be a name, or there are no global names here.
    """
    return await _register(name, pid, conflict, timeout_s, replace=False) is None


async def re_register_name(
    name: Hashable, pid: Pid, conflict: Rule | Chooser = random_exit_name, *, timeout_s: float = TIMEOUT_S
) -> None:
    """Like `register_name`, whoever has the name; who had it is not told.

    Should the root be lost before the replica of who had it knows, both claim the name, and the rule decides.
    """
    await _register(name, pid, conflict, timeout_s, replace=True)


async def unregister_name(name: Hashable, *, timeout_s: float = TIMEOUT_S) -> None:
    """Take a name from who has it, as far as is known here; nothing happens when nobody has.

    Args:
        name: The name.
        timeout_s: Seconds to wait for the root. Default 10, which spans a restart of it.

    Raises:
        ClusterError: The root did not answer in time: it will be told later, until then others may find the name.
        CallFailed: The replica of who has it cannot be reached.
    """
    pid = whereis_name(name)
    if pid is not None:
        await gen_server.request(_server_of(pid), Unregister(name, timeout_s), timeout_s + MARGIN_S)


def whereis_name(name: Hashable) -> Pid | None:
    """Who has a name, as far as is known here; `None`: nobody, or there are no global names here."""
    return current_runtime().whereis(Global(name))


def registered_names() -> list[Hashable]:
    """All names that are known here.

    Raises:
        UsageError: There are no global names here.
    """
    server = _server(current_runtime())
    if server is None:
        raise _no_names()
    return list(server.table)


def send(name: Hashable, message: object) -> Pid:
    """Send a plain message to who has a name; its pid.

    Raises:
        UsageError: Nobody has it.
    """
    pid = whereis_name(name)
    if pid is None:
        raise UsageError(f"nobody has the name {name!r}: register a process first")
    process.send(pid, message)
    return pid


async def start(root: str | None = None) -> Pid:
    """Start global names in a runtime of your own; replicas need it not. The pid of the runtime's name server.

    Args:
        root: Name of the runtime that gives names away, see `start_root`. Default: this one.

    Raises:
        StartError: They were started already, with the reason `("already_started", pid)`.
    """
    server = current_runtime().cell(SERVER)
    if server is not None:
        raise StartError(("already_started", server.pid))
    if root is None:
        root = current_runtime().name
        await start_root()
    return await gen_server.start(NameServer, Holdings(root), name=SERVER)


async def start_root() -> Pid:
    """Have this runtime give the names away, to those that were started with its name as `root`."""
    return await gen_server.start(NameAuthority, name=AUTHORITY)


async def _register(
    name: Hashable, pid: Pid, conflict: Rule | Chooser, timeout_s: float, *, replace: bool
) -> Pid | None:
    check_name(name)
    if not isinstance(pid, Pid):
        raise UsageError(f"{pid!r} is no pid: only a process can be given the name {name!r}")
    if conflict is Rule.OWN or not (isinstance(conflict, Rule) or callable(conflict)):
        raise UsageError(
            f"conflict={conflict!r}: give random_exit_name, random_notify_name, notify_all_name or a function"
        )
    if not timeout_s > 0:
        raise UsageError(f"timeout_s={timeout_s!r}: give seconds above 0")
    if _server(current_runtime()) is None:
        raise _no_names()
    request = Register(name, pid, conflict, replace, timeout_s)
    holder = await gen_server.request(_server_of(pid), request, timeout_s + MARGIN_S)
    assert holder is None or isinstance(holder, Pid)
    return holder


def _server_of(pid: Pid) -> str | RemoteName:
    """The name server of the runtime that a process lives in: it makes the claims of its processes."""
    return SERVER if pid.runtime == current_runtime().name else RemoteName(pid.runtime, SERVER)


def _server(runtime: Runtime) -> NameServer | None:
    cell = runtime.cell(SERVER)
    server = cell.server if isinstance(cell, ServerCell) else None
    return server if isinstance(server, NameServer) else None


def _no_names() -> UsageError:
    return UsageError(
        "there are no global names in this runtime: outside of replicas `await global_names.start()` first"
    )


__all__ = [
    "NAME_LIMIT",
    "Global",
    "GlobalNameConflict",
    "notify_all_name",
    "random_exit_name",
    "random_notify_name",
    "re_register_name",
    "register_name",
    "registered_names",
    "send",
    "start",
    "start_root",
    "unregister_name",
    "whereis_name",
]
