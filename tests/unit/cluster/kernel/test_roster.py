"""The places of a family when it is scaled."""

from raybeam.autoscaler import Candidate
from raybeam.cluster.kernel.roster import Drain, Roster, drained, ended, ending, resized


def on(*machines: str | None) -> list[Candidate]:
    return [Candidate(str(place), machine, ready=machine is not None, busy=1) for place, machine in enumerate(machines)]


def test_a_family_grows_at_the_lowest_free_places() -> None:
    roster = Roster((1, 4), draining=(0,), ending=(2,))

    grown = resized(roster, 5, [])

    assert grown == Roster((0, 1, 3, 4, 5), ending=(2,))


def test_those_that_drain_are_taken_back_before_new_ones_are_started_and_those_that_end_never() -> None:
    roster = Roster((0,), draining=(1, 2), ending=(3,))

    assert resized(roster, 2, []) == Roster((0, 1), draining=(2,), ending=(3,))
    assert resized(roster, 4, []) == Roster((0, 1, 2, 4), ending=(3,))


def test_those_that_do_not_serve_yet_go_first_then_those_on_the_emptiest_machine() -> None:
    roster = Roster((0, 1, 2, 3, 4))
    candidates = on("m1", "m1", "m2", None, None)

    assert resized(roster, 3, candidates).draining == (3, 4)
    assert resized(roster, 2, candidates).draining == (2, 3, 4)


def test_a_place_is_free_when_its_replica_has_ended() -> None:
    draining = Roster((0,), draining=(1,))

    gone = ended(ending(draining, 1), 1)

    assert (ending(draining, 1).leaving, gone) == ((1,), Roster((0,)))
    assert resized(gone, 2, []).kept == (0, 1)


def test_a_replica_has_drained_when_it_had_nothing_to_do_at_two_beats_and_nothing_came_between() -> None:
    drain, over = Drain(), []
    for depth, arrivals in ((3, 10), (0, 10), (0, 11), (1, 12), (0, 12), (0, 12)):
        drain, now = drained(drain, depth, arrivals)
        over.append(now)

    assert over == [False, False, False, False, False, True]
