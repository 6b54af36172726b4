"""The table of a registry."""

from raybeam.actors.kernel.names import Table


def test_a_unique_key_has_one_owner() -> None:
    table = Table[str](unique=True)

    assert table.add("lamp", "ann", 1) is None
    assert table.add("lamp", "bob", 2) == "ann"
    assert table.add("lamp", "ann", 3) == "ann"
    assert table.lookup("lamp") == [("ann", 1)]
    assert table.holder("lamp") == "ann"
    assert len(table) == 1


def test_a_duplicate_key_has_many_entries_of_many_owners() -> None:
    table = Table[str](unique=False)
    for owner, value in (("ann", 1), ("bob", 2), ("ann", 3)):
        assert table.add("lamp", owner, value) is None

    assert sorted(table.lookup("lamp")) == [("ann", 1), ("ann", 3), ("bob", 2)]
    assert table.keys("ann") == ["lamp", "lamp"]
    assert table.values("lamp", "ann") == [1, 3]
    assert len(table) == 3


def test_removing_an_owner_frees_its_keys_for_others() -> None:
    table = Table[str](unique=True)
    table.add("lamp", "ann", 1)
    table.add("desk", "ann", 2)

    assert table.remove_owner("ann") == ["lamp", "desk"]
    assert table.add("lamp", "bob", 3) is None
    assert list(table.entries()) == [("lamp", "bob", 3)]
    assert "ann" not in table


def test_values_that_do_not_match_stay() -> None:
    table = Table[str](unique=False)
    for value in (1, 2, 3):
        table.add("lamp", "ann", value)

    assert table.remove("lamp", "ann", lambda value: value != 2) == [1, 3]
    assert table.lookup("lamp") == [("ann", 2)]
    assert table.keys("ann") == ["lamp"]


def test_what_is_not_there_is_not_removed() -> None:
    table = Table[str](unique=True)
    table.add("lamp", "ann", 1)

    assert table.remove("lamp", "bob") == []
    assert table.remove("desk", "ann") == []
    assert table.remove_owner("bob") == []
    assert len(table) == 1


def test_a_value_is_replaced_in_place() -> None:
    table = Table[str](unique=True)
    table.add("lamp", "ann", 1)
    table.replace("lamp", "ann", 2)

    assert table.lookup("lamp") == [("ann", 2)]
    assert len(table) == 1
