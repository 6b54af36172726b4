"""The collector is kept from looking at what has been there since the start."""

import gc

from raybeam.cluster.collector import THRESHOLDS, calm_collector


def test_what_lives_now_is_spared_later_collections() -> None:
    before = gc.get_threshold()
    try:
        calm_collector()

        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == THRESHOLDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
