"""Supervisor: starts children, watches them, restarts them when they fail, and gives up when that does not help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import gen_server
from .errors import CallFailed, Exit, RaybeamError, StartError, StartIgnored, UsageError
from .gen_server import GenServer
from .kernel import supervision
from .kernel.childspec import BRUTAL_KILL, INFINITY, ChildSpec, InvalidSpecError, check_spec, check_specs, read_spec
from .kernel.reason import KILL, SHUTDOWN, ExitReason
from .kernel.server import CallResult, Error, Ignore, InitResult, Reply, Result, Stop
from .message import ExitMessage
from .pid import Destination, Pid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .message import From


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """What the `init` of a supervisor returns.

    Attributes:
        children: Specifications, in the order of the start. Default: none yet.
        strategy: Who is restarted with a failed child: `"one_for_one"` (only it), `"one_for_all"` (all),
            `"rest_for_one"` (those started after it too). Default `"one_for_one"`.
        intensity: Restarts within `period_s` that are borne; one more and the supervisor gives up. Default 1.
        period_s: The window, seconds. Default 5.
        auto_shutdown: Whether the own end of significant children ends the supervisor: `"never"`,
            `"any_significant"` or `"all_significant"`. Default `"never"`.
    """

    children: Sequence[ChildSpec | object] = ()
    strategy: str = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: str = "never"


@dataclass(frozen=True, slots=True)
class Started:
    """A start function may return this in place of a pid, to give something more."""

    pid: Pid | None
    extra: object = None


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One line of `which_children`.

    Attributes:
        id: Of the specification (`None` under a `DynamicSupervisor`).
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
class SupervisorReport:
    """A supervisor tells of a child.

    Attributes:
        supervisor: Who tells.
        context: `"child_terminated"`, `"start_error"`, `"shutdown_error"` or `"shutdown"`.
        reason: Why.
        child: Id of the child.
        pid: Its pid, when it had one.
        spec: Its specification.
    """

    supervisor: Pid
    context: str
    reason: ExitReason
    child: object
    pid: object
    spec: ChildSpec = field(repr=False)

    def __str__(self) -> str:
        return f"supervisor {self.supervisor}: {self.context} of {self.child!r} {self.pid or ''}: {self.reason}"


class ChildError(RaybeamError):
    """An operation on a child was refused.

    Attributes:
        reason: OTP's term: `"not_found"`, `"running"`, `"restarting"`, `"already_present"`,
            `("already_started", pid)`, or why the start failed.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason


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
    `count_children`, `get_childspec`. What was added so is forgotten when the supervisor itself is restarted.

    **`init` returns** a `SupervisorSpec`, or `Ignore()`.

    **When not to use it.** For many children of one kind, come and gone at run time, use `DynamicSupervisor`; for
    one-off computations `TaskSupervisor`. A supervisor has no other work to do: put none into it.
    """

    async def init(self, *args: Any, **kwargs: Any) -> SupervisorSpec | Ignore:
        """Say what is supervised. Must be overridden."""
        raise UsageError(f"{type(self).__name__} needs an init() that returns a SupervisorSpec")

    async def _boot(self, spec: object) -> InitResult:
        """Check everything, then start the children: what the engine runs after `init`."""
        if isinstance(spec, Ignore):
            return spec
        if not isinstance(spec, SupervisorSpec):
            return Stop(("bad_return", (type(self).__name__, "init", spec)))
        try:
            flags = check_flags(spec)
        except InvalidSpecError as error:
            return Error(("supervisor_data", error.reason))
        try:
            children = check_specs(spec.children, spec.auto_shutdown)
        except InvalidSpecError as error:
            return Error(("start_spec", error.reason))
        self._cell.trap_exit = True
        self._ending: tuple[ExitReason] | None = None
        self._answer: supervision.Answer | None = None
        self._state = supervision.Supervision(flags, tuple(supervision.Child(child) for child in children))
        await self._drive(supervision.Boot())
        if self._ending is not None:
            return Error(self._ending[0])
        return None

    async def _drive(self, event: supervision.Event) -> None:
        """Step the kernel and carry out what it says until it has nothing more to do."""
        events: list[supervision.Event] = [event]
        while events:
            self._state, effects = supervision.step(self._state, events.pop(0), self.runtime.now())
            for effect in effects:
                match effect:
                    case supervision.Start(spec):
                        events.append(await start_outcome(spec))
                    case supervision.Stop(spec, handle):
                        assert isinstance(handle, Pid)
                        events.append(supervision.Stopped(spec.id, await self._stop_child(handle, spec.shutdown_s)))
                    case supervision.Retry(id):
                        gen_server.tell(self.pid, supervision.RetryRestart(id))
                    case supervision.Answer():
                        self._answer = effect
                    case supervision.Report(context, reason, spec, handle):
                        self.runtime.report(SupervisorReport(self.pid, context, reason, spec.id, handle, spec))
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
            return Reply([_info(child) for child in reversed(self._state.children)])
        if request.operation == "count_children":
            return Reply(_counts(self._state.children))
        if request.operation == "start_child":
            try:
                spec = read_spec(request.argument)
                check_spec(spec, self._state.flags.auto_shutdown)
            except InvalidSpecError as error:
                return Reply(supervision.Answer(False, error.reason))
            request = supervision.Request("start_child", spec)
        self._answer = None
        await self._drive(request)
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

    def get_state(self) -> object:
        """The children and the restarts that count."""
        return self._state if hasattr(self, "_state") else None


async def stop_process(supervisor: GenServer, pid: Pid, shutdown: float | str) -> ExitReason:
    """End a child as its `shutdown` says: the exit reason; `noproc` is not given when it had told why before."""
    import asyncio

    cell, runtime = supervisor._cell, supervisor.runtime
    for message in cell.mailbox:  # it ended meanwhile: its last words are in the mailbox
        if isinstance(message, ExitMessage) and message.pid == pid:
            cell.mailbox.remove(message)
            return message.reason
    ended = runtime.ended(pid)
    runtime.unlink(cell, pid)
    if shutdown == BRUTAL_KILL:
        runtime.exit(cell.pid, pid, KILL)
        return await ended
    runtime.exit(cell.pid, pid, SHUTDOWN)
    try:
        return await asyncio.wait_for(asyncio.shield(ended), None if shutdown == INFINITY else float(shutdown))
    except TimeoutError:
        runtime.exit(cell.pid, pid, KILL)
        return await ended


def check_flags(spec: SupervisorSpec) -> supervision.Flags:
    """The flags of a supervisor.

    Raises:
        InvalidSpecError: Names the field, the value and the mend.
    """
    if spec.strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
        mend = "use 'one_for_one', 'one_for_all' or 'rest_for_one'"
        raise InvalidSpecError(("invalid_strategy", spec.strategy), f"strategy={spec.strategy!r}: {mend}")
    if type(spec.intensity) is not int or spec.intensity < 0:
        raise InvalidSpecError(
            ("invalid_intensity", spec.intensity), f"intensity={spec.intensity!r}: a whole number from 0"
        )
    period_s: object = spec.period_s
    if isinstance(period_s, bool) or not isinstance(period_s, int | float) or not period_s > 0:
        raise InvalidSpecError(("invalid_period", spec.period_s), f"period_s={spec.period_s!r}: seconds above 0")
    if spec.auto_shutdown not in ("never", "any_significant", "all_significant"):
        mend = "use 'never', 'any_significant' or 'all_significant'"
        raise InvalidSpecError(
            ("invalid_auto_shutdown", spec.auto_shutdown), f"auto_shutdown={spec.auto_shutdown!r}: {mend}"
        )
    return supervision.Flags(spec.strategy, spec.intensity, spec.period_s, spec.auto_shutdown)


async def start_outcome(spec: ChildSpec, *more: object) -> supervision.Started | supervision.StartFailed:
    """Run the start function of a child in the calling process."""
    from .cell import crashed

    function, *args = spec.start if isinstance(spec.start, tuple) else (spec.start,)
    try:
        if isinstance(function, type) and issubclass(function, GenServer):
            result: object = await gen_server.start_link(function, *args, *more)
        else:
            result = await function(*args, *more)
    except StartIgnored:
        return supervision.Started(spec.id, None)
    except StartError as error:
        return supervision.StartFailed(spec.id, error.reason)
    except Exit as exit_:
        return supervision.StartFailed(spec.id, ("EXIT", exit_.reason))
    except Exception as error:  # noqa: BLE001 (a start function that raises is a failed start)
        return supervision.StartFailed(spec.id, ("EXIT", crashed(error)))
    if isinstance(result, Pid):
        return supervision.Started(spec.id, result)
    if isinstance(result, Started):
        return supervision.Started(spec.id, result.pid, result.extra)
    if isinstance(result, Ignore):
        return supervision.Started(spec.id, None)
    return supervision.StartFailed(spec.id, result)


def _info(child: supervision.Child) -> ChildInfo:
    handle = child.handle
    assert handle is None or isinstance(handle, Pid)
    shown = supervision.RESTARTING if child.restarting else handle
    return ChildInfo(child.spec.id, shown, child.spec.type, child.spec.modules, child.restarts)


def _counts(children: tuple[supervision.Child, ...]) -> ChildCounts:
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    active = sum(child.handle is not None for child in children)
    return ChildCounts(len(children), active, supervisors, len(children) - supervisors)


# -- API -------------------------------------------------------------------------------------------------------------


async def _ask(supervisor: Destination, operation: str, argument: object, timeout_s: float | None) -> object:
    return await gen_server.request(supervisor, supervision.Request(operation, argument), timeout_s)


async def _ask_child(supervisor: Destination, operation: str, argument: object) -> object:
    answer = await _ask(supervisor, operation, argument, None)
    assert isinstance(answer, supervision.Answer)
    if not answer.ok:
        raise ChildError(answer.value)
    return answer.value


async def start_child(supervisor: Destination, spec: object) -> Started:
    """Add a child and start it.

    Args:
        supervisor: Pid or name.
        spec: A `ChildSpec`, or a mapping with its keys.

    Returns:
        Its pid (`None` when its `init` wished not to start) and what more its start gave.

    Raises:
        ChildError: The id is taken, the specification is wrong, or the start failed (then nothing is kept).
    """
    value = await _ask_child(supervisor, "start_child", spec)
    assert isinstance(value, tuple)
    return Started(*value)


async def restart_child(supervisor: Destination, id: object) -> Started:
    """Start a child that is down.

    Raises:
        ChildError: `"not_found"`, `"running"`, `"restarting"`, or why the start failed.
    """
    value = await _ask_child(supervisor, "restart_child", id)
    assert isinstance(value, tuple)
    return Started(*value)


async def terminate_child(supervisor: Destination, id: object) -> None:
    """Stop a child; its specification stays, unless it is temporary.

    Raises:
        ChildError: `"not_found"`.
    """
    await _ask_child(supervisor, "terminate_child", id)


async def delete_child(supervisor: Destination, id: object) -> None:
    """Forget a child that is down.

    Raises:
        ChildError: `"not_found"`, `"running"` or `"restarting"`.
    """
    await _ask_child(supervisor, "delete_child", id)


async def get_childspec(supervisor: Destination, id: object) -> ChildSpec:
    """The specification of a child.

    Raises:
        ChildError: `"not_found"`.
    """
    spec = await _ask_child(supervisor, "get_childspec", id)
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


def check_childspecs(specs: Sequence[object], auto_shutdown: str = "never") -> None:
    """Check specifications without starting anything.

    Raises:
        InvalidSpecError: Names the field, the value and the mend.
    """
    check_specs(specs, auto_shutdown)


start = gen_server.start
start_link = gen_server.start_link

__all__ = [
    "ChildCounts",
    "ChildError",
    "ChildInfo",
    "ChildSpec",
    "InvalidSpecError",
    "Started",
    "Supervisor",
    "SupervisorReport",
    "SupervisorSpec",
    "CallFailed",
    "check_childspecs",
    "count_children",
    "delete_child",
    "get_childspec",
    "restart_child",
    "start",
    "start_child",
    "start_link",
    "terminate_child",
    "which_children",
]
