"""The specification of a regulation: what is wrong is told with the mend."""

from collections.abc import Callable
from typing import Any

import pytest

from raybeam.actors import CoDel, Damper, DeadlineDrop, Fair, Gradient, Priorities, Rate, Regulation


def wrong(name: str, value: object) -> dict[str, Any]:
    """An argument that mypy would refuse."""
    return {name: value}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Regulation(queue_limit=0), "queue_limit=0: give 1 or more"),
        (lambda: Regulation(**wrong("overflow", "reject")), "overflow='reject': give one of Overflow.REJECT"),
        (lambda: Regulation(concurrency=0), "concurrency=0: give 1 or more, or no call would ever begin"),
        (lambda: Regulation(**wrong("concurrency", "many")), "concurrency='many': give a number or a Gradient"),
        (lambda: Regulation(**wrong("codel", 0.1)), "codel=0.1: give a CoDel, or None for none"),
        (lambda: CoDel(target_s=2.0, interval_s=1.0), "need 0 < target_s <= interval_s"),
        (lambda: Rate(per_s=0), "per_s=0: give calls a second, more than 0"),
        (lambda: Rate(per_s=1, burst=0), "burst=0: give 1 or more"),
        (lambda: Rate(per_s=1, max_wait_s=-1), "max_wait_s=-1: give seconds, 0 or more"),
        (lambda: Gradient(initial=5, least=10), "need 1 <= least <= initial <= most"),
        (lambda: Gradient(tolerance=0.5), "tolerance=0.5: give 1 or more"),
        (lambda: Gradient(smoothing=0), "smoothing=0: give a share above 0"),
        (lambda: Gradient(window_calls=0), "need room >= 1"),
        (lambda: Priorities({}), "name the classes, the most urgent first"),
        (lambda: Priorities({"high": 0.0}), "shares['high']=0.0: give a share above 0, up to 1: no class may starve"),
        (lambda: Priorities({"high": 0.7, "low": 0.5}), "together they are 1.2; reserve at most 1"),
        (lambda: Priorities({"high": 0.7}, default="low"), "default='low': no such class; there are: high"),
        (lambda: Fair({"acme": 0.0}), "weights['acme']=0.0: give a weight above 0"),
        (lambda: Fair(weight=-1.0), "weight=-1.0: give a weight above 0"),
        (lambda: DeadlineDrop(margin=0), "margin=0: give a factor above 0"),
        (lambda: Damper(cpu=(0.9, 0.8)), "cpu=(0.9, 0.8): give rising shares above 0, up to 1"),
        (lambda: Damper(cpu=(), memory=()), "give the steps of at least one of them"),
        (lambda: Damper(cut=0.0), "cut=0.0: give a share above 0"),
        (lambda: Damper(margin=1.0), "margin=1.0: give a share, 0 or more, below 1"),
        (lambda: Damper(sample_s=0.0), "need calm_s >= 0, sample_s > 0"),
    ],
)
def test_a_wrong_value_is_told_with_the_mend(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        make()

    assert told in str(caught.value)


def test_nothing_is_on_by_default() -> None:
    regulation = Regulation()

    assert (regulation.codel, regulation.rate, regulation.concurrency, regulation.damper) == (None,) * 4
    assert (regulation.deadlines, regulation.priorities, regulation.fair) == (None,) * 3
