"""The kernel of process groups: what peers tell each other, and what strangers tell."""

from __future__ import annotations

from collections import Counter, deque

from raybeam.actors import Pid, Ref
from raybeam.actors.kernel.group_tables import AddPeer, SetJoins, Tables, apply
from raybeam.actors.kernel.groups import (
    Answer,
    Demonitor,
    Discover,
    Effect,
    Ended,
    Event,
    Join,
    Joined,
    Leave,
    Left,
    Meet,
    MonitorGroup,
    MonitorScope,
    PeerJoin,
    PeerLeave,
    Send,
    Sync,
    Tell,
    Unwatch,
    Watch,
    step,
)

ME, PEER, LATER_PEER = Pid("here", 1), Pid("there", 1), Pid("there", 9)
ONE, TWO, FAR, FARTHER = Pid("here", 2), Pid("here", 3), Pid("there", 2), Pid("there", 3)
CLIENT, REF, UNKNOWN = Pid("here", 4), Ref("here", 1), Ref("here", 99)


def after(tables: Tables, *events: Event) -> list[Effect]:
    """The effects of the last event, all changes written."""
    effects: list[Effect] = []
    for event in events:
        effects = step(tables, ME, event)
        for effect in effects:
            if not isinstance(effect, Tell | Send | Watch | Unwatch | Answer):
                apply(tables, effect)
    return effects


def told(effects: list[Effect]) -> list[object]:
    return [effect.message for effect in effects if isinstance(effect, Tell)]


def test_a_step_changes_nothing_itself() -> None:
    tables = Tables()
    effects = step(tables, ME, Join("g", (ONE, ONE)))

    assert effects == [Watch(ONE), SetJoins("g", ONE, 2), Answer(True)]
    assert tables == Tables()


def test_tables_are_empty_again_when_all_have_left() -> None:
    tables = Tables()
    after(tables, MonitorGroup(REF, CLIENT, "g"), Join("g", (ONE, TWO)), Sync(PEER, (("g", (FAR,)),)))
    after(tables, Leave("g", (ONE,)), Ended(TWO, UNKNOWN), Ended(PEER, UNKNOWN), Demonitor(REF))

    assert tables == Tables()


def test_the_last_leave_ends_the_watch_of_a_process_not_an_earlier_one() -> None:
    tables = Tables()
    after(tables, Join("g", (ONE, ONE)), Join("h", (ONE,)))

    assert Unwatch(ONE) not in after(tables, Leave("g", (ONE, ONE)))
    assert Unwatch(ONE) in after(tables, Leave("h", (ONE,)))


def test_who_discovers_is_told_everything_and_discovered_in_turn() -> None:
    tables = Tables()
    after(tables, Join("g", (ONE, ONE)))
    sync = Send(PEER, Sync(ME, (("g", (ONE, ONE)),)))

    assert after(tables, Discover(PEER)) == [sync, AddPeer(PEER), Watch(PEER), Send(PEER, Discover(ME))]
    assert after(tables, Discover(PEER)) == [sync]
    assert step(tables, ME, Meet(PEER)) == [Send(PEER, Discover(ME))]


def test_changes_are_sent_to_the_peers_as_they_were_asked_for() -> None:
    tables = Tables()
    after(tables, Discover(PEER))

    assert Send(PEER, PeerJoin(ME, "g", (ONE, TWO))) in after(tables, Join("g", (ONE, TWO)))
    assert Send(PEER, PeerLeave(ME, (ONE, FAR), ("g",))) in after(tables, Leave("g", (ONE, FAR)))
    after(tables, Join("g", (TWO,)), Join("h", (TWO,)))
    assert Send(PEER, PeerLeave(ME, (TWO,), ("g", "g", "h"))) in after(tables, Ended(TWO, UNKNOWN))
    assert after(tables, Leave("g", (ONE,))) == [Answer(False)]


def test_what_strangers_tell_is_dropped() -> None:
    tables = Tables()
    after(tables, MonitorScope(REF, CLIENT), Join("g", (ONE,)))

    assert step(tables, ME, PeerJoin(PEER, "g", (FAR,))) == []
    assert step(tables, ME, PeerLeave(PEER, (FAR,), ("g",))) == []
    assert step(tables, ME, Ended(PEER, UNKNOWN)) == []


def test_a_sync_voids_what_was_known_and_its_differences_are_told() -> None:
    tables = Tables()
    after(tables, MonitorScope(REF, CLIENT), Sync(PEER, (("g", (FAR, FAR)), ("h", (FAR,)))))
    effects = after(tables, Sync(PEER, (("g", (FAR, FARTHER)), ("k", (FAR,)))))

    assert told(effects) == [
        Left(REF, "g", (FAR,)),
        Joined(REF, "g", (FARTHER,)),
        Left(REF, "h", (FAR,)),
        Joined(REF, "k", (FAR,)),
    ]
    assert {group: Counter(tables.members(group)) for group in tables.groups()} == {
        "g": Counter([FAR, FARTHER]),
        "k": Counter([FAR]),
    }
    assert step(tables, ME, Sync(PEER, (("g", (FARTHER, FAR)), ("k", (FAR,))))) == []


def test_the_same_members_told_by_an_old_and_a_new_scope_of_a_runtime_count_until_the_old_one_ends() -> None:
    tables = Tables()
    after(tables, Sync(PEER, (("g", (FAR, FAR)),)), Sync(LATER_PEER, (("g", (FAR,)),)))
    both = Counter(tables.members("g"))
    after(tables, Ended(PEER, UNKNOWN))

    assert (both, Counter(tables.members("g"))) == (Counter({FAR: 3}), Counter({FAR: 1}))


def test_the_end_of_a_monitor_is_not_the_end_of_a_member() -> None:
    tables = Tables()
    after(tables, Join("g", (ONE,)), MonitorGroup(REF, ONE, "g"), Ended(ONE, REF))

    assert tables.members("g") == [ONE]
    assert tables.monitored == {}


def test_two_scopes_that_exchange_messages_agree() -> None:
    here, there = Tables(), Tables()
    queue: deque[tuple[Pid, Event]] = deque([(ME, Meet(PEER)), (ME, Join("g", (ONE,))), (PEER, Join("g", (FAR, FAR)))])
    queue += [(PEER, Leave("g", (FAR,))), (ME, Join("h", (TWO,))), (ME, Ended(ONE, UNKNOWN))]
    while queue:
        scope, event = queue.popleft()
        tables = here if scope == ME else there
        for effect in step(tables, scope, event):
            if isinstance(effect, Send):
                assert isinstance(effect.peer, Pid)
                queue.append((effect.peer, effect.message))
            elif not isinstance(effect, Tell | Watch | Unwatch | Answer):
                apply(tables, effect)

    for tables in (here, there):
        assert {group: tables.members(group) for group in tables.groups()} == {"h": [TWO], "g": [FAR]}
    assert (here.local_members("g"), there.local_members("g")) == ([], [FAR])
