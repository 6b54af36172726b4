"""The crash report: what is told of a process that ended abnormally."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kernel.text import text_of

if TYPE_CHECKING:
    from .kernel.reason import ExitReason
    from .pid import Pid

_short = reprlib.Repr()
_short.maxother = _short.maxstring = 1000
_short.maxdict = _short.maxlist = _short.maxtuple = 20


def shown(term: object) -> str:
    """A term as a report prints it: at most a few thousand characters."""
    try:
        return _short.repr(term)
    except Exception as error:  # noqa: BLE001 (the term's own, whatever it is)
        return f"<{type(term).__qualname__} that cannot be shown: {type(error).__name__}>"


@dataclass(frozen=True, slots=True)
class CrashReport:
    """A process ended abnormally.

    Attributes:
        pid: Who.
        behaviour: The class that ran in it.
        reason: Why; a `Crashed` carries the traceback.
        last_message: What it was handling.
        state: Its state as `redact` let it out; printed in at most a few thousand characters.
        names: Names it had.
        mend: What is wrong and what to write instead, where that is known.
    """

    pid: Pid
    behaviour: str
    reason: ExitReason
    last_message: object
    state: object
    names: tuple[str, ...] = ()
    mend: str = ""

    def __str__(self) -> str:
        traceback = getattr(self.reason, "traceback", "")
        return (
            f"{self.behaviour} {self.pid} {' '.join(self.names)} ended: {text_of(self.reason)}\n"
            + (f"  {self.mend}\n" if self.mend else "")
            + f"  last message: {shown(self.last_message)}\n"
            f"  state: {shown(self.state)}" + (f"\n{traceback.rstrip()}" if traceback else "")
        )
