"""The engine of `GenStatem`: hands events to the callbacks, and does what the kernel makes of what they return."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Final, cast

from .behaviour_cell import BehaviourCell, Refused, Start
from .call_context import serving_as
from .cell import ALIVE, crashed
from .errors import CallbackError, CallTimeout, Exit, ProcessKilled, UsageError
from .kernel import statem
from .kernel.reason import NORMAL, is_normal_end
from .kernel.server import ABSENT, Error, Ignore, Stop
from .kernel.statem_actions import KeepState, NextState, ReplyTo
from .kernel.statem_events import CallEvent, CastEvent, EnterEvent, InfoEvent
from .kernel.statem_timers import Arm, Disarm
from .message import Call, Cast, SystemCall
from .system_calls import serve_system_call

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from .gen_statem import GenStatem
    from .kernel.reason import ExitReason
    from .kernel.statem_actions import TimerKey
    from .kernel.statem_events import StateEvent
    from .pid import Pid
    from .runtime import Runtime

EVENTS_PER_TURN = 64
KEEP_STATE: Final = KeepState()
MENDS: Final = {
    "bad_return_from_state_function": "return NextState, KeepState, RepeatState, Stop(reason) or StopAndReply",
    "bad_state_enter_return_from_state_function": "an enter call may not change the state; a StateTimeout(0) may",
    "bad_action_from_state_function": "not an action, or one with a wrong value",
    "bad_state_enter_action_from_state_function": "an enter call may not postpone, insert events or change the class",
    "bad_reply_action_from_state_function": "StopAndReply takes ReplyTo(sender, value) only",
}


class TimerOver:
    """A message: an armed timer is over."""

    __slots__ = ("key", "number")

    def __init__(self, key: TimerKey, number: int) -> None:
        self.key = key
        self.number = number


class StatemCell(BehaviourCell["GenStatem"]):
    """A process that runs a `GenStatem`.

    Attributes:
        machine: The state machine as the kernel has it.
        handles: The timers of the loop for the time-outs that are armed.
    """

    __slots__ = ("handles", "machine")

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None, server: GenStatem) -> None:
        super().__init__(runtime, pid, parent, server)
        self.machine = statem.Machine(None, (type(server),))
        self.handles: dict[TimerKey, asyncio.TimerHandle] = {}

    async def handle(self, message: object) -> None:
        """Do what one message asks for."""
        kind = type(message)
        if self.suspended and kind is not SystemCall and not self._from_parent(message):
            self.hold(message)
            return
        self.messages_handled += 1
        if kind is Call:
            call = cast("Call", message)
            if call.context is None:
                await self._handle_call(call)
            else:
                with serving_as(call.context):
                    await self._handle_call(call)
        elif kind is Cast:
            await self._advance(CastEvent(cast("Cast", message).request))
        elif kind is SystemCall:
            await serve_system_call(self, cast("SystemCall", message))
        elif kind is TimerOver:
            over = cast("TimerOver", message)
            self.machine, event = statem.timer_due(self.machine, over.key, over.number)
            if event is not None:
                del self.handles[over.key]
                await self._advance(event)
        elif kind is Start:
            await self._start(cast("Start", message))
        elif self._from_parent(message):
            await self.stop(message.reason)  # type: ignore[attr-defined]  # an ExitMessage
        else:
            await self._advance(InfoEvent(message))

    async def _handle_call(self, call: Call) -> None:
        loop, on_served = self.runtime.loop, self.runtime.on_served
        started = loop.time() if on_served is not None or call.drop_expired else 0.0
        if call.drop_expired:
            if call.deadline is not None and started > call.deadline:
                call.sender.fail(CallTimeout())
                return
            if call.sender not in self.calls:  # cancelled while it waited
                return
        if call.origin is not None and self.known_before(call):
            return
        self.serving = call
        await self._advance(CallEvent(call.request, call.sender))
        self.serving = None
        if on_served is not None:
            self.runtime.observe(on_served, self, started - call.enqueued_at, loop.time() - started)

    async def _start(self, start: Start) -> None:
        server = self.server
        try:
            running = server.init(*start.args, **start.kwargs)
            self.check_async("init", running)
            result: object = await running
        except Exit as exit_:
            self.refuse_start(start, Refused(exit_.reason), exit_.reason)
        except asyncio.CancelledError as error:
            if self.is_ending():
                raise
            self._refuse(start, error)
        except Exception as error:  # noqa: BLE001 (let it crash: the starter gets the reason)
            self._refuse(start, error)
        else:
            match result:
                case NextState(state, actions):
                    if not start.outcome.done():
                        start.outcome.set_result(None)
                    self.machine, effects, following = statem.begin(state, actions, type(server))
                    for effect in effects:
                        await self._perform(effect, statem.INIT_EVENT)
                    await self._advance(following)
                case Ignore():
                    self.refuse_start(start, result, NORMAL)
                case Error(reason, mend):
                    self.refuse_start(start, Refused(reason, mend), NORMAL)
                case Stop(reason=reason, reply=reply) if reply is ABSENT:
                    self.refuse_start(start, Refused(reason), reason)
                case _:
                    reason = ("bad_return_from_init", result)
                    mend = (
                        f"{self.description()}.init() returned {result!r}: return NextState(first_state), "
                        "or Ignore(), Stop(reason) or Error(reason) not to start"
                    )
                    self.report(reason, mend)
                    self.refuse_start(start, Refused(reason, mend), reason)

    def _refuse(self, start: Start, error: BaseException) -> None:
        self.report(crashed(error))
        self.refuse_start(start, Refused(error), crashed(error))

    async def _advance(self, event: StateEvent | None) -> None:
        """Handle an event, and all that must be handled before the next message."""
        handled = 0
        while event is not None:
            try:
                result = await self._callback(event)
            except Exit as exit_:
                if type(event) is not CallEvent or not self.gave_up(exit_, self.serving):
                    await self._crash(event, exit_.reason, exit_.reason)
                    return
                event.sender.fail(CallTimeout())
                result = KEEP_STATE
            except (asyncio.CancelledError, ProcessKilled) as error:
                if self.is_ending():
                    raise
                await self._crash(event, error, crashed(error))
                return
            except Exception as error:  # noqa: BLE001 (an answer, or let it crash)
                if type(event) is not CallEvent or not self.server.is_answer(error):
                    await self._crash(event, error, crashed(error))
                    return
                event.sender.fail(error)
                result = KEEP_STATE
            if self.exit_reason is not ALIVE:
                return
            self.machine, effects, following = statem.returned(self.machine, event, result)
            for effect in effects:
                if type(effect) is ReplyTo:
                    effect.sender.reply(effect.value)
                else:
                    await self._perform(effect, event)
            event = following
            handled += 1
            if handled % EVENTS_PER_TURN == 0:  # a machine that feeds itself must not starve the others
                await asyncio.sleep(0)

    def _callback(self, event: StateEvent) -> Coroutine[object, object, object]:
        """The callback for an event, called."""
        server = self.server
        if server.callback_mode == "handle_event_function":
            return server.handle_event(event)
        state = self.machine.state
        function: object = None
        if isinstance(state, str) and state not in server._reserved:
            function = getattr(type(server), state, None)  # of the class: data may have a state's name
        if not callable(function):
            mend = f"write async def {state}(self, event), or go to another state"
            raise CallbackError("undef", f"{self.description()} has no state function {state!r}: {mend}")
        running = function(server, event)
        if not hasattr(running, "__await__"):
            raise UsageError(f"{self.description()}.{state}: a state function must be an async def")
        return cast("Coroutine[object, object, object]", running)

    async def _perform(self, effect: statem.Effect, event: StateEvent) -> None:
        """Do one thing that the kernel says, after the callback of `event`."""
        match effect:
            case ReplyTo(sender, value):
                sender.reply(value)
            case Arm(key, number, time_s, absolute):
                loop = self.runtime.loop
                when = time_s if absolute else loop.time() + time_s
                context = contextvars.Context()  # the current one would keep this process in memory, disarmed or not
                self.handles[key] = loop.call_at(when, self._timer_over, TimerOver(key, number), context=context)
            case Disarm(key):
                self.handles.pop(key).cancel()
            case statem.Use(module):
                self._use(cast("type[GenStatem]", module))
            case statem.End(reason):
                await self._end(event, reason, reason)
            case statem.Fail(reason):
                error = CallbackError(reason, self._mend(event, reason))
                await self._end(event, error, crashed(error))

    def _mend(self, event: StateEvent, reason: object) -> str:
        """What is wrong with what a callback returned."""
        match reason:
            case (str(kind), value):
                return f"{self.description()} returned {value!r} for {event!r} ({kind}): {MENDS[kind]}"
            case _:
                by_state = self.server.callback_mode == "state_functions"
                name = f"{self.description()}.{self.machine.state if by_state else 'handle_event'}()"
                if isinstance(event, EnterEvent):  # the machine is back in the state before
                    name = f"a state enter call of {self.description()}"
                return f"{name} returned None for {event!r}: no case matches it; KeepState() ignores an event"

    def _timer_over(self, message: TimerOver) -> None:
        if self.alive:
            self.deliver(message)

    async def stop(self, reason: ExitReason) -> None:
        """Run `terminate`, end."""
        await self._end(None, reason, reason)

    async def _crash(self, event: StateEvent, told: object, reason: ExitReason) -> None:
        """End, because the callback of `event` failed."""
        self.machine = statem.undone(self.machine)
        await self._end(event, told, reason)

    async def _end(self, event: StateEvent | None, told: object, reason: ExitReason) -> None:
        """End, because of what came of `event`; `terminate` gets the bare reason, without the traceback."""
        self.last_message = event
        final = await self.terminated(told, reason)
        if self.exit_reason is not ALIVE:
            return
        if not is_normal_end(final):
            self.report(final)
        self.runtime.finish(self, final)

    def disarm(self) -> None:
        """Call off all time-outs."""
        for handle in self.handles.values():
            handle.cancel()

    def reported_state(self) -> object:
        """State and data, redacted."""
        server = self.server
        return (self.machine.state, server.redact(server.get_data()))

    async def serve_state_call(self, operation: str, argument: object) -> object:
        """`get_state`, `replace_state`, `change_code`: past the callbacks."""
        server = self.server
        if operation == "get_state":
            return (self.machine.state, server.get_data())
        if operation == "replace_state":
            change = cast("Callable[[object], object]", argument)
            state, data = _state_and_data(change((self.machine.state, server.get_data())))
            server.set_data(data)
            self.machine = self.machine._replace(state=state)
            return (state, server.get_data())
        if operation == "change_code":
            module, old_version, extra = cast("tuple[type[GenStatem], object, object]", argument)
            new = module()
            new._cell = self
            changed = await new.code_change(old_version, self.machine.state, server.get_data(), extra)
            state, data = _state_and_data(changed)
            new.set_data(data)
            self.server = new
            self.machine = self.machine._replace(state=state, modules=(module, *self.machine.modules[1:]))
            return None
        raise UsageError(f"a GenStatem does not know the system call {operation!r}")

    def _use(self, module: type[GenStatem]) -> None:
        """Go on with another class and the same data."""
        new = module()
        new._cell = self
        new.set_data(self.server.get_data())
        self.server = new


def _state_and_data(pair: object) -> tuple[object, object]:
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise UsageError(f"a state machine's state is a pair (state, data), not {pair!r}")
    return pair
