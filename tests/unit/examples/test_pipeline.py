"""The pipeline runs, ends by itself and never runs ahead."""

from examples import pipeline
from raybeam.actors.testing import run


def test_the_store_sets_the_pace_of_the_source() -> None:
    run(pipeline.main())

    assert (pipeline.produced, pipeline.stored) == (1000, 950)
    assert pipeline.most_ahead <= 3 * (10 + 10 + 10)
