"""The decisions of a stream of tasks."""

from raybeam.actors.kernel.stream import (
    Emit,
    Ended,
    Event,
    Exhausted,
    Finish,
    GiveUp,
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


def play(options: Options, *events: tuple[Event, float] | Event) -> list[object]:
    """The effects of events, in order; an event without a time happens at 0."""
    state, seen = Stream(options), list[object]()
    for each in events:
        event, now = each if isinstance(each, tuple) else (each, 0.0)
        state, effects = step(state, event, now)
        seen += effects
    return seen


def test_inputs_are_taken_up_to_the_concurrency() -> None:
    assert play(Options(max_concurrency=2), Wanted(), Taken(), Taken()) == [Take(), Take(), Wait()]


def test_a_stream_without_inputs_finishes() -> None:
    assert play(Options(), Wanted(), Exhausted()) == [Take(), Finish()]


def test_an_ordered_stream_keeps_results_back_and_goes_on_working() -> None:
    effects = play(
        Options(max_concurrency=2),
        Wanted(),
        Taken(),
        Taken(),
        Ended(1),
        Wanted(),
        Taken(),
        Ended(0),
        Wanted(),
        Wanted(),
    )

    assert effects == [Take(), Take(), Wait(), Take(), Wait(), Emit(0), Emit(1)]


def test_an_unordered_stream_gives_what_ended_first() -> None:
    effects = play(Options(max_concurrency=2, ordered=False), Wanted(), Taken(), Taken(), Ended(1), Ended(0), Wanted())

    assert effects == [Take(), Take(), Wait(), Emit(1)]


def test_a_busy_consumer_keeps_the_slots() -> None:
    """Ends that nobody asked for free no slot: one input is taken for each result that is handed out."""
    effects = play(
        Options(max_concurrency=2, ordered=False), Wanted(), Taken(), Taken(), Ended(0), Ended(1), Wanted(), Wanted()
    )

    assert effects == [Take(), Take(), Wait(), Emit(0), Take()]


def test_a_late_task_is_killed_once_and_with_on_timeout_exit_the_stream_gives_up() -> None:
    events: list[tuple[Event, float] | Event] = [Wanted(), Taken(), Exhausted(), (Passed(), 4.9), (Passed(), 5.0)]

    assert play(Options(), *events, (Passed(), 6.0), Ended(0), Wanted()) == [
        Take(),
        Take(),
        Wait(),
        Kill(0),
        GiveUp(),
    ]


def test_with_on_timeout_kill_task_the_stream_goes_on() -> None:
    options = Options(max_concurrency=1, on_timeout="kill_task")

    assert play(options, Wanted(), Taken(), (Passed(), 5.0), Ended(0), Wanted(), Wanted()) == [
        Take(),
        Wait(),
        Kill(0),
        Emit(0),
        Take(),
    ]


def test_a_task_that_has_ended_is_not_late() -> None:
    assert play(Options(max_concurrency=1), Wanted(), Taken(), Ended(0), (Passed(), 9.0), Wanted()) == [
        Take(),
        Wait(),
        Emit(0),
    ]


def test_the_next_deadline_is_that_of_the_oldest_task_that_runs() -> None:
    state = Stream(Options(max_concurrency=3))
    assert next_deadline(state) is None

    for event, now in ((Wanted(), 0.0), (Taken(), 1.0), (Taken(), 2.0)):
        state, _ = step(state, event, now)
    assert next_deadline(state) == 6.0

    state, _ = step(state, Ended(0), 3.0)
    assert next_deadline(state) == 7.0

    state, _ = step(state, Passed(), 7.0)
    assert next_deadline(state) is None


def test_without_a_time_out_nothing_is_late() -> None:
    state = Stream(Options(timeout_s=None))
    for event in (Wanted(), Taken()):
        state, _ = step(state, event, 0.0)

    assert next_deadline(state) is None
    assert step(state, Passed(), 1e9)[1] == ()
