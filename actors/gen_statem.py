"""GenStatem: a process that is a state machine. It is started, called and stopped by the functions of `gen_server`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from .behaviour import Behaviour
from .errors import CallbackError, UsageError
from .gen_server import start, start_link, start_monitor
from .method import methods_of
from .regulated_cell import RegulatedStatemCell
from .statem_cell import StatemCell

if TYPE_CHECKING:
    from .behaviour_cell import BehaviourCell
    from .kernel.regulation.regulation import Regulation
    from .kernel.statem_actions import FirstState, StateResult
    from .kernel.statem_events import StateEvent
    from .pid import Pid
    from .runtime import Runtime


class GenStatem(Behaviour):
    """A process that is a state machine: what an event does depends on the state that it meets.

    **What it is.** One method for each state, named as the state is; it gets each event and returns where to go.
    The attributes of the instance are the *data*, which all states share. Events are calls, casts, plain messages,
    time-outs, and those that the machine sends itself.

        >>> from raybeam.actors import CallEvent, CastEvent, GenStatem, KeepState, NextState, ReplyTo, Runtime
        >>> from raybeam.actors import StateEvent, StateResult, StateTimeout, StateTimeoutEvent, gen_server
        >>> from raybeam.actors.testing import run
        >>> class Door(GenStatem):
        ...     async def init(self, code: str) -> NextState:
        ...         self.code = code
        ...         return NextState("locked")
        ...     async def locked(self, event: StateEvent) -> StateResult:
        ...         match event:
        ...             case CallEvent(str(code), sender) if code == self.code:
        ...                 return NextState("open", [ReplyTo(sender, "come in"), StateTimeout(10.0)])
        ...             case CallEvent(_, sender):
        ...                 return KeepState(ReplyTo(sender, "wrong code"))
        ...         return KeepState()
        ...     async def open(self, event: StateEvent) -> StateResult:
        ...         match event:
        ...             case CallEvent(_, sender):
        ...                 return KeepState(ReplyTo(sender, "it is open"))
        ...             case CastEvent("pull") | StateTimeoutEvent():
        ...                 return NextState("locked")
        ...         return KeepState()
        >>> async def main() -> list[object]:
        ...     async with Runtime():
        ...         door = await gen_server.start(Door, "1234")
        ...         seen = [await gen_server.request(door, code) for code in ("0000", "1234", "0000")]
        ...         await asyncio.sleep(10.0)  # virtual seconds: `run` lets none pass
        ...         return [*seen, await gen_server.request(door, "0000")]
        >>> import asyncio
        >>> run(main())
        ['wrong code', 'come in', 'it is open', 'wrong code']

    **A failure and its outcome.** Nothing is ignored by default: an event that no case of the state function matches
    (it returns `None`) is a crash, as is any exception: `terminate` runs, the process ends, waiting callers get
    `CallFailed`, its supervisor starts a new one in its first state. Only a `ServiceError` raised at a call is an
    answer: the caller gets it, the state stays. When a state enter call crashes, `terminate` finds `self.state` as it
    was before the transition; the attributes stay as the callbacks have left them.

    **Where events come from**, in the order in which they are handled: inserted by `NextEvent`; postponed until
    the state changed; time-outs of 0 seconds; then the mailbox. All of them are `StateEvent`s: `CallEvent`,
    `CastEvent`, `InfoEvent` (any other message), `InternalEvent`, `StateTimeoutEvent`, `EventTimeoutEvent`,
    `NamedTimeoutEvent`, and `EnterEvent`.

    **What a state function returns:**

    - `NextState(state, actions)`: go to another state. Postponed events are taken up again, oldest first.
    - `KeepState(actions)`: stay. So is `NextState` to the same state.
    - `RepeatState(actions)`: stay, and make the state enter call again.
    - `Stop(reason)`, `StopAndReply(reason, replies)`: end, after `terminate(reason)`.

    **Actions**, one or a list of them:

    - `ReplyTo(sender, value)` answers a call, at once or from a later state (as does `sender.reply(value)`).
    - `Postpone()` keeps the event until the state changes.
    - `NextEvent(event)` inserts an event, most often `NextEvent(InternalEvent(content))`.
    - `StateTimeout(time, content)` passes after that many seconds in this state; a change of the state stops it.
    - `EventTimeout(time, content)`, or just a number of seconds, passes when nothing else happens until then.
    - `NamedTimeout(name, time, content)` passes in any case. Setting a time-out again replaces it; its time may
      also be `"cancel"` or `"update"` (new content, same time).
    - `ChangeCallbackModule(cls)`, `PushCallbackModule(cls)`, `PopCallbackModule()` go on with another class.
    - `Hibernate()` is accepted and does nothing.

    **Callbacks** besides the state functions: `init(*args)` returns `NextState(first, actions)`, or `Ignore()`,
    `Stop(reason)`, `Error(reason)` not to start. `terminate(reason)` runs before the end: after a stop or a crash
    (then `reason` is the exception itself) and for the parent's exit signal if the process traps exits; not when it
    is killed. `code_change(old_version, state, data, extra)` returns `(state, data)` for the new class.

    **Options**, as class attributes:

    - `callback_mode`: `"state_functions"` (default; states are strings), or `"handle_event_function"`: one method
      `handle_event(event)` for all states, which may then be any terms; it looks at `self.state`.
    - `state_enter`: whether the state function is also called with `EnterEvent(old_state)` when the state is
      entered, the first one included, before any other event. It may set time-outs and reply, but not change the
      state, postpone or insert events. Default no.
    - `mailbox_limit`, `mailbox_overflow`, `regulation`: as for `GenServer`. Postponed calls do not count as waiting,
      but as under way.

    **When not to use it.** When what happens does not depend on a state, `GenServer` is simpler. It has no marked
    methods (`@call`): its callers use `gen_server.request` and `gen_server.tell`.
    """

    callback_mode: ClassVar[Literal["state_functions", "handle_event_function"]] = "state_functions"
    state_enter: ClassVar[bool] = False
    _reserved: ClassVar[frozenset[str]] = frozenset()
    _cell: StatemCell

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for name in methods_of(cls):
            mend = "a GenStatem has no marked methods; its callers use gen_server.request(machine, message) and tell"
            raise UsageError(f"{cls.__name__}.{name} is marked with @call, @cast or @query: {mend}")
        if cls.callback_mode not in ("state_functions", "handle_event_function"):
            mend = "use 'state_functions' or 'handle_event_function'"
            raise UsageError(f"{cls.__name__}.callback_mode={cls.callback_mode!r}: {mend}")
        if not isinstance(cls.state_enter, bool):
            raise UsageError(f"{cls.__name__}.state_enter={cls.state_enter!r}: True or False")

    @classmethod
    def _new_cell(cls, runtime: Runtime, pid: Pid, parent: Pid | None) -> StatemCell:
        return StatemCell(runtime, pid, parent, cls())

    @classmethod
    def _new_regulated_cell(
        cls, runtime: Runtime, pid: Pid, parent: Pid | None, regulation: Regulation
    ) -> BehaviourCell[Any]:
        return RegulatedStatemCell(runtime, pid, parent, cls(), regulation)

    @property
    def state(self) -> Any:
        """The state that the machine is in; in a state enter call the one that is entered."""
        return self._cell.machine.state

    async def init(self, *args: Any, **kwargs: Any) -> FirstState:
        """Set the data up and say which state is the first. Must be overridden."""
        raise CallbackError("undef", f"{type(self).__name__} needs an init() that returns NextState(first state)")

    async def handle_event(self, event: StateEvent) -> StateResult | None:
        """Handle an event in any state: for `callback_mode = "handle_event_function"`, then it must be overridden."""
        raise CallbackError("undef", f"{type(self).__name__} needs handle_event(): its callback_mode says so")

    async def code_change(self, old_version: object, state: Any, data: Any, extra: object) -> tuple[object, object]:
        """State and data for this class, from those of `old_version`. Default: the same."""
        return (state, data)

    def get_data(self) -> object:
        """The data, for `get_state`, crash reports and code changes. Default: the attributes."""
        return self._attributes()

    def set_data(self, data: Any) -> None:
        """Put data in place; the opposite of `get_data`."""
        self._set_attributes(data, "set_data")


GenStatem._reserved = frozenset(dir(GenStatem))

_ELSEWHERE = {
    "call": "request",
    "cast": "tell",
    "send_request": "send_request",
    "receive_response": "receive_response",
    "wait_response": "wait_response",
    "stop": "stop",
    "get_state": "get_state",
    "replace_state": "replace_state",
    "suspend": "suspend",
    "resume": "resume",
    "statistics": "statistics",
    "change_code": "change_code",
}


def __getattr__(name: str) -> NoReturn:
    if name in _ELSEWHERE:
        raise AttributeError(
            f"gen_statem has no {name!r}: use gen_server.{_ELSEWHERE[name]}, which is for all behaviours"
        )
    if name == "reply":
        raise AttributeError("gen_statem has no 'reply': return ReplyTo(sender, value), or call sender.reply(value)")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["GenStatem", "start", "start_link", "start_monitor"]
