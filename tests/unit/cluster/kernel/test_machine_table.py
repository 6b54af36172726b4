"""The table of machines: numbers, tags, ends."""

import json

import pytest

from raybeam.cluster.kernel.machine_table import (
    HEAD_NUMBER,
    LAST_NUMBER,
    Life,
    MachineTable,
    ProcessId,
    from_plain,
    is_lost,
    to_plain,
)

ME = ProcessId(1, 2.0)


def with_workers(count: int) -> MachineTable:
    table, _ = MachineTable().with_new(HEAD_NUMBER, {"kind": "head"}, {}, ME)
    for _ in range(count):
        number = table.free_number()
        assert number is not None
        table, _ = table.with_new(number, {"kind": "worker"}, {"agent": 7}, ME)
    return table


def test_machines_have_distinct_numbers_and_serials() -> None:
    table = with_workers(3)

    assert [machine.number for machine in table.machines.values()] == [1, 2, 3, 4]
    assert list(table.machines) == [1, 2, 3, 4]


def test_the_number_of_a_machine_that_is_gone_is_given_last_and_its_serial_never() -> None:
    table = with_workers(2).without({3})

    table, new = table.with_new(table.free_number() or 0, {}, {}, ME)
    assert (new.number, new.serial) == (4, 4)
    for _ in range(LAST_NUMBER - 4):
        table, new = table.with_new(table.free_number() or 0, {}, {}, ME)
    assert new.number == LAST_NUMBER
    table, new = table.with_new(table.free_number() or 0, {}, {}, ME)
    assert new.number == 3


def test_there_are_no_more_machines_than_addresses() -> None:
    assert with_workers(LAST_NUMBER - 1).free_number() is None


def test_machines_are_found_by_their_tags_until_they_end() -> None:
    table = with_workers(2)

    assert [machine.serial for machine in table.living({"kind": "worker"})] == [2, 3]
    ended = table.with_ended({2, 99})
    assert [machine.serial for machine in ended.living({"kind": "worker"})] == [3]
    assert [machine.serial for machine in ended.ended()] == [2]


def test_whoever_sets_a_machine_up_is_noted_with_its_tags() -> None:
    other = ProcessId(5, 6.0)
    table = with_workers(1).with_tags(2, {"status": "setting-up"}, other, up=False)

    assert table.machines[2].installer == other
    assert table.machines[2].tags == {"kind": "worker", "status": "setting-up"}
    kept = table.with_tags(2, {"note": "x"}, None, up=True).machines[2]
    assert (kept.installer, kept.up) == (other, True)


def test_a_machine_is_lost_without_raylet_or_when_its_setup_was_broken_off() -> None:
    new = with_workers(1).machines[2]
    up = with_workers(1).with_tags(2, {}, None, up=True).machines[2]

    assert [is_lost(new, Life(raylet, installer)) for raylet in (False, True) for installer in (False, True)] == [
        True,
        False,
        True,
        False,
    ]
    assert [is_lost(up, Life(raylet, installer)) for raylet in (False, True) for installer in (False, True)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_table_goes_through_json() -> None:
    table = with_workers(2).with_tags(2, {"a": "b"}, None, up=True).with_ended({3}, lost=True)

    assert from_plain(json.loads(json.dumps(to_plain(table)))) == table


@pytest.mark.parametrize("plain", [{}, {"machines": 3, "last_serial": 1, "last_number": 1}])
def test_what_is_no_table_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a table"):
        from_plain(plain)


def test_a_table_with_a_broken_row_is_refused() -> None:
    with pytest.raises(ValueError, match="not a machine"):
        from_plain({"machines": [{"serial": "1"}], "last_serial": 1, "last_number": 1})
