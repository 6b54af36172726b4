"""Rows of numbers, bounded: the latest in full, older ones thinned."""

from math import isnan, nan

from raybeam.autoscaler.series import ROWS, Row, Series


def row(time_s: float, queue: float = 0.0, rate: float = 5.0) -> Row:
    return Row(time_s, rate, queue, 0, 0, 1, 0, 0, 1, 1, 0)


def test_a_day_of_seconds_keeps_its_bound_its_beginning_and_the_latest_hour_in_full() -> None:
    series = Series()
    for second in range(86400):
        series.add(row(float(second)))
    times = series.column("time_s")

    assert len(series) <= ROWS
    assert times[0] == 0.0
    assert list(times[-ROWS // 2 :]) == [float(second) for second in range(86400 - ROWS // 2, 86400)]
    assert sorted(times) == list(times)


def test_no_peak_is_lost_and_rates_are_averaged() -> None:
    series = Series(rows=8)
    for second in range(30):
        series.add(row(float(second), queue=99.0 if second == 3 else 0.0, rate=4.0 + 2 * (second % 2)))

    assert max(series.column("queue")) == 99.0
    assert series.column("rate_per_s")[0] == 5.0


def test_what_was_not_known_stays_unknown_only_if_neither_of_two_was() -> None:
    series = Series(rows=4)
    for second, rate in enumerate([nan, 4.0, nan, nan, 1.0]):
        series.add(row(float(second), rate=rate))

    assert series.column("rate_per_s")[0] == 4.0
    assert isnan(series.column("rate_per_s")[1])
