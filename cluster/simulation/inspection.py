"""Looks into a simulated system from outside: whether it is whole, and what is left in its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import peers
from ..names import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..client import Client
    from ..replica import Replica
    from .cluster import SimulatedCluster

ANSWERS_KEPT = 64
"""Answers of a lane that may wait for the next batch to confirm them: an idle lane sends nothing."""


def missing(cluster: SimulatedCluster) -> list[str]:
    """What the system lacks: its root, replicas, clients that know of them."""
    found = cluster.registry.root
    if found is None:
        return ["root"]
    root = found[1]
    if root._top is None:
        return ["root's tree"]
    lacking = [f"replica {name}" for name in root._missing()]
    known = cluster.replicas()
    for family, view in root._table().views.items():
        gone = [member.name for member in view.members if member.name not in known]
        lacking += [f"{name}, which the directory lists" for name in gone]
        serving = set(view.serving())
        if not gone and len(serving) < len(view.members):
            lacking.append(f"health of {family}")
        for index, driver in cluster.drivers.items():
            if set(_serving(driver.client, family)) != serving:
                lacking.append(f"driver {index}'s view of {family}")
    return lacking


def missized(cluster: SimulatedCluster) -> Iterator[str]:
    """Families that have not as many replicas as are wanted, or some that drain."""
    found = cluster.registry.root
    if found is None:
        return
    scaling, table = found[1].scaling, found[1]._table()
    for family, roster in scaling.rosters.items():
        there = sorted(
            actor.name.place for name, actor in cluster.registry.actors.items() if actor.name.family == family
        )
        if there != list(roster.kept):
            yield f"{family} should have replicas at the places {list(roster.kept)} and has some at {there}"
        draining = [member.name for member in table.view(family).members if member.draining]
        if roster.leaving or draining:
            yield f"{family} has replicas that drain: {roster.leaving}, {draining}"


def _serving(client: Client, family: str) -> tuple[str, ...]:
    view = client._views.get(family)
    return () if view is None else view.serving()


def leftovers(cluster: SimulatedCluster) -> Iterator[str]:
    """What is kept in memory though nothing is under way."""
    for name, replica in cluster.replicas().items():
        yield from (f"{name}: {text}" for text in _of_replica(replica))
    for index, driver in cluster.drivers.items():
        yield from (f"driver {index}: {text}" for text in _of_client(driver.client))
    if cluster.registry.root is not None:
        root = cluster.registry.root[1]
        gone = set(root.replicas.beats) - set(root.replica_names())
        yield from (f"root: what {name} has told, which is gone" for name in sorted(gone))


def forget_lanes(cluster: SimulatedCluster, replica: Replica) -> None:
    """Let a replica forget the lanes that lead to it, if their senders know that it knew them.

    It stands for minutes of silence, after which nothing is under way any more, and what a sender that has heard
    nothing sends again, as if it were new, has expired.
    """
    lanes = [lane for driver in cluster.drivers.values() for lane in driver.client._lanes.values()]
    for other in cluster.replicas().values():
        lanes += [wire._lane for wire in other._mesh._wires.values() if wire._lane is not None]
        if other._top is not None:
            lanes += peers.client_of(other._runtime)._lanes.values()
    heard = {lane._id for lane in lanes if lane._state.heard}
    sessions = replica._sessions._sessions
    for name in [name for name, session in sessions.items() if name in heard and session.held is None]:
        del sessions[name]
    process = cluster.registry.actors[replica._runtime.name].process
    cluster.network.flushed[process] = cluster.loop.time()


def _of_replica(replica: Replica) -> Iterator[str]:
    for lane, session in replica._sessions._sessions.items():
        if session.pending:
            yield f"{len(session.pending)} calls of lane {lane[:8]} were never answered"
        if len(session.answers) > ANSWERS_KEPT:
            yield f"{len(session.answers)} answers of lane {lane[:8]} are kept"
    cell = replica._runtime.cell(SERVICE)
    if cell is not None and (cell.mailbox or cell.calls):
        yield f"{len(cell.mailbox)} messages wait, {len(cell.calls)} calls are not answered"
    distribution = replica._runtime.distribution
    if distribution is not None and distribution._asked:
        yield f"{len(distribution._asked)} calls to processes of other replicas are not answered"
    if replica._top is not None:
        yield from _of_client(peers.client_of(replica._runtime))


def _of_client(client: Client) -> Iterator[str]:
    for name, lane in client._lanes.items():
        if lane._waiting or lane._outbox:
            yield f"{len(lane._waiting)} calls wait, {len(lane._outbox)} messages to be sent, in the lane to {name}"
    if client._opening:
        yield f"lanes are being opened: {', '.join(client._opening)}"
    if client._retiring:
        yield f"{len(client._retiring)} lanes are being closed"
