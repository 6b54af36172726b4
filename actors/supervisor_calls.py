"""What can be asked of a supervisor, static or dynamic: OTP's functions on its children."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from . import gen_server
from .child_process import Started
from .errors import RaybeamError
from .kernel.childspec import ChildSpec, InvalidSpecError, check_specs
from .kernel.intensity import counted
from .kernel.supervision import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .kernel.intensity import Limit, Restart
    from .pid import Destination, Pid


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One line of `which_children`.

    Attributes:
        id: Of the specification; `None` under a `DynamicSupervisor` with a template.
        child: The pid, `"restarting"`, or `None` when it is not running.
        type: `"worker"` or `"supervisor"`.
        modules: As specified.
        restarts: How often it was restarted.
    """

    id: object
    child: Pid | str | None
    type: str
    modules: object = ()
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """What `count_children` tells: specifications, living children, and specifications by type."""

    specs: int
    active: int
    supervisors: int
    workers: int


@dataclass(frozen=True, slots=True)
class RestartWindow:
    """What `restarts` tells: how near a supervisor is to giving up.

    Attributes:
        counted: Restarts that count now; one more than `intensity`, and the supervisor gives up.
        intensity: How many are borne.
        period_s: Within how many seconds.
        by_child: The same by child: its id, or its pid under a `DynamicSupervisor`; those that are gone are left out.
    """

    counted: int
    intensity: int
    period_s: float
    by_child: dict[object, int]


class ChildError(RaybeamError):
    """An operation on a child was refused.

    Attributes:
        reason: OTP's term: `"not_found"`, `"running"`, `"restarting"`, `"already_present"`,
            `("already_started", pid)`, or why the start failed.
        mend: What is wrong and what to do instead, where that is known.
    """

    def __init__(self, reason: object, mend: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.reason}: {self.mend}" if self.mend else str(self.reason)


_MENDS: Final = {
    "not_found": "no such child; which_children() tells those there are",
    "running": "the child runs: terminate_child() it first",
    "restarting": "a restart of the child is due: terminate_child() calls it off",
    "already_present": "a child with this id is there and down: restart_child() or delete_child() it",
    "max_children": "as many children run as may: raise max_children, or wait until one has ended",
    "simple_one_for_one": "a DynamicSupervisor forgets who is terminated: start_child() another one",
}


async def _ask(supervisor: Destination, operation: str, argument: object, timeout_s: float | None) -> object:
    return await gen_server.request(supervisor, Request(operation, argument), timeout_s)


async def ask_child(supervisor: Destination, operation: str, argument: object) -> object:
    """Ask for something that may be refused.

    Raises:
        ChildError: It was.
        InvalidSpecError: The specification is wrong.
    """
    answer = await _ask(supervisor, operation, argument, None)
    assert isinstance(answer, Answer)
    if isinstance(answer.value, InvalidSpecError):
        raise answer.value
    if not answer.ok:
        known = _MENDS.get(answer.value, "") if isinstance(answer.value, str) else ""
        raise ChildError(answer.value, answer.mend or known)
    return answer.value


async def start_child(supervisor: Destination, spec: object) -> Started:
    """Add a child and start it.

    Args:
        supervisor: Pid or name.
        spec: A `ChildSpec`, or a mapping with its keys.

    Returns:
        Its pid (`None` when its `init` wished not to start) and what more its start gave.

    Raises:
        ChildError: The id is taken, or the start failed (then nothing is kept).
        InvalidSpecError: The specification is wrong.
    """
    value = await ask_child(supervisor, "start_child", spec)
    assert isinstance(value, tuple)
    return Started(*value)


async def restart_child(supervisor: Destination, id: object) -> Started:
    """Start a child that is down.

    Raises:
        ChildError: `"not_found"`, `"running"`, `"restarting"`, or why the start failed.
    """
    value = await ask_child(supervisor, "restart_child", id)
    assert isinstance(value, tuple)
    return Started(*value)


async def terminate_child(supervisor: Destination, id: object) -> None:
    """Stop a child; its specification stays, unless it is temporary.

    Children of a `DynamicSupervisor` are named by pid, and forgotten.

    Raises:
        ChildError: `"not_found"`.
    """
    await ask_child(supervisor, "terminate_child", id)


async def delete_child(supervisor: Destination, id: object) -> None:
    """Forget a child that is down.

    Raises:
        ChildError: `"not_found"`, `"running"` or `"restarting"`.
    """
    await ask_child(supervisor, "delete_child", id)


async def get_childspec(supervisor: Destination, id: object) -> ChildSpec:
    """The specification of a child.

    Raises:
        ChildError: `"not_found"`.
    """
    spec = await ask_child(supervisor, "get_childspec", id)
    assert isinstance(spec, ChildSpec)
    return spec


async def which_children(supervisor: Destination) -> list[ChildInfo]:
    """The children, the one started last first, as in OTP."""
    infos = await _ask(supervisor, "which_children", None, None)
    assert isinstance(infos, list)
    return infos


async def count_children(supervisor: Destination) -> ChildCounts:
    """How many children there are."""
    counts = await _ask(supervisor, "count_children", None, None)
    assert isinstance(counts, ChildCounts)
    return counts


async def restarts(supervisor: Destination) -> RestartWindow:
    """The restarts that count now, and how many are borne."""
    window = await _ask(supervisor, "restarts", None, None)
    assert isinstance(window, RestartWindow)
    return window


def restart_window(
    restarts: tuple[Restart, ...], limit: Limit, now: float, known_as: Callable[[object], object]
) -> RestartWindow:
    """The view of the restarts that count; `known_as` gives what children are called outside, `None` for the gone."""
    counting = counted(restarts, now, limit.period_s)
    children = Counter(known_as(restart.child) for restart in counting)
    children.pop(None, None)
    return RestartWindow(len(counting), limit.intensity, limit.period_s, dict(children))


def check_childspecs(specs: Sequence[object], auto_shutdown: str | None = None) -> None:
    """Check specifications without starting anything.

    Args:
        specs: What would be the children of one supervisor.
        auto_shutdown: Of that supervisor. Default: not known, so significant children are right.

    Raises:
        InvalidSpecError: Names the field, the value and the mend.
    """
    check_specs(specs, auto_shutdown)
