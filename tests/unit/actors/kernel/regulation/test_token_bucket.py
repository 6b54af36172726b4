"""The token bucket at its edges."""

from raybeam.actors.kernel.regulation.token_bucket import Bucket, refilled, taken, wait_s


def test_a_bucket_never_holds_more_than_its_burst_and_never_flows_back() -> None:
    assert refilled(Bucket(5.0, 0.0), per_s=1.0, burst=5, now=100.0) == Bucket(5.0, 100.0)
    assert refilled(Bucket(2.0, 10.0), per_s=1.0, burst=5, now=9.0) == Bucket(2.0, 10.0)


def test_a_token_that_rounding_has_not_quite_made_whole_is_one() -> None:
    bucket = Bucket(1 - 1e-12, 1.0)

    assert taken(bucket) == Bucket(0.0, 1.0)
    assert wait_s(bucket, per_s=1.0, calls=1) == 0.0


def test_less_than_a_token_is_none() -> None:
    assert taken(Bucket(0.99, 0.0)) is None
    assert taken(Bucket(1.0, 0.0)) == Bucket(0.0, 0.0)
