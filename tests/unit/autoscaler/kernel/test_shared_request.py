"""Several systems, one slot for their requests."""

from raybeam.autoscaler.kernel.shared_request import joined, kind_of, part, read

SMALL, LARGE = {"CPU": 4.0}, {"CPU": 16.0, "GPU": 1.0}
MOST = {kind_of(SMALL): 3, kind_of(LARGE): 9}


def test_the_sum_of_all_parts_that_live_is_asked_for() -> None:
    parts = [part([SMALL, LARGE], MOST, 100.0), part([LARGE], MOST, 100.0), part([LARGE] * 5, MOST, 10.0)]

    assert joined(parts, 50.0) == [SMALL, LARGE, LARGE]


def test_the_sum_is_clipped_too() -> None:
    parts = [part([SMALL] * 2, MOST, 100.0), part([SMALL] * 2, MOST, 100.0)]

    assert joined(parts, 50.0) == [SMALL] * 3


def test_a_part_is_read_as_it_was_written_and_foreign_text_is_none() -> None:
    mine = part([SMALL, SMALL, LARGE], MOST, 123.0)

    assert read(mine.written()) == mine
    assert [read(data) for data in (b"", b"\xff", b"[]", b"{}", b'{"until_s": 1, "machines": [{}]}', b"7")] == [
        None
    ] * 6


def test_who_asks_for_nothing_any_more_takes_nothing_from_others() -> None:
    assert joined([part([], MOST, 100.0), part([SMALL], MOST, 100.0)], 50.0) == [SMALL]
