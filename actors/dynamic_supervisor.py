"""DynamicSupervisor: supervises any number of children that come and go at run time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import gen_server
from .errors import UsageError
from .gen_server import GenServer
from .kernel.childspec import ChildSpec, InvalidSpecError, check_spec, read_spec
from .kernel.dynamic import Intensity, Verdict, after_end, attempt
from .kernel.reason import SHUTDOWN, ExitReason
from .kernel.server import CallResult, Error, Ignore, InitResult, Reply, Result, Stop
from .kernel.supervision import Started as StartedChild
from .message import ExitMessage
from .pid import Destination, Pid
from .supervisor import (
    ChildCounts,
    ChildError,
    ChildInfo,
    Started,
    SupervisorReport,
    SupervisorSpec,
    check_flags,
    start_outcome,
    stop_process,
)

if TYPE_CHECKING:
    from .message import From


@dataclass(frozen=True, slots=True)
class DynamicSpec:
    """Options of a dynamic supervisor.

    Attributes:
        intensity: Restarts of any children within `period_s` that are borne. Default 3.
        period_s: The window, seconds. Default 5.
        max_children: How many children there may be at once. Default: any number.
    """

    intensity: int = 3
    period_s: float = 5.0
    max_children: int | None = None


@dataclass(frozen=True, slots=True)
class _Child:
    spec: ChildSpec
    pid: Pid | None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class _Retry:
    key: int


class DynamicSupervisor(GenServer):
    """A supervisor whose children are started at run time; each is restarted alone.

    **What it is.** OTP's `simple_one_for_one`, and Elixir's `DynamicSupervisor`: one process for every session,
    order or flight.

        >>> from raybeam.actors import ChildSpec, DynamicSupervisor, GenServer, Runtime
        >>> from raybeam.actors import dynamic_supervisor, gen_server
        >>> from raybeam.actors.testing import run
        >>> class Session(GenServer):
        ...     async def init(self, user: str) -> None:
        ...         self.user = user
        >>> async def main() -> int:
        ...     async with Runtime():
        ...         sessions = await gen_server.start(DynamicSupervisor)
        ...         for user in ("ann", "bob"):
        ...             spec = ChildSpec(user, (Session, user), restart="transient")
        ...             await dynamic_supervisor.start_child(sessions, spec)
        ...         return (await dynamic_supervisor.count_children(sessions)).active
        >>> run(main())
        2

    **A failure and its outcome.** A session that crashes is started again with the arguments of its specification.
    More restarts of any children than `intensity` within `period_s`, and the supervisor stops all of them, at the same
    time, and ends with the reason `shutdown`.

    **Options** are those of `DynamicSpec`: pass one to the start, `gen_server.start(DynamicSupervisor, DynamicSpec())`,
    or return it from `init` of a subclass. Ids of children need not be unique: children are named by pid.

    **When not to use it.** When children depend on each other or on an order of start: use `Supervisor`.
    """

    async def init(self, spec: DynamicSpec | None = None) -> DynamicSpec | Ignore:
        """Give the options; override to fix them in a subclass."""
        return spec or DynamicSpec()

    async def _boot(self, spec: object) -> InitResult:
        if isinstance(spec, Ignore):
            return spec
        if not isinstance(spec, DynamicSpec):
            return Stop(("bad_return", (type(self).__name__, "init", spec)))
        try:
            self._flags = check_flags(SupervisorSpec(intensity=spec.intensity, period_s=spec.period_s))
        except InvalidSpecError as error:
            return Error(("supervisor_data", error.reason))
        if spec.max_children is not None and spec.max_children < 0:
            return Error(("supervisor_data", ("invalid_max_children", spec.max_children)))
        self._cell.trap_exit = True
        self._max_children = spec.max_children
        self._intensity = Intensity()
        self._children: dict[int, _Child] = {}
        self._keys: dict[Pid, int] = {}
        self._last_key = 0
        return None

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Serve the API."""
        match request:
            case ("start_child", ChildSpec() as spec):
                return Reply(await self._start_new(spec))
            case ("terminate_child", Pid() as pid):
                return Reply(await self._terminate_one(pid))
            case "which_children":
                return Reply([_info(child) for child in self._children.values()])
            case "count_children":
                children = list(self._children.values())
                supervisors = sum(child.spec.type == "supervisor" for child in children)
                active = sum(child.pid is not None for child in children)
                return Reply(ChildCounts(len(children), active, supervisors, len(children) - supervisors))
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, request: object) -> Result:
        """Try a failed restart again."""
        if not isinstance(request, _Retry):
            return await super().handle_cast(request)
        if request.key not in self._children:
            return None
        self._intensity, verdict = attempt(self._intensity, self._flags, self.runtime.now())
        return await self._follow(request.key, verdict, "restart failed")

    async def handle_info(self, message: object) -> Result:
        """Judge the end of a child; anything else is logged and dropped."""
        if not isinstance(message, ExitMessage):
            return await super().handle_info(message)
        key = self._keys.pop(message.pid, None)
        if key is None:
            return None
        child = self._children[key]
        self._intensity, verdict, told = after_end(
            self._intensity, self._flags, child.spec.restart, message.reason, self.runtime.now()
        )
        if told:
            self._report("child_terminated", message.reason, child)
        return await self._follow(key, verdict, message.reason)

    async def terminate(self, reason: ExitReason) -> None:
        """Stop all children at the same time, each in its own time."""
        running = [child for child in self._children.values() if child.pid is not None]

        async def stop(child: _Child) -> None:
            assert child.pid is not None
            ended = await stop_process(self, child.pid, child.spec.shutdown_s)
            if ended not in (SHUTDOWN, "killed", "normal"):
                self._report("shutdown_error", ended, child)

        await asyncio.gather(*(stop(child) for child in running))

    def get_state(self) -> object:
        """The children."""
        return list(self._children.values()) if hasattr(self, "_children") else None

    async def _start_new(self, spec: ChildSpec) -> Started | ChildError:
        if self._max_children is not None and len(self._children) >= self._max_children:
            return ChildError("max_children")
        outcome = await start_outcome(spec)
        if not isinstance(outcome, StartedChild):
            return ChildError(outcome.reason)
        assert outcome.handle is None or isinstance(outcome.handle, Pid)
        if outcome.handle is not None:
            self._last_key += 1
            self._children[self._last_key] = _Child(spec, outcome.handle)
            self._keys[outcome.handle] = self._last_key
        return Started(outcome.handle, outcome.extra)

    async def _terminate_one(self, pid: Pid) -> ChildError | None:
        key = self._keys.pop(pid, None)
        if key is None:
            return ChildError("not_found")
        child = self._children.pop(key)
        await stop_process(self, pid, child.spec.shutdown_s)
        return None

    async def _follow(self, key: int, verdict: Verdict, reason: ExitReason) -> Result:
        child = self._children[key]
        if verdict is Verdict.FORGET:
            del self._children[key]
            return None
        if verdict is Verdict.GIVE_UP:
            del self._children[key]
            self._report("shutdown", "reached_max_restart_intensity", child)
            return Stop(SHUTDOWN)
        outcome = await start_outcome(child.spec)
        if not isinstance(outcome, StartedChild):
            self._children[key] = replace(child, pid=None)
            self._report("start_error", outcome.reason, child)
            gen_server.tell(self.pid, _Retry(key))
        elif outcome.handle is None:
            del self._children[key]
        else:
            assert isinstance(outcome.handle, Pid)
            self._children[key] = _Child(child.spec, outcome.handle, child.restarts + 1)
            self._keys[outcome.handle] = key
        return None

    def _report(self, context: str, reason: ExitReason, child: _Child) -> None:
        self.runtime.report(SupervisorReport(self.pid, context, reason, child.spec.id, child.pid, child.spec))


def _info(child: _Child) -> ChildInfo:
    return ChildInfo(child.spec.id, child.pid or "restarting", child.spec.type, child.spec.modules, child.restarts)


async def start_child(supervisor: Destination, spec: object) -> Started:
    """Start one more child; returns when its `init` is done.

    Args:
        supervisor: Pid or name.
        spec: A `ChildSpec`, or a mapping with its keys. Its id is for people and need not be unique.

    Raises:
        ChildError: `"max_children"`, or why the start failed.
        UsageError: The specification is wrong.
    """
    try:
        checked = read_spec(spec)
        check_spec(checked)
    except InvalidSpecError as error:
        raise UsageError(str(error)) from None
    answer = await gen_server.request(supervisor, ("start_child", checked), None)
    if isinstance(answer, ChildError):
        raise answer
    assert isinstance(answer, Started)
    return answer


async def terminate_child(supervisor: Destination, pid: Pid) -> None:
    """Stop a child and forget it.

    Raises:
        ChildError: `"not_found"`.
    """
    answer = await gen_server.request(supervisor, ("terminate_child", pid), None)
    if isinstance(answer, ChildError):
        raise answer


async def which_children(supervisor: Destination) -> list[ChildInfo]:
    """All children, oldest first."""
    infos = await gen_server.request(supervisor, "which_children", None)
    assert isinstance(infos, list)
    return infos


async def count_children(supervisor: Destination) -> ChildCounts:
    """How many children there are."""
    counts = await gen_server.request(supervisor, "count_children", None)
    assert isinstance(counts, ChildCounts)
    return counts
