"""How supervisors start and stop the process of a child."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import gen_server
from .behaviour import Behaviour
from .cell import crashed
from .errors import Exit, StartError, StartIgnored, UsageError, mend_of
from .kernel import supervision
from .kernel.childspec import BRUTAL_KILL, INFINITY, ChildSpec
from .kernel.reason import KILL, SHUTDOWN, ExitReason
from .kernel.server import Ignore
from .message import Cast, ExitMessage
from .pid import Pid
from .process import own_cell_dead_or_alive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gen_server import GenServer


@dataclass(frozen=True, slots=True)
class Started:
    """A start function may return this in place of a pid, to give something more."""

    pid: Pid | None
    extra: object = None


async def start_outcome(spec: ChildSpec, *more: object) -> supervision.Started | supervision.StartFailed:
    """Run the start function of a child in the calling process."""
    function, *args = spec.start if isinstance(spec.start, tuple) else (spec.start,)
    try:
        if isinstance(function, type) and issubclass(function, Behaviour):
            result: object = await gen_server.start_link(function, *args, *more)
        else:
            running = function(*args, *more)
            if not hasattr(running, "__await__"):
                raise UsageError(
                    f"{_start_of(spec)} is a plain def: write async def, and return the Pid of start_link()"
                )
            result = await running
    except StartIgnored:
        return supervision.Started(spec.id, None)
    except StartError as error:
        return supervision.StartFailed(spec.id, error.reason, error.mend and f"child {spec.id!r}: {error.mend}")
    except Exit as exit_:
        return supervision.StartFailed(spec.id, ("EXIT", exit_.reason), mend_of(exit_.reason))
    except BaseException as error:  # a start function that raises is a failed start
        if own_cell_dead_or_alive().unwinds(error):
            raise
        mend = str(error) if isinstance(error, UsageError) else ""
        return supervision.StartFailed(spec.id, ("EXIT", crashed(error)), mend)
    pid = result.pid if isinstance(result, Started) else result
    if isinstance(pid, Pid) and not _is_linked(pid):
        mend = f"{_start_of(spec)} returned {pid}, which is not linked to its supervisor: use start_link"
        return supervision.StartFailed(spec.id, ("not_linked", pid), mend)
    if isinstance(result, Pid):
        return supervision.Started(spec.id, result)
    if isinstance(result, Started):
        return supervision.Started(spec.id, result.pid, result.extra)
    if isinstance(result, Ignore):
        return supervision.Started(spec.id, None)
    mend = f"{_start_of(spec)} returned {result!r}: return the Pid of start_link(), a Started, or Ignore()"
    return supervision.StartFailed(spec.id, result, mend)


def _is_linked(pid: Pid) -> bool:
    """Whether the calling process hears of the end of another one; one that has ended already it has heard of."""
    cell = own_cell_dead_or_alive()
    return pid in cell.links or cell.runtime.cell(pid) is None


def _start_of(spec: ChildSpec) -> str:
    function = spec.start[0] if isinstance(spec.start, tuple) else spec.start
    return f"child {spec.id!r}: its start function {getattr(function, '__qualname__', function)}()"


async def stop_process(supervisor: GenServer, pid: Pid, shutdown: float | str) -> ExitReason:
    """End a child as its `shutdown` says; its exit reason."""
    reasons = await stop_processes(supervisor, {pid: shutdown})
    return reasons[pid]


async def stop_processes(supervisor: GenServer, shutdowns: Mapping[Pid, float | str]) -> dict[Pid, ExitReason]:
    """End children at the same time, each as its `shutdown` says; their exit reasons, as they ended.

    All are asked at once. Those that have not ended when their time is over are killed.
    """
    cell, runtime = supervisor._cell, supervisor.runtime
    reasons = _last_words(supervisor, shutdowns)
    ends = {pid: runtime.ended(pid) for pid in shutdowns if pid not in reasons}
    for pid in ends:
        runtime.unlink(cell, pid)
        runtime.exit(cell.pid, pid, KILL if shutdowns[pid] == BRUTAL_KILL else SHUTDOWN)
    began = runtime.now()
    for limit in sorted({float(shutdowns[pid]) for pid in ends if shutdowns[pid] not in (BRUTAL_KILL, INFINITY)}):
        late = [pid for pid, end in ends.items() if not end.done() and shutdowns[pid] == limit]
        if late:
            await asyncio.wait([ends[pid] for pid in late], timeout=began + limit - runtime.now())
            for pid in late:
                runtime.exit(cell.pid, pid, KILL)
    for pid, end in ends.items():
        reasons[pid] = await end
    return reasons


def tell_after(supervisor: GenServer, delay_s: float, message: object) -> None:
    """Cast to the supervisor itself: with 0 seconds behind what waits already, else when they have passed."""
    if delay_s <= 0:
        gen_server.tell(supervisor.pid, message)
    else:
        supervisor.runtime.loop.call_later(delay_s, supervisor._cell.deliver, Cast(message))


def _last_words(supervisor: GenServer, pids: Mapping[Pid, object]) -> dict[Pid, ExitReason]:
    """The reasons of those that have ended already: their exit messages wait in the mailbox, and are taken out."""
    mailbox = supervisor._cell.mailbox
    told = [message for message in mailbox if isinstance(message, ExitMessage) and message.pid in pids]
    if told:
        rest = [message for message in mailbox if not (isinstance(message, ExitMessage) and message.pid in pids)]
        mailbox.clear()
        mailbox.extend(rest)
    return {message.pid: message.reason for message in told}
