"""Which machine a new replica goes to."""

import pytest

from raybeam.cluster.kernel.spreading import Machine, Needs, choose

LABELS = {"zone": "a"}


def machines(**free: float) -> list[Machine]:
    return [
        Machine(name, {"CPU": left}, {"CPU": 4.0}, LABELS if name in ("a", "b") else {}) for name, left in free.items()
    ]


def placed(count: int, room: dict[str, float], needs: Needs) -> list[str | None]:
    """The machines of so many replicas, one after the other."""
    there: list[str] = []
    chosen: list[str | None] = []
    for _ in range(count):
        found = choose(machines(**room), needs, there)
        chosen.append(found)
        if found is not None:
            there.append(found)
            room = {**room, found: room[found] - needs.resources["CPU"]}
    return chosen


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        ("spread", ["a", "b", "a", "a", "a", "b", "b", "b", "c", "c"]),
        ("pack", ["a", "a", "a", "a", "b", "b", "b", "b", "c", "c"]),
        ("strict_spread", ["a", "b", "c", None, None, None, None, None, None, None]),
    ],
)
def test_replicas_fill_machines_as_far_as_the_spread_allows(spread: str, expected: list[str | None]) -> None:
    assert placed(10, {"a": 4.0, "b": 4.0, "c": 4.0}, Needs({"CPU": 1.0}, spread=spread)) == expected


def test_the_fullest_machine_with_room_is_taken_whoever_filled_it() -> None:
    assert choose(machines(a=4.0, b=1.0, c=0.5), Needs({"CPU": 1.0}), []) == "b"


def test_replicas_share_a_machine_when_no_other_has_room() -> None:
    assert placed(3, {"a": 4.0, "b": 0.0}, Needs({"CPU": 1.0}, apart=3)) == ["a", "a", "a"]


def test_only_machines_with_the_labels_are_taken() -> None:
    needs = Needs({"CPU": 1.0}, LABELS, spread="strict_spread")

    assert placed(3, {"c": 1.0, "b": 4.0, "a": 4.0}, needs) == ["a", "b", None]


def test_nobody_has_room_for_what_no_machine_has() -> None:
    assert choose(machines(a=4.0), Needs({"GPU": 1.0}), []) is None
    assert choose(machines(a=4.0), Needs({"CPU": 4.5}), []) is None
    assert choose([], Needs({"CPU": 1.0}), []) is None
