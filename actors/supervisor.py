"""Supervisor: starts children, watches them, restarts them when they fail, and gives up when that does not help."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from . import gen_server
from .child_process import start_outcome, stop_process, tell_after
from .errors import UsageError
from .gen_server import GenServer
from .kernel import supervision
from .kernel.childspec import InvalidSpecError, check_id, check_spec, check_specs, read_spec
from .kernel.server import CallResult, Error, Ignore, InitResult, Reply, Result, Stop
from .kernel.supervisorspec import SupervisorSpec, check_flags
from .message import ExitMessage
from .pid import Pid
from .supervisor_calls import (
    ChildCounts,
    ChildInfo,
    check_childspecs,
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    restart_window,
    restarts,
    start_child,
    terminate_child,
    which_children,
)
from .supervisor_report import SupervisorReport

if TYPE_CHECKING:
    from .kernel.reason import ExitReason
    from .message import From


class Supervisor(GenServer):
    """A process that starts, watches, restarts and stops other processes, and does nothing else.

    **What it is.** Subclass it, say in `init` which children there are, and start it:

        >>> from raybeam.actors import CallFailed, ChildSpec, GenServer, Pid, Runtime, Supervisor, SupervisorSpec
        >>> from raybeam.actors import call, gen_server, supervisor
        >>> from raybeam.actors.testing import run
        >>> class Shop(Supervisor):
        ...     async def init(self, size: int) -> SupervisorSpec:
        ...         return SupervisorSpec([ChildSpec("stock", (Stock, size))], intensity=3, period_s=10)
        >>> class Stock(GenServer):
        ...     async def init(self, size: int) -> None:
        ...         self.size = size
        ...     @call
        ...     async def shrink(self) -> int:
        ...         self.size -= 1
        ...         return 10 // self.size
        >>> async def main() -> list[object]:
        ...     async with Runtime(reports=lambda report: None):
        ...         shop = await gen_server.start(Shop, 2)
        ...         async def stock() -> Stock:
        ...             [info] = await supervisor.which_children(shop)
        ...             assert isinstance(info.child, Pid)
        ...             return gen_server.ref(Stock, info.child)
        ...         first = await stock()
        ...         seen: list[object] = [await first.shrink()]
        ...         try:
        ...             await first.shrink()
        ...         except CallFailed as failed:
        ...             seen.append(str(failed.cause))
        ...         return [*seen, await (await stock()).shrink()]
        >>> run(main())
        [10, 'ZeroDivisionError: integer division or modulo by zero', 10]

    **A failure and its outcome.** Above, the second `shrink` divides by zero: `Stock` crashes, its caller gets
    `CallFailed`, and the supervisor starts a new `Stock` with the size it began with. Were it to crash more than
    3 times within 10 s, the supervisor would stop its children and end with the reason `shutdown`, and *its*
    supervisor would decide.

    **What is restarted** is said by `SupervisorSpec` (strategy, intensity, period, automatic shutdown) and by each
    `ChildSpec` (restart type, shutdown). Children start in order and stop in reverse order. While it starts or
    stops a child the supervisor answers nobody.

    **At run time**: `start_child`, `terminate_child`, `restart_child`, `delete_child`, `which_children`,
    `count_children`, `get_childspec`, `restarts`. What was added so is forgotten when the supervisor itself is
    restarted.

    **Beyond OTP** a `Backoff` puts restarts off, longer each time (siblings that restart with the child are stopped at
    once and wait with it), and children lost with one machine count as one restart.

    **`init` returns** a `SupervisorSpec`, or `Ignore()`.

    **When not to use it.** For many children of one kind, come and gone at run time, use `DynamicSupervisor`; for
    one-off computations `TaskSupervisor`. A supervisor has no other work to do: put none into it.
    """

    mailbox_limit: ClassVar[int | None] = None
    _trap_exit: ClassVar[bool] = True

    async def init(self, *args: Any, **kwargs: Any) -> SupervisorSpec | Ignore:
        """Say what is supervised. Must be overridden."""
        raise UsageError(f"{type(self).__name__} needs an init() that returns a SupervisorSpec")

    async def _boot(self, spec: object) -> InitResult:
        """Check everything, then start the children: what the engine runs after `init`."""
        if isinstance(spec, Ignore):
            return spec
        if not isinstance(spec, SupervisorSpec):
            mend = f"{type(self).__name__}.init() returned {spec!r}: return a SupervisorSpec, or Ignore()"
            return Error(("bad_return", (type(self).__name__, "init", spec)), mend)
        try:
            flags = check_flags(spec)
        except InvalidSpecError as error:
            return Error(("supervisor_data", error.reason), f"{type(self).__name__}: {error.mend}")
        try:
            children = check_specs(spec.children, spec.auto_shutdown)
        except InvalidSpecError as error:
            return Error(("start_spec", error.reason), f"{type(self).__name__}: {error.mend}")
        self._ending: tuple[ExitReason] | None = None
        self._mend = ""  # of the start that failed last
        self._answer: supervision.Answer | None = None
        self._state = supervision.Supervision(flags, supervision.Children.of(map(supervision.Child, children)))
        await self._drive(supervision.Boot())
        if self._ending is not None:
            return Error(self._ending[0], self._mend)
        return None

    async def _drive(self, event: supervision.Event) -> None:
        """Step the kernel and carry out what it says until it has nothing more to do."""
        events: list[supervision.Event] = [event]
        while events:
            now, chance = self.runtime.now(), self.runtime.random.random()
            self._state, effects = supervision.step(self._state, events.pop(0), now, chance)
            for effect in effects:
                match effect:
                    case supervision.Start(spec):
                        outcome = await start_outcome(spec)
                        self._mend = outcome.mend if isinstance(outcome, supervision.StartFailed) else ""
                        events.append(outcome)
                    case supervision.Stop(spec, handle):
                        assert isinstance(handle, Pid)
                        events.append(supervision.Stopped(spec.id, await self._stop_child(handle, spec.shutdown_s)))
                    case supervision.Retry(id, number, delay_s):
                        tell_after(self, delay_s, supervision.RetryRestart(id, number))
                    case supervision.Answer():
                        self._answer = effect
                    case supervision.Report(context, reason, spec, handle):
                        mend = self._mend if context == "start_error" else ""
                        self.runtime.report(SupervisorReport(self.pid, context, reason, spec.id, handle, spec, mend))
                    case supervision.Exit(reason):
                        self._ending = (reason,)
                    case supervision.Up():
                        continue

    async def _stop_child(self, pid: Pid, shutdown: float | str) -> ExitReason:
        """Ask a child to end, kill it when it does not in time; its exit reason."""
        return await stop_process(self, pid, shutdown)

    def _outcome(self) -> Result:
        return None if self._ending is None else Stop(self._ending[0])

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Serve the API."""
        if not isinstance(request, supervision.Request):
            return await super().handle_call(request, sender)
        if request.operation == "which_children":
            return Reply([_info(child) for child in reversed(tuple(self._state.children))])
        if request.operation == "count_children":
            return Reply(self._counts())
        if request.operation == "restarts":
            limit, now = self._state.flags.limit, self.runtime.now()
            return Reply(restart_window(self._state.restarts, limit, now, self._known_as))
        if request.operation == "start_child":
            try:
                spec = read_spec(request.argument)
                check_spec(spec, self._state.flags.auto_shutdown)
                check_id(spec)
            except InvalidSpecError as error:
                return Reply(supervision.Answer(False, error))
            request = supervision.Request("start_child", spec)
        self._answer, self._mend = None, ""
        await self._drive(request)
        if self._mend and self._answer is not None:
            return Reply(replace(self._answer, mend=self._mend))
        return Reply(self._answer)

    async def handle_cast(self, request: object) -> Result:
        """Try a failed restart again."""
        if isinstance(request, supervision.RetryRestart):
            await self._drive(request)
            return self._outcome()
        return await super().handle_cast(request)

    async def handle_info(self, message: object) -> Result:
        """Judge the end of a child; anything else is logged and dropped."""
        if isinstance(message, ExitMessage):
            await self._drive(supervision.Ended(message.pid, message.reason))
            return self._outcome()
        return await super().handle_info(message)

    async def terminate(self, reason: ExitReason) -> None:
        """Stop all children, the last one first."""
        await self._drive(supervision.Terminate())

    def _counts(self) -> ChildCounts:
        children = tuple(self._state.children)
        supervisors = sum(child.spec.type == "supervisor" for child in children)
        active = sum(
            isinstance(child.handle, Pid) and self.runtime.cell(child.handle) is not None for child in children
        )
        return ChildCounts(len(children), active, supervisors, len(children) - supervisors)

    def _known_as(self, child: object) -> object:
        return None if self._state.find(child) is None else child

    def get_state(self) -> object:
        """The children and the restarts that count."""
        return self._state if hasattr(self, "_state") else None


def _info(child: supervision.Child) -> ChildInfo:
    handle = child.handle
    assert handle is None or isinstance(handle, Pid)
    shown = supervision.RESTARTING if child.restarting else handle
    return ChildInfo(child.spec.id, shown, child.spec.type, child.spec.modules, child.restarts)


start = gen_server.start
start_link = gen_server.start_link

__all__ = [
    "Supervisor",
    "check_childspecs",
    "count_children",
    "delete_child",
    "get_childspec",
    "restart_child",
    "restarts",
    "start",
    "start_child",
    "start_link",
    "terminate_child",
    "which_children",
]
