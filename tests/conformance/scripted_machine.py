"""The state machine of a scenario: a `GenStatem` that answers from the table."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallbackError,
    CallEvent,
    CastEvent,
    EnterEvent,
    Error,
    EventTimeout,
    EventTimeoutEvent,
    Exit,
    ExitMessage,
    GenStatem,
    Hibernate,
    Ignore,
    InfoEvent,
    InternalEvent,
    KeepState,
    NamedTimeout,
    NamedTimeoutEvent,
    NextEvent,
    NextState,
    Postpone,
    RepeatState,
    ReplyTo,
    Runtime,
    StateEvent,
    StateTimeout,
    StateTimeoutEvent,
    Stop,
    StopAndReply,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import Observation, Raised, ms

if TYPE_CHECKING:
    from raybeam.actors.kernel.reason import ExitReason
    from tests.conformance.gen_statem import Play

Row = dict[str, Any]


class Told(Observation):
    """Knows how the scenario wrote the actions and results that the machine returned."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.written: list[tuple[object, Any]] = []

    def write(self, made: object, json: Any) -> Any:
        """Remember how something that the machine returns is written."""
        self.written.append((made, json))
        return made

    def term(self, term: object) -> Any:
        for made, json in self.written:
            if made is term:
                return json
        if isinstance(term, float):  # the content of a bare time-out: its seconds
            return round(term * 1000)
        return super().term(term)

    def _raised(self, error: BaseException) -> Any:
        match error:
            case CallbackError(reason=("bad_state_enter_action_from_state_function", action)):
                written = self.term(action)  # Erlang knows of this one, written as a pair, only in state calls
                kind = "bad_action" if written == ["postpone", True] else "bad_state_enter_action"
                return [f"{kind}_from_state_function", written]
            case CallbackError(reason=reason):
                return self.term(reason)
            case _:
                return super()._raised(error)

    def reason(self, reason: ExitReason) -> Any:
        """What `terminate` gets: of a crash the exception only."""
        return self._raised(reason) if isinstance(reason, BaseException) else self.term(reason)


class Scripted(GenStatem):
    """A machine whose data is an integer, and whose callbacks answer from the table."""

    mailbox_limit = 10_000

    async def init(self, play: Play, who: str) -> Any:
        self.play = play
        self.told = play.told
        self.who = who
        self.data: int = play.machine["data"]
        self.left: tuple[Any, int] = (None, self.data)  # state and data before the transition under way
        self.into: Any = None  # the state that it goes to
        self.in_enter = False  # within a state enter call that has not returned
        self.used: Counter[Any] = Counter()
        self.senders: dict[str, Any] = {}
        self.told.name(self.pid, who)
        process.trap_exit(play.machine.get("trap_exit", False))
        self.told.record("init", who)
        match play.machine["init"]:
            case "ignore":
                return Ignore()
            case ["ok", state, *actions]:
                self.told.came_up(self.pid)
                return NextState(terms.read(state), [self.action(action, None) for some in actions for action in some])
            case ["stop", reason]:
                return Stop(terms.read(reason))
            case ["error", reason]:
                return Error(terms.read(reason))
            case ["raise", reason]:
                raise Raised(terms.read(reason))
            case ["exit", reason]:
                raise Exit(terms.read(reason))
            case ["bad", term]:
                return terms.read(term)
            case init:
                raise ValueError(f"unknown init {init!r}")

    async def handle_event(self, event: StateEvent) -> Any:
        kind, content, sender = self.read(event)
        state = self.told.term(self.state)
        self.told.record("event", self.who, state=state, type=kind, content=content, data=self.data)
        if kind == "call":
            self.senders[repr(content)] = sender
        self.in_enter = kind == "enter"
        if not self.in_enter:
            self.left, self.into = (self.state, self.data), self.state
        with self.told.working():
            for row in self.play.machine["table"]:
                if self.matches(row, state, kind, content):
                    await ms(row.get("sleep", 0))
                    before = self.data
                    result = self.result(row["do"], row, sender)
                    if isinstance(result, NextState):
                        if self.in_enter and result.state != self.state:
                            self.data = before  # a wrong result: its data count for nothing
                        else:
                            self.into = result.state
                    self.in_enter = False
                    return result
        return None

    async def terminate(self, reason: ExitReason) -> None:
        """In Erlang the data are a value: after a crash in a state enter call it is as before, as the state is."""
        state, data = self.left
        if self.in_enter or self.into != state == self.state:
            self.data = data
        reason, state = self.told.reason(reason), self.told.term(self.state)
        self.told.record("terminate", self.who, reason=reason, state=state, data=self.data)

    def get_data(self) -> object:
        return self.data

    def read(self, event: StateEvent) -> tuple[Any, Any, Any]:
        """Type and content of an event as a trace writes them, and whom to answer."""
        term = self.told.term
        match event:
            case CallEvent(request, sender):
                return "call", term(request), sender
            case CastEvent(request):
                return "cast", term(request), None
            case InfoEvent(ExitMessage(_, reason)):
                return "info", ["EXIT", term(reason)], None
            case InfoEvent(message):
                return "info", term(message), None
            case InternalEvent(content):
                return "internal", term(content), None
            case EnterEvent(old_state):
                return "enter", term(old_state), None
            case StateTimeoutEvent(content):
                return "state_timeout", term(content), None
            case EventTimeoutEvent(content):
                return "timeout", term(content), None
            case NamedTimeoutEvent(name, content):
                return ["timeout", term(name)], term(content), None

    def matches(self, row: Row, state: Any, kind: Any, content: Any) -> bool:
        """Whether a row is for this event; one with `times` is used up by it."""
        if any(row[key] not in ("*", is_) for key, is_ in (("state", state), ("type", kind), ("content", content))):
            return False
        if "times" not in row:
            return True
        key = repr((row["state"], row["type"], row["content"], row["times"]))
        if self.used[key] >= row["times"]:
            return False
        self.used[key] += 1
        return True

    def result(self, do: list[Any], row: Row, sender: Any) -> Any:
        """What the callback returns, or raises."""
        match do:
            case ["throw", inner]:
                return self.result(inner, row, sender)
            case ["bad", term]:
                return terms.read(term)
            case ["raise", reason]:
                raise Raised(terms.read(reason))
            case ["exit", reason]:
                raise Exit(terms.read(reason))
            case ["stop"]:
                return Stop("normal")
        written = row.get("actions", [])
        listed = do[2] if do[0] == "stop_and_reply" else [] if do[0] == "stop" else written
        actions = [self.action(action, sender) for action in listed]
        if not do[0].endswith("_and_data"):
            change = row.get("data", {})
            self.data = change.get("set", self.data) + change.get("add", 0)
        match do:
            case ["stop", reason]:
                return Stop(terms.read(reason))
            case ["stop_and_reply", reason, _]:
                return StopAndReply(terms.read(reason), actions)
            case ["next_state", state]:
                made = NextState(terms.read(state), actions)
                shown = [_written(action) for action in written]
                return self.told.write(made, ["next_state", state, self.data, {"list": shown}])
            case ["keep_state" | "keep_state_and_data"]:
                return KeepState(actions)
            case ["repeat_state" | "repeat_state_and_data"]:
                return RepeatState(actions)
            case _:
                raise ValueError(f"unknown result {do!r}")

    def action(self, action: list[Any], sender: Any) -> Any:
        """An action of the scenario."""
        made = self._action(action, sender)
        return made if isinstance(made, int | float | str | bool) else self.told.write(made, _written(action))

    def _action(self, action: list[Any], sender: Any) -> Any:
        match action:
            case ["reply", "$from", value]:
                return ReplyTo(sender, terms.read(value))
            case ["reply", request, value]:
                if repr(request) not in self.senders:
                    raise Raised(("badkey", terms.read(request)))
                return ReplyTo(self.senders[repr(request)], terms.read(value))
            case ["postpone", *wanted]:
                return Postpone(*wanted)
            case ["hibernate", *wanted]:
                return Hibernate(*wanted)
            case ["next_event", kind, content]:
                return NextEvent(_event(kind, terms.read(content), sender))
            case ["state_timeout", *timeout]:
                return StateTimeout(*_timeout(timeout))
            case ["timeout", *timeout]:
                return EventTimeout(*_timeout(timeout))
            case [["timeout", name], *timeout]:
                return NamedTimeout(terms.read(name), *_timeout(timeout))
            case ["plain_timeout", time]:
                return _seconds(time)
            case ["bad_action", int(time)] if not isinstance(time, bool):
                return _seconds(time)  # a time after all
            case ["bad_action", term]:
                return terms.read(term)
            case _:
                raise ValueError(f"unknown action {action!r}")


class StateFunctions(Scripted):
    """Has the states s0 to s5."""

    async def s0(self, event: StateEvent) -> Any:
        return await self.handle_event(event)

    s1 = s2 = s3 = s4 = s5 = s0


def _event(kind: Any, content: object, sender: Any) -> Any:
    """An event to insert; of an unknown type it is just a term."""
    match kind:
        case "call":
            return CallEvent(content, sender)
        case "cast":
            return CastEvent(content)
        case "info":
            return InfoEvent(content)
        case "internal":
            return InternalEvent(content)
        case "timeout":
            return EventTimeoutEvent(content)
        case "state_timeout":
            return StateTimeoutEvent(content)
        case ["timeout", name]:
            return NamedTimeoutEvent(terms.read(name), content)
        case _:
            return terms.read(kind)


def _timeout(timeout: list[Any]) -> list[Any]:
    time, *content = timeout
    return [time if time in ("cancel", "update") else _seconds(time), *map(terms.read, content)]


def _seconds(time: Any) -> Any:
    if time == "infinity":
        return math.inf
    if isinstance(time, float):
        return str(time)  # no time in Erlang
    return time / 1000 if isinstance(time, int) and not isinstance(time, bool) else terms.read(time)


def _written(action: Any) -> Any:
    """An action as Erlang has it: a scenario writes some of them in lists of one."""
    match action:
        case ["postpone"] | ["hibernate"]:
            return action[0]
        case ["plain_timeout" | "bad_action", term]:
            return term
        case _:
            return action
