"""Process groups: names for sets of processes that come and go, to find one or all of them. After OTP's `pg`.

A process joins groups by name; whoever knows the name finds the members and sends to one, some or all of them. A member
that ends leaves all its groups by itself:

    >>> from raybeam.actors import GenServer, Runtime, gen_server, pg, process
    >>> from raybeam.actors.testing import run, settle
    >>> class Listener(GenServer):
    ...     async def init(self, topic: str) -> None:
    ...         await pg.join(topic, self.pid)
    >>> async def main() -> list[int]:
    ...     async with Runtime():
    ...         await pg.start()
    ...         first = await gen_server.start(Listener, "storms")
    ...         second = await gen_server.start(Listener, "storms")
    ...         seen = [len(pg.get_members("storms"))]
    ...         process.exit_process(first, "kill")
    ...         await settle()
    ...         return [*seen, pg.get_members("storms") == [second]]
    >>> run(main())
    [2, True]

**Groups** are made by the first join and gone with the last leave; any hashable term names one. A process may join
several times: it is listed as often, and each leave takes one.

**Scopes.** A scope is a process with its own groups, independent of other scopes; its name is the process's name. The
functions here take the default scope `pg` unless told another. `get_members`, `get_local_members` and `which_groups`
read the scope's tables at once, without asking the process; all others ask it.

**Monitors.** `monitor` tells the members of a group at this moment, and from then on sends the caller a `Joined` or
`Left` message for each change; `monitor_scope` does so for all groups. The death of a process that joined three times
is three `Left` messages.

**A failure and its outcome.** When a scope's process ends, its groups are gone and its members are not told; after a
restart they must join again, so start the scope first and let its members restart with it: under one supervisor,
`SupervisorSpec([ChildSpec("pg", Scope), ...], strategy="rest_for_one")`.

**Other runtimes.** Only processes of this runtime can be joined to a group here. Scopes of one name in connected
runtimes are peers: each tells the others of its members, and their views agree once nothing moves any more. When the
connection to a runtime is lost, its members leave here, and come back with it.

**When not to use it.** For one process with one name, register it. To have every event handled in order by all
listeners, use `GenEvent`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from . import gen_server
from .distribution import PeerDown, PeerUp
from .errors import UsageError
from .gen_server import GenServer
from .kernel import group_tables, groups
from .kernel.groups import Joined, Left
from .kernel.server import CallResult, Error, InitResult, Reply, Result
from .message import Down
from .pid import Pid, RemoteName
from .process import own_cell, send
from .runtime import current_runtime
from .server_cell import ServerCell
from .threads import from_any_thread

if TYPE_CHECKING:
    from .kernel.group_tables import Group
    from .message import From
    from .pid import Ref

DEFAULT_SCOPE = "pg"


@dataclass(frozen=True, slots=True)
class _Monitor:
    """Request: monitor one group, or all."""

    pid: Pid
    group: tuple[Group] | None


class Scope(GenServer):
    """The process of one scope; takes the scope's name. The module's docstring is the manual."""

    mailbox_limit: ClassVar[int | None] = None

    def __init__(self) -> None:
        self._tables = group_tables.Tables()
        self._watches: dict[Pid, Ref] = {}

    async def init(self, name: str = DEFAULT_SCOPE) -> InitResult:
        """Take the name; `Error(("already_started", pid))` when somebody has it."""
        holder = self.runtime.whereis(name)
        if holder is not None:
            return Error(("already_started", holder))
        self.runtime.register(name, self._cell)
        self._name = name
        if self.runtime.distribution is not None:
            self.runtime.distribution.monitor_peers(self.pid)
        return None

    @property
    def tables(self) -> group_tables.Tables:
        """The groups; read only."""
        return self._tables

    def _step(self, event: groups.Event) -> object:
        """Step the kernel and carry out what it says; the answer to who asked."""
        answer: object = None
        for effect in groups.step(self._tables, self.pid, event):
            match effect:
                case groups.Tell(pid, message):
                    send(pid, message)
                case groups.Send(peer, message):
                    send(peer, message)
                case groups.Watch(pid):
                    self._watches[pid] = self.runtime.monitor(self._cell, pid)
                case groups.Unwatch(pid):
                    self.runtime.demonitor(self._cell, self._watches.pop(pid))
                case groups.Answer(value):
                    answer = value
                case group_tables.RemoveMonitor(ref):
                    self.runtime.demonitor(self._cell, ref)
                    group_tables.apply(self._tables, effect)
                case _:
                    group_tables.apply(self._tables, effect)
        return answer

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Serve the API."""
        match request:
            case groups.Join() | groups.Leave() | groups.Demonitor():
                return Reply(self._step(request))
            case _Monitor(pid, None):
                return Reply(self._step(groups.MonitorScope(self.runtime.monitor(self._cell, pid), pid)))
            case _Monitor(pid, (group,)):
                return Reply(self._step(groups.MonitorGroup(self.runtime.monitor(self._cell, pid), pid, group)))
            case _:
                return await super().handle_call(request, sender)

    async def handle_info(self, message: object) -> Result:
        """Serve peers, and ends of members, peers and monitors; anything else is logged and dropped."""
        match message:
            case Down(ref, Pid() as pid):
                if self._watches.get(pid) == ref:
                    del self._watches[pid]
                self._step(groups.Ended(pid, ref))
            case PeerUp(runtime):
                self._step(groups.Meet(RemoteName(runtime, self._name)))
            case PeerDown():
                return None  # its scope is seen to end by a monitor
            case groups.Discover() | groups.Sync() | groups.PeerJoin() | groups.PeerLeave():
                self._step(message)
            case _:
                return await super().handle_info(message)
        return None


# -- API -------------------------------------------------------------------------------------------------------------


async def start(scope: str = DEFAULT_SCOPE) -> Pid:
    """Start a scope, linked to nobody.

    Raises:
        StartError: Somebody has the name: the reason is `("already_started", pid)`.
    """
    return await gen_server.start(Scope, scope)


async def start_link(scope: str = DEFAULT_SCOPE) -> Pid:
    """Like `start`, linked to the calling process."""
    return await gen_server.start_link(Scope, scope)


async def join(group: Group, pids: Pid | Iterable[Pid], *, scope: str = DEFAULT_SCOPE) -> None:
    """Have processes join a group. One that is dead already leaves at once.

    Args:
        group: Any hashable term.
        pids: A process of this runtime, or several; one listed twice joins twice.
        scope: Name of the scope. Default `pg`.

    Raises:
        UsageError: A process lives in another runtime, or the group is not hashable.
        NoProcess: The scope does not run here.
    """
    await gen_server.request(scope, groups.Join(_name(group), _local(pids)), None)


async def leave(group: Group, pids: Pid | Iterable[Pid], *, scope: str = DEFAULT_SCOPE) -> bool:
    """Have processes leave a group, each listing one join; whether any of them was a member.

    Raises:
        UsageError: A process lives in another runtime, or the group is not hashable.
        NoProcess: The scope does not run here.
    """
    return bool(await gen_server.request(scope, groups.Leave(_name(group), _local(pids)), None))


@from_any_thread
def get_members(group: Group, *, scope: str = DEFAULT_SCOPE) -> list[Pid]:
    """All members of a group, each as often as it has joined, in no particular order; none without the scope."""
    tables = _tables(scope)
    return [] if tables is None else tables.members(group)


@from_any_thread
def get_local_members(group: Group, *, scope: str = DEFAULT_SCOPE) -> list[Pid]:
    """Like `get_members`, only those that live in this runtime."""
    tables = _tables(scope)
    return [] if tables is None else tables.local_members(group)


@from_any_thread
def which_groups(*, scope: str = DEFAULT_SCOPE) -> list[Group]:
    """All groups that have members.

    Raises:
        UsageError: The scope does not run here.
    """
    tables = _tables(scope)
    if tables is None:
        raise UsageError(f"no scope {scope!r} runs in this runtime: start it with pg.start({scope!r})")
    return tables.groups()


async def monitor(group: Group, *, scope: str = DEFAULT_SCOPE) -> tuple[Ref, list[Pid]]:
    """The members of a group now; each change from now on is sent to the caller as `Joined` or `Left`.

    Returns:
        What the messages carry and `demonitor` takes, and the members.

    Raises:
        NotAProcessError: The caller is not a process.
        NoProcess: The scope does not run here.
    """
    answer = await gen_server.request(scope, _Monitor(own_cell().pid, (_name(group),)), None)
    assert isinstance(answer, tuple)
    ref, members = answer
    return ref, members


async def monitor_scope(*, scope: str = DEFAULT_SCOPE) -> tuple[Ref, dict[Group, list[Pid]]]:
    """Like `monitor`, for all groups of a scope: the members now, by group."""
    answer = await gen_server.request(scope, _Monitor(own_cell().pid, None), None)
    assert isinstance(answer, tuple)
    ref, members = answer
    return ref, members


async def demonitor(ref: Ref, *, scope: str = DEFAULT_SCOPE) -> bool:
    """Undo a monitor; its messages that have come already are removed too. Whether there was such a monitor.

    Raises:
        NotAProcessError: The caller is not a process.
        NoProcess: The scope does not run here.
    """
    cell = own_cell()
    known = bool(await gen_server.request(scope, groups.Demonitor(ref), None))
    if known:
        kept = [message for message in cell.mailbox if not (isinstance(message, Joined | Left) and message.ref == ref)]
        cell.mailbox.clear()
        cell.mailbox.extend(kept)
    return known


def _name(group: Group) -> Group:
    try:
        hash(group)
    except TypeError as error:
        raise UsageError(f"{group!r} cannot name a group: give a hashable term, such as a tuple for a list") from error
    return group


def _local(pids: Pid | Iterable[Pid]) -> tuple[Pid, ...]:
    given: object = pids
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"{given!r} cannot be in a group: give a pid or a list of pids")
    listed = (pids,) if isinstance(pids, Pid) else tuple(pids)
    here = current_runtime().name
    for pid in listed:
        member: object = pid
        if not isinstance(member, Pid):
            raise UsageError(f"{member!r} cannot be in a group: give a pid or a list of pids")
        if pid.runtime != here:
            raise UsageError(f"{pid} does not live in the runtime {here!r}: a process joins and leaves where it lives")
    return listed


def _tables(scope: str) -> group_tables.Tables | None:
    cell = current_runtime().cell(scope)
    server = cell.server if isinstance(cell, ServerCell) else None
    return server.tables if isinstance(server, Scope) else None


__all__ = [
    "DEFAULT_SCOPE",
    "Joined",
    "Left",
    "Scope",
    "demonitor",
    "get_local_members",
    "get_members",
    "join",
    "leave",
    "monitor",
    "monitor_scope",
    "start",
    "start_link",
    "which_groups",
]
