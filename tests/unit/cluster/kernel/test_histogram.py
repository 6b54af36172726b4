"""Histograms: percentiles within a bucket, merging, differences."""

from hypothesis import given
from hypothesis import strategies as st

from raybeam.cluster.kernel.histogram import Histogram

durations = st.lists(st.floats(1e-5, 100), min_size=1, max_size=200)


def filled(seconds: list[float]) -> Histogram:
    histogram = Histogram()
    for value in seconds:
        histogram.add(value)
    return histogram


@given(seconds=durations, share=st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_a_quantile_is_within_a_bucket_of_the_true_one(seconds: list[float], share: float) -> None:
    rank = max(1, -(-int(share * len(seconds) * 1_000_000) // 1_000_000))
    true = sorted(seconds)[rank - 1]

    assert true <= filled(seconds).quantile(share) * 1.000001 <= true * 1.11


@given(first=durations, second=durations)
def test_merged_is_the_same_as_counted_together_and_since_undoes_it(first: list[float], second: list[float]) -> None:
    merged = filled(first)
    merged.merge(filled(second))

    assert merged == filled(first + second)
    assert merged.since(filled(first)) == filled(second)


def test_an_empty_histogram_has_no_wait() -> None:
    assert Histogram().quantile(0.99) == 0.0
