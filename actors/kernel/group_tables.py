"""The tables of a process group scope, and the changes of single rows that steps of `groups` ask for.

They are changed in place, unlike the states of other kernels: a copy for each change would cost as much as the scope
has members.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from ..pid import Pid, Ref

K = TypeVar("K")
L = TypeVar("L")

Group: TypeAlias = object
"""Names a group: any hashable term."""


@dataclass(frozen=True, slots=True)
class Tables:
    """State of a scope: who has joined which group how often, and who is told of changes. Written only by `apply`.

    Attributes:
        local: Members that live in this runtime, of each group.
        joined: The same the other way round: the groups of each local member.
        remote: Members that live in other runtimes, of each group.
        peers: What each known peer has told, of each group; together the same as `remote`.
        scope_monitors: Who is told of all groups.
        group_monitors: Who is told of one group, by group.
        monitored: The group of each monitor of `group_monitors`.
    """

    local: dict[Group, dict[Pid, int]] = field(default_factory=dict)
    joined: dict[Pid, dict[Group, int]] = field(default_factory=dict)
    remote: dict[Group, dict[Pid, int]] = field(default_factory=dict)
    peers: dict[Pid, dict[Group, dict[Pid, int]]] = field(default_factory=dict)
    scope_monitors: dict[Ref, Pid] = field(default_factory=dict)
    group_monitors: dict[Group, dict[Ref, Pid]] = field(default_factory=dict)
    monitored: dict[Ref, Group] = field(default_factory=dict)

    def members(self, group: Group) -> list[Pid]:
        """All members of a group, each as often as it has joined."""
        return [*self.local_members(group), *Counter(self.remote.get(group)).elements()]

    def local_members(self, group: Group) -> list[Pid]:
        """The members of a group that live in this runtime, each as often as it has joined."""
        return list(Counter(self.local.get(group)).elements())

    def groups(self) -> list[Group]:
        """All groups that have members here or elsewhere, and those that were joined here with no process."""
        return [*self.local, *(group for group in self.remote if group not in self.local)]

    def is_monitor(self, ref: Ref) -> bool:
        """Whether this is the reference of a monitor."""
        return ref in self.scope_monitors or ref in self.monitored


@dataclass(frozen=True, slots=True)
class SetJoins:
    """Change: a process is that often in a group now; with a `peer`, one of the peer's runtime."""

    group: Group
    pid: Pid
    joins: int
    peer: Pid | None = None


@dataclass(frozen=True, slots=True)
class AddGroup:
    """Change: there is a group without members now; it goes when its next member goes."""

    group: Group


@dataclass(frozen=True, slots=True)
class AddPeer:
    """Change: a peer is known now."""

    peer: Pid


@dataclass(frozen=True, slots=True)
class RemovePeer:
    """Change: a peer is gone."""

    peer: Pid


@dataclass(frozen=True, slots=True)
class AddMonitor:
    """Change: a monitor of one group, or of all."""

    ref: Ref
    pid: Pid
    group: tuple[Group] | None


@dataclass(frozen=True, slots=True)
class RemoveMonitor:
    """Change: a monitor is gone."""

    ref: Ref


Change: TypeAlias = SetJoins | AddGroup | AddPeer | RemovePeer | AddMonitor | RemoveMonitor


def apply(tables: Tables, change: Change) -> None:
    """Write one change into the tables of a scope."""
    match change:
        case SetJoins(group, pid, joins, peer):
            if peer is None:
                _put(tables.local, group, pid, joins)
                _put(tables.joined, pid, group, joins)
            else:
                _put_remote(tables, change, peer)
        case AddGroup(group):
            tables.local.setdefault(group, {})
        case AddPeer(peer):
            tables.peers.setdefault(peer, {})
        case RemovePeer(peer):
            tables.peers.pop(peer, None)
        case AddMonitor(ref, pid, None):
            tables.scope_monitors[ref] = pid
        case AddMonitor(ref, pid, (group,)):
            tables.group_monitors.setdefault(group, {})[ref] = pid
            tables.monitored[ref] = group
        case RemoveMonitor(ref):
            tables.scope_monitors.pop(ref, None)
            if ref in tables.monitored:
                group = tables.monitored.pop(ref)
                del tables.group_monitors[group][ref]
                if not tables.group_monitors[group]:
                    del tables.group_monitors[group]


def _put_remote(tables: Tables, change: SetJoins, peer: Pid) -> None:
    """A runtime's old and new scope may both be known for a while: the sum of what they tell counts."""
    told = tables.peers[peer]
    before = told.get(change.group, {}).get(change.pid, 0)
    total = tables.remote.get(change.group, {}).get(change.pid, 0) + change.joins - before
    _put(told, change.group, change.pid, change.joins)
    _put(tables.remote, change.group, change.pid, total)


def _put(table: dict[K, dict[L, int]], key: K, inner: L, number: int) -> None:
    row = table.setdefault(key, {})
    if number:
        row[inner] = number
    else:
        row.pop(inner, None)
    if not row:
        del table[key]
