"""Supervisor specifications: the children and options that the `init` of a supervisor gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .backoff import Backoff
from .childspec import AUTO_SHUTDOWNS, ChildSpec, InvalidSpecError, check_specs
from .intensity import Limit
from .supervision_state import Flags

if TYPE_CHECKING:
    from collections.abc import Sequence

SIMPLE_ONE_FOR_ONE = "simple_one_for_one"


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """What the `init` of a supervisor returns.

    Attributes:
        children: Specifications, in the order of the start. Default: none yet.
        strategy: Who is restarted with a failed child: `"one_for_one"` (only it), `"one_for_all"` (all),
            `"rest_for_one"` (those started after it too). Default `"one_for_one"`.
        intensity: Restarts within `period_s` that are borne; one more and the supervisor gives up. Default 1.
        period_s: The window, seconds. Default 5.
        auto_shutdown: Whether the own end of significant children ends the supervisor: `"never"`,
            `"any_significant"` or `"all_significant"`. Default `"never"`.
        backoff: How long to wait before a child is restarted. Default: not at all, as in OTP.
        domain_window_s: Children lost with one machine, exit reason `("noconnection", machine)`, within so many seconds
            count as one restart. Default 5.
    """

    children: Sequence[ChildSpec | object] = ()
    strategy: str = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: str = "never"
    backoff: Backoff | None = None
    domain_window_s: float = 5.0


def check_flags(spec: SupervisorSpec) -> Flags:
    """The flags of a supervisor.

    Raises:
        InvalidSpecError: Names the field, the value and the mend.
    """
    if spec.strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
        mend = "use 'one_for_one', 'one_for_all' or 'rest_for_one'"
        if spec.strategy == SIMPLE_ONE_FOR_ONE:
            mend = "this strategy is DynamicSupervisor's: subclass that"
        raise InvalidSpecError(("invalid_strategy", spec.strategy), f"strategy={spec.strategy!r}: {mend}")
    if type(spec.intensity) is not int or spec.intensity < 0:
        raise InvalidSpecError(
            ("invalid_intensity", spec.intensity), f"intensity={spec.intensity!r}: a whole number from 0"
        )
    period_s: object = spec.period_s
    if isinstance(period_s, bool) or not isinstance(period_s, int | float) or not period_s > 0:
        raise InvalidSpecError(("invalid_period", spec.period_s), f"period_s={spec.period_s!r}: seconds above 0")
    if spec.auto_shutdown not in AUTO_SHUTDOWNS:
        mend = "use 'never', 'any_significant' or 'all_significant'"
        raise InvalidSpecError(
            ("invalid_auto_shutdown", spec.auto_shutdown), f"auto_shutdown={spec.auto_shutdown!r}: {mend}"
        )
    if not isinstance(spec.backoff, Backoff | None):
        raise InvalidSpecError(("invalid_backoff", spec.backoff), f"backoff={spec.backoff!r}: a Backoff, or None")
    window_s: object = spec.domain_window_s
    if isinstance(window_s, bool) or not isinstance(window_s, int | float) or not window_s >= 0:
        mend = f"domain_window_s={spec.domain_window_s!r}: seconds, 0 or more"
        raise InvalidSpecError(("invalid_domain_window", spec.domain_window_s), mend)
    limit = Limit(spec.intensity, spec.period_s, spec.domain_window_s)
    return Flags(spec.strategy, limit, spec.auto_shutdown, spec.backoff)


def check_template(spec: SupervisorSpec) -> tuple[Flags, ChildSpec]:
    """The flags and the template of a `simple_one_for_one` supervisor.

    Raises:
        InvalidSpecError: `reason` is `("supervisor_data", ...)`, `("bad_start_spec", ...)` or `("start_spec", ...)`.
    """
    try:
        flags = check_flags(replace(spec, strategy="one_for_one"))
        if flags.auto_shutdown != "never":
            raise InvalidSpecError(
                ("bad_combination", [("auto_shutdown", flags.auto_shutdown), ("strategy", SIMPLE_ONE_FOR_ONE)]),
                f"auto_shutdown={flags.auto_shutdown!r}: children that come and go cannot end their supervisor",
            )
    except InvalidSpecError as error:
        raise InvalidSpecError(("supervisor_data", error.reason), error.mend) from None
    if len(spec.children) != 1:
        mend = f"strategy='simple_one_for_one' takes one child specification, the template, not {len(spec.children)}"
        raise InvalidSpecError(("bad_start_spec", list(spec.children)), mend)
    try:
        [template] = check_specs(spec.children)
    except InvalidSpecError as error:
        raise InvalidSpecError(("start_spec", error.reason), error.mend) from None
    return flags, template
