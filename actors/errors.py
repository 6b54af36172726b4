"""Every error that raybeam raises, in one tree.

    RaybeamError
    ├── UsageError                  you: the code or the configuration is wrong; the message says the mend
    │   ├── OptionError             an option of a start or a policy is wrong; a `ValueError` too
    │   │   └── InvalidSpecError    of a child specification; `.reason` says it in OTP's terms
    │   ├── BlueprintError          a field of a blueprint
    │   ├── CallbackError           a callback is missing, or returned what it may not; `.reason` says it in OTP's terms
    │   ├── InvalidArgumentsError   arguments of a typed call that do not validate
    │   │   └── UnknownMethodError  the callee offers no such method
    │   ├── MessageTooLarge         a request or an answer is larger than a lane carries
    │   ├── NotAProcessError        an operation that only a process can do was called outside one
    │   └── AlreadyRegistered       a unique key of a registry is taken; `.pid` says by whom
    ├── StartError                  a process did not start; `.reason` says why
    ├── HandlerError                an event handler is not there, did not start or failed; `.reason` says why
    ├── CallFailed                  a call has no answer; `.reason` says why, `.call` what was asked
    │   ├── CallTimeout             the deadline passed: the outcome is unknown
    │   ├── NoProcess               nobody lives there (any more)
    │   ├── CallingSelf             a process called itself: it would wait for its own answer for ever
    │   ├── Disconnected            the connection was lost under way: the outcome is unknown
    │   ├── Interrupted             the callee ended of something else before it answered: the outcome is unknown
    │   ├── UnsendableAnswer        the call was done, but its answer cannot be sent
    │   ├── CircuitOpen             not sent: too many calls to that family failed lately; `.retry_after_s` says when
    │   └── Overloaded              refused at once, not done; `.retry_after_s` says when to come again
    ├── ServiceError                base for *your* errors: raised in a handler it is an answer, not a crash
    ├── ClusterError                Ray or a machine: cannot start, cannot be reached
    └── RaybeamInternalError        us: please report it

Errors that end a call say by `.outcome` what became of it, see `raybeam.actors.Outcome`.

`Exit` and `ProcessKilled` are not errors but ways to end: `raise Exit(reason)` in a callback ends the process.
"""

from __future__ import annotations

from .kernel.outcome import Outcome
from .kernel.text import repr_of, text_of


class RaybeamError(Exception):
    """Base of everything that raybeam raises.

    Attributes:
        outcome: Of a call that ended with this error: what became of it.
    """

    outcome = Outcome.FAILED


class UsageError(RaybeamError):
    """Your code or configuration is wrong; the message names the value and the mend."""

    outcome = Outcome.REJECTED


class OptionError(UsageError, ValueError):
    """An option has a wrong value; the message names option, value and mend."""


class BlueprintError(UsageError):
    """A field of a blueprint is wrong."""


class CallbackError(UsageError):
    """A callback is missing, or it returned what it may not.

    Attributes:
        reason: OTP's term for it, e.g. `("bad_return_from_state_function", value)`, `"function_clause"`, `"undef"`.
        mend: What is wrong and what to do.
    """

    def __init__(self, reason: object, mend: str) -> None:
        super().__init__(reason, mend)
        self.reason = reason
        self.mend = mend

    def __str__(self) -> str:
        return self.mend


class InvalidArgumentsError(UsageError):
    """The arguments of a typed call do not validate; nothing was done."""


class UnknownMethodError(InvalidArgumentsError):
    """A typed call names a method that its callee does not offer; nothing was done."""


class MessageTooLarge(UsageError):
    """A request is larger than a lane carries, and was not sent; the message says by how much and what to do."""


class NotAProcessError(UsageError):
    """Only a process can do this (link, receive, trap exits); it was called outside one."""


class AlreadyRegistered(UsageError):
    """A unique key of a registry is taken: choose another, or ask its holder.

    Attributes:
        key: The key.
        pid: Who has it.
    """

    def __init__(self, key: object, pid: object) -> None:
        super().__init__(key, pid)
        self.key = key
        self.pid = pid

    def __str__(self) -> str:
        return f"the key {self.key!r} is taken by {self.pid}"


class StartError(RaybeamError):
    """A process did not start.

    Attributes:
        reason: What `init` gave, or what ended it.
        mend: What is wrong and what to write instead, where that is known.
    """

    def __init__(self, reason: object, mend: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend

    def __str__(self) -> str:
        return self.mend or text_of(self.reason)


class HandlerError(RaybeamError):
    """An event handler is not installed, did not start, or failed at what was asked of it.

    Attributes:
        reason: OTP's term: `"bad_module"` (a call to a handler that is not there), `"module_not_found"` (the same for
            `delete_handler`), `("error", reason)` (its `init` returned `Error(reason)`), `("EXIT", reason)` (a callback
            failed), or what a callback returned that means nothing.
    """

    def __init__(self, reason: object, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


class StartIgnored(RaybeamError):
    """`init` asked not to be started (`Ignore()`): no fault, there is just no process."""


class Exit(Exception):
    """Raised in a callback, ends the process with `reason`, like Erlang's `exit(Reason)`."""

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason


class CallFailed(RaybeamError, Exit):
    """A call has no answer.

    Uncaught in a process it ends that process with the reason `(reason, call)`, as in OTP.

    Attributes:
        cause: Why: `"noproc"`, `"timeout"`, the exit reason of the callee, ...
        call: What was asked, as `(destination, request)`.
    """

    def __init__(self, cause: object, call: object = None) -> None:
        Exit.__init__(self, (cause, call))
        self.cause = cause
        self.call = call

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.cause, self.call))

    def __str__(self) -> str:
        return self._told(text_of(self.cause))

    def _told(self, what: str) -> str:
        return what if self.call is None else f"{what} (calling {_short(self.call)})"


class CallTimeout(CallFailed):
    """The deadline passed before the answer came: the outcome is unknown, unless it was not sent at all.

    Attributes:
        sent: Whether it was sent; if not, nobody was there to send it to.
    """

    def __init__(self, call: object = None, sent: bool = True) -> None:
        super().__init__("timeout", call)
        self.sent = sent
        self.outcome = Outcome.UNKNOWN if sent else Outcome.NOT_SENT

    def __str__(self) -> str:
        if self.sent:
            return self._told("timeout: no answer before the deadline; whether it was done is not known")
        return self._told("timeout: there was nobody to send it to before the deadline; it was not done")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.call, self.sent))


class NoProcess(CallFailed):
    """Nobody lives at the destination: the call was not done."""

    outcome = Outcome.NOT_SENT

    def __init__(self, call: object = None) -> None:
        super().__init__("noproc", call)

    def __str__(self) -> str:
        return self._told("noproc: nobody lives there (any more); it was not done")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.call,))


class CallingSelf(CallFailed):
    """A process called itself: it would wait for an answer that only it can give. The call was not done."""

    def __init__(self, call: object = None) -> None:
        super().__init__("calling_self", call)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.call,))

    def __str__(self) -> str:
        who = self.call[0] if isinstance(self.call, tuple) and self.call else "a process"
        return (
            f"{who} called itself and would wait for ever (calling {_short(self.call)}): call the method directly, "
            "await self.method(), or cast to yourself to have it done after this message"
        )


class Disconnected(CallFailed):
    """The connection to the callee was lost while the call was under way: the outcome is unknown."""

    outcome = Outcome.UNKNOWN

    def __init__(self, call: object = None) -> None:
        super().__init__("noconnection", call)

    def __str__(self) -> str:
        return self._told("noconnection: the callee was lost while it was asked; whether it was done is not known")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.call,))


class Interrupted(CallFailed):
    """The callee in a replica ended of something else before it answered this call.

    Attributes:
        begun: Whether it may have begun with the call; if so the outcome is unknown, else it was surely not done.
    """

    def __init__(self, cause: object, call: object = None, begun: bool = True) -> None:
        super().__init__(cause, call)
        self.begun = begun
        self.outcome = Outcome.UNKNOWN if begun else Outcome.NOT_SENT

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.cause, self.call, self.begun))


class UnsendableAnswer(CallFailed):
    """The call was done, but its answer cannot be pickled, or is larger than a lane carries."""


class CircuitOpen(CallFailed):
    """Not sent, because too many calls to that family failed lately: its breaker has opened.

    Attributes:
        retry_after_s: Seconds until calls are let through again.
    """

    outcome = Outcome.NOT_SENT

    def __init__(self, call: object = None, retry_after_s: float = 0.1) -> None:
        super().__init__("circuit_open", call)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self._told(
            f"circuit_open: not sent, too many calls failed lately; try again after {self.retry_after_s:.3g} s"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.call, self.retry_after_s))


class Overloaded(CallFailed):
    """Refused at once and not done: the mailbox is full, or the callee sheds load.

    Attributes:
        retry_after_s: Seconds after which it makes sense to try again.
        why: What refused it: `"queue_full"`, or another value of `Refusal` when the callee is regulated.
    """

    outcome = Outcome.REJECTED

    def __init__(self, call: object = None, retry_after_s: float = 0.1, why: str = "queue_full") -> None:
        super().__init__("overloaded", call)
        self.retry_after_s = retry_after_s
        self.why = why

    def __str__(self) -> str:
        return self._told(f"overloaded: refused, {self.why}; try again after {self.retry_after_s:.3g} s")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.call, self.retry_after_s, self.why))


class ServiceError(RaybeamError):
    """Base of your services' errors: raised in a handler it travels to the caller; the process lives on."""


class ClusterError(RaybeamError):
    """Ray or a machine: it cannot start or cannot be reached. The message says what to do."""


class RaybeamInternalError(RaybeamError):
    """A mistake of raybeam's own. Please report it with the message."""


class ProcessKilled(BaseException):
    """Unwinds the code of a process that is already dead. Never catch it."""


def mend_of(reason: object) -> str:
    """What to do about an exit reason, where that is known; else an empty text."""
    match reason:
        case ("calling_self", call):
            return str(CallingSelf(call))
        case _:
            return ""


def _short(call: object) -> str:
    """What was asked, short enough for a line; a typed call as it was written."""
    match call:
        case (to, (str(method), tuple(args), dict(options))):
            given = [repr_of(value) for value in args] + [f"{name}={repr_of(value)}" for name, value in options.items()]
            text = f"{to}.{method}({', '.join(given)})"
        case _:
            text = repr_of(call)
    return text if len(text) <= 200 else text[:197] + "..."
