"""What travels between two runtimes: Erlang's signals, as values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from .errors import CallFailed, InvalidArgumentsError
from .kernel.reason import Crashed

if TYPE_CHECKING:
    from .kernel.reason import ExitReason
    from .pid import Pid, Ref


@dataclass(frozen=True, slots=True)
class Deliver:
    """Put a message into a mailbox; from nobody who waits for an answer."""

    target: Pid | str
    message: object


@dataclass(frozen=True, slots=True)
class Ask:
    """A call, or a system call when `operation` is given, that is answered by `Answer` with the same number.

    Attributes:
        number: Counted by the caller's runtime.
        timeout_s: Seconds until nobody waits for the answer any more; `None`: for ever.
        drop_expired: Whether the work may be dropped undone then.
    """

    target: Pid | str
    number: int
    request: object
    caller: Pid | None
    timeout_s: float | None = None
    drop_expired: bool = False
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an `Ask`: a value, or an error to raise at the caller."""

    number: int
    value: object = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits any more for the answer to an `Ask` that said nothing of a time."""

    number: int


@dataclass(frozen=True, slots=True)
class Link:
    """`sender` links itself to `target`."""

    sender: Pid
    target: Pid


@dataclass(frozen=True, slots=True)
class Unlink:
    """`sender` undoes its link to `target`."""

    sender: Pid
    target: Pid


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """An exit signal, of a link or sent on purpose."""

    sender: Pid | None
    target: Pid
    reason: ExitReason
    via_link: bool


@dataclass(frozen=True, slots=True)
class Monitor:
    """Answer with `Ended` when `target` ends."""

    ref: Ref
    target: Pid | str


@dataclass(frozen=True, slots=True)
class Demonitor:
    """Undo `Monitor`."""

    ref: Ref
    target: Pid | str


@dataclass(frozen=True, slots=True)
class Ended:
    """A monitored process has ended."""

    ref: Ref
    target: Pid | str
    reason: ExitReason


Signal: TypeAlias = Deliver | Ask | Answer | Abandon | Link | Unlink | ExitSignal | Monitor | Demonitor | Ended


def in_words(signal: Signal, error: Exception) -> Signal:
    """What a transport sends in place of a signal that cannot be pickled.

    Reasons and answers must arrive whatever they carry, so they are told in words. Requests and messages must not
    change on the way.

    Args:
        signal: What could not be pickled.
        error: Why.

    Raises:
        InvalidArgumentsError: It is a message or a request.
    """
    match signal:
        case ExitSignal(reason=reason) | Ended(reason=reason):
            return replace(signal, reason=_reason_in_words(reason))
        case Answer(number, _, None):
            return Answer(number, error=InvalidArgumentsError(f"the answer cannot be sent: {error}"))
        case Answer(number, _, failure):
            cause = failure.cause if isinstance(failure, CallFailed) else failure
            return Answer(number, error=CallFailed(_reason_in_words(cause)))
        case _:
            raise InvalidArgumentsError(f"a message cannot be sent to another runtime: {error}") from error


def _reason_in_words(reason: object) -> object:
    if isinstance(reason, Crashed):
        return Crashed(RuntimeError(str(reason)), reason.traceback)
    return str(reason)
