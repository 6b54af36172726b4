"""The engine of `GenServer`: takes messages from the mailbox, calls the callbacks, does what they return."""

from __future__ import annotations

import asyncio
import contextvars
from types import CoroutineType
from typing import TYPE_CHECKING

from .behaviour_cell import BehaviourCell, Refused, Start
from .call_context import serving_as
from .cell import ALIVE, crashed
from .concurrent_calls import CONCURRENT_LIMIT, ConcurrentCalls, Failed
from .delivery import Invoke
from .errors import CallbackError, CallingSelf, CallTimeout, Exit, InvalidArgumentsError, ProcessKilled, UsageError
from .kernel.reason import is_normal_end
from .kernel.server import ABSENT, GO_ON, Error, Ignore, Ok, Reply, Stop, bad_return, mend
from .message import TIMEOUT_MESSAGE, Call, Cast, SystemCall, Timeout
from .method import serve
from .runtime import log
from .system_calls import serve_system_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from .gen_server import GenServer
    from .kernel.reason import ExitReason
    from .message import From
    from .method import Method
    from .pid import Pid
    from .runtime import Runtime


class ServerCell(BehaviourCell["GenServer"]):
    """A process that runs a `GenServer`."""

    __slots__ = ("timeout_s", "timer")

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None, server: GenServer) -> None:
        super().__init__(runtime, pid, parent, server)
        self.trap_exit = server._trap_exit
        self.timer: asyncio.TimerHandle | None = None
        self.timeout_s: float | None = None

    def handle(self, message: object) -> Coroutine[object, object, None]:
        """Do what one message asks for. Not a coroutine of its own: a call, which is most, needs one less."""
        kind = type(message)
        if self.suspended and kind is not SystemCall and kind is not Failed and not self._from_parent(message):
            return self._hold(message)
        self.messages_handled += 1
        if self.timeout_s is not None:
            self.disarm()
            if kind is not SystemCall:  # after a system call the time-out begins anew, as in OTP
                self.timeout_s = None
        if kind is Call:
            if message.context is None:  # type: ignore[attr-defined]  # a Call
                return self._handle_call(message)  # type: ignore[arg-type]
            return self._handle_call_in_context(message)  # type: ignore[arg-type]
        return self._handle_other(message)

    async def _hold(self, message: object) -> None:
        self.hold(message)

    async def _handle_call_in_context(self, call: Call) -> None:
        assert call.context is not None
        with serving_as(call.context):
            await self._handle_call(call)

    async def _handle_other(self, message: object) -> None:
        """Do what a message that is no call asks for."""
        kind = type(message)
        if kind is Cast:
            request = message.request  # type: ignore[attr-defined]  # a Cast
            if type(request) is Invoke:
                await self._callback("handle_cast", self._invoke_cast, (request,), request)
            else:
                await self._callback("handle_cast", self.server.handle_cast, (request,), request)
        elif kind is SystemCall:
            await serve_system_call(self, message)  # type: ignore[arg-type]  # a SystemCall
            self._arm()
        elif kind is Start:
            await self._start(message)  # type: ignore[arg-type]  # a Start
        elif kind is Timeout:
            await self._callback("handle_timeout", self.server.handle_timeout, (), message)
        elif kind is Failed:
            self.last_message = message.request  # type: ignore[attr-defined]  # a Failed
            await self.stop(message.reason)  # type: ignore[attr-defined]
        elif self._from_parent(message):
            await self.stop(message.reason)  # type: ignore[attr-defined]  # an ExitMessage
        else:
            await self._callback("handle_info", self.server.handle_info, (message,), message)

    async def _start(self, start: Start) -> None:
        failure: ExitReason
        server = self.server
        try:
            running = server.init(*start.args, **start.kwargs)
            self.check_async("init", running)
            result = await server._boot(await running)
            bad = bad_return("init", result)
            if bad is None and (result is None or isinstance(result, Ok)):
                if not start.outcome.done():
                    start.outcome.set_result(None)
                await self.go_on(result or GO_ON)
                return
            outcome: Ignore | Refused
            if bad is not None:
                failure, outcome = bad, Refused(bad, f"{self.description()}.{mend('init', result)}")
            elif isinstance(result, Stop | Error):
                failure = result.reason
                outcome = Refused(failure, result.mend if isinstance(result, Error) else "")
            else:
                assert isinstance(result, Ignore)
                failure, outcome = "normal", result
        except Exit as exit_:
            failure, outcome = exit_.reason, Refused(exit_.reason)
        except asyncio.CancelledError as error:
            if self.is_ending():
                raise
            failure = crashed(error)
            outcome = Refused(failure)
        except Exception as error:  # noqa: BLE001 (let it crash: the starter gets the reason)
            failure = crashed(error)
            outcome = Refused(failure, error.mend if isinstance(error, CallbackError) else "")
        self.refuse_start(start, outcome, failure)

    async def _handle_call(self, call: Call) -> None:
        request, runtime = call.request, self.runtime
        on_served = runtime.on_served
        started = runtime.loop.time() if on_served is not None or call.drop_expired else 0.0
        if call.drop_expired:
            if call.deadline is not None and started > call.deadline:
                call.sender.fail(CallTimeout())
                return
            if call.sender not in self.calls:  # cancelled while it waited
                return
        if call.origin is not None and self.known_before(call):
            return
        sender = call.sender
        if type(request) is Invoke:
            method = self.server.interface.get(request.method)
            if method is not None and method.concurrent:
                if self.beside is None:
                    self.beside = ConcurrentCalls(self, self.concurrent_limit())
                self.beside.begin(call, method)
                await asyncio.sleep(0)  # its task begins before anything that comes after it
                return
            self.serving = call
            await self._invoke(method, request, sender)
        else:
            self.serving = call
            await self._callback("handle_call", self.server.handle_call, (request, sender), request, sender)
        self.serving = None
        if on_served is not None:
            runtime.observe(on_served, self, started - call.enqueued_at, runtime.loop.time() - started)

    def concurrent_limit(self) -> int:
        """How many concurrent queries may be under way."""
        return CONCURRENT_LIMIT

    async def _invoke(self, method: Method[object, ..., object] | None, request: Invoke, sender: From) -> None:
        """A call of a marked method: the value is the answer."""
        try:
            running = serve(self.server, request) if method is None else method.serve(self.server, request)
        except InvalidArgumentsError as error:
            sender.fail(error)
            return
        except Exception as error:  # noqa: BLE001 (judged where all callbacks are)
            running = _raise(error)
        try:
            value = await running
        except Exception as error:  # noqa: BLE001 (judged where all callbacks are)
            await self._callback("handle_call", _raise, (error,), request, sender)
        except (asyncio.CancelledError, ProcessKilled) as error:
            if self.is_ending():
                raise
            await self._callback("handle_call", _raise, (error,), request, sender)
        else:
            sender.reply(value)

    async def _invoke_cast(self, request: Invoke) -> None:
        """A cast of a marked method; one that its sender got wrong must not harm the callee."""
        try:
            running = serve(self.server, request)
        except InvalidArgumentsError as error:
            log.error("%s %s: cast dropped: %s", self.description(), self.pid, error)
            return
        await running

    async def _callback(
        self,
        name: str,
        function: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
        message: object,
        sender: From | None = None,
    ) -> None:
        """Run one callback and do what it returns."""
        wrong = ""
        try:
            running = function(*args)
            if type(running) is not CoroutineType:  # the check without its call: there is one callback to each message
                self.check_async(name, running)
            result = await running
        except Exit as exit_:
            if sender is not None and self.gave_up(exit_, self.serving):
                sender.fail(CallTimeout())
                return
            reason: ExitReason = exit_.reason
            wrong = str(exit_) if isinstance(exit_, CallingSelf) else ""
        except (asyncio.CancelledError, ProcessKilled) as error:
            if self.is_ending():
                raise
            reason = crashed(error)
        except Exception as error:  # noqa: BLE001 (an answer, or let it crash)
            if sender is not None and self.server.is_answer(error):
                sender.fail(error)
                return
            reason = crashed(error)
        else:
            if type(result) is Reply and sender is not None:
                sender.reply(result.value)
                if result.timeout_s is not None or result.continue_with is not ABSENT or result.hibernate:
                    await self.go_on(result)
                return
            if result is None and name != "handle_call":
                return
            bad = bad_return(name, result)
            if bad is None:
                if isinstance(result, Stop):
                    self.last_message = message
                    await self.stop(result.reason, sender, result.reply)
                else:
                    assert isinstance(result, type(GO_ON))
                    await self.go_on(result)
                return
            reason, wrong = bad, f"{self.description()}.{mend(name, result)}"
        self.last_message = message
        await self.stop(reason, mend=wrong)

    async def go_on(self, result: Ok | Reply | object) -> None:
        """Arm the time-out or run the continuation that a result asks for."""
        assert isinstance(result, Ok | Reply | type(GO_ON))
        if self.exit_reason is not ALIVE:
            return
        if result.continue_with is not ABSENT:
            term = result.continue_with
            await self._callback("handle_continue", self.server.handle_continue, (term,), ("continue", term))
        elif result.timeout_s is not None:
            self.timeout_s = result.timeout_s
            self._arm()
        elif result.hibernate:
            await asyncio.sleep(0)  # as in OTP, what others have under way comes in before the next message

    def _arm(self) -> None:
        if self.timeout_s is not None and not self.mailbox and not self.suspended and self.exit_reason is ALIVE:
            if self.timeout_s == 0:  # passes at once, before what other processes have under way comes in
                self.deliver(TIMEOUT_MESSAGE)
                return
            context = contextvars.Context()  # the current one would keep this process in memory, disarmed or not
            self.timer = self.runtime.loop.call_later(self.timeout_s, self._time_out, context=context)

    def disarm(self) -> None:
        """Call off the time-out."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _time_out(self) -> None:
        self.timer = None
        if self.alive and not self.mailbox and not self.scheduled:
            self.deliver(TIMEOUT_MESSAGE)

    async def stop(
        self, reason: ExitReason, sender: From | None = None, reply: object = ABSENT, *, mend: str = ""
    ) -> None:
        """Run `terminate`, answer the last caller, end; `mend` is for the crash report."""
        final = await self.terminated(reason, reason)
        if self.exit_reason is not ALIVE:
            return
        if sender is not None and reply is not ABSENT:
            sender.reply(reply)
        if not is_normal_end(final):
            self.report(final, mend)
        self.runtime.finish(self, final)

    def reported_state(self) -> object:
        """The state, redacted."""
        return self.server.redact(self.server.get_state())

    async def serve_state_call(self, operation: str, argument: object) -> object:
        """`get_state`, `replace_state`, `change_code`: past the callbacks."""
        server = self.server
        if operation == "get_state":
            return server.get_state()
        if operation == "replace_state":
            assert callable(argument)
            server.set_state(argument(server.get_state()))
            return server.get_state()
        if operation == "change_code":
            assert isinstance(argument, tuple)
            module, old_version, extra = argument
            new: GenServer = module()
            new._cell = self
            new.set_state(await new.code_change(old_version, server.get_state(), extra))
            self.server = new
            return None
        raise UsageError(f"a GenServer does not know the system call {operation!r}")


async def _raise(error: BaseException) -> object:
    raise error
