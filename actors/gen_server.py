"""GenServer: a process with state that answers calls; and OTP's functions to start, ask and stop one."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .answer import await_answer, fail_with_no_process, send_call, time_left
from .behaviour import Behaviour
from .errors import UsageError
from .local_channel import LocalChannel
from .message import Cast
from .method import Method, methods_of
from .reference import reference
from .regulated_cell import RegulatedServerCell, regulation_counters
from .requests import RequestId, multi_call, receive_response, send_request, wait_response
from .runtime import current_runtime, log
from .server_cell import ServerCell
from .start import start, start_link, start_monitor
from .system_calls import change_code, get_state, replace_state, resume, statistics, stop, suspend

if TYPE_CHECKING:
    from .behaviour_cell import BehaviourCell
    from .kernel.regulation.regulation import Regulation
    from .kernel.server import CallResult, InitResult, Result
    from .message import From
    from .pid import Destination, Pid
    from .runtime import Runtime

G = TypeVar("G", bound="GenServer")
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

    **Marked methods** take options too: `timeout_s` (the deadline of a call; default 5), `retry` (what its caller does
    when the outcome is unknown), `key` and, for a query, `hedge` (which replicas of a family are asked), and
    `concurrent` (a query that waits for others is served beside the turn of its process, which goes on meanwhile;
    default no). They are told by `help(raybeam.actors.query)`.

    **Start and reach it.** `gen_server.start`, `start_link` (the end of one is an exit signal to the other) or
    `start_monitor` (its end is a `Down` to the starter); supervisors start it for you. `name=` registers it: a string
    (a name in this runtime), `registry.via(...)` (any key of a `Registry`), or `Global(...)` of `raybeam.cluster` (one
    in the whole system). A pid or any of these is where `ref(cls, ...)`, `request`, `tell`, `stop` and all else go. To
    get exit signals as `ExitMessage`s rather than end by them call `process.trap_exit(True)` in `init`.

    **Options**, as class attributes: `mailbox_limit` (calls that may wait; more are refused with `Overloaded`;
    default 1000; `None`: any number) and `mailbox_overflow` (which one is refused; default `Overflow.REJECT`, the new
    one). `regulation` takes the place of both: a `Regulation` with CoDel, rate, concurrency limit, priorities, fair
    queue, damper (default none; see docs/regulation.md).

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

    @classmethod
    def _new_regulated_cell(
        cls, runtime: Runtime, pid: Pid, parent: Pid | None, regulation: Regulation
    ) -> BehaviourCell[Any]:
        if getattr(cls._new_cell, "__func__", None) is not getattr(GenServer._new_cell, "__func__", None):
            raise UsageError(f"{cls.__name__} cannot be regulated: it takes what comes in an order of its own")
        return RegulatedServerCell(runtime, pid, parent, cls(), regulation)

    async def _boot(self, result: InitResult) -> InitResult:
        """What the engine does with the result of `init`; behaviours built on this one do more."""
        return result

    async def handle_call(self, request: object, sender: From) -> CallResult:
        """Answer a request that is not one of a marked method. Default: a crash, as in OTP."""
        raise UsageError(
            f"{type(self).__name__} has no handle_call() for {request!r}: write one, or call a "
            "marked method through gen_server.ref(...)"
        )

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
        await fail_with_no_process(destination, message)
    sender = send_call(runtime, cell, message, timeout_s, drop_expired, waits=True)
    future = sender.future
    if future.done() and future.exception() is None:
        return future.result()
    return await await_answer(sender, time_left(timeout_s), (destination, message), drop_expired=drop_expired)


def tell(destination: Destination, message: object) -> None:
    """Send a cast, from any thread: OTP's `gen_server:cast`. To nobody it vanishes."""
    runtime = current_runtime()
    cell = runtime.cell(destination)
    if cell is not None:
        if get_ident() == runtime.thread_id:  # for each cast: `runtime.deliver` without its call
            cell.deliver(Cast(message))
        else:
            runtime.deliver(cell, Cast(message))


def ref(server: type[G], destination: Destination) -> G:
    """A typed reference to a process of this runtime: has the marked methods of `server`."""
    given: object = server
    if not isinstance(given, type) or not issubclass(given, GenServer):
        raise UsageError(
            f"ref({given!r}, ...): give the class itself, derived from GenServer, and then the destination"
        )
    return reference(server, LocalChannel(current_runtime(), destination))


__all__ = [
    "GenServer",
    "RequestId",
    "change_code",
    "get_state",
    "multi_call",
    "receive_response",
    "ref",
    "regulation_counters",
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
