"""The options of a dynamic supervisor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .supervisorspec import SIMPLE_ONE_FOR_ONE, SupervisorSpec

if TYPE_CHECKING:
    from .backoff import Backoff
    from .childspec import ChildSpec


@dataclass(frozen=True, slots=True)
class DynamicSpec:
    """Options of a dynamic supervisor.

    Attributes:
        intensity: Restarts of any children within `period_s` that are borne. Default 3.
        period_s: The window, seconds. Default 5.
        max_children: How many children there may be at once. Default: any number.
        backoff: How long to wait before a child is restarted; a specification may say otherwise. Default: not at all.
        domain_window_s: Children lost with one machine within so many seconds count as one restart. Default 5.
        template: The specification of all children, which `start_child` only gives more arguments. Default: each child
            brings its own.
    """

    intensity: int = 3
    period_s: float = 5.0
    max_children: int | None = None
    template: ChildSpec | None = None
    backoff: Backoff | None = None
    domain_window_s: float = 5.0

    def supervisor_spec(self) -> SupervisorSpec:
        """The same for a supervisor of any kind, but for `max_children`."""
        return SupervisorSpec(
            [] if self.template is None else [self.template],
            "one_for_one" if self.template is None else SIMPLE_ONE_FOR_ONE,
            self.intensity,
            self.period_s,
            backoff=self.backoff,
            domain_window_s=self.domain_window_s,
        )
