"""What a trace asks for: rates in windows, and service times as they are or as they are described."""

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.workload import (
    Constant,
    Exponential,
    LogNormal,
    Pareto,
    Service,
    Trace,
    cut,
    rates_of,
    shaken,
    times_of,
)


def of(times: list[float], duration_s: float) -> Trace:
    return Trace("some", times, [0.1] * len(times), duration_s)


def test_rates_are_counted_in_windows() -> None:
    rates = rates_of(of([1.0] * 10 + [70.0] * 30 + [130.0] * 20, 180.0), window_s=60.0)

    assert (rates.p50, rates.peak) == (20 / 60, 0.5)
    assert rates.mean == pytest.approx(60 / 180)


def test_a_last_window_counts_by_its_length_and_not_at_all_if_it_is_short() -> None:
    assert rates_of(of([1.0] + [61.0] * 40, 100.0)).peak == 1.0
    assert rates_of(of([1.0] + [61.0] * 40, 62.0)).peak == pytest.approx(1 / 60)
    assert rates_of(of([1.0, 2.0], 4.0)).peak == 0.5


def test_what_tells_no_rate_is_refused() -> None:
    with pytest.raises(UsageError, match="has one request only"):
        rates_of(of([1.0], 10.0))
    with pytest.raises(UsageError, match="window_s=0: give"):
        rates_of(of([1.0, 2.0], 10.0), 0)
    with pytest.raises(UsageError, match="make it longer"):
        rates_of(of([1.0, 2.0], 10.0), 1e-9)


@pytest.mark.parametrize("service", [Constant(0.2), Exponential(0.2), LogNormal(0.2, 1.5), Pareto(0.2, 3.0)], ids=str)
def test_times_that_stand_for_a_distribution_have_its_mean_and_nearly_its_variation(service: Service) -> None:
    times = times_of(service)

    assert (times.mean_s, times.cv) == (0.2, service.cv)
    assert sum(times.sizes) / len(times.sizes) == pytest.approx(0.2, rel=0.02)
    assert list(times.sizes) == sorted(times.sizes)
    assert times_of(times.sizes).cv == pytest.approx(service.cv, rel=0.2, abs=1e-9)


def test_measured_times_are_thinned_and_keep_their_tail() -> None:
    times = times_of([0.1] * 9_900 + [5.0] * 100)

    assert len(times.sizes) == 2000
    assert sum(size == 5.0 for size in times.sizes) == 20


def test_times_without_a_variance_or_without_any_time_are_refused() -> None:
    with pytest.raises(UsageError, match="the variance of these times is infinite"):
        times_of(Pareto(1.0, 1.5))
    with pytest.raises(UsageError, match="all requests of the trace take 0 s"):
        times_of([0.0, 0.0])


def test_a_trace_with_other_luck_has_the_same_requests_at_nearly_the_same_times() -> None:
    trace = Trace("some", [0.0, 5.0, 9.5], [0.1, 0.2, 0.3], 10.0)
    other = shaken(trace, 1)

    assert other.times != trace.times
    assert all(abs(one - two) <= 1.0 for one, two in zip(trace.times, other.times, strict=True))
    assert sorted(other.sizes) == sorted(trace.sizes)
    assert shaken(trace, 1) == other


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_trace_is_cut_into_two_parts_that_are_not_empty(share: float) -> None:
    with pytest.raises(UsageError, match="give one between 0 and 1"):
        cut(of([1.0, 2.0], 10.0), share)
    with pytest.raises(UsageError, match="both parts need some"):
        cut(of([1.0, 2.0], 10.0), 0.5)


def test_more_requests_than_a_trace_holds_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(UsageError, match="its 30,000,000 requests are more than the 20,000,000 that a trace holds"):
        Trace("endless", range(30_000_000), range(30_000_000), 1e9)
