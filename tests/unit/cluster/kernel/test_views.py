"""Views: epochs grow, and later incarnations hold their place."""

from raybeam.cluster.kernel.health import Health
from raybeam.cluster.kernel.views import Member, Table, View, member_down, member_health, member_up, newer

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
