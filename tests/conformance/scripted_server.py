"""Servers that follow the program of a scenario: what its callbacks do and return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    Error,
    Exit,
    From,
    GenServer,
    Ignore,
    NoReply,
    Ok,
    Reply,
    Stop,
    gen_server,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import ms, raised

if TYPE_CHECKING:
    from raybeam.actors.kernel.reason import ExitReason
    from tests.conformance.gen_server import Play

Program = dict[str, Any]
OK = {"ret": ["ok"]}


class Scripted(GenServer):
    """A server with an integer for a state, whose callbacks do what its program says."""

    mailbox_limit = 10_000

    async def init(self, play: Play, server: str, attempt: int) -> Any:
        self.play = play
        self.program: Program = play.servers[server]
        self.who = f"{server}#{attempt}"
        self.state = 0
        self.saved: dict[str, From] = {}
        self.hibernating = False
        play.observation.name(self.pid, self.who)
        play.latest[server] = self
        process.trap_exit(self.program.get("trap_exit", False))
        play.observation.record("init", self.who)
        plans = self.program.get("init", OK)
        plan = plans[min(attempt, len(plans)) - 1] if isinstance(plans, list) else plans
        result = await self.follow("init", OK if plan == "ok" else plan)
        if result is None or isinstance(result, Ok):
            play.observation.came_up(self.pid)
        return result

    async def handle_call(self, request: object, sender: From) -> Any:
        return await self.callback("call", request, sender)

    async def handle_cast(self, request: object) -> Any:
        return await self.callback("cast", request)

    def get_state(self) -> object:
        return self.state

    def set_state(self, state: object) -> None:
        assert isinstance(state, int)
        self.state = state

    async def callback(self, kind: str, message: object, sender: From | None = None) -> Any:
        """Note the event and follow the plan for the message; without one no clause matches."""
        observation = self.play.observation
        shown = observation.term(self.play.shown(message))
        observation.record(kind, self.who, msg=shown, state=self.state)
        self.hibernating = False
        plans = self.program.get(kind, {})
        plan = plans.get(_key(shown), plans.get("*"))
        if plan is None:
            raise raised("function_clause")
        return await self.follow(kind, plan, sender)

    async def follow(self, kind: str, plan: Program, sender: From | None = None) -> Any:
        """Act, then return; the state changes with the return only, as in Erlang."""
        with self.play.observation.working():
            state = self.state
            for action in plan.get("do", ()):
                state = await self.act(action, state, sender)
            result = self.result(kind, plan.get("ret", ["ok"]), state)
            if isinstance(result, Ok | Reply | NoReply | Stop):
                self.state = state
                self.hibernating = getattr(result, "hibernate", False)
            return result

    def result(self, kind: str, ret: Any, state: int) -> Any:
        """What a callback returns, or raises. Where it is wrong, it is a term as Erlang has it."""
        match ret:
            case ["reply", value, *then] if kind != "call":
                return ("reply", _value(value, state), state, *map(_option, then))
            case ["ok", *then] if kind not in ("init", "terminate"):
                return ("ok", state, *map(_option, then))
            case ["noreply", *then] if kind == "init":
                return ("noreply", state, *map(_option, then))
            case ["stop", reason, value] if kind != "call":
                return ("stop", terms.read(reason), _value(value, state), state)
            case "ignore":
                return Ignore()
            case ["ok", *then]:
                return Ok(**_then(then))
            case ["error", reason]:
                return Error(terms.read(reason))
            case ["reply", value, *then]:
                return Reply(_value(value, state), **_then(then))
            case ["noreply", *then]:
                return NoReply(**_then(then))
            case ["stop", reason]:
                return Stop(terms.read(reason))
            case ["stop", reason, value]:
                return Stop(terms.read(reason), _value(value, state))
            case ["raise", reason]:
                raise raised(terms.read(reason))
            case ["exit", reason]:
                raise Exit(terms.read(reason))
            case ["throw", list() | "ignore" as thrown]:
                return self.result(kind, thrown, state)
            case ["throw" | "bad", term]:
                return terms.read(term)
            case _:
                return terms.read(ret)

    async def act(self, action: list[Any], state: int, sender: From | None) -> int:
        """Do one action; the state after it."""
        play = self.play
        match action:
            case ["add", number]:
                return state + int(number)
            case ["set", number]:
                return int(number)
            case ["save_from", tag]:
                assert sender is not None
                self.saved[tag] = sender
            case ["reply", tag, value]:
                if tag in self.saved:
                    self.saved[tag].reply(_value(value, state))
            case ["reply_now", value]:
                assert sender is not None
                sender.reply(_value(value, state))
            case ["cast_self", message]:
                gen_server.tell(self.pid, terms.read(message))
            case ["send_self", message]:
                process.send(self.pid, terms.read(message))
            case ["send_after", delay, message]:
                process.send_after(delay / 1000, self.pid, terms.read(message))
            case ["sleep", delay]:
                await ms(delay)
            case ["spawn_link_exit", reason]:
                process.spawn_link(_exit, terms.read(reason))
            case ["spawn_monitor_exit", reason]:
                process.spawn_monitor(_exit, terms.read(reason))
            case ["call", server, message, timeout]:
                value = await gen_server.request(play.destination(server), terms.read(message), seconds(timeout))
                play.observation.record("nested_call", self.who, ret=play.observation.term(value))
            case ["try_call", server, message, timeout]:
                told = await play.call(server, message, timeout)
                shown = told[1] if told[0] == "reply" else told
                play.observation.record("nested_call", self.who, ret=shown)
            case _:
                raise ValueError(f"unknown action {action!r}")
        return state


class Minimal(Scripted):
    """A server without the optional callbacks."""

    async def handle_info(self, message: object) -> Any:
        self.hibernating = False
        return await super().handle_info(message)  # the default


class Full(Scripted):
    """A server with all callbacks."""

    async def handle_info(self, message: object) -> Any:
        return await self.callback("info", message)

    async def handle_continue(self, term: object) -> Any:
        return await self.callback("continue", term)

    async def terminate(self, reason: ExitReason) -> None:
        observation = self.play.observation
        observation.record("terminate", self.who, reason=observation.term(reason), state=self.state)
        await self.follow("terminate", self.program.get("terminate", OK))


def seconds(timeout: Any) -> float | None:
    """A time-out of a call in seconds; `None` is for ever, an absent one gen_server's default."""
    if timeout is None:
        return gen_server.DEFAULT_TIMEOUT_S
    return None if timeout == "infinity" else timeout / 1000


def _key(message: Any) -> str:
    """Under what a program has a message: exit and down messages by their first part."""
    if isinstance(message, list) and message and message[0] in ("EXIT", "DOWN"):
        return str(message[0])
    return message if isinstance(message, str) else repr(message)


def _value(value: Any, state: int) -> object:
    return state if value == "$state" else terms.read(value)


def _then(options: list[Any]) -> dict[str, Any]:
    match options:
        case [] | ["infinity"]:
            return {}
        case ["hibernate"]:
            return {"hibernate": True}
        case [{"continue": term}]:
            return {"continue_with": terms.read(term)}
        case [timeout]:
            return {"timeout_s": timeout / 1000}
        case _:
            raise ValueError(f"unknown options {options!r}")


def _option(option: Any) -> Any:
    """A time-out, `hibernate` or a continuation, as Erlang has it in a return."""
    return ("continue", terms.read(option["continue"])) if isinstance(option, dict) else option


async def _exit(reason: object) -> None:
    raise Exit(reason)
