"""Whatever is asked of a roster, each place is in one state, and as many are kept as are wanted."""

from hypothesis import given
from hypothesis import strategies as st

from raybeam.autoscaler import Candidate
from raybeam.cluster.kernel.roster import Roster, ended, ending, resized

SIZES = st.integers(1, 12)
STEPS = st.lists(st.one_of(st.tuples(st.just("resize"), SIZES), st.tuples(st.just("pass"), st.integers(0, 20))))


@given(SIZES, STEPS, st.data())
def test_each_place_is_in_one_state_and_as_many_are_kept_as_are_wanted(
    first: int, steps: list[tuple[str, int]], data: st.DataObject
) -> None:
    roster = Roster(tuple(range(first)))
    wanted = first
    for what, number in steps:
        before = roster
        if what == "resize":
            wanted = number
            ready = data.draw(st.sets(st.sampled_from(roster.kept)))
            candidates = [
                Candidate(str(place), f"m{place % 3}" if place in ready else None, ready=place in ready)
                for place in roster.kept
            ]
            roster = resized(roster, wanted, candidates)
            assert set(before.ending) == set(roster.ending)
            if wanted > before.wanted:
                assert set(before.kept) <= set(roster.kept)
                assert not roster.draining or wanted <= before.wanted + len(before.draining)
            else:
                assert set(before.draining) <= set(roster.draining)
                assert not (set(roster.kept) - set(before.kept))
        elif roster.leaving:
            place = roster.leaving[number % len(roster.leaving)]
            roster = ending(roster, place) if place in roster.draining else ended(roster, place)
        assert roster.wanted == wanted
        assert len(set(roster.places)) == len(roster.places)
        assert list(roster.kept) == sorted(roster.kept)
