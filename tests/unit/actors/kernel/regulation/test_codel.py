"""CoDel: when a queue stands, and who pays for it."""

from raybeam.actors import CoDel
from raybeam.actors.kernel.regulation.codel import CALM, Episode, admit, judge

LIMITS = CoDel(target_s=0.1, interval_s=1.0)
STANDING = Episode(above_until=1.0, dropping=True, drops=1, drops_at_first=1, drop_next_at=2.0)


def test_waiting_times_at_the_target_itself_are_above_it() -> None:
    episode, _ = judge(LIMITS, CALM, 0.1, 0.0, behind=5)

    assert episode.above_until == 1.0
    assert judge(LIMITS, episode, 0.1, 1.0, behind=5)[1]


def test_one_call_below_the_target_ends_the_episode() -> None:
    episode, dropped = judge(LIMITS, STANDING, 0.09, 5.0, behind=5)

    assert not dropped
    assert not episode.dropping
    assert not judge(LIMITS, episode, 0.5, 5.1, behind=5)[1]


def test_a_queue_that_stands_again_soon_goes_on_dropping_where_it_was() -> None:
    long = Episode(above_until=None, dropping=False, drops=9, drops_at_first=1, drop_next_at=10.0)
    again, _ = judge(LIMITS, long._replace(above_until=11.0), 0.5, 12.0, behind=5)
    anew, _ = judge(LIMITS, long._replace(above_until=11.0), 0.5, 30.0, behind=5)

    assert (again.drops, anew.drops) == (8, 1)


def test_who_is_refused_at_the_door_stands_for_the_next_drop() -> None:
    paid, admitted = admit(LIMITS, STANDING, 0.5)
    assert not admitted

    after, dropped = judge(LIMITS, paid, 0.5, 2.0, behind=5)
    assert not dropped
    assert after.drops == 2
    assert judge(LIMITS, after, 0.5, after.drop_next_at, behind=5)[1]


def test_what_waited_too_long_is_dropped_whoever_was_refused() -> None:
    paid, _ = admit(LIMITS, STANDING, 0.5)

    assert judge(LIMITS, paid, 1.2, 2.0, behind=5)[1]


def test_at_the_door_of_a_queue_that_does_not_stand_more_is_borne() -> None:
    assert admit(LIMITS, CALM, 0.8)[1]
    assert not admit(LIMITS, CALM, 0.9)[1]
    assert admit(LIMITS, STANDING, 0.1)[1]
    assert not admit(LIMITS, STANDING, 0.2)[1]
