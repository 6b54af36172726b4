"""Plays scenarios of gen_statem: the machine is a `GenStatem` that answers from the table of the scenario."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallbackError,
    CallEvent,
    CallFailed,
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
    NoProcess,
    Pid,
    Postpone,
    RepeatState,
    ReplyTo,
    Runtime,
    StartError,
    StartIgnored,
    StateEvent,
    StateTimeout,
    StateTimeoutEvent,
    Stop,
    StopAndReply,
    gen_server,
    gen_statem,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import CLIENT_DEAD, Client, Observation, Raised, ms

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from raybeam.actors.kernel.reason import ExitReason

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
        return self.term(error.reason) if isinstance(error, CallbackError) else super()._raised(error)

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
        with self.told.working():
            for row in self.play.machine["table"]:
                if self.matches(row, state, kind, content):
                    await ms(row.get("sleep", 0))
                    return self.result(row["do"], row, sender)
        return None

    async def terminate(self, reason: ExitReason) -> None:
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
        if not do[0].endswith("_and_data"):
            change = row.get("data", {})
            self.data = change.get("set", self.data) + change.get("add", 0)
        written = row.get("actions", [])
        match do:
            case ["stop", reason]:
                return Stop(terms.read(reason))
            case ["stop_and_reply", reason, replies]:
                return StopAndReply(terms.read(reason), [self.action(reply, sender) for reply in replies])
            case ["next_state", state]:
                made = NextState(terms.read(state), [self.action(action, sender) for action in written])
                actions = [_written(action) for action in written]
                return self.told.write(made, ["next_state", state, self.data, {"list": actions}])
            case ["keep_state" | "keep_state_and_data"]:
                return KeepState([self.action(action, sender) for action in written])
            case ["repeat_state" | "repeat_state_and_data"]:
                return RepeatState([self.action(action, sender) for action in written])
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
            case ["bad_action", term]:
                return terms.read(term)
            case _:
                raise ValueError(f"unknown action {action!r}")


class StateFunctions(Scripted):
    """Has the states s0 to s5."""

    async def s0(self, event: StateEvent) -> Any:
        return await self.handle_event(event)

    s1 = s2 = s3 = s4 = s5 = s0


class Play:
    """One scenario being played."""

    def __init__(self, runtime: Runtime, scenario: dict[str, Any]) -> None:
        self.machine: dict[str, Any] = scenario["machine"]
        self.told = Told(runtime)
        self.parent = Client(self.told, "parent")
        self.client = Client(self.told, "c")
        self.starts = 0
        self.pid: Pid | None = None
        self.calls: dict[str, asyncio.Future[Any]] = {}
        mode, enter = self.machine["mode"], self.machine.get("state_enter", False)
        base = StateFunctions if mode == "state_functions" else Scripted
        self.behaviour = type("Machine", (base,), {"callback_mode": mode, "state_enter": enter})

    @property
    def alive(self) -> bool:
        """Whether the machine lives."""
        return self.pid is not None and process.is_alive(self.pid)

    async def step(self, step: dict[str, Any]) -> Any:
        """Take one step; its ret."""
        return await getattr(self, f"do_{step['op']}")(step)

    async def do_start(self, step: dict[str, Any]) -> Any:
        self.starts += 1

        async def start() -> Any:
            process.trap_exit(True)
            try:
                self.pid = await gen_statem.start_link(self.behaviour, self, f"m#{self.starts}")
            except StartIgnored:
                return "ignore"
            except StartError as error:
                return ["error", self.told.reason(error.reason)]
            return ["ok", self.told.who(self.pid)]

        return await self.parent.do(start)

    async def do_cast(self, step: dict[str, Any]) -> Any:
        async def cast() -> str:
            if self.pid is not None:
                gen_server.tell(self.pid, terms.read(step["msg"]))
            return "ok"

        return await self.client.do(cast)

    async def do_info(self, step: dict[str, Any]) -> Any:
        async def info() -> str:
            if self.pid is not None:
                process.send(self.pid, terms.read(step["msg"]))
            return "ok"

        return await self.client.do(info)

    async def do_call(self, step: dict[str, Any]) -> Any:
        return await self.client.do(lambda: self.call(step))

    async def do_acall(self, step: dict[str, Any]) -> Any:
        answer = self.calls[step["tag"]] = asyncio.get_running_loop().create_future()

        async def call() -> None:
            answer.set_result(await self.call(step))

        process.spawn(call)
        return "ok"

    async def do_await(self, step: dict[str, Any]) -> Any:
        return await self.calls[step["tag"]]

    async def do_poll(self, step: dict[str, Any]) -> Any:
        return self.calls[step["tag"]].done()

    async def call(self, step: dict[str, Any]) -> Any:
        """Call the machine from the process that runs this."""
        if self.pid is None:
            return ["exit", ["noproc", "$call"]]
        answer = gen_server.request(self.pid, terms.read(step["msg"]), _wait(step.get("timeout", 5000)))
        try:
            return ["reply", self.told.term(await answer)]
        except CallFailed as failed:
            return ["exit", [self.told.term(failed.cause), "$call"]]

    async def do_burst(self, step: dict[str, Any]) -> Any:
        async def burst() -> str:
            if self.pid is None or not self.alive:
                return "not_alive"
            for kind, message in step["msgs"]:
                if kind == "cast":
                    gen_server.tell(self.pid, terms.read(message))
                elif kind == "info":
                    process.send(self.pid, terms.read(message))
                else:
                    gen_server.send_request(self.pid, terms.read(message), deliver=True)
            return "ok"

        return await self.client.do(burst)

    async def do_sleep(self, step: dict[str, Any]) -> Any:
        await ms(step["ms"])
        return "ok"

    async def do_stop(self, step: dict[str, Any]) -> Any:
        async def stop() -> Any:
            try:
                if self.pid is None:
                    raise NoProcess
                reason = terms.read(step.get("reason", "normal"))
                await gen_server.stop(self.pid, reason, _wait(step.get("timeout", "infinity")))
            except CallFailed as failed:
                return ["exit", self.told.term(failed.cause)]
            return "ok"

        return await self.client.do(stop)

    async def do_kill(self, step: dict[str, Any]) -> Any:
        return await self.signal(self.client, "kill")

    async def do_signal(self, step: dict[str, Any]) -> Any:
        sender = self.parent if step.get("from") == "parent" else Client(self.told, "stranger")
        return await self.signal(sender, terms.read(step["reason"]))

    async def signal(self, sender: Client, reason: object) -> Any:
        """Have a process send an exit signal to the machine."""

        async def signal() -> str:
            if self.pid is None or not self.alive:
                return "not_alive"
            process.exit_process(self.pid, reason)
            return "ok"

        return await sender.do(signal)

    async def do_flush(self, step: dict[str, Any]) -> Any:
        return await self.flushed(self.client)

    async def do_parent_mailbox(self, step: dict[str, Any]) -> Any:
        return await self.flushed(self.parent)

    async def flushed(self, client: Client) -> Any:
        """What lies in the mailbox of a process; it is empty then."""
        messages = await client.flush()
        return CLIENT_DEAD if messages == CLIENT_DEAD else {"list": [self.message(message) for message in messages]}

    def message(self, message: object) -> Any:
        """A message in a mailbox, as a trace writes it."""
        if isinstance(message, ExitMessage):
            return ["EXIT", self.told.who(message.pid), self.told.term(message.reason)]
        return self.told.term(message)

    async def settled(self) -> dict[str, Any]:
        """Wait until nothing moves any more; what the machine is like then."""
        await self.told.settle()
        if self.pid is None:
            return {"alive": "dead"}
        try:
            state, data = await _pair(gen_server.get_state(self.pid, None))
        except CallFailed:
            return {"alive": "dead"}
        return {"alive": "alive", "data": data, "state": self.told.term(state)}


async def play(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Play a scenario; its trace."""
    trace: list[dict[str, Any]] = []
    async with Runtime(reports=lambda report: None) as runtime:
        scene = Play(runtime, scenario)
        for step in scenario["steps"]:
            ret = await scene.step(step)
            if step.get("settle", True):
                snap = await scene.settled()
                trace.append({"ret": ret, "events": scene.told.take_events(), "snap": snap})
            else:
                trace.append({"ret": ret, "settled": False})
    return trace


async def _pair(asked: Awaitable[object]) -> tuple[Any, Any]:
    pair = await asked
    assert isinstance(pair, tuple)
    return pair


def _wait(timeout: Any) -> float | None:
    return None if timeout == "infinity" else timeout / 1000


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
    return time / 1000 if isinstance(time, int | float) and not isinstance(time, bool) else terms.read(time)


def _written(action: Any) -> Any:
    """An action as Erlang has it: a scenario writes some of them in lists of one."""
    match action:
        case ["postpone"] | ["hibernate"]:
            return action[0]
        case ["plain_timeout" | "bad_action", term]:
            return term
        case _:
            return action
