"""Exit reasons: why a process ended.

A reason is any term. Those with a meaning of their own are OTP's: the strings below, the pair
`("shutdown", term)`, and `Crashed` for an exception that nobody caught.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .text import text_of

ExitReason: TypeAlias = object

NORMAL: Final = "normal"
SHUTDOWN: Final = "shutdown"
KILL: Final = "kill"
KILLED: Final = "killed"
NOPROC: Final = "noproc"
NOCONNECTION: Final = "noconnection"
TIMEOUT: Final = "timeout"


@dataclass(frozen=True, slots=True)
class Crashed:
    """An exception ended the process: what Erlang writes as `{Reason, Stacktrace}`.

    Attributes:
        error: The exception. Two crashes are equal when their errors are the same object or of the same
            type with the same arguments.
        traceback: The formatted stack, for people; not compared.
    """

    error: BaseException
    traceback: str = field(default="", compare=False, repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Crashed):
            return NotImplemented
        return self.error is other.error or (
            type(self.error) is type(other.error) and self.error.args == other.error.args
        )

    def __hash__(self) -> int:
        return hash(type(self.error))

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {text_of(self.error)}"


def is_normal_end(reason: ExitReason) -> bool:
    """Whether a *transient* child that ended so stays down: `normal`, `shutdown`, `("shutdown", term)`.

    >>> is_normal_end("normal"), is_normal_end(("shutdown", "node drained")), is_normal_end("killed")
    (True, True, False)
    """
    if isinstance(reason, tuple):
        return len(reason) == 2 and reason[0] == SHUTDOWN
    return reason in (NORMAL, SHUTDOWN) if isinstance(reason, str) else False
