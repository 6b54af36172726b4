"""Families whose number of replicas changes: what a blueprint says of it, and which numbers are refused."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (pydantic reads the annotations)
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from raybeam.actors import UsageError

from .policies import made_policy
from .policy_options import configured_options

if TYPE_CHECKING:
    from raybeam.autoscaler import Policy

    from .blueprint import Blueprint, Family

MOST_REPLICAS: Final = 1000
DRAIN_TIMEOUT_S: Final = 60.0


class Scaling(BaseModel):
    """How a family is scaled; its `replicas` is then the number at the start.

    Attributes:
        min_replicas: There are never fewer. Default 1.
        max_replicas: Nor more. Default 10.
        policy: Who decides how many: `"queue_depth"` (default), `"target_utilisation"`, `"static"`, `"scheduled"`, or
            the import path `"package.module:Class"` of a class with the methods `start` and `decide`.
        options: Arguments of the policy, by name. Default: none.
        every_s: Seconds between decisions. Default 1.
        slots: Requests that one replica serves at once. Default: the number of the regulation's `concurrency`, else 1.
        drain_timeout_s: Seconds that a replica which is to go may take to serve what it has; what is left then fails
            as at any stop. Default 60.
        machine_labels: What the machines of its replicas must be labelled with. Default: nothing.
        dry_run: Decisions are made and shown, and not carried out. Default no.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_replicas: int = Field(default=1, ge=1, le=MOST_REPLICAS, strict=True)
    max_replicas: int = Field(default=10, ge=1, le=MOST_REPLICAS, strict=True)
    policy: str = "queue_depth"
    options: Mapping[str, Any] = Field(default_factory=dict)
    every_s: float = Field(default=1.0, gt=0)
    slots: int | None = Field(default=None, ge=1, strict=True)
    drain_timeout_s: float = Field(default=DRAIN_TIMEOUT_S, gt=0)
    machine_labels: Mapping[str, str] = Field(default_factory=dict)
    dry_run: bool = False

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> Scaling:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas={self.max_replicas} is below min_replicas={self.min_replicas}")
        self.made_policy()
        return self

    def made_policy(self, options: Mapping[str, Any] | None = None) -> Policy[Any]:
        """The policy itself, without memory.

        Args:
            options: Other ones. Default: the family's.
        """
        return made_policy(self.policy, configured_options(self.options if options is None else options))


def slots_of(family: Family, default: int = 1) -> int:
    """Requests that one replica of a family serves at once; `default`: the blueprint does not tell."""
    if family.scaling is not None and family.scaling.slots is not None:
        return family.scaling.slots
    regulation = family.regulation or family.service_class().regulation
    fixed = None if regulation is None else regulation.concurrency
    return fixed if isinstance(fixed, int) else default


def drain_timeout_s(family: Family) -> float:
    """Seconds that a replica which is to go may take to serve what it has."""
    return DRAIN_TIMEOUT_S if family.scaling is None else family.scaling.drain_timeout_s


def kept_apart(family: Family) -> int:
    """How many replicas are put on distinct machines, while there are some; the others fill machines up.

    Those that there always are, and at least two, so that no machine takes all with it.
    """
    if family.spread == "strict_spread":
        return MOST_REPLICAS
    return max(2, family.replicas if family.scaling is None else family.scaling.min_replicas)


def cannot_scale(family: Family) -> str | None:
    """Why the number of replicas of a family is fixed; `None`: it is not.

    Of a ring whose replicas keep state by key, keys would move away from their state.
    """
    if family.pattern in ("singleton", "broadcast"):
        return f"a family of pattern {family.pattern!r} does not scale: use 'replicated'"
    if family.pattern == "ring" and family.bounded_load is None:
        return "a ring does not scale, its keys would lose their state; with bounded_load it keeps none and may"
    return None


def check_scale(blueprint: Blueprint, family: str, replicas: object) -> None:
    """Whether a family may have so many replicas.

    Raises:
        UsageError: There is no such family, it does not scale, or not so far.
    """
    if family not in blueprint.families:
        close = get_close_matches(str(family), blueprint.families, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(blueprint.families)}"
        raise UsageError(f"there is no family {family!r} to scale; {hint}")
    spec = blueprint.families[family]
    fixed = cannot_scale(spec)
    if fixed is not None:
        raise UsageError(f"{family}: {fixed}")
    least, most = (1, MOST_REPLICAS) if spec.scaling is None else (spec.scaling.min_replicas, spec.scaling.max_replicas)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or not least <= replicas <= most:
        whose = "" if spec.scaling is None else ", by its `scaling`"
        raise UsageError(f"{family}: replicas={replicas!r}: give a whole number from {least} to {most}{whose}")
