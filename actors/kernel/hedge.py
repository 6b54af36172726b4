"""Hedged requests: a query that takes unusually long is asked a second time, of another replica.

After Dean and Barroso, *The Tail at Scale*, CACM 2013: with the second request sent when the first has taken longer
than 95 % of all, the tail shrinks to a fraction for about 5 % more load.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import OptionError
from .options import check_numbers


@dataclass(frozen=True, slots=True)
class Hedge:
    """When a query is asked again while it is under way. The first answer counts, the other request is cancelled.

    Attributes:
        quantile: Share of the latest calls of the method (0 to 1) that are faster than the pause before the second
            request. Default 0.95.
        after_s: A fixed pause in seconds instead. Default: by the quantile.
        at_least_s: The shortest pause in seconds. Default 0.002.
    """

    quantile: float = 0.95
    after_s: float | None = None
    at_least_s: float = 0.002

    def __post_init__(self) -> None:
        check_numbers(self, "quantile", "at_least_s")
        if not 0 < self.quantile < 1:
            raise OptionError(f"quantile={self.quantile!r}: give a share between 0 and 1")
        if self.after_s is not None:
            check_numbers(self, "after_s")
        if self.after_s is not None and not self.after_s > 0:
            raise OptionError(f"after_s={self.after_s!r}: give seconds above 0")
        if not self.at_least_s > 0:
            raise OptionError(f"at_least_s={self.at_least_s!r}: give seconds above 0")

    def pause_s(self, measured: float | None) -> float | None:
        """Seconds before the second request; `None` while too little was measured to tell.

        >>> Hedge().pause_s(0.05), Hedge(after_s=0.2).pause_s(0.05), Hedge().pause_s(None)
        (0.05, 0.2, None)
        """
        if self.after_s is not None:
            return self.after_s
        return None if measured is None else max(self.at_least_s, measured)
