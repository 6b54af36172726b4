"""Child specifications: how a supervisor starts, restarts and stops one child."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from ..errors import OptionError
from .backoff import Backoff
from .reason import KILLED, SHUTDOWN, ExitReason, is_normal_end

BRUTAL_KILL: Final = "brutal_kill"
INFINITY: Final = "infinity"
AUTO_SHUTDOWNS: Final = ("never", "any_significant", "all_significant")
_ANY_AUTO_SHUTDOWN: Final = "'never', 'any_significant' or 'all_significant'"
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, restart and stop one child.

    Attributes:
        id: Names the child within its supervisor; any hashable term.
        start: An async function that starts the child linked to the caller and returns its `Pid` (or a
            `Started`), or a tuple `(function, *arguments)`; in place of the function a behaviour class stands
            for its `start_link`.
        restart: `"permanent"` (always restarted), `"transient"` (after abnormal ends), `"temporary"` (never, and
            forgotten when it ends). Default `"permanent"`.
        shutdown: Seconds to end in after the exit signal `shutdown`, then it is killed; `"brutal_kill"` (at
            once) or `"infinity"`. Default: 5 for a worker, `"infinity"` for a supervisor.
        type: `"worker"` or `"supervisor"`. Default `"worker"`.
        significant: Whether its own end can end the supervisor, see `auto_shutdown`. Default no.
        modules: For tools: the classes that run in it. Default: none named.
        backoff: How long to wait before it is restarted. Default: as its supervisor says.
    """

    id: object
    start: object
    restart: str = "permanent"
    shutdown: float | str | None = None
    type: str = "worker"
    significant: bool = False
    modules: Sequence[object] | str = ()
    backoff: Backoff | None = None

    @property
    def shutdown_s(self) -> float | str:
        """`shutdown` with its default filled in."""
        if self.shutdown is not None:
            return self.shutdown
        return INFINITY if self.type == "supervisor" else 5.0


class InvalidSpecError(OptionError):
    """A child specification or supervisor flag is wrong.

    Attributes:
        reason: OTP's term for it, e.g. `("invalid_restart_type", "forever")`.
    """

    def __init__(self, reason: object, mend: str) -> None:
        super().__init__(reason, mend)
        self.reason = reason
        self.mend = mend

    def __str__(self) -> str:
        return self.mend


def read_spec(spec: object) -> ChildSpec:
    """A `ChildSpec` from itself or from a mapping with the same keys.

    Raises:
        InvalidSpecError: It is neither, lacks `id` or `start`, or has an unknown key.
    """
    if isinstance(spec, ChildSpec):
        return spec
    if not isinstance(spec, Mapping):
        raise InvalidSpecError(
            ("invalid_child_spec", spec),
            f"child spec {spec!r}: write ChildSpec(id, start, ...) or a mapping with these keys",
        )
    known = {field.name for field in fields(ChildSpec)}
    for key in spec:
        if key not in known:
            raise InvalidSpecError(
                ("invalid_child_spec", dict(spec)),
                f"child spec {dict(spec)!r} has no key {key!r}; it has: {', '.join(sorted(known))}",
            )
    for key in ("id", "start"):
        if spec.get(key, _MISSING) is _MISSING:
            raise InvalidSpecError(f"missing_{key}", f"child spec {dict(spec)!r}: {key!r} is missing")
    return ChildSpec(**dict(spec))


def check_spec(spec: ChildSpec, auto_shutdown: str | None = "never") -> None:
    """Check every field, in OTP's order.

    Args:
        spec: The specification.
        auto_shutdown: Of the supervisor; with `None` a significant child is right under some supervisor.

    Raises:
        InvalidSpecError: Names field, value and mend.
    """
    start = spec.start[0] if isinstance(spec.start, tuple) and spec.start else spec.start
    if not callable(start):
        raise InvalidSpecError(
            ("invalid_mfa", spec.start),
            f"{_where(spec)}start={spec.start!r}: give an async function, or (function or class, *arguments)",
        )
    if spec.restart not in ("permanent", "transient", "temporary"):
        raise InvalidSpecError(
            ("invalid_restart_type", spec.restart),
            f"{_where(spec)}restart={spec.restart!r}: 'permanent', 'transient' or 'temporary'",
        )
    _check_significant(spec, auto_shutdown)
    if spec.type not in ("worker", "supervisor"):
        raise InvalidSpecError(
            ("invalid_child_type", spec.type), f"{_where(spec)}type={spec.type!r}: 'worker' or 'supervisor'"
        )
    _check_shutdown(spec)
    _check_modules(spec)
    if spec.backoff is not None and not isinstance(spec.backoff, Backoff):
        raise InvalidSpecError(
            ("invalid_backoff", spec.backoff), f"{_where(spec)}backoff={spec.backoff!r}: a Backoff, or None"
        )


def _where(spec: ChildSpec) -> str:
    return f"child {spec.id!r}: "


def _check_significant(spec: ChildSpec, auto_shutdown: str | None) -> None:
    if not isinstance(spec.significant, bool):
        raise InvalidSpecError(
            ("invalid_significant", spec.significant), f"{_where(spec)}significant={spec.significant!r}: True or False"
        )
    if spec.significant and auto_shutdown == "never":
        raise InvalidSpecError(
            ("bad_combination", [("auto_shutdown", "never"), ("significant", True)]),
            f"{_where(spec)}significant=True needs auto_shutdown 'any_significant' or 'all_significant' of its "
            "supervisor",
        )
    if spec.significant and spec.restart == "permanent":
        raise InvalidSpecError(
            ("bad_combination", [("restart", "permanent"), ("significant", True)]),
            f"{_where(spec)}significant=True needs restart 'transient' or 'temporary': a permanent child never ends "
            "for good",
        )


def _check_shutdown(spec: ChildSpec) -> None:
    shutdown: object = spec.shutdown_s
    if isinstance(shutdown, str):
        right = shutdown in (BRUTAL_KILL, INFINITY)
    else:
        right = isinstance(shutdown, int | float) and not isinstance(shutdown, bool) and shutdown >= 0
    if not right:
        raise InvalidSpecError(
            ("invalid_shutdown", spec.shutdown),
            f"{_where(spec)}shutdown={spec.shutdown!r}: seconds, 'brutal_kill' or 'infinity'",
        )


def _check_modules(spec: ChildSpec) -> None:
    modules: object = spec.modules
    if modules == "dynamic":
        return
    if not isinstance(modules, list | tuple):
        raise InvalidSpecError(("invalid_modules", modules), f"{_where(spec)}modules={modules!r}: a list, or 'dynamic'")
    for module in modules:
        if not isinstance(module, type | str):
            raise InvalidSpecError(
                ("invalid_module", module), f"{_where(spec)}modules={modules!r}: classes or their names, not {module!r}"
            )


def check_id(spec: ChildSpec) -> None:
    """Check that a child can be found by its id.

    Raises:
        InvalidSpecError: It is not hashable.
    """
    try:
        hash(spec.id)
    except TypeError:
        mend = f"{_where(spec)}its id is not hashable: give a string or a number, or a tuple in place of a list"
        raise InvalidSpecError(("invalid_id", spec.id), mend) from None


def check_specs(specs: Sequence[object], auto_shutdown: str | None = "never") -> tuple[ChildSpec, ...]:
    """Check a whole list before anything is started, see `check_spec`.

    Raises:
        InvalidSpecError: One is wrong, two have the same id, it is no list, or there is no such `auto_shutdown`.
    """
    if auto_shutdown not in (*AUTO_SHUTDOWNS, None):
        raise InvalidSpecError(("badarg", auto_shutdown), f"auto_shutdown={auto_shutdown!r}: use {_ANY_AUTO_SHUTDOWN}")
    given: object = specs
    if isinstance(given, ChildSpec | Mapping | str) or not isinstance(given, Iterable):
        raise InvalidSpecError(("invalid_children", given), f"children={given!r}: give a list of ChildSpecs")
    checked: dict[object, ChildSpec] = {}
    for raw in specs:
        spec = read_spec(raw)
        check_id(spec)
        check_spec(spec, auto_shutdown)
        if spec.id in checked:
            raise InvalidSpecError(
                ("duplicate_child_name", spec.id), f"two children have the id {spec.id!r}: give each its own"
            )
        checked[spec.id] = spec
    return tuple(checked.values())


def is_orderly(spec: ChildSpec, reason: ExitReason) -> bool:
    """Whether a child that was told to stop ended as it should; anything else is worth a report.

    A permanent child has no reason of its own to end normally.

    >>> is_orderly(ChildSpec("a", print), "shutdown"), is_orderly(ChildSpec("a", print), "normal")
    (True, False)
    >>> is_orderly(ChildSpec("a", print, restart="transient"), "normal")
    True
    """
    if spec.restart != "permanent" and is_normal_end(reason):
        return True
    return reason == (KILLED if spec.shutdown_s == BRUTAL_KILL else SHUTDOWN)
