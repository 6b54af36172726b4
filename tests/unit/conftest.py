"""What the tests of the command line share."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def logging_stays_as_it_was() -> Iterator[None]:
    """Hydra sets the logging of a program up; the other tests are no part of that program."""
    root, ours = logging.getLogger(), logging.getLogger("raybeam")
    before = (list(root.handlers), root.level, ours.disabled)
    yield
    for added in root.handlers:
        if added not in before[0]:
            added.close()
    root.handlers[:], ours.disabled = before[0], before[2]
    root.setLevel(before[1])
