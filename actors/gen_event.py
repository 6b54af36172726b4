"""GenEvent: an event manager, a process that hands each event to the handlers plugged into it; and OTP's functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from . import gen_server
from .cell import crashed
from .errors import Exit, ProcessKilled, ServiceError, UsageError
from .event_cell import EventCell
from .event_handler import (
    EventHandler,
    HandlerExit,
    HandlerReport,
    HandlerState,
    handler_class,
    handler_name,
)
from .gen_event_calls import (
    HandlerRequest,
    WhichHandlers,
    add_handler,
    add_sup_handler,
    call,
    checked,
    delete_handler,
    notify,
    receive_response,
    send_request,
    swap_handler,
    swap_sup_handler,
    sync_notify,
    wait_response,
    which_handlers,
)
from .gen_server import GenServer
from .kernel import event as kernel
from .kernel.server import CallResult, NoReply, Reply, Result
from .message import ExitMessage
from .process import send
from .runtime import log
from .system_calls import change_code, get_state, replace_state, resume, statistics, stop, suspend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .kernel.event import HandlerId
    from .kernel.reason import ExitReason
    from .message import From
    from .pid import Name, Pid, Ref
    from .runtime import Runtime


class GenEvent(GenServer):
    """An event manager: a process that hands each event to every handler plugged into it.

    **What it is.** Those who tell of events know the manager only; who listens is decided at run time, by adding and
    deleting handlers. A handler is a class derived from `EventHandler`:

        >>> from raybeam.actors import EventHandler, GenEvent, HandlerExit, Reply, Runtime, gen_event, process
        >>> from raybeam.actors.testing import run
        >>> class Tally(EventHandler):
        ...     async def init(self, start: int = 0) -> None:
        ...         self.total = start
        ...     async def handle_event(self, event: int) -> None:
        ...         self.total += 12 // event
        ...     async def handle_call(self, request: str) -> Reply:
        ...         return Reply(self.total)
        >>> async def main() -> list[object]:
        ...     async with Runtime(reports=lambda report: None):
        ...         manager = await gen_event.start()
        ...         await gen_event.add_handler(manager, Tally)
        ...         await gen_event.add_handler(manager, (Tally, "late"), 100)
        ...         gen_event.notify(manager, 4)
        ...         await gen_event.sync_notify(manager, 3)
        ...         seen = [await gen_event.call(manager, id, "total") for id in (Tally, (Tally, "late"))]
        ...         await gen_event.sync_notify(manager, 0)
        ...         return [*seen, await gen_event.which_handlers(manager)]
        >>> run(main())
        [7, 107, []]

    **A failure and its outcome.** Above, both handlers divide by zero at the event `0`. A handler that fails, or
    returns what means nothing, is removed alone, with `terminate(("error", ...))`, and a `HandlerReport` is given to
    the runtime's report sink; the manager and the other handlers live on and still get that event. To be told, and to
    add it again, own it: `add_sup_handler` links owner and manager, and sends the owner a `HandlerExit` when the
    handler goes. When the owner ends, its handlers go too, with `terminate(("stop", reason))`.

    **Order.** An event goes to the handler added last first. The same id may be there twice: both get events, a call or
    a deletion goes to the newest. Events, calls and other messages are served in the order of their arrival.

    **Handler ids**: the class, or `(class, id)` to have several of one class.

    **Functions** of the module `gen_event`: `start`, `start_link`, `stop`; `add_handler`, `add_sup_handler`,
    `delete_handler`, `swap_handler`, `swap_sup_handler`, `which_handlers`; `notify` (goes on at once), `sync_notify`
    (returns when all handlers are done), `call` (asks one handler), `send_request` and `receive_response`. Anything
    else sent to the manager reaches the handlers' `handle_info`. The system calls `get_state`, `replace_state` and
    `change_code` see the states of the handlers one by one.

    **Callbacks of a handler** and their returns are told by `EventHandler`: `init`, `init_swapped`, `handle_event`,
    `handle_call`, `handle_info`, `terminate`, `code_change`.

    **The manager** traps exits. The exit of its parent, or `stop`, ends it: each handler gets `terminate("stop")`, the
    newest first. Any other exit signal is, after the handlers of an owner, an `ExitMessage` to the handlers. A manager
    that is restarted by its supervisor begins with the handlers of its `init`, by default those named at its start:
    `ChildSpec("events", (GenEvent, Tally))`. In a subclass, give them arguments by `await self.add_handler(...)` in
    `init`; `Ignore()`, `Stop(reason)` and `Error(reason)` do not start it.

    **Options**, as class attributes: `mailbox_limit` and `mailbox_overflow`, as for `GenServer`. Calls and
    `sync_notify` count against it, `notify` does not: use `sync_notify` where the source must not outrun the handlers.

    **When not to use it.** When handlers are slow or must not wait for each other, give each its own process and tell a
    process group (`pg`). When there is just one listener, cast to it.
    """

    _cell: EventCell

    def __init__(self) -> None:
        self._table = kernel.Table()

    @classmethod
    def _new_cell(cls, runtime: Runtime, pid: Pid, parent: Pid | None) -> EventCell:
        return EventCell(runtime, pid, parent, cls())

    async def init(self, *handlers: Any, **options: Any) -> Any:
        """Add the first handlers. Default: those named at the start, which take no arguments."""
        await super().init(**options)
        for handler in handlers:
            await self.add_handler(handler)

    async def add_handler(self, handler: HandlerId, *args: object) -> None:
        """Add a handler from the manager's own `init`.

        Raises:
            HandlerError: It did not start.
        """
        checked(await self._drive(kernel.Add(handler, args)), handler, self.pid)

    async def _drive(self, event: kernel.Event) -> kernel.Answer | kernel.Refuse | None:
        """Step the kernel and carry out what it says until it has nothing more to do; the answer to who asked."""
        answer: kernel.Answer | kernel.Refuse | None = None
        next_event: kernel.Event | None = event
        while next_event is not None:
            self._table, effects = kernel.step(self._table, next_event)
            next_event = None
            for effect in effects:
                match effect:
                    case kernel.Run():
                        next_event = await self._run(effect)
                    case kernel.Terminate():
                        next_event = await self._terminate(effect)
                    case kernel.Init():
                        next_event = await self._init(effect)
                    case kernel.Answer() | kernel.Refuse():
                        answer = effect
                    case kernel.Tell(owner, id, reason):
                        send(owner, HandlerExit(self.pid, id, reason))
                    case kernel.Report():
                        self._report(effect)
                    case kernel.Link(pid):
                        self.runtime.link(self._cell, pid)
                    case kernel.Unlink(pid):
                        self.runtime.unlink(self._cell, pid)
        return answer

    async def _run(self, run: kernel.Run) -> kernel.Event:
        handler = _instance(run.handler)
        match run.callback:
            case kernel.HANDLE_EVENT:
                return await self._outcome(handler.handle_event, run.message)
            case kernel.HANDLE_INFO:
                return await self._outcome(handler.handle_info, run.message)
            case _:
                return await self._outcome(handler.handle_call, run.message, asked=True)

    async def _init(self, init: kernel.Init) -> kernel.Event:
        try:
            handler = handler_class(init.id)()
        except Exception as error:  # noqa: BLE001 (a handler that cannot be made is one whose init failed)
            return kernel.Failed(crashed(error))
        if init.handed_over is None:
            outcome = await self._outcome(handler.init, *init.args)
        else:
            outcome = await self._outcome(handler.init_swapped, *init.handed_over, *init.args)
        return kernel.Returned(outcome.value, handler) if isinstance(outcome, kernel.Returned) else outcome

    async def _terminate(self, terminate: kernel.Terminate) -> kernel.Event:
        return await self._outcome(_instance(terminate.handler).terminate, terminate.argument)

    async def _outcome(
        self, callback: Callable[..., Awaitable[object]], *args: object, asked: bool = False
    ) -> kernel.Returned | kernel.Failed | kernel.Refused:
        """Run a callback of a handler: a failure is the handler's alone."""
        try:
            running = callback(*args)
            if not hasattr(running, "__await__"):
                name = getattr(callback, "__qualname__", callback)
                raise UsageError(f"{name}() must be an async def; it is a plain def that returned {running!r}")
            return kernel.Returned(await running)
        except Exit as exit_:
            return kernel.Failed(exit_.reason)
        except (asyncio.CancelledError, ProcessKilled) as error:
            if self._cell.is_ending():
                raise
            return kernel.Failed(crashed(error))
        except Exception as error:  # noqa: BLE001 (an answer, or the end of this handler)
            if asked and isinstance(error, ServiceError):
                return kernel.Refused(error)
            return kernel.Failed(crashed(error))

    def _report(self, report: kernel.Report) -> None:
        state: object = None
        if isinstance(report.handle, EventHandler):
            try:
                state = report.handle.redact(report.handle.get_state())
            except Exception as error:  # noqa: BLE001 (a handler that cannot show its state is still removed alone)
                state = f"state cannot be shown: {error!r}"
        self.runtime.report(
            HandlerReport(self.pid, self._cell.names, report.id, report.reason, report.last_message, state)
        )

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Serve the API."""
        if isinstance(request, WhichHandlers):
            return Reply([handler.id for handler in self._table.handlers])
        if not isinstance(request, kernel.Notify | kernel.Ask | kernel.Add | kernel.Delete | kernel.Swap):
            sender.fail(UsageError(f"{type(self).__name__} is an event manager: use gen_event.call(), not {request!r}"))
            return NoReply()
        answer = await self._drive(request)
        if isinstance(answer, kernel.Refuse):
            sender.fail(answer.error)
            return NoReply()
        return Reply(answer)

    async def handle_cast(self, request: object) -> Result:
        """Hand an event to the handlers; anything else is logged and dropped."""
        if isinstance(request, kernel.Notify):
            await self._drive(request)
            return None
        return await super().handle_info(request)

    async def handle_info(self, message: object) -> Result:
        """Hand any other message to the handlers; an owner's end first removes its own."""
        if isinstance(message, ExitMessage):
            await self._drive(kernel.LinkedEnded(message.pid, message.reason, message))
        else:
            await self._drive(kernel.Notify(message, kernel.HANDLE_INFO))
        return None

    async def terminate(self, reason: ExitReason) -> None:
        """End all handlers, the newest first."""
        await self._drive(kernel.Stop(self._cell.parent))

    def get_state(self) -> object:
        """A `HandlerState` for each handler, in the order of delivery."""
        return [HandlerState(handler.id, _instance(handler).get_state()) for handler in self._table.handlers]

    def replace_states(self, change: Callable[[object], object]) -> None:
        """Replace each handler's state by `change(HandlerState)`; where that fails it stays as it was."""
        for handler in self._table.handlers:
            instance = _instance(handler)
            try:
                changed = change(HandlerState(handler.id, instance.get_state()))
                if isinstance(changed, HandlerState) and changed.handler == handler.id:
                    instance.set_state(changed.state)
            except Exception as error:  # noqa: BLE001 (as in OTP: this handler keeps its state)
                log.warning("%s %s: state not replaced: %s", handler_name(handler.id), self.pid, error)

    async def upgrade(self, new: type[EventHandler], old_version: object, extra: object) -> None:
        """Run the handlers of the older class of that name on as `new`; nothing changes when one cannot."""
        table = self._table
        for handler in table.handlers:
            old = handler_class(handler.id)
            if (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__):
                instance = new()
                instance.set_state(await instance.code_change(old_version, _instance(handler).get_state(), extra))
                new_id: HandlerId = (new, handler.id[1]) if isinstance(handler.id, tuple) else new
                table = kernel.upgraded(table, handler, new_id, instance)
        self._table = table


def _instance(handler: kernel.Handler) -> EventHandler:
    assert isinstance(handler.handle, EventHandler)
    return handler.handle


async def start(
    manager: type[GenEvent] = GenEvent,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> Pid:
    """Start an event manager that nobody is linked to.

    Args:
        manager: Its class. Default: one without handlers.
        *args: For its `init`: the first handlers, unless a subclass says otherwise.
        name: A name to register, as for `gen_server.start`. Default: none.
        timeout_s: Seconds that `init` may take. Default: for ever.

    Raises:
        StartError: A first handler did not start, or the name is taken (reason `("already_started", pid)`).
    """
    return await gen_server.start(manager, *args, name=name, timeout_s=timeout_s)


async def start_link(
    manager: type[GenEvent] = GenEvent,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> Pid:
    """Like `start`, linked to the calling process, which becomes the parent."""
    return await gen_server.start_link(manager, *args, name=name, timeout_s=timeout_s)


async def start_monitor(
    manager: type[GenEvent] = GenEvent,
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
) -> tuple[Pid, Ref]:
    """Like `start`, monitored by the calling process, which becomes the parent; see `gen_server.start_monitor`."""
    return await gen_server.start_monitor(manager, *args, name=name, timeout_s=timeout_s)


__all__ = [
    "GenEvent",
    "HandlerRequest",
    "add_handler",
    "add_sup_handler",
    "call",
    "change_code",
    "delete_handler",
    "get_state",
    "notify",
    "receive_response",
    "replace_state",
    "resume",
    "send_request",
    "start",
    "start_link",
    "start_monitor",
    "statistics",
    "stop",
    "suspend",
    "swap_handler",
    "swap_sup_handler",
    "sync_notify",
    "wait_response",
    "which_handlers",
]
