"""Plays scenarios of gen_server: each server is a `GenServer` that follows the program of the scenario."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallFailed,
    Down,
    ExitMessage,
    Pid,
    Ref,
    Response,
    Runtime,
    StartError,
    StartIgnored,
    Timeout,
    UsageError,
    gen_server,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import CLIENT_DEAD, Client, Observation, failed, mail, ms
from tests.conformance.scripted_server import Full, Minimal, Program, Scripted, seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from raybeam.actors.requests import RequestId

NEVER_STARTED = "never_started"


class Play:
    """One scenario under way."""

    def __init__(self, runtime: Runtime, scenario: dict[str, Any]) -> None:
        self.servers: dict[str, Program] = scenario["servers"]
        names = {program["name"] for program in self.servers.values() if "name" in program}
        self.observation = Observation(runtime, names | {NEVER_STARTED})
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
        return name if name is not None else self.pid(server) or NEVER_STARTED

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
        asking = gen_server.request(self.destination(server), terms.read(message), seconds(timeout))
        return await self.answer(asking)

    async def answer(self, asking: Awaitable[object]) -> list[Any]:
        try:
            return ["reply", self.observation.term(await asking)]
        except CallFailed as failed:
            return ["exit", [self.observation.term(failed.cause), "$call"]]

    def request(self, destination: Pid | str, message: Any) -> tuple[RequestId, Ref]:
        """Send a request as Erlang does, with a monitor that lasts until the response is taken out of the mailbox."""
        request = gen_server.send_request(destination, terms.read(message), deliver=True)
        holder = process.whereis(destination) if isinstance(destination, str) else None
        return request, process.monitor(holder or destination)

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
            options: dict[str, Any] = {
                "name": program.get("name"),
                "timeout_s": seconds(step.get("timeout", "infinity")),
            }
            try:
                started = await getattr(gen_server, how)(kind, self, server, attempt, **options)
            except StartIgnored:
                return "ignore"
            except StartError as error:
                return ["error", self.observation.term(error.reason)]
            pid = started[0] if how == "start_monitor" else started
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
                    self.destination(step["server"]), reason, seconds(step.get("timeout", "infinity"))
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
            if pid is None:
                raise UsageError("Erlang links with pids only")
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
        return {"list": [mail(self.observation, message) for message in messages if not failed(message)]}

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
        if step["tag"] not in self.requests:  # the client was dead when it should have asked
            return CLIENT_DEAD
        client, request, monitor = self.requests[step["tag"]]

        async def take() -> Any:
            def is_it(message: object) -> bool:
                return isinstance(message, Response) and message.request is request

            try:
                response = await process.receive(is_it, seconds(step.get("timeout")))
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
