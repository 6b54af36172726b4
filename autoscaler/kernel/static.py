"""A fixed number of replicas."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

from raybeam.actors.errors import OptionError

from .policy import Decision

if TYPE_CHECKING:
    from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Static:
    """So many replicas, always.

    Attributes:
        replicas: How many.
        machines: How many machines; `None`: as many as the replicas need.

    Raises:
        ValueError: A number is negative or not whole.

    >>> from raybeam.autoscaler.kernel.snapshot import Snapshot
    >>> Static(3).decide(Snapshot(0.0, queue=99), None)[0].replicas
    3
    """

    replicas: int
    machines: int | None = None

    def __post_init__(self) -> None:
        for name in ("replicas", "machines"):
            value = getattr(self, name)
            if value is None and name == "machines":
                continue
            if not isinstance(value, Integral):
                raise OptionError(f"{name}={value!r}: give a whole number")
            if value < 0:
                raise OptionError(f"{name}={value!r}: give 0 or more")

    def start(self) -> None:
        """There is nothing to remember."""

    def decide(self, snapshot: Snapshot, state: None) -> tuple[Decision, None]:
        """The number."""
        return Decision(self.replicas, self.machines, "a fixed number", {"replicas": self.replicas}), None
