"""The start of a behaviour's process: with or without a link or a monitor, under a name, until its `init` is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Hashable

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
        UsageError: What cannot be: no behaviour, no name, no time, a class that cannot be regulated.
    """
    cell = _make(server, name, timeout_s, regulation, parent=None, linked=False)
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

    Raises:
        NotAProcessError: The caller is not a process; use `start`.
    """
    cell = _make(server, name, timeout_s, regulation, parent=own_cell(), linked=True)
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
    cell = _make(server, name, timeout_s, regulation, parent=starter, linked=False)
    ref = cell.runtime.monitor(starter, cell.pid)
    try:
        return await _run_init(cell, args, kwargs, name, timeout_s), ref
    except BaseException:  # given up too
        starter.runtime.demonitor(starter, ref)
        raise


def _make(
    server: type[Behaviour],
    name: Name | None,
    timeout_s: float | None,
    regulation: Regulation | None,
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
    if not isinstance(regulation, Regulation | None):
        raise UsageError(f"regulation={regulation!r}: give a Regulation, or None for what the class says")
    awaited = _awaited(name)
    if name is not None and awaited is None and (holder := runtime.whereis(name)) is not None:
        raise StartError(("already_started", holder))
    regulation = regulation or server.regulation
    pid, parent_pid = runtime.new_pid(), None if parent is None else parent.pid
    if regulation is None:
        cell = server._new_cell(runtime, pid, parent_pid)
    else:
        cell = server._new_regulated_cell(runtime, pid, parent_pid, regulation)
    return runtime.add(cell, link_to=parent if linked else None, name=name if awaited is None else None)


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
        await _claim(cell, message, awaited, name.key)
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


async def _claim(cell: Cell, message: Start, resolver: AwaitedResolver, key: Hashable) -> None:
    """Get a new process its name; only then it runs, and what is sent to the name meanwhile waits behind its start."""
    runtime = cell.runtime
    cell.scheduled = True  # no carrier runs it yet
    cell.deliver(message)
    reason: ExitReason = "killed"
    mend = ""
    try:
        holder = await resolver.claim_name(runtime, key, cell)
        reason = None if holder is None else ("already_started", holder)
    except RaybeamError as error:
        mend = str(error)
        reason = ("name_not_registered", mend)
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
        outcome.set_result(Refused("timeout"))
        _kill_unstarted(cell)


def _kill_unstarted(cell: Cell) -> None:
    if cell.parent is not None:
        cell.runtime.unlink(cell, cell.parent)
    cell.runtime.exit(None, cell.pid, "kill")
