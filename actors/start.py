"""The start of a behaviour's process: with or without a link or a monitor, under a name, until its `init` is done."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .behaviour import Behaviour
from .behaviour_cell import Refused, Start, start_message
from .delivery import is_time
from .errors import RaybeamError, StartError, StartIgnored, UsageError
from .kernel.regulation.regulation import Regulation
from .kernel.server import Ignore
from .pid import AwaitedResolver, Via
from .process import own_cell
from .runtime import current_cell, current_runtime

if TYPE_CHECKING:
    from .behaviour_cell import BehaviourCell, Outcome
    from .cell import Cell
    from .kernel.reason import ExitReason
    from .pid import Name, Pid, Ref


async def start(
    server: type[Behaviour],
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
    regulation: Regulation | None = None,
    **kwargs: object,
) -> Pid:
    """Start a server that nobody is linked to; returns when its `init` is done. Cancelled before, it is killed.

    Args:
        server: The behaviour class, made without arguments.
        *args: For `init`.
        name: A name to register: a string, a `via(...)` of a registry, or a `Global` of the system. Default: none.
        timeout_s: Seconds that `init` may take; then it is killed. Default: for ever.
        regulation: How it is protected from more calls than it can serve. Default: what its class says.
        **kwargs: For `init`.

    Raises:
        StartError: `init` failed, took too long, or the name is taken (reason `("already_started", pid)`).
        StartIgnored: `init` returned `Ignore()`.
        UsageError: `server` is no behaviour, an option is wrong, or is the name of a parameter of `init` as well.
    """
    cell = _make(server, args, name, regulation, timeout_s, parent=None, linked=False)
    return await _run_init(cell, args, kwargs, name, timeout_s)


async def start_link(
    server: type[Behaviour],
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
    regulation: Regulation | None = None,
    **kwargs: object,
) -> Pid:
    """Like `start`, linked to the calling process, which becomes the parent.

    When `init` fails (an exception, `Stop(reason)`), a caller that traps exits, as supervisors do, gets the
    `StartError` and no `ExitMessage`. One that does not trap exits ends with that reason, as by any link, before it
    could catch anything; that is reported. `Error(reason)`, `Ignore()`, a time-out and a name that is taken are no
    failures of that kind: then any caller gets the exception. All this is as in OTP. To try whether something starts,
    use `start` and `link`, or `process.trap_exit(True)`.

    Raises:
        StartError: As from `start`, see above.
        StartIgnored: `init` returned `Ignore()`.
        NotAProcessError: The caller is not a process; use `start`.
    """
    cell = _make(server, args, name, regulation, timeout_s, parent=own_cell(), linked=True)
    return await _run_init(cell, args, kwargs, name, timeout_s)


async def start_monitor(
    server: type[Behaviour],
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
    regulation: Regulation | None = None,
    **kwargs: object,
) -> tuple[Pid, Ref]:
    """Like `start`, monitored by the calling process, which becomes the parent but is not linked.

    Returns:
        The pid, and the reference that the `Down` of its end will carry. A start that fails leaves no `Down`.

    Raises:
        NotAProcessError: The caller is not a process; use `start`.

    Example:
        >>> async def client() -> None:
        ...     server, ref = await gen_server.start_monitor(GenServer)
        ...     print(await process.receive())  # Down(ref, server, reason), when it has ended
    """
    starter = own_cell()
    cell = _make(server, args, name, regulation, timeout_s, parent=starter, linked=False)
    ref = cell.runtime.monitor(starter, cell.pid)
    try:
        return await _run_init(cell, args, kwargs, name, timeout_s), ref
    except BaseException:  # given up too
        starter.runtime.demonitor(starter, ref)
        raise


def _make(
    server: type[Behaviour],
    args: tuple[object, ...],
    name: Name | None,
    regulation: Regulation | None,
    timeout_s: float | None,
    parent: Cell | None,
    *,
    linked: bool,
) -> BehaviourCell[Any]:
    """A new process that has not begun to run."""
    runtime = current_runtime()
    given: object = server
    if not isinstance(given, type) or not issubclass(given, Behaviour):
        mend = "give the class itself, derived from a behaviour such as GenServer; its arguments follow"
        raise UsageError(f"cannot start {server!r}: {mend}")
    if timeout_s is not None and not is_time(timeout_s):
        raise UsageError(f"timeout_s={timeout_s!r}: give the seconds that init() may take, or None for any time")
    if name is not None or timeout_s is not None or regulation is not None:
        _check_parameters(server, args, {"name": name, "timeout_s": timeout_s, "regulation": regulation})
    awaited = _awaited(name)
    if name is not None and awaited is None and (holder := runtime.whereis(name)) is not None:
        raise StartError(("already_started", holder), _taken(name, holder))
    regulation = _regulation(regulation, server)
    pid, parent_pid = runtime.new_pid(), None if parent is None else parent.pid
    if regulation is None:
        cell = server._new_cell(runtime, pid, parent_pid)
    else:
        cell = server._new_regulated_cell(runtime, pid, parent_pid, regulation)
    return runtime.add(cell, link_to=parent if linked else None, name=name if awaited is None else None)


TOO_SLOW: Final = (
    "timeout: init did not return within timeout_s, and was killed: give it more time, or return "
    "Ok(continue_with=...) and do what is slow in handle_continue"
)


def _taken(name: Name | None, holder: object) -> str:
    return f"already_started: the name {name!r} is taken by {holder}: use that process, stop it, or give another name"


def _check_parameters(server: type[Behaviour], args: tuple[object, ...], given: Mapping[str, object]) -> None:
    """Check that no option of the start was meant for a parameter of `init` that has its name.

    Raises:
        UsageError: One might be.
    """
    wanted = [name for name, value in given.items() if value is not None]
    parameters = list(inspect.signature(server.init).parameters.values())[1:]  # without self
    for position, parameter in enumerate(parameters):
        by_position = parameter.kind is not parameter.KEYWORD_ONLY and position < len(args)
        if parameter.name in wanted and not by_position and parameter.kind is not parameter.VAR_KEYWORD:
            raise UsageError(
                f"{server.__name__}.init() has a parameter {parameter.name!r}, which start() takes for itself: give it "
                "another name, or give its value by position"
            )


def _regulation(given: object, server: type[Behaviour]) -> Regulation | None:
    if given is None:
        return server.regulation
    if isinstance(given, Regulation):
        return given
    mend = "give a Regulation, or None for what the class says"
    if isinstance(given, Mapping):
        options = ", ".join(f"{name}=..." for name in given)
        mend = f"give a Regulation, such as Regulation({options}), with objects such as Rate(...) for its parts"
    raise UsageError(f"regulation={given!r}: {mend}")


def _awaited(name: Name | None) -> AwaitedResolver | None:
    """The resolver of a name that takes time to get."""
    return name.resolver if isinstance(name, Via) and isinstance(name.resolver, AwaitedResolver) else None


async def _run_init(
    cell: BehaviourCell[Any],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    name: Name | None,
    timeout_s: float | None,
) -> Pid:
    """Run the `init` of a new process; its pid when it is up."""
    runtime, awaited = cell.runtime, _awaited(name)
    message, outcome = start_message(runtime, args, kwargs)
    if awaited is not None:
        assert isinstance(name, Via)
        await _claim(cell, message, awaited, name)
    else:
        reserved = runtime.carriers.reserve(cell)
        cell.deliver(message)
        if reserved:
            runtime.carriers.lend(cell, current_cell.get())
    result = outcome.result() if outcome.done() else await _outcome(cell, outcome, timeout_s)
    if result is None:
        return cell.pid
    if isinstance(result, Ignore):
        raise StartIgnored
    raise StartError(result.reason, result.mend)


async def _claim(cell: Cell, message: Start, resolver: AwaitedResolver, name: Via) -> None:
    """Get a new process its name; only then it runs, and what is sent to the name meanwhile waits behind its start."""
    runtime = cell.runtime
    cell.scheduled = True  # no carrier runs it yet
    cell.deliver(message)
    reason: ExitReason = "killed"
    mend = ""
    try:
        holder = await resolver.claim_name(runtime, name.key, cell)
        reason, mend = None, ""
        if holder is not None:
            reason, mend = ("already_started", holder), _taken(name, holder)
    except RaybeamError as error:
        reason, mend = ("name_not_registered", str(error)), ""
    finally:
        if reason is not None and cell.alive:
            if cell.parent is not None:
                runtime.unlink(cell, cell.parent)
            runtime.finish(cell, reason)
    if reason is not None:
        raise StartError(reason, mend)
    if cell.alive:
        runtime.make_ready(cell)


async def _outcome(cell: Cell, outcome: asyncio.Future[Outcome], timeout_s: float | None) -> Outcome:
    """Wait until the `init` of a new process is done, or the process has ended early, or the time is over."""
    runtime = cell.runtime
    if not cell.alive:
        return Refused(cell.exit_reason)
    watch = runtime.watch(cell, lambda reason: runtime.loop.call_soon(_ended_early, outcome, reason))
    timer = None if timeout_s is None else runtime.loop.call_later(timeout_s, _start_timeout, cell, outcome)
    try:
        return await outcome
    except asyncio.CancelledError:
        starter = current_cell.get()
        if starter is None or starter.alive:  # who gave up will never know the pid
            _kill_unstarted(cell)
        raise
    finally:
        cell.unwatched_by(watch)
        if timer is not None:
            timer.cancel()


def _ended_early(outcome: asyncio.Future[Outcome], reason: ExitReason) -> None:
    if not outcome.done():  # what `init` itself said goes first
        outcome.set_result(Refused(reason))


def _start_timeout(cell: Cell, outcome: asyncio.Future[Outcome]) -> None:
    if not outcome.done():
        outcome.set_result(Refused("timeout", TOO_SLOW))
        _kill_unstarted(cell)


def _kill_unstarted(cell: Cell) -> None:
    if cell.parent is not None:
        cell.runtime.unlink(cell, cell.parent)
    cell.runtime.exit(None, cell.pid, "kill")
