"""The table of a supervisor's children: order, look-up, and that no change touches an older table."""

from hypothesis import given
from hypothesis import strategies as st

from raybeam.actors import ChildSpec
from raybeam.actors.kernel.supervision import Child, Children

IDS = st.one_of(st.integers(0, 6), st.sampled_from([32**3, 2 * 32**3, "a", ("a", 1), -1, -2]))  # -1, -2: one hash
HANDLES = st.sampled_from([None, "x", "y", "z"])
CHANGES = st.lists(st.one_of(st.tuples(st.just("put"), IDS, HANDLES), st.tuples(st.just("drop"), IDS, HANDLES)))


def child(id: object, handle: object) -> Child:
    return Child(ChildSpec(id, print), handle)


@given(CHANGES)
def test_a_table_is_what_a_dict_would_be_and_older_tables_stay_as_they_were(
    changes: list[tuple[str, object, object]],
) -> None:
    table, model, history = Children(), dict[object, Child](), list[tuple[Children, list[Child]]]()
    for change, name, handle in changes:
        history.append((table, list(model.values())))
        if change == "put":
            table, model[name] = table.put(child(name, handle)), child(name, handle)
        else:
            table = table.drop(name)
            model.pop(name, None)
    history.append((table, list(model.values())))

    for seen, expected in history:
        assert list(seen) == expected
        assert len(seen) == len(expected)
        for handle in ("x", "y", "z"):
            assert seen.by_handle(handle) == next((each for each in expected if each.handle == handle), None)
        for each in expected:
            assert seen.find(each.spec.id) == each


def test_nobody_has_an_id_that_cannot_be_hashed() -> None:
    assert Children.of([child("a", None)]).find(["a"]) is None
