"""The stream kernel against a naive play of tasks of random lengths."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from raybeam.actors.kernel.stream import (
    Emit,
    Ended,
    Exhausted,
    Finish,
    Kill,
    Options,
    Passed,
    Stream,
    Take,
    Taken,
    Wait,
    Wanted,
    next_deadline,
    step,
)

TIMEOUT_S = 5.0


@given(
    lengths=st.lists(st.integers(0, 8), max_size=30),
    concurrency=st.integers(1, 5),
    ordered=st.booleans(),
    pauses=st.lists(st.integers(0, 3), min_size=30, max_size=30),
)
def test_every_input_is_worked_on_once_within_the_bounds_whatever_tasks_and_consumer_do(
    lengths: list[int], concurrency: int, ordered: bool, pauses: list[int]
) -> None:
    state = Stream(Options(concurrency, ordered, TIMEOUT_S, "kill_task"))
    now = 0.0
    ends: list[tuple[float, int]] = []  # of the tasks that run
    started_at: dict[int, float] = {}
    killed: set[int] = set()
    emitted: list[int] = []
    ended: list[int] = []

    def pass_time(until: float) -> None:
        """Let tasks end and deadlines pass, each at its time; at the same time the end comes first."""
        nonlocal state, now
        while True:
            deadline = next_deadline(state)
            upcoming = min([end for end, _ in ends] + ([] if deadline is None else [deadline]), default=until + 1)
            if upcoming > until:
                break
            now = upcoming
            while ends and ends[0][0] <= now:
                position = heapq.heappop(ends)[1]
                ended.append(position)
                state, effects = step(state, Ended(position), now)
                assert effects == ()
            state, kills = step(state, Passed(), now)
            for kill in kills:
                assert isinstance(kill, Kill)
                assert started_at[kill.position] + TIMEOUT_S == now
                killed.add(kill.position)
                ends[:] = [each for each in ends if each[1] != kill.position]
                heapq.heapify(ends)
                ended.append(kill.position)
                state, _ = step(state, Ended(kill.position), now)
        now = until

    state, (effect,) = step(state, Wanted(), now)
    while effect != Finish():
        match effect:
            case Take():
                if len(started_at) == len(lengths):
                    state, (effect,) = step(state, Exhausted(), now)
                    continue
                position = len(started_at)
                started_at[position] = now
                heapq.heappush(ends, (now + lengths[position], position))
                assert len(ends) <= concurrency
                state, (effect,) = step(state, Taken(), now)
            case Emit(position):
                assert position in ended
                emitted.append(position)
                pass_time(now + pauses[len(emitted) - 1])
                state, (effect,) = step(state, Wanted(), now)
            case _:
                assert effect == Wait()
                deadline = next_deadline(state)
                assert ends
                pass_time(min(ends[0][0], deadline if deadline is not None else ends[0][0]))
                state, (effect,) = step(state, Wanted(), now)

    assert emitted == (list(range(len(lengths))) if ordered else ended)
    assert sorted(emitted) == list(range(len(lengths)))
    assert killed == {position for position, length in enumerate(lengths) if length > TIMEOUT_S}
    assert not ends
