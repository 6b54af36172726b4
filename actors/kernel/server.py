"""What a server's callbacks may return, and what each return means. OTP's `gen_server` returns, as types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias


class _Absent:
    """Marks an option that was not given; `None` is a value like any other."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"  # there is one of it in each OS process


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Then:
    """What follows a callback.

    Attributes:
        timeout_s: Seconds without any message after which `handle_timeout` is called. Default: never. With 0
            the messages that wait already go first.
        continue_with: Calls `handle_continue` with this term before anything in the mailbox. Default: no.
        hibernate: Lets other processes run before the next message; an idle process holds little memory in any case.
    """

    timeout_s: float | None = None
    continue_with: object = ABSENT
    hibernate: bool = False

    def __post_init__(self) -> None:
        timeout_s: object = self.timeout_s
        if timeout_s is not None and not (isinstance(timeout_s, int | float) and timeout_s >= 0):
            raise ValueError(f"timeout_s={self.timeout_s!r}: give seconds, 0 or more, or None for no time-out")
        if self.timeout_s is not None and self.continue_with is not ABSENT:
            raise ValueError("timeout_s and continue_with exclude each other: return the time-out from handle_continue")


@dataclass(frozen=True, slots=True)
class Ok(_Then):
    """From `init`: the process is up (so is one whose `init` returns `None`)."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """From `init`: do not start, and it is no fault."""


@dataclass(frozen=True, slots=True)
class Error:
    """From `init`: the start fails with `reason`, and it is no crash: nothing is reported.

    Attributes:
        reason: For programs.
        mend: For people: what is wrong and what to write instead. Default: the reason says it.
    """

    reason: object
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Reply(_Then):
    """From `handle_call`: answer with `value` and go on."""

    value: object

    def __init__(
        self,
        value: object,
        *,
        timeout_s: float | None = None,
        continue_with: object = ABSENT,
        hibernate: bool = False,
    ) -> None:
        # There is one to each call, and the constructor that dataclasses make for frozen classes takes twice as long.
        _SET_VALUE(self, value)
        _SET_TIMEOUT_S(self, timeout_s)
        _SET_CONTINUE_WITH(self, continue_with)
        _SET_HIBERNATE(self, hibernate)
        if timeout_s is not None:
            self.__post_init__()


_SET_VALUE: Final = vars(Reply)["value"].__set__
_SET_TIMEOUT_S: Final = vars(_Then)["timeout_s"].__set__
_SET_CONTINUE_WITH: Final = vars(_Then)["continue_with"].__set__
_SET_HIBERNATE: Final = vars(_Then)["hibernate"].__set__


@dataclass(frozen=True, slots=True)
class NoReply(_Then):
    """Go on (a callback other than `handle_call` may return `None` for it); a call is answered later."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process with `reason`, after `terminate(reason)`; from `handle_call` with a `reply` if given."""

    reason: object
    reply: object = ABSENT


InitResult: TypeAlias = Ok | Ignore | Error | Stop | None
CallResult: TypeAlias = Reply | NoReply | Stop
Result: TypeAlias = NoReply | Stop | None

GO_ON: Final = NoReply()

_ALLOWED: Final[dict[str, tuple[type, ...]]] = {
    "init": (Ok, Ignore, Error, Stop),
    "handle_call": (Reply, NoReply, Stop),
}
_ALLOWED_ELSEWHERE: Final[tuple[type, ...]] = (NoReply, Stop)
_RETURNS: Final = {
    "init": "None or Ok(...), or Ignore(), Stop(reason) or Error(reason) not to start",
    "handle_call": "Reply(value), NoReply() to answer later with sender.reply(value), or Stop(reason, reply)",
}
_RETURNS_ELSEWHERE: Final = "None, NoReply(...) or Stop(reason)"


def bad_return(callback: str, value: object) -> tuple[str, object] | None:
    """The exit reason for a wrong return of a callback, `None` when the return is right.

    >>> bad_return("handle_cast", Reply(1))
    ('bad_return_value', Reply(timeout_s=None, continue_with=ABSENT, hibernate=False, value=1))
    >>> bad_return("handle_cast", NoReply()) is None
    True
    """
    allowed = _ALLOWED.get(callback, _ALLOWED_ELSEWHERE)
    if value is None and callback != "handle_call":
        return None
    if not isinstance(value, allowed):
        return ("bad_return_value", value)
    if isinstance(value, Stop) and value.reply is not ABSENT and callback != "handle_call":
        return ("bad_return_value", value)
    return None


def mend(callback: str, value: object) -> str:
    """What to write in place of a wrong return.

    >>> mend("handle_cast", 7)
    'handle_cast() returned 7: return None, NoReply(...) or Stop(reason)'
    >>> mend("init", Stop(1, 2))
    'init() returned Stop(reason=1, reply=2): only handle_call() can give a reply; return Stop(reason)'
    """
    if isinstance(value, Stop) and callback != "handle_call":
        return f"{callback}() returned {value!r}: only handle_call() can give a reply; return Stop(reason)"
    return f"{callback}() returned {value!r}: return {_RETURNS.get(callback, _RETURNS_ELSEWHERE)}"
