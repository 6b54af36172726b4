"""The supervisor report: what is told of a child that ended, or did not start or stop as it should."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kernel.childspec import ChildSpec
    from .kernel.reason import ExitReason
    from .pid import Pid


@dataclass(frozen=True, slots=True)
class SupervisorReport:
    """A supervisor tells of a child.

    Attributes:
        supervisor: Who tells.
        context: `"child_terminated"`, `"start_error"`, `"shutdown_error"` or `"shutdown"`.
        reason: Why.
        child: Id of the child.
        pid: Its pid, `None` when it had none, `Restarting(pid)` between two attempts to restart it; a list of pids for
            children of a `DynamicSupervisor` that were stopped together.
        spec: Its specification.
        mend: What is wrong and what to write instead, where that is known.
    """

    supervisor: Pid
    context: str
    reason: ExitReason
    child: object
    pid: object
    spec: ChildSpec = field(repr=False)
    mend: str = ""

    def __str__(self) -> str:
        told = f"supervisor {self.supervisor}: {self.context} of {self.child!r} {self.pid or ''}: {self.reason}"
        return f"{told}\n  {self.mend}" if self.mend else told
