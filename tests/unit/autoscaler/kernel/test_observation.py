"""From what replicas have told to the snapshot: differences by name, ages, silence."""

from __future__ import annotations

from math import isclose

from hypothesis import given
from hypothesis import strategies as st

from raybeam.autoscaler.fleet import FamilyReading, ReplicaReading
from raybeam.autoscaler.kernel.observation import Looked, Observation, observe


def replica(name: str, heard_s: float = 10.0, *, ready: bool = True, **told: float) -> ReplicaReading:
    return ReplicaReading(f"shop/web/{name}", "m", ready, heard_s=heard_s, **told)  # type: ignore[arg-type]


def look(before: Looked | None, now_s: float, *replicas: ReplicaReading, wanted: int | None = None) -> Observation:
    family = FamilyReading(len(replicas) if wanted is None else wanted, 2, replicas)
    return observe(family, before, clock_s=now_s, time_s=1000.0 + now_s, silent_after_s=2.0)


def test_the_first_look_has_nothing_to_compare_with() -> None:
    seen = look(None, 10.0, replica("0#1", arrivals=900, completions=890, waiting=3, in_flight=2))

    assert not seen.snapshot.fresh
    assert (seen.snapshot.arrivals, seen.snapshot.queue, seen.snapshot.in_flight) == (0, 3, 2)


def test_what_happened_is_the_difference_of_the_counters() -> None:
    first = look(None, 10.0, replica("0#1", 10.0, arrivals=900, completions=800, service_total_s=80.0))
    told = replica(
        "0#1", 11.0, arrivals=930, completions=804, service_total_s=82.0, service_square_s2=1.0 + 4 * 0.25 * 0.25
    )
    seen = look(first.looked, 11.0, told).snapshot

    assert (seen.fresh, seen.arrivals, seen.completions, seen.service_s) == (True, 30, 4, 0.5)
    assert seen.service_cv is not None
    assert isclose(seen.service_cv, ((1.25 / 4 - 0.25) ** 0.5) / 0.5)


def test_a_new_replica_counts_from_zero_and_of_one_that_went_only_the_last_word_is_lost() -> None:
    first = look(None, 10.0, replica("0#1", 10.0, arrivals=500), replica("1#1", 10.0, arrivals=400))
    seen = look(first.looked, 11.0, replica("0#1", 11.0, arrivals=510), replica("2#1", 11.0, arrivals=7))
    again = look(seen.looked, 12.0, replica("0#1", 12.0, arrivals=510), replica("2#1", 12.0, arrivals=7))

    assert seen.snapshot.arrivals == 17
    assert again.snapshot.arrivals == 0


def test_counts_over_the_time_between_snapshots_are_the_rate_though_beats_keep_no_step_with_looks() -> None:
    looked, rates = None, []
    for second in range(10, 30):
        heard_s = second - (0.1, 0.6, 0.4)[second % 3]
        seen = look(looked, float(second), replica("0#1", heard_s, arrivals=round(100 * heard_s)))
        looked = seen.looked
        if seen.snapshot.fresh:
            rates.append(seen.snapshot.arrivals / seen.elapsed_s)

    assert len(rates) == 19
    assert all(isclose(rate, 100.0) for rate in rates)


def test_without_a_new_word_nothing_is_fresh() -> None:
    first = look(None, 10.0, replica("0#1", 10.0, arrivals=5))
    second = look(first.looked, 11.0, replica("0#1", 10.0, arrivals=5))

    assert not second.snapshot.fresh
    assert second.silent == 0


def test_when_many_are_silent_nothing_is_concluded_and_nothing_is_lost() -> None:
    first = look(None, 10.0, *(replica(f"{n}#1", 10.0, arrivals=100) for n in range(3)))
    silent = look(
        first.looked,
        13.0,
        replica("0#1", 13.0, arrivals=130),
        replica("1#1", 10.0, arrivals=100),
        replica("2#1", 10.0, arrivals=100),
    )
    heard = look(silent.looked, 14.0, *(replica(f"{n}#1", 14.0, arrivals=140) for n in range(3)))

    assert (silent.snapshot.fresh, silent.snapshot.arrivals, silent.silent) == (False, 0, 2)
    assert (heard.snapshot.fresh, heard.snapshot.arrivals, heard.elapsed_s) == (True, 120, 4.0)


def test_one_silent_replica_of_three_is_told_of_and_the_others_are_believed() -> None:
    first = look(None, 10.0, *(replica(f"{n}#1", 10.0) for n in range(3)))
    seen = look(
        first.looked,
        13.0,
        replica("0#1", 13.0, arrivals=10),
        replica("1#1", 13.0, arrivals=10),
        replica("2#1", 10.0),
    )

    assert (seen.snapshot.fresh, seen.snapshot.arrivals, seen.silent) == (True, 20, 1)


def test_after_a_restart_of_the_root_those_that_were_known_and_have_not_spoken_are_silent() -> None:
    first = look(None, 10.0, replica("0#1", 10.0), replica("1#1", 10.0))
    unheard = [replica(name, 0.0, ready=False) for name in ("0#1", "1#1")]
    seen = look(first.looked, 12.0, *unheard)

    assert (seen.snapshot.fresh, seen.silent) == (False, 2)
    assert seen.snapshot.ready + seen.snapshot.starting == 2


def test_replicas_that_all_still_start_tell_nothing() -> None:
    first = look(None, 10.0, wanted=2)
    seen = look(first.looked, 11.0, replica("0#1", 0.0, ready=False), replica("1#1", 0.0, ready=False))

    assert not seen.snapshot.fresh
    assert (seen.snapshot.ready, seen.snapshot.starting) == (0, 2)


def test_a_family_without_replicas_is_known_to_do_nothing() -> None:
    seen = look(look(None, 10.0, wanted=0).looked, 11.0, wanted=0)

    assert seen.snapshot.fresh


def test_what_serves_beyond_the_number_wanted_is_about_to_drain() -> None:
    seen = look(None, 10.0, *(replica(f"{n}#1") for n in range(5)), wanted=3).snapshot

    assert (seen.ready, seen.starting, seen.draining) == (3, 0, 2)


def test_what_is_missing_is_on_its_way() -> None:
    seen = look(None, 10.0, replica("0#1"), wanted=3).snapshot

    assert (seen.ready, seen.starting, seen.draining) == (1, 2, 0)


@given(
    st.lists(
        st.tuples(st.floats(0.05, 3.0), st.lists(st.integers(0, 50), min_size=3, max_size=3), st.booleans()),
        min_size=2,
        max_size=30,
    )
)
def test_whatever_is_silent_when_each_arrival_is_told_once(steps: list[tuple[float, list[int], bool]]) -> None:
    now_s, counts, told, looked = 10.0, [0, 0, 0], 0, None
    heard = [0.0, 0.0, 0.0]
    reported = [0, 0, 0]
    before_first = 0
    for passed_s, came, silent in steps:
        now_s += passed_s
        for n in range(3):
            counts[n] += came[n]
            if not (silent and n):
                heard[n], reported[n] = now_s, counts[n]
        seen = look(looked, now_s, *(replica(f"{n}#1", heard[n], arrivals=reported[n]) for n in range(3)))
        if looked is None:
            before_first = sum(each.arrivals for each in seen.looked.counters.values())
        told += seen.snapshot.arrivals
        looked = seen.looked
    assert looked is not None
    late_first = sum(each.arrivals for each in looked.counters.values()) - before_first
    assert told + looked.untold.arrivals == late_first
