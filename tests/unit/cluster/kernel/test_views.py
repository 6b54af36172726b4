"""Views: epochs grow, and later incarnations hold their place."""

from raybeam.cluster.kernel.health import Health
from raybeam.cluster.kernel.views import (
    Member,
    Table,
    View,
    first_table,
    member_down,
    member_draining,
    member_health,
    member_up,
    newer,
    places_changed,
)

ONE = Member("s/f/0#1", 0, 1)
TWO = Member("s/f/0#2", 0, 2)
OTHER = Member("s/f/1#1", 1, 1)


def test_every_change_has_a_higher_epoch() -> None:
    table = member_up(member_up(Table(), "f", ONE), "f", OTHER)
    down = member_down(table, "f", ONE.name)

    assert table.view("f") == View("f", 2, (ONE, OTHER))
    assert down.view("f") == View("f", 3, (OTHER,))
    assert down.version == 3


def test_the_late_end_of_an_old_incarnation_changes_nothing() -> None:
    table = member_up(member_up(Table(), "f", ONE), "f", TWO)

    assert table.view("f").members == (TWO,)
    assert member_down(table, "f", ONE.name) is table


def test_calls_go_to_the_up_and_to_the_unknown_only_when_none_is_up() -> None:
    table = member_up(member_up(Table(), "f", ONE), "f", OTHER)
    one_unknown = member_health(table, "f", ONE.name, Health.UNKNOWN)
    both_unknown = member_health(one_unknown, "f", OTHER.name, Health.UNKNOWN)

    assert one_unknown.view("f").serving() == (OTHER.name,)
    assert both_unknown.view("f").serving() == (ONE.name, OTHER.name)
    assert member_health(table, "f", ONE.name, Health.UP) is table


def test_the_higher_epoch_wins() -> None:
    old, new = View("f", 1, (ONE,)), View("f", 2, ())

    assert newer(old, new) is new
    assert newer(new, old) is new
    assert newer(None, old) is old


def test_a_member_that_drains_stays_in_the_view_and_is_sent_calls_only_when_there_is_no_other() -> None:
    table = member_up(member_up(Table(), "f", ONE), "f", OTHER)
    drains = member_draining(table, "f", ONE.index, draining=True)

    assert len(drains.view("f").members) == 2
    assert drains.view("f").serving() == (OTHER.name,)
    assert member_down(drains, "f", OTHER.name).view("f").serving() == (ONE.name,)
    assert member_draining(drains, "f", ONE.index, draining=True) is drains
    assert member_draining(drains, "f", ONE.index, draining=False).view("f").serving() == table.view("f").serving()


def test_places_change_by_a_view_of_a_higher_epoch() -> None:
    table = first_table(1, {"f": []}, {"f": [0, 1]})

    changed = places_changed(table, "f", (0, 2))

    assert (table.view("f").places, changed.view("f").places) == ((0, 1), (0, 2))
    assert changed.view("f").epoch > table.view("f").epoch
    assert places_changed(changed, "f", (0, 2)) is changed
