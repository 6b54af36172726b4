"""Plays scenarios of gen_server: each server is a `GenServer` that follows the program of the scenario."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallFailed,
    Down,
    Error,
    Exit,
    ExitMessage,
    From,
    GenServer,
    Ignore,
    NoReply,
    Ok,
    Pid,
    Ref,
    Reply,
    Response,
    Runtime,
    StartError,
    StartIgnored,
    Stop,
    Timeout,
    UsageError,
    gen_server,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import CLIENT_DEAD, Client, Observation, ms, raised

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from raybeam.actors.kernel.reason import ExitReason
    from raybeam.actors.requests import RequestId

Program = dict[str, Any]
OK = {"ret": ["ok"]}
FOREVER: float | None = None


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
        result = await self.follow(OK if plan == "ok" else plan)
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
        return await self.follow(plan, sender)

    async def follow(self, plan: Program, sender: From | None = None) -> Any:
        """Act, then return; the state changes with the return only, as in Erlang."""
        with self.play.observation.working():
            state = self.state
            for action in plan.get("do", ()):
                state = await self.act(action, state, sender)
            result = self.result(plan.get("ret", ["ok"]), state)
            if isinstance(result, Ok | Reply | NoReply | Stop):
                self.state = state
                self.hibernating = getattr(result, "hibernate", False)
            return result

    def result(self, ret: Any, state: int) -> Any:
        """What a callback returns, or raises."""
        match ret:
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
                return self.result(thrown, state)
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
                value = await gen_server.request(play.destination(server), terms.read(message), _seconds(timeout))
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
        await self.follow(self.program.get("terminate", OK))


class Play:
    """One scenario under way."""

    def __init__(self, runtime: Runtime, scenario: dict[str, Any]) -> None:
        self.servers: dict[str, Program] = scenario["servers"]
        names = {program["name"] for program in self.servers.values() if "name" in program}
        self.observation = Observation(runtime, names)
        self.latest: dict[str, Scripted] = {}
        self.attempts: dict[str, int] = {}
        self.clients: dict[str, Client] = {}
        self.calls: dict[str, asyncio.Task[Any]] = {}
        self.requests: dict[str, tuple[Client, RequestId, Ref]] = {}

    async def open(self) -> None:
        """Make the process that starts the servers."""

        async def trap() -> None:
            process.trap_exit(True)

        await self.client("parent").do(trap)

    def client(self, name: str) -> Client:
        """The lasting process of that name."""
        if name not in self.clients:
            self.clients[name] = Client(self.observation, name)
        return self.clients[name]

    def pid(self, server: str) -> Pid | None:
        """The last process of a server, perhaps dead; under a registered name whoever has it."""
        name = self.servers[server].get("name")
        if name is not None:
            return process.whereis(name)
        return self.latest[server].pid if server in self.latest else None

    def destination(self, server: str) -> Pid | str:
        """Where messages to a server go: its name if it has one."""
        name: str | None = self.servers[server].get("name")
        return name if name is not None else self.pid(server) or "never started"

    def shown(self, message: object) -> object:
        """A message as Erlang would have it."""
        match message:
            case Timeout():
                return "timeout"
            case ExitMessage(pid, reason):
                return ("EXIT", pid, reason)
            case Down(ref, target, reason):
                return ("DOWN", ref, "process", target, reason)
            case _:
                return message

    async def call(self, server: str, message: Any, timeout: float | None = None) -> list[Any]:
        """Call from wherever this runs: `["reply", value]` or `["exit", reason]`."""
        seconds = _seconds(timeout)
        return await self.answer(gen_server.request(self.destination(server), terms.read(message), seconds))

    async def answer(self, asking: Awaitable[object]) -> list[Any]:
        try:
            return ["reply", self.observation.term(await asking)]
        except CallFailed as failed:
            return ["exit", [self.observation.term(failed.cause), "$call"]]

    def request(self, destination: Pid | str, message: Any) -> tuple[RequestId, Ref]:
        """Send a request as Erlang does, with a monitor that lasts until the response is taken out of the mailbox."""
        request = gen_server.send_request(destination, terms.read(message), deliver=True)
        return request, process.monitor(destination)

    # -- steps -----------------------------------------------------------------------------------------------------

    async def step(self, step: dict[str, Any]) -> Any:
        """Do one step; what its call returned."""
        return await getattr(self, f"do_{step['op']}")(step)

    async def do_start(self, step: dict[str, Any]) -> Any:
        server = step["server"]
        self.attempts[server] = attempt = self.attempts.get(server, 0) + 1
        program = self.servers[server]
        kind = Minimal if program.get("module") == "minimal" else Full
        how = step.get("how", "start_link")

        async def start() -> Any:
            begin = gen_server.start_link if how == "start_link" else gen_server.start
            seconds = None if step.get("timeout", "infinity") == "infinity" else step["timeout"] / 1000
            try:
                pid = await begin(kind, self, server, attempt, name=program.get("name"), timeout_s=seconds)
            except StartIgnored:
                return "ignore"
            except StartError as error:
                return ["error", self.observation.term(error.reason)]
            if how == "start_monitor":
                process.monitor(pid)
            return ["ok", self.observation.who(pid)]

        return await self.client("parent").do(start)

    async def do_call(self, step: dict[str, Any]) -> Any:
        return await self._client(step).do(lambda: self.call(step["server"], step["msg"], step.get("timeout")))

    async def do_acall(self, step: dict[str, Any]) -> Any:
        caller = Client(self.observation, step["tag"])
        calling = caller.do(lambda: self.call(step["server"], step["msg"], step.get("timeout")))
        self.calls[step["tag"]] = asyncio.ensure_future(calling)
        return "ok"

    async def do_await(self, step: dict[str, Any]) -> Any:
        return await self.calls[step["tag"]]

    async def do_cast(self, step: dict[str, Any]) -> Any:
        return await self._do(step, lambda: gen_server.tell(self.destination(step["server"]), terms.read(step["msg"])))

    async def do_info(self, step: dict[str, Any]) -> Any:
        destination = self.destination(step["server"])
        return await self._do(step, lambda: process.send(destination, terms.read(step["msg"])))

    async def do_burst(self, step: dict[str, Any]) -> Any:
        def send() -> None:
            destination = self.destination(step["server"])
            for kind, message in step["msgs"]:
                match kind:
                    case "cast":
                        gen_server.tell(destination, terms.read(message))
                    case "info":
                        process.send(destination, terms.read(message))
                    case "request":
                        self.request(destination, message)

        return await self._do(step, send)

    async def do_stop(self, step: dict[str, Any]) -> Any:
        async def stop() -> Any:
            reason = terms.read(step.get("reason", "normal"))
            try:
                await gen_server.stop(
                    self.destination(step["server"]), reason, _seconds(step.get("timeout", "infinity"))
                )
            except CallFailed as failed:
                return ["exit", self.observation.term(failed.cause)]
            return "ok"

        return await self._client(step).do(stop)

    async def do_kill(self, step: dict[str, Any]) -> Any:
        return await self._signal("stranger", step["server"], "kill")

    async def do_signal(self, step: dict[str, Any]) -> Any:
        return await self._signal(step.get("from", "stranger"), step["server"], terms.read(step["reason"]))

    async def _signal(self, sender: str, server: str, reason: object) -> Any:
        pid = self.pid(server)
        if pid is None or not process.is_alive(pid):
            return "not_alive"

        async def signal() -> str:
            process.exit_process(pid, reason)
            return "ok"

        return await self.client(sender).do(signal)

    async def do_monitor(self, step: dict[str, Any]) -> Any:
        return await self._do(step, lambda: process.monitor(self.destination(step["server"])))

    async def do_link(self, step: dict[str, Any]) -> Any:
        def link() -> None:
            pid = self.pid(step["server"])
            assert pid is not None
            process.link(pid)

        return await self._do(step, link)

    async def do_trap_exit(self, step: dict[str, Any]) -> Any:
        return await self._do(step, lambda: process.trap_exit(True))

    async def do_client_alive(self, step: dict[str, Any]) -> Any:
        return self._client(step).alive

    async def do_flush(self, step: dict[str, Any]) -> Any:
        messages = await self._client(step).flush()
        if messages == CLIENT_DEAD:
            return CLIENT_DEAD
        return {"list": [self._flushed(message) for message in messages if not _failed(message)]}

    def _flushed(self, message: object) -> Any:
        observation = self.observation
        match message:
            case ExitMessage(pid, reason):
                return ["EXIT", observation.who(pid), observation.term(reason)]
            case Down(_, target, reason):
                return ["DOWN", observation.who(target), observation.term(reason)]
            case Response():
                return ["$response", observation.term(message.answer())]
            case _:
                return observation.term(message)

    async def do_whereis(self, step: dict[str, Any]) -> Any:
        pid = process.whereis(self.servers[step["server"]]["name"])
        return "undefined" if pid is None else self.observation.who(pid)

    async def do_send_request(self, step: dict[str, Any]) -> Any:
        client = self._client(step)

        def send() -> None:
            self.requests[step["tag"]] = client, *self.request(self.destination(step["server"]), step["msg"])

        return await self._do(step, send)

    async def do_receive_response(self, step: dict[str, Any]) -> Any:
        return await self._response(step, abandon=True)

    async def do_wait_response(self, step: dict[str, Any]) -> Any:
        return await self._response(step, abandon=False)

    async def _response(self, step: dict[str, Any], *, abandon: bool) -> Any:
        client, request, monitor = self.requests[step["tag"]]

        async def take() -> Any:
            def is_it(message: object) -> bool:
                return isinstance(message, Response) and message.request is request

            try:
                response = await process.receive(is_it, _seconds(step.get("timeout")))
            except TimeoutError:
                if abandon:
                    request.abandon()
                    process.demonitor(monitor)
                return "timeout"
            assert isinstance(response, Response)
            process.demonitor(monitor)
            try:
                return ["reply", self.observation.term(response.answer())]
            except CallFailed as failed:
                return ["error", self.observation.term(failed.cause)]

        return await client.do(take)

    async def do_get_state(self, step: dict[str, Any]) -> Any:
        return await self._system(step, lambda: gen_server.get_state(self.destination(step["server"])))

    async def do_replace_state(self, step: dict[str, Any]) -> Any:
        value = step["value"]
        destination = self.destination(step["server"])
        return await self._system(step, lambda: gen_server.replace_state(destination, lambda _: value))

    async def do_suspend(self, step: dict[str, Any]) -> Any:
        return await self._system(step, lambda: gen_server.suspend(self.destination(step["server"])), "ok")

    async def do_resume(self, step: dict[str, Any]) -> Any:
        return await self._system(step, lambda: gen_server.resume(self.destination(step["server"])), "ok")

    async def _system(self, step: dict[str, Any], ask: Callable[[], Awaitable[object]], ret: Any = None) -> Any:
        async def told() -> Any:
            answer = await self.answer(ask())
            return answer if answer[0] == "exit" else ret or answer[1]

        return await self._client(step).do(told)

    async def do_sleep(self, step: dict[str, Any]) -> Any:
        await ms(step["ms"])
        return "ok"

    def _client(self, step: dict[str, Any]) -> Client:
        return self.client(step.get("client", "c"))

    async def _do(self, step: dict[str, Any], act: Callable[[], object]) -> Any:
        async def doing() -> Any:
            try:
                act()
            except UsageError:  # a plain message to a name that nobody has
                return ["error", "badarg"]
            return "ok"

        return await self._client(step).do(doing)

    def snap(self) -> dict[str, str]:
        """How each server is."""
        return {server: self._condition(server) for server in self.servers}

    def _condition(self, server: str) -> str:
        if server not in self.latest:
            return "none"
        process_ = self.latest[server]
        if not process.is_alive(process_.pid):
            return "dead"
        return "hibernating" if process_.hibernating else "alive"


async def play(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Play a scenario; its trace."""
    trace: list[dict[str, Any]] = []
    async with Runtime(reports=lambda report: None) as runtime:
        scene = Play(runtime, scenario)
        await scene.open()
        for step in scenario["steps"]:
            ret = await scene.step(step)
            if step.get("settle", True):
                await scene.observation.settle()
                trace.append({"ret": ret, "events": scene.observation.take_events(), "snap": scene.snap()})
            else:
                trace.append({"ret": ret, "settled": False})
    return trace


def _failed(message: object) -> bool:
    """Whether this tells that a request failed, which the monitor of the request tells too."""
    return isinstance(message, Response) and message.error is not None


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


def _seconds(timeout: Any) -> float | None:
    if timeout is None:
        return gen_server.DEFAULT_TIMEOUT_S
    return FOREVER if timeout == "infinity" else timeout / 1000


async def _exit(reason: object) -> None:
    raise Exit(reason)
