"""Process groups' decisions, after OTP 27's `pg.erl`: who is in which group, who is told, what the peers must know.

A *scope* is one process in each runtime. It knows the members of its own runtime, watches them, and tells its *peers*,
the scopes of that name in other runtimes, of each change; what a peer tells it merges into the same groups. The views
of all scopes agree once nothing moves any more; there is no lock and no leader.

A step reads the `Tables` of a scope and gives effects, among them the changes of single rows of the tables, which the
shell has `apply` write: so a step costs the same in a scope with a hundred thousand members.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .group_tables import AddGroup, AddMonitor, AddPeer, Change, Group, RemoveMonitor, RemovePeer, SetJoins, Tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..pid import Pid, Ref, RemoteName

# -- messages between peers ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Discover:
    """A scope asks another: do you belong to us? The answer is a `Sync`, and a `Discover` back to one not known yet."""

    peer: Pid


@dataclass(frozen=True, slots=True)
class Sync:
    """A scope tells all its local members; what else was known of it is void."""

    peer: Pid
    groups: tuple[tuple[Group, tuple[Pid, ...]], ...]


@dataclass(frozen=True, slots=True)
class PeerJoin:
    """Processes of the peer's runtime have joined a group."""

    peer: Pid
    group: Group
    pids: tuple[Pid, ...]


@dataclass(frozen=True, slots=True)
class PeerLeave:
    """Processes of the peer's runtime have left groups: each process one join of each group, as often as listed."""

    peer: Pid
    pids: tuple[Pid, ...]
    groups: tuple[Group, ...]


PeerMessage: TypeAlias = Discover | Sync | PeerJoin | PeerLeave

# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Join:
    """Local processes join a group; one listed twice joins twice."""

    group: Group
    pids: tuple[Pid, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """Local processes leave a group, each listing one join."""

    group: Group
    pids: tuple[Pid, ...]


@dataclass(frozen=True, slots=True)
class MonitorScope:
    """A process wants to be told of all changes from now on."""

    ref: Ref
    pid: Pid


@dataclass(frozen=True, slots=True)
class MonitorGroup:
    """A process wants to be told of the changes of one group from now on."""

    ref: Ref
    pid: Pid
    group: Group


@dataclass(frozen=True, slots=True)
class Demonitor:
    """A monitor is not wanted any more."""

    ref: Ref


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended: a watched one (a local member or a peer), or that of the monitor `ref`."""

    pid: Pid
    ref: Ref


@dataclass(frozen=True, slots=True)
class Meet:
    """There may be a peer under the scope's name in a runtime that has come up, or can be reached again."""

    peer: Pid | RemoteName


Event: TypeAlias = Join | Leave | MonitorScope | MonitorGroup | Demonitor | Ended | Meet | PeerMessage

# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Joined:
    """Message to a monitor: processes have joined a group.

    Attributes:
        ref: Of the monitor.
        group: Which group.
        pids: Who, as often as they have joined.
    """

    ref: Ref
    group: Group
    pids: tuple[Pid, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Message to a monitor: processes have left a group, or ended.

    Attributes:
        ref: Of the monitor.
        group: Which group.
        pids: Who, as `leave` was told: some may not have been members, or not as often.
    """

    ref: Ref
    group: Group
    pids: tuple[Pid, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Effect: send a message to a monitor."""

    pid: Pid
    message: Joined | Left


@dataclass(frozen=True, slots=True)
class Send:
    """Effect: send a message to a peer."""

    peer: Pid | RemoteName
    message: PeerMessage


@dataclass(frozen=True, slots=True)
class Watch:
    """Effect: feed `Ended` when this local process or peer has ended."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Effect: undo `Watch`."""

    pid: Pid


@dataclass(frozen=True, slots=True)
class Answer:
    """Effect: answer who asked."""

    value: object


Effect: TypeAlias = Change | Tell | Send | Watch | Unwatch | Answer


def step(tables: Tables, me: Pid, event: Event) -> list[Effect]:
    """What one event brings about.

    Args:
        tables: State of the scope; not changed.
        me: The scope itself.
        event: What happened.
    """
    match event:
        case Join(group, pids):
            return [*_join(tables, me, group, pids), Answer(True)]
        case Leave(group, pids):
            return _leave(tables, me, group, pids)
        case MonitorScope(ref, pid):
            members = {group: tables.members(group) for group in tables.groups()}
            return [AddMonitor(ref, pid, None), Answer((ref, members))]
        case MonitorGroup(ref, pid, group):
            return [AddMonitor(ref, pid, (group,)), Answer((ref, tables.members(group)))]
        case Demonitor(ref):
            return [RemoveMonitor(ref), Answer(True)] if tables.is_monitor(ref) else [Answer(False)]
        case Ended(pid, ref):
            if tables.is_monitor(ref):
                return [RemoveMonitor(ref)]
            return _member_ended(tables, me, pid) if pid in tables.joined else _peer_ended(tables, pid)
        case Meet(peer):
            return [Send(peer, Discover(me))]
        case Discover(peer):
            sync = Send(peer, Sync(me, _all_local(tables)))
            return [sync] if peer in tables.peers else [sync, AddPeer(peer), Watch(peer), Send(peer, Discover(me))]
        case Sync(peer, groups):
            return _sync(tables, peer, groups)
        case PeerJoin(peer, group, pids):
            if peer not in tables.peers:  # a late message of one that is gone, or a stranger
                return []
            present = tables.peers[peer].get(group, {})
            added = [SetJoins(group, pid, present.get(pid, 0) + n, peer) for pid, n in Counter(pids).items()]
            return [*added, *_tell(tables, Joined, group, pids)]
        case PeerLeave(peer, pids, groups):
            return _peer_leave(tables, peer, pids, groups)


def _join(tables: Tables, me: Pid, group: Group, pids: tuple[Pid, ...]) -> list[Effect]:
    present = tables.local.get(group, {})
    effects: list[Effect] = [] if pids else [AddGroup(group)]
    effects += [Watch(pid) for pid in dict.fromkeys(pids) if pid not in tables.joined]
    effects += [SetJoins(group, pid, present.get(pid, 0) + count) for pid, count in Counter(pids).items()]
    return [*effects, *_tell(tables, Joined, group, pids), *_to_peers(tables, PeerJoin(me, group, pids))]


def _leave(tables: Tables, me: Pid, group: Group, pids: tuple[Pid, ...]) -> list[Effect]:
    present = tables.local.get(group, {})
    changes = _subtract(present, group, Counter(pids), None)
    if not changes:
        return [Answer(False)]
    gone = [change.pid for change in changes if change.joins == 0 and len(tables.joined[change.pid]) == 1]
    told = _tell(tables, Left, group, pids)
    return [
        *changes,
        *(Unwatch(pid) for pid in gone),
        *told,
        *_to_peers(tables, PeerLeave(me, pids, (group,))),
        Answer(True),
    ]


def _member_ended(tables: Tables, me: Pid, pid: Pid) -> list[Effect]:
    """One leave for each join."""
    effects: list[Effect] = []
    groups = Counter(tables.joined[pid])
    for group, joins in groups.items():
        effects.append(SetJoins(group, pid, 0))
        effects += _tell(tables, Left, group, (pid,)) * joins
    return effects + _to_peers(tables, PeerLeave(me, (pid,), tuple(groups.elements())))


def _peer_ended(tables: Tables, peer: Pid) -> list[Effect]:
    if peer not in tables.peers:
        return []
    effects: list[Effect] = []
    for group, members in tables.peers[peer].items():
        effects += [SetJoins(group, pid, 0, peer) for pid in members]
        effects += _tell(tables, Left, group, tuple(Counter(members).elements()))
    return [*effects, RemovePeer(peer)]


def _peer_leave(tables: Tables, peer: Pid, pids: tuple[Pid, ...], groups: tuple[Group, ...]) -> list[Effect]:
    if peer not in tables.peers:
        return []
    effects: list[Effect] = []
    for group, times in Counter(groups).items():
        leaving = Counter({pid: count * times for pid, count in Counter(pids).items()})
        effects += _subtract(tables.peers[peer].get(group, {}), group, leaving, peer)
        if group in tables.local or group in tables.remote:
            effects += _tell(tables, Left, group, pids) * times
    return effects


def _sync(tables: Tables, peer: Pid, groups: tuple[tuple[Group, tuple[Pid, ...]], ...]) -> list[Effect]:
    """Take over what a peer tells of itself; the differences are told as leaves and joins."""
    effects: list[Effect] = [] if peer in tables.peers else [AddPeer(peer), Watch(peer)]
    known = tables.peers.get(peer, {})
    told = {group: Counter(pids) for group, pids in groups}
    for group in dict.fromkeys([*known, *told]):
        before, after = Counter(known.get(group, {})), told.get(group, Counter())
        effects += [SetJoins(group, pid, after[pid], peer) for pid in before | after if before[pid] != after[pid]]
        for message, pids in ((Left, before - after), (Joined, after - before)):
            if pids:
                effects += _tell(tables, message, group, tuple(pids.elements()))
    return effects


def _subtract(present: Mapping[Pid, int], group: Group, leaving: Counter[Pid], peer: Pid | None) -> list[SetJoins]:
    """The changes when processes leave, as far as they were members."""
    return [
        SetJoins(group, pid, max(0, present[pid] - count), peer) for pid, count in leaving.items() if pid in present
    ]


def _tell(tables: Tables, message: type[Joined | Left], group: Group, pids: Sequence[Pid]) -> list[Effect]:
    monitors = [*tables.scope_monitors.items(), *tables.group_monitors.get(group, {}).items()]
    return [Tell(pid, message(ref, group, tuple(pids))) for ref, pid in monitors]


def _to_peers(tables: Tables, message: PeerMessage) -> list[Effect]:
    return [Send(peer, message) for peer in tables.peers]


def _all_local(tables: Tables) -> tuple[tuple[Group, tuple[Pid, ...]], ...]:
    return tuple((group, tuple(Counter(members).elements())) for group, members in tables.local.items())
