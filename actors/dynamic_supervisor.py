"""DynamicSupervisor: supervises any number of children that come and go at run time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from . import gen_server
from .child_process import Started, start_outcome, stop_processes, tell_after
from .errors import UsageError
from .gen_server import GenServer
from .kernel.childspec import ChildSpec, InvalidSpecError, check_spec, is_orderly, read_spec
from .kernel.dynamic import Decision, Member, Verdict, after_end, after_failed_start, after_start, after_wait
from .kernel.dynamicspec import DynamicSpec
from .kernel.reason import SHUTDOWN, ExitReason
from .kernel.server import CallResult, Error, Ignore, InitResult, Reply, Result, Stop
from .kernel.supervision import RESTARTING, Answer, Request
from .kernel.supervision import Started as StartedChild
from .kernel.supervisorspec import SIMPLE_ONE_FOR_ONE, SupervisorSpec, check_flags, check_template
from .message import ExitMessage
from .pid import Destination, Pid
from .supervisor_calls import (
    ChildCounts,
    ChildInfo,
    ask_child,
    count_children,
    restart_window,
    restarts,
    which_children,
)
from .supervisor_calls import terminate_child as _terminate_child
from .supervisor_report import SupervisorReport

if TYPE_CHECKING:
    from .kernel.intensity import Restart
    from .message import From
    from .pid import Name


@dataclass(frozen=True, slots=True)
class _Retry:
    key: int
    number: int


class DynamicSupervisor(GenServer):
    """A supervisor whose children are started at run time; each is restarted alone.

    **What it is.** OTP's `simple_one_for_one`, and Elixir's `DynamicSupervisor`: one process for every session,
    order or flight.

        >>> from raybeam.actors import ChildSpec, DynamicSpec, DynamicSupervisor, GenServer, Runtime
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

    **With a template**, as in OTP, all children have one specification, and a start only adds arguments:

        >>> async def main() -> list[object]:
        ...     async with Runtime():
        ...         spec = DynamicSpec(template=ChildSpec("session", Session, restart="transient"))
        ...         sessions = await gen_server.start(DynamicSupervisor, spec)
        ...         await dynamic_supervisor.start_child(sessions, "ann")
        ...         return [info.type for info in await dynamic_supervisor.which_children(sessions)]
        >>> run(main())
        ['worker']

    OTP's own form, a `SupervisorSpec` with the strategy `"simple_one_for_one"` and one child, does the same.

    **At run time**: `start_child`, `terminate_child`, `which_children`, `count_children`, `restarts`. OTP's
    `restart_child` and `delete_child` are refused: who is terminated is forgotten.

    **When not to use it.** When children depend on each other or on an order of start: use `Supervisor`.
    """

    mailbox_limit: ClassVar[int | None] = None
    _trap_exit: ClassVar[bool] = True

    async def init(self, spec: DynamicSpec | SupervisorSpec | None = None) -> DynamicSpec | SupervisorSpec | Ignore:
        """Give the options; override to fix them in a subclass."""
        return spec or DynamicSpec()

    async def _boot(self, spec: object) -> InitResult:
        match spec:
            case Ignore():
                return spec
            case DynamicSpec():
                given = spec.supervisor_spec()
            case SupervisorSpec(strategy="simple_one_for_one"):
                given = spec
            case _:
                mend = f"{type(self).__name__}.init() returned {spec!r}: return a DynamicSpec, or Ignore()"
                return Error(("bad_return", (type(self).__name__, "init", spec)), mend)
        self._template: ChildSpec | None = None
        try:
            if given.strategy == SIMPLE_ONE_FOR_ONE:
                self._flags, self._template = check_template(given)
            else:
                self._flags = check_flags(given)
        except InvalidSpecError as error:
            reason = error.reason if given.strategy == SIMPLE_ONE_FOR_ONE else ("supervisor_data", error.reason)
            return Error(reason, f"{type(self).__name__}: {error.mend}")
        self._max_children = spec.max_children if isinstance(spec, DynamicSpec) else None
        limit: object = self._max_children
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            mend = f"{type(self).__name__}: max_children={limit!r}: a whole number from 0, or None for any number"
            return Error(("supervisor_data", ("invalid_max_children", limit)), mend)
        self._restarts: tuple[Restart, ...] = ()
        self._children: dict[int, Member] = {}
        self._keys: dict[object, int] = {}
        self._waiting: dict[int, int] = {}
        self._last_key = 0
        self._waits = 0
        return None

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Serve the API."""
        match request:
            case Request("start_child", tuple() as arguments):
                return Reply(await self._start_new(arguments))
            case Request("start_child", argument):
                return Reply(await self._start_new((argument,)))
            case Request("terminate_child", Pid() as pid):
                return Reply(await self._terminate_one(pid))
            case Request("get_childspec", argument):
                spec = self._spec_of(argument)
                return Reply(Answer(False, "not_found") if spec is None else Answer(True, spec))
            case Request("which_children"):
                return Reply([self._info(child) for child in self._children.values()])
            case Request("count_children"):
                return Reply(self._counts())
            case Request("restarts"):
                return Reply(restart_window(self._restarts, self._flags.limit, self.runtime.now(), self._pid_of))
            case Request("terminate_child"):
                return Reply(Answer(False, SIMPLE_ONE_FOR_ONE, "children of a DynamicSupervisor are named by pid"))
            case Request():
                return Reply(Answer(False, SIMPLE_ONE_FOR_ONE))
            case _:
                return await super().handle_call(request, sender)

    async def handle_cast(self, request: object) -> Result:
        """Do a restart that waited."""
        if not isinstance(request, _Retry):
            return await super().handle_cast(request)
        if self._waiting.get(request.key) != request.number:
            return None
        member = self._children[request.key]
        return await self._follow(after_wait(self._restarts, self._flags, member, self.runtime.now()))

    async def handle_info(self, message: object) -> Result:
        """Judge the end of a child; anything else is logged and dropped."""
        if not isinstance(message, ExitMessage):
            return await super().handle_info(message)
        key = self._keys.get(message.pid)
        if key is None:
            return None
        member, now, chance = self._children[key], self.runtime.now(), self.runtime.random.random()
        decision = after_end(self._restarts, self._flags, member, message.reason, now, chance)
        if decision.told:
            self._report("child_terminated", message.reason, member.spec, member.shown)
        return await self._follow(decision)

    async def terminate(self, reason: ExitReason) -> None:
        """Stop all children at the same time."""
        running = {
            child.handle: child.spec
            for child in self._children.values()
            if isinstance(child.handle, Pid) and not child.restarting
        }
        reasons = await stop_processes(self, {pid: spec.shutdown_s for pid, spec in running.items()})
        failures: dict[object, list[Pid]] = {}
        for pid, ended in reasons.items():
            if is_orderly(running[pid], ended):
                continue
            if self._template is None:
                self._report("shutdown_error", ended, running[pid], pid)
            else:
                failures.setdefault(ended, []).append(pid)
        for ended, pids in failures.items():
            assert self._template is not None
            self._report("shutdown_error", ended, self._template, pids)

    def get_state(self) -> object:
        """The children."""
        return list(self._children.values()) if hasattr(self, "_children") else None

    async def _start_new(self, arguments: tuple[object, ...]) -> Answer:
        spec = self._template
        if spec is None:
            try:
                spec, arguments = _own_spec(arguments), ()
            except InvalidSpecError as error:
                return Answer(False, error)
        if self._max_children is not None and len(self._children) >= self._max_children:
            return Answer(False, "max_children")
        outcome = await start_outcome(spec, *arguments)
        if not isinstance(outcome, StartedChild):
            return Answer(False, outcome.reason, outcome.mend)
        if isinstance(outcome.handle, Pid):
            self._last_key += 1
            kept = () if spec.restart == "temporary" else arguments
            member = Member(self._last_key, spec, kept, outcome.handle, started_at=self.runtime.now())
            self._children[self._last_key] = member
            self._keys[outcome.handle] = self._last_key
        return Answer(True, (outcome.handle, outcome.extra))

    async def _terminate_one(self, pid: Pid) -> Answer:
        key = self._keys.get(pid)
        if key is None:
            gone = self._template is not None and self.runtime.cell(pid) is None
            return Answer(True) if gone else Answer(False, "not_found")
        child = self._children[key]
        if not child.restarting:
            reasons = await stop_processes(self, {pid: child.spec.shutdown_s})
            if not is_orderly(child.spec, reasons[pid]):
                self._report("shutdown_error", reasons[pid], child.spec, pid)
        self._forget(key)
        return Answer(True)

    async def _follow(self, decision: Decision) -> Result:
        member, self._restarts = decision.member, decision.restarts
        self._waiting.pop(member.key, None)
        match decision.verdict:
            case Verdict.FORGET:
                self._forget(member.key)
                return None
            case Verdict.GIVE_UP:
                self._forget(member.key)
                self._report("shutdown", "reached_max_restart_intensity", member.spec, member.shown)
                return Stop(SHUTDOWN)
            case Verdict.WAIT:
                self._wait(member, decision.delay_s)
                return None
        outcome = await start_outcome(member.spec, *member.args)
        if not isinstance(outcome, StartedChild):
            self._report("start_error", outcome.reason, member.spec, member.shown, outcome.mend)
            again = after_failed_start(self._restarts, self._flags, member, self.runtime.random.random())
            self._wait(again.member, again.delay_s)
        elif isinstance(outcome.handle, Pid):
            del self._keys[member.handle]
            self._children[member.key] = after_start(member, outcome.handle, self.runtime.now())
            self._keys[outcome.handle] = member.key
        else:
            self._forget(member.key)
        return None

    def _wait(self, member: Member, delay_s: float) -> None:
        self._children[member.key] = member
        self._waits += 1
        self._waiting[member.key] = self._waits
        tell_after(self, delay_s, _Retry(member.key, self._waits))

    def _forget(self, key: int) -> None:
        self._waiting.pop(key, None)
        del self._keys[self._children.pop(key).handle]

    def _spec_of(self, child: object) -> ChildSpec | None:
        """The specification of a child; of the template also by its id, or by a pid long dead."""
        key = self._keys.get(child) if isinstance(child, Pid) else None
        if key is not None:
            return self._children[key].spec
        template = self._template
        if template is None:
            return None
        known = self.runtime.cell(child) is None if isinstance(child, Pid) else child == template.id
        return template if known else None

    def _info(self, child: Member) -> ChildInfo:
        assert isinstance(child.handle, Pid)
        shown = RESTARTING if child.restarting else child.handle
        known_as = child.spec.id if self._template is None else None
        return ChildInfo(known_as, shown, child.spec.type, child.spec.modules, child.restarts)

    def _counts(self) -> ChildCounts:
        children = self._children.values()
        supervisors = sum(child.spec.type == "supervisor" for child in children)
        active = sum(not child.restarting for child in children)
        specs = len(children) if self._template is None else 1
        return ChildCounts(specs, active, supervisors, len(children) - supervisors)

    def _pid_of(self, key: object) -> object:
        child = self._children.get(key) if isinstance(key, int) else None
        return None if child is None else child.handle

    def _report(self, context: str, reason: ExitReason, spec: ChildSpec, pid: object, mend: str = "") -> None:
        self.runtime.report(SupervisorReport(self.pid, context, reason, spec.id, pid, spec, mend))


def _own_spec(given: tuple[object, ...]) -> ChildSpec:
    if len(given) != 1:
        mend = f"without a template start_child() takes one child specification, not {len(given)} arguments"
        raise InvalidSpecError(("invalid_child_spec", given), mend)
    spec = read_spec(given[0])
    check_spec(spec)
    return spec


async def start(
    supervisor: type[DynamicSupervisor] = DynamicSupervisor,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> Pid:
    """Start a dynamic supervisor that nobody is linked to.

    Args:
        supervisor: Its class. Default: `DynamicSupervisor` itself.
        *args: For its `init`: a `DynamicSpec`, unless a subclass says otherwise. Default: all options as they are.
        name: A name to register. Default: none.
        timeout_s: Seconds that `init` may take. Default: for ever.

    Raises:
        StartError: An option is wrong, or the name is taken (reason `("already_started", pid)`).
    """
    return await gen_server.start(supervisor, *args, name=name, timeout_s=timeout_s)


async def start_link(
    supervisor: type[DynamicSupervisor] = DynamicSupervisor,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> Pid:
    """Like `start`, linked to the calling process, which becomes the parent."""
    return await gen_server.start_link(supervisor, *args, name=name, timeout_s=timeout_s)


async def start_child(supervisor: Destination, *child: object) -> Started:
    """Start one more child; returns when its `init` is done.

    Args:
        supervisor: Pid or name.
        *child: A `ChildSpec`, or a mapping with its keys; its id is for people and need not be unique. When the
            supervisor has a template: arguments, put behind those of the template.

    Raises:
        ChildError: `"max_children"`, or why the start failed.
        InvalidSpecError: The specification is wrong.
    """
    value = await ask_child(supervisor, "start_child", child)
    assert isinstance(value, tuple)
    return Started(*value)


async def terminate_child(supervisor: Destination, pid: Pid) -> None:
    """Stop a child and forget it.

    Raises:
        ChildError: `"not_found"`; with a template a pid long dead is right too.
        UsageError: It is no pid.
    """
    given: object = pid
    if not isinstance(given, Pid):
        raise UsageError(f"terminate_child({given!r}): children of a DynamicSupervisor are named by pid")
    await _terminate_child(supervisor, pid)


__all__ = [
    "DynamicSupervisor",
    "count_children",
    "restarts",
    "start",
    "start_child",
    "start_link",
    "terminate_child",
    "which_children",
]
