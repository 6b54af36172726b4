"""GenServer: a process with state that answers calls; and OTP's functions to start, ask and stop one."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .answer import await_answer, send_call
from .behaviour import Behaviour
from .behaviour_cell import Refused, Start, start_message
from .errors import NoProcess, RaybeamError, StartError, StartIgnored, UsageError
from .interface import Broadcast, Delivery, Invoke, Method, methods_of, reference, result_of
from .kernel.server import CallResult, Ignore, InitResult, Result
from .message import Cast
from .pid import AwaitedResolver, Via
from .process import own_cell
from .requests import RequestId, multi_call, receive_response, send_request, wait_response
from .runtime import current_cell, current_runtime, log
from .server_cell import ServerCell
from .system_calls import change_code, get_state, replace_state, resume, statistics, stop, suspend

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable

    from .behaviour_cell import BehaviourCell, Outcome
    from .cell import Cell
    from .kernel.reason import ExitReason
    from .message import From
    from .pid import Destination, Name, Pid, Ref
    from .runtime import Runtime

G = TypeVar("G", bound="GenServer")
R = TypeVar("R")
DEFAULT_TIMEOUT_S = 5.0


class GenServer(Behaviour):
    """A process that keeps state and serves one message at a time.

    **What it is.** A plain class: its attributes are the state, its marked methods are the interface. Each
    instance lives in a process of its own; nobody else touches its state.

        >>> import asyncio
        >>> from raybeam.actors import GenServer, Runtime, ServiceError, call, gen_server, query
        >>> class Stock(GenServer):
        ...     async def init(self, items: int) -> None:
        ...         self.items = items
        ...     @call
        ...     async def take(self, count: int) -> int:
        ...         if count > self.items:
        ...             raise OutOfStock(f"only {self.items} left")
        ...         self.items -= count
        ...         return self.items
        ...     @query
        ...     async def left(self) -> int:
        ...         return self.items
        >>> class OutOfStock(ServiceError): ...
        >>> async def main() -> list[object]:
        ...     async with Runtime():
        ...         stock = gen_server.ref(Stock, await gen_server.start(Stock, 3))
        ...         seen: list[object] = [await stock.take(2)]
        ...         try:
        ...             await stock.take(2)
        ...         except OutOfStock as error:
        ...             seen.append(str(error))
        ...         return [*seen, await stock.left()]
        >>> asyncio.run(main())
        [1, 'only 1 left', 1]

    **A failure and its outcome.** An exception derived from `ServiceError` is an answer: the caller gets it,
    the process lives on, as above. Any other exception is a crash: `terminate` runs, the process ends, its
    supervisor starts a new one with a clean state, and the caller gets `CallFailed` with the reason. Do not
    catch what you cannot mend.

    **OTP's callbacks.** Beneath the marked methods are the callbacks of `gen_server`; override them for
    requests of your own form, deferred answers, time-outs:

    - `init(*args)` returns `None` or `Ok(...)`; `Ignore()`, `Stop(reason)` or `Error(reason)` do not start.
    - `handle_call(request, sender)` returns `Reply(value)`, `NoReply()` (answer later with `sender.reply`),
      or `Stop(reason, reply)`.
    - `handle_cast(request)`, `handle_info(message)`, `handle_continue(term)`, `handle_timeout()` return `None`,
      `NoReply(...)` or `Stop(reason)`.
    - `terminate(reason)` runs before the end: after `Stop`, after a crash, and for exit signals of the parent
      if the process traps exits. It does not run when the process is killed.
    - `code_change(old_version, state, extra)` returns the state for the new class.

    `Ok`, `Reply` and `NoReply` take `timeout_s` (seconds without a message until `handle_timeout`; default
    never), `continue_with` (calls `handle_continue` before anything else; default no) and `hibernate`
    (lets other processes run before the next message).

    **Options**, as class attributes: `mailbox_limit` (calls that may wait; more are refused with `Overloaded`;
    default 1000; `None`: any number) and `mailbox_overflow` (which one is refused; default `Overflow.REJECT`, the new
    one).

    **When not to use it.** For plain computation (call a function), to protect one value that only one process
    uses, or to arrange code. Use it where state outlives a call, where things happen at the same time, or
    where failures must stay apart. For explicit states use `GenStatem`.
    """

    interface: ClassVar[dict[str, Method[object, ..., object]]] = {}
    _trap_exit: ClassVar[bool] = False
    _cell: ServerCell

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for name, method in vars(cls).items():
            if isinstance(method, Method) and (name in _RESERVED or name.startswith("_")):
                raise UsageError(f"{cls.__name__}.{name}: the name is OTP's or private; give the method another one")
        cls.interface = methods_of(cls)

    @classmethod
    def _new_cell(cls, runtime: Runtime, pid: Pid, parent: Pid | None) -> ServerCell:
        return ServerCell(runtime, pid, parent, cls())

    async def _boot(self, result: InitResult) -> InitResult:
        """What the engine does with the result of `init`; behaviours built on this one do more."""
        return result

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Answer a request that is not one of a marked method. Default: a crash, as in OTP."""
        raise UsageError(f"{type(self).__name__} has no handle_call() for {request!r}")

    async def handle_cast(self, request: object) -> Result:
        """Serve a cast that is not one of a marked method. Default: a crash, as in OTP."""
        raise UsageError(f"{type(self).__name__} has no handle_cast() for {request!r}")

    async def handle_info(self, message: object) -> Result:
        """Serve any other message: plain sends, `Down`, `ExitMessage`. Default: logged and dropped."""
        log.warning("%s %s: unexpected message dropped: %r", type(self).__name__, self.pid, message)
        return None

    async def handle_continue(self, term: object) -> Result:
        """Go on with what a callback put off by `continue_with`. Default: a crash."""
        raise UsageError(f"{type(self).__name__} returned continue_with but has no handle_continue()")

    async def handle_timeout(self) -> Result:
        """The time-out that the last callback asked for has passed. Default: `handle_info(Timeout())`."""
        from .message import TIMEOUT_MESSAGE

        return await self.handle_info(TIMEOUT_MESSAGE)

    async def code_change(self, old_version: object, state: object, extra: object) -> object:
        """The state for this class, from the state of `old_version`. Default: the same."""
        return state

    def get_state(self) -> object:
        """The state, for `get_state`, crash reports and code changes. Default: the attributes."""
        return self._attributes()

    def set_state(self, state: object) -> None:
        """Put a state in place; the opposite of `get_state`."""
        self._set_attributes(state, "set_state")


_RESERVED = frozenset(name for name in dir(GenServer) if not name.startswith("_"))


async def start(
    server: type[Behaviour],
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
    **kwargs: object,
) -> Pid:
    """Start a server that nobody is linked to; returns when its `init` is done. Cancelled before, it is killed.

    Args:
        server: The behaviour class, made without arguments.
        *args: For `init`.
        name: A name to register: a local one, or one of a registry. Default: none.
        timeout_s: Seconds that `init` may take; then it is killed. Default: for ever.
        **kwargs: For `init`.

    Raises:
        StartError: `init` failed, took too long, or the name is taken (reason `("already_started", pid)`).
        StartIgnored: `init` returned `Ignore()`.
    """
    cell = _make(server, name, parent=None, linked=False)
    return await _run_init(cell, args, kwargs, name, timeout_s)


async def start_link(
    server: type[Behaviour],
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
    **kwargs: object,
) -> Pid:
    """Like `start`, linked to the calling process, which becomes the parent.

    Raises:
        NotAProcessError: The caller is not a process; use `start`.
    """
    cell = _make(server, name, parent=own_cell(), linked=True)
    return await _run_init(cell, args, kwargs, name, timeout_s)


async def start_monitor(
    server: type[Behaviour],
    *args: object,
    name: Name | None = None,
    timeout_s: float | None = None,
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
    cell = _make(server, name, parent=starter, linked=False)
    ref = cell.runtime.monitor(starter, cell.pid)
    try:
        return await _run_init(cell, args, kwargs, name, timeout_s), ref
    except (StartError, StartIgnored):
        starter.runtime.demonitor(starter, ref)
        raise


def _make(server: type[Behaviour], name: Name | None, parent: Cell | None, *, linked: bool) -> BehaviourCell[Any]:
    """A new process that has not begun to run."""
    runtime = current_runtime()
    given: object = server
    if not isinstance(given, type) or not issubclass(given, Behaviour):
        mend = "give the class itself, derived from a behaviour such as GenServer; its arguments follow"
        raise UsageError(f"cannot start {server!r}: {mend}")
    awaited = _awaited(name)
    if name is not None and awaited is None and (holder := runtime.whereis(name)) is not None:
        raise StartError(("already_started", holder))
    cell = server._new_cell(runtime, runtime.new_pid(), None if parent is None else parent.pid)
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
    try:
        holder = await resolver.claim_name(runtime, key, cell)
        reason = None if holder is None else ("already_started", holder)
    except RaybeamError as error:
        reason = ("name_not_registered", str(error))
    finally:
        if reason is not None and cell.alive:
            if cell.parent is not None:
                runtime.unlink(cell, cell.parent)
            runtime.finish(cell, reason)
    if reason is not None:
        raise StartError(reason)
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


async def request(
    destination: Destination,
    message: object,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    *,
    drop_expired: bool = False,
) -> object:
    """Ask a process and wait for its answer: OTP's `gen_server:call`.

    Args:
        destination: A pid, or a name.
        message: What is asked; `handle_call` gets it.
        timeout_s: Seconds to wait, `None` for ever. Default 5.
        drop_expired: Whether the callee may drop the work, undone, after the deadline. Default: it does it
            even so, as in OTP, and the late answer is dropped.

    Raises:
        NoProcess: Nobody lives there.
        CallTimeout: No answer in time; the outcome is unknown.
        Overloaded: The callee's mailbox is full; nothing was done.
        CallFailed: The callee ended without an answer; `cause` is its exit reason, or `"calling_self"`.
    """
    runtime = current_runtime()
    cell = runtime.cell(destination)
    if cell is None:
        raise NoProcess((destination, message))
    sender = send_call(runtime, cell, message, timeout_s, drop_expired, waits=True)
    if sender.future.done() and sender.future.exception() is None:
        return sender.future.result()
    return await await_answer(sender, timeout_s, (destination, message))


def tell(destination: Destination, message: object) -> None:
    """Send a cast, from any thread: OTP's `gen_server:cast`. To nobody it vanishes."""
    runtime = current_runtime()
    cell = runtime.cell(destination)
    if cell is not None:
        if get_ident() == runtime.thread_id:  # for each cast: `runtime.deliver` without its call
            cell.deliver(Cast(message))
        else:
            runtime.deliver(cell, Cast(message))


class LocalChannel:
    """The channel of a reference to a process of this runtime."""

    __slots__ = ("_destination", "_runtime")

    def __init__(self, runtime: Runtime, destination: Destination) -> None:
        self._runtime = runtime
        self._destination = destination

    def __repr__(self) -> str:
        return str(self._destination)

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Call the process; see `request`."""
        cell = self._runtime.cell(self._destination)
        if cell is None:
            raise NoProcess((self._destination, request))
        sender = send_call(self._runtime, cell, request, delivery.timeout_s, drop_expired=True, waits=True)
        return await await_answer(sender, delivery.timeout_s, (self._destination, request))

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """Call the process: here it is all there is."""
        return Broadcast({0: await result_of(self.ask(request, delivery))})

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to the process."""
        cell = self._runtime.cell(self._destination)
        if cell is not None:
            cell.deliver(Cast(request))

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run a call from another thread than the runtime's."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._runtime.loop).result()


def ref(server: type[G], destination: Destination) -> G:
    """A typed reference to a process of this runtime: has the marked methods of `server`."""
    return reference(server, LocalChannel(current_runtime(), destination))


__all__ = [
    "GenServer",
    "RequestId",
    "change_code",
    "get_state",
    "multi_call",
    "receive_response",
    "ref",
    "replace_state",
    "request",
    "resume",
    "send_request",
    "start",
    "start_link",
    "start_monitor",
    "statistics",
    "stop",
    "suspend",
    "tell",
    "wait_response",
]
