"""What a trace may be."""

import math

import pytest

from raybeam.actors import UsageError
from raybeam.autoscaler.workload import Trace


@pytest.mark.parametrize(
    ("times", "sizes", "duration_s", "told"),
    [
        ([], [], 10.0, "it has no requests"),
        ([1.0], [], 10.0, "1 times, but 0 sizes"),
        ([2.0, 1.0], [1.0, 1.0], 10.0, "request 1 comes at 1.0 s, before the one ahead of it"),
        ([math.nan], [1.0], 10.0, "request 0 comes at nan s"),
        ([-1.0], [1.0], 10.0, "request 0 comes at -1.0 s"),
        ([1.0], [-0.1], 10.0, "request 0 takes -0.1 s"),
        ([1.0], [math.inf], 10.0, "request 0 takes inf s"),
        ([10.0], [1.0], 10.0, "not before its end"),
        ([1.0], [1.0], 0.0, "duration_s=0.0"),
        ([1.0], [1.0], math.nan, "duration_s=nan"),
    ],
)
def test_what_cannot_be_is_refused(times: list[float], sizes: list[float], duration_s: float, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        Trace("bad", times, sizes, duration_s)

    assert told in str(raised.value)


def test_it_tells_its_load() -> None:
    trace = Trace("two", [1.0, 1.0], [2.0, 4.0], 12.0)

    assert trace.offered == 0.5
    assert trace.rate_per_s == pytest.approx(1 / 6)
