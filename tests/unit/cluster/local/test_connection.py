"""The way into a cluster that runs already: a wrong address is told."""

import pytest

from raybeam.actors import ClusterError, UsageError
from raybeam.cluster.local import existing


@pytest.mark.parametrize("address", ["here", "here:port", ":6379", "ray://here:10001", "here:99999"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(UsageError, match="write host:port of the head"):
        existing(address)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "a..b:6379", f"{'x' * 80}:6379"])
def test_an_address_where_nobody_answers_is_told(address: str) -> None:
    with pytest.raises(ClusterError, match=f"nobody answers at {address}"):
        existing(address)


def test_without_an_address_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    with pytest.raises(UsageError, match="set RAY_ADDRESS to host:port of its head, or use cluster=local3"):
        existing()
