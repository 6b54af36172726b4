"""The queue that is a value, against a list."""

from hypothesis import given
from hypothesis import strategies as st

from raybeam.actors.kernel.fifo import CHUNK, Fifo


@given(st.lists(st.tuples(st.integers(0, 3 * CHUNK), st.integers(0, 3 * CHUNK)), max_size=12))
def test_what_is_added_is_taken_in_order(steps: list[tuple[int, int]]) -> None:
    queue: Fifo[int] = Fifo()
    model, number = list[int](), 0
    for added, taken in steps:
        items = tuple(range(number, number + added))
        number += added
        before = queue
        queue = queue.added(items)
        assert list(before) == model
        model += items
        got, queue = queue.taken(taken)
        assert list(got) == model[:taken]
        model = model[taken:]
        assert list(queue) == model
        assert len(queue) == len(model)
        assert bool(queue) == bool(model)
        assert all(len(chunk) <= CHUNK for chunk in queue.chunks)
