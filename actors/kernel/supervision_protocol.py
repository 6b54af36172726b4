"""The events that a supervisor's kernel is fed, and the effects that it wants carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .childspec import ChildSpec
    from .reason import ExitReason

Handle: TypeAlias = object


@dataclass(frozen=True, slots=True)
class Restarting:
    """Stands for the pid of a child whose restart waits: it failed and will be tried again, or is put off.

    Attributes:
        last: The pid that it had, if it is known.
    """

    last: Handle | None


# -- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boot:
    """Start all children."""


@dataclass(frozen=True, slots=True)
class Started:
    """Outcome of `Start`: the child runs; without a handle it wished not to."""

    id: object
    handle: Handle | None
    extra: object = None


@dataclass(frozen=True, slots=True)
class StartFailed:
    """Outcome of `Start`: it failed; `mend` is for people, where it is known."""

    id: object
    reason: ExitReason
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Outcome of `Stop`: the child ended with `reason`."""

    id: object
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended by itself."""

    handle: Handle
    reason: ExitReason


@dataclass(frozen=True, slots=True)
class RetryRestart:
    """The time for a restart that waits has come; `number` says for which."""

    id: object
    number: int


@dataclass(frozen=True, slots=True)
class Request:
    """A call of the API: `operation` is its name, `argument` a child id or a `ChildSpec`."""

    operation: str
    argument: object


@dataclass(frozen=True, slots=True)
class Terminate:
    """The supervisor itself shall end: stop all children."""


Event: TypeAlias = Boot | Started | StartFailed | Stopped | Ended | RetryRestart | Request | Terminate


# -- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Start a child and feed `Started` or `StartFailed` back."""

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a child as its `shutdown` says and feed `Stopped` back."""

    spec: ChildSpec
    handle: Handle


@dataclass(frozen=True, slots=True)
class Retry:
    """Feed `RetryRestart` in `delay_s` seconds; with 0 after the messages that wait already."""

    id: object
    number: int
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of the `Request` that was handled: `ok`, or the reason why not, and for people what to do instead."""

    ok: bool
    value: object = None
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Something for the log.

    Attributes:
        context: `"child_terminated"`, `"start_error"`, `"shutdown_error"` or `"shutdown"`.
        reason: Why.
        spec: The child concerned.
        handle: It, while it ran.
    """

    context: str
    reason: ExitReason
    spec: ChildSpec
    handle: Handle | None


@dataclass(frozen=True, slots=True)
class Up:
    """The supervisor has started."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The supervisor ends with `reason`; its children are stopped already after `Boot` or `Terminate`, else not."""

    reason: ExitReason


Effect: TypeAlias = Start | Stop | Retry | Answer | Report | Up | Exit
