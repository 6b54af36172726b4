"""Work for nobody: a call whose caller has given up, or will have before the answer is there."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import OptionError
from ..options import check_numbers


@dataclass(frozen=True, slots=True)
class DeadlineDrop:
    """Refuse calls that cannot be answered in time, before they wait for nothing.

    What has expired is never done, with or without this.

    Attributes:
        margin: By what factor the expected time must fit into the time that is left: above 1 refuses earlier, below 1
            later. Default 1.
    """

    margin: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, "margin")
        if not self.margin > 0:
            raise OptionError(f"margin={self.margin!r}: give a factor above 0")


def expired(deadline: float | None, now: float) -> bool:
    """Whether nobody waits any more; at the deadline itself somebody still does.

    >>> expired(5.0, 5.0), expired(5.0, 5.1), expired(None, 5.1)
    (False, True, False)
    """
    return deadline is not None and now > deadline


def hopeless(drop: DeadlineDrop, deadline: float | None, expected_s: float, now: float) -> bool:
    """Whether the answer can be expected too late.

    Args:
        drop: The margin.
        deadline: When the caller gives up, `None` for never.
        expected_s: Seconds until the answer, as things stand.
        now: The time.

    >>> hopeless(DeadlineDrop(), 5.0, 2.0, now=2.0), hopeless(DeadlineDrop(), 5.0, 2.0, now=4.0)
    (False, True)
    """
    return deadline is not None and now + drop.margin * expected_s > deadline
