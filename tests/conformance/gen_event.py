"""Plays scenarios of event managers through `raybeam.actors.gen_event`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar

from raybeam.actors import (
    CallFailed,
    Crashed,
    Error,
    EventHandler,
    Exit,
    ExitMessage,
    HandlerError,
    HandlerExit,
    Ok,
    Pid,
    RemoveHandler,
    Reply,
    Runtime,
    StartError,
    SwapHandler,
    gen_event,
    process,
)
from raybeam.actors.testing import settle
from tests.conformance import terms
from tests.conformance.puppet import Puppet, PuppetDeadError


class Raised(Exception):
    """What Erlang's `error(Reason)` raises in a scenario."""

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason


class Scripted(EventHandler):
    """A handler that does what its program says. There is a subclass for each id of a scenario."""

    id: ClassVar[str]
    program: ClassVar[dict[str, Any]]
    player: ClassVar[Player]
    state: int

    async def init(self, argument: Any) -> Any:
        """Begin with the state 0."""
        return await self._start({"arg": argument})

    async def init_swapped(self, handed_over: object, *args: Any) -> Any:
        """Begin in the place of another."""
        return await self._start({"arg": args[0], "swapped_from": handed_over})

    async def _start(self, told: dict[str, Any]) -> Any:
        self.state = 0
        self.player.saw(self.id, "init", **told)
        outcomes = self.program.get("init", {"ret": "ok"})
        outcomes = outcomes if isinstance(outcomes, list) else [outcomes]
        attempt = self.player.attempts.get(self.id, 0)
        self.player.attempts[self.id] = attempt + 1
        return await self._play("init", outcomes[min(attempt, len(outcomes) - 1)])

    async def handle_event(self, event: Any) -> Any:
        """Serve an event by the program."""
        return await self._serve("event", event)

    async def handle_call(self, request: Any) -> Any:
        """Serve a request by the program."""
        return await self._serve("call", request)

    async def handle_info(self, message: Any) -> Any:
        """Serve any other message by the program."""
        return await self._serve("info", message)

    async def terminate(self, argument: Any) -> object:
        """End by the program."""
        self.player.saw(self.id, "terminate", arg=argument, state=self.state)
        entry = self.program.get("terminate")
        return "ok" if entry is None else await self._play("terminate", entry)

    async def _serve(self, kind: str, message: Any) -> Any:
        self.player.saw(self.id, kind, msg=message, state=self.state)
        table = self.program.get(kind, {})
        written = self.player.write(message)
        key = written if isinstance(written, str) else written[0] if isinstance(written, list) else str(written)
        entry = table.get(key, table.get("*"))
        if entry is None:
            entry = {"ret": ["ok", "ok"] if kind == "call" else ["ok"]}
        return await self._play(kind, entry)

    async def _play(self, kind: str, entry: Any) -> Any:
        """Do the actions, give what the entry returns. The new state counts when it is returned, as in Erlang."""
        state, ret = self.state, entry
        if isinstance(entry, dict):
            ret = entry.get("ret", "ok")
            for action, *operands in entry.get("do", []):
                match action:
                    case "add":
                        state += operands[0]
                    case "set":
                        state = operands[0]
                    case "sleep":
                        await asyncio.sleep(operands[0] / 1000)
                    case "notify_self":
                        gen_event.notify(process.self_pid(), terms.read(operands[0]))
                    case "send_self":
                        process.send(process.self_pid(), terms.read(operands[0]))
                    case _:
                        raise ValueError(f"unknown action {action!r}")

        def value(term: Any) -> Any:
            return state if term == "$state" else terms.read(term)

        match ret if isinstance(ret, list) else [ret]:
            case ["raise", reason]:
                raise Raised(terms.read(reason))
            case ["exit", reason]:
                raise Exit(terms.read(reason))
            case ["throw" | "bad", term]:
                return _raw(kind, terms.read(term))
            case ["value", term]:
                return value(term)
            case ["error", reason]:
                return Error(terms.read(reason))
            case ["remove_handler"]:
                return RemoveHandler()
            case ["remove_handler", reply]:
                return RemoveHandler(value(reply))
            case ["swap_handler", *reply, argument, new, new_argument]:
                self.state = state
                swap = (terms.read(argument), self.player.handler(new), (terms.read(new_argument),))
                return SwapHandler(*swap, reply=value(reply[0])) if reply else SwapHandler(*swap)
            case ["ok"] if kind == "terminate":
                return "ok"
            case ["ok", *rest]:
                self.state = state
                if kind == "call":
                    return Reply(value(rest[0]), hibernate="hibernate" in rest[1:])
                return Ok(hibernate="hibernate" in rest)
            case _:
                raise ValueError(f"unknown return {ret!r}")


def _raw(kind: str, term: Any) -> Any:
    """A term that a callback returns (or throws, which is the same) as it is; some mean something in Erlang."""
    if term == "remove_handler" and kind in ("event", "info"):
        return RemoveHandler()
    if kind == "call" and isinstance(term, tuple) and len(term) == 2 and term[0] == "remove_handler":
        return RemoveHandler(term[1])
    return term


class Player:
    """Plays one scenario."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scenario = scenario
        self.events: list[dict[str, Any]] = []
        self.attempts: dict[str, int] = {}
        self.handlers: dict[str, type[Scripted]] = {}
        self.puppets: dict[str, Puppet] = {}
        self.names: dict[object, str] = {}
        self.starts = 0
        self.manager: Pid | None = None

    def handler(self, id: str) -> type[Scripted]:
        """The handler class of an id of the scenario."""
        if id not in self.handlers:
            program = self.scenario.get("handlers", {}).get(id, {})
            made = type(id, (Scripted,), {"id": id, "program": program, "player": self})
            self.handlers[id] = made
            self.names[made] = id
        return self.handlers[id]

    def puppet(self, name: str) -> Puppet:
        """A process of the scenario."""
        if name not in self.puppets:
            self.puppets[name] = puppet = Puppet()
            self.names[puppet.pid] = name
        return self.puppets[name]

    def saw(self, who: str, kind: str, **told: Any) -> None:
        """Take down an event of a handler."""
        self.events.append({"ev": kind, "h": who, **{key: self.write(value) for key, value in told.items()}})

    def write(self, term: Any) -> Any:
        """A Python term as a trace writes it."""
        match term:
            case Pid():
                return self.names.get(term, "$pid")
            case type():
                return self.names.get(term, term.__qualname__)
            case Crashed(error=Raised(reason=reason)):
                return [self.write(reason), "$stack"]
            case Crashed(error=error):
                return [f"{type(error).__name__}: {error}", "$stack"]
            case Error(reason):
                return ["error", self.write(reason)]
            case HandlerExit(_, handler, reason):
                return ["gen_event_EXIT", self.write(handler), self.write(reason)]
            case ExitMessage(pid, reason):
                return ["EXIT", self.write(pid), self.write(reason)]
            case tuple():
                return [self.write(part) for part in term]
            case list():
                return {"list": [self.write(part) for part in term]}
            case _:
                return terms.write(term)

    # -- steps -------------------------------------------------------------------------------------------------------

    async def play(self) -> list[dict[str, Any]]:
        """The trace of the whole script."""
        parent = self.puppet("parent")
        await parent.do(process.trap_exit, True)
        trace: list[dict[str, Any]] = []
        for step in self.scenario["steps"]:
            ret = await self.step(step)
            if step.get("settle", True):
                snap = await self.snap()
                trace.append({"ret": ret, "events": self.events, "snap": snap, "order": "total"})
                self.events = []
            else:
                trace.append({"ret": ret, "settled": False})
        return trace

    async def step(self, step: dict[str, Any]) -> Any:
        """What a step's call returned, as the trace writes it."""
        try:
            return await self.operation(step)
        except PuppetDeadError:
            return "client_dead"
        except HandlerError as error:
            return self.write(error.reason)
        except StartError as error:
            return ["error", self.write(error.reason)]
        except CallFailed as failed:
            return ["exit", self.write(failed.cause)]

    async def operation(self, step: dict[str, Any]) -> Any:
        """Do what a step says."""
        client = self.puppet(step.get("client", "c"))
        argument = terms.read(step.get("arg", "none"))
        match step["op"]:
            case "start":
                return await self.start()
            case "add_handler":
                await client.do(gen_event.add_handler, self.pid, self.handler(step["h"]), argument)
            case "add_sup_handler":
                await client.do(gen_event.add_sup_handler, self.pid, self.handler(step["h"]), argument)
            case "delete_handler":
                return await self.delete(client, step["h"], argument)
            case "swap_handler":
                return await self.swap(client, gen_event.swap_handler, step)
            case "swap_sup_handler":
                return await self.swap(client, gen_event.swap_sup_handler, step)
            case "notify":
                await client.do(gen_event.notify, self.pid, terms.read(step["msg"]))
            case "sync_notify":
                await client.do(gen_event.sync_notify, self.pid, terms.read(step["msg"]))
            case "info":
                await client.do(process.send, self.pid, terms.read(step["msg"]))
            case "burst":
                await client.do(self.burst, [terms.read(message) for message in step["msgs"]])
            case "call":
                return await self.call(client, step)
            case "which_handlers":
                return self.write(await client.do(gen_event.which_handlers, self.pid))
            case "flush":
                return self.write(await client.flush())
            case _:
                await self.end(step)
        return "ok"

    async def end(self, step: dict[str, Any]) -> None:
        """The steps that end somebody, or let time pass."""
        reason = terms.read(step.get("reason", "normal"))
        match step["op"]:
            case "stop":
                timeout = step.get("timeout")
                await gen_event.stop(self.pid, reason, None if timeout in (None, "infinity") else timeout / 1000)
            case "kill":
                process.exit_process(self.pid, "kill")
            case "signal":
                await self.puppet(step.get("from", "stranger")).do(process.exit_process, self.pid, reason)
            case "kill_client":
                process.exit_process(self.puppet(step["client"]).pid, reason)
            case "sleep":
                await asyncio.sleep(step["ms"] / 1000)
            case _:
                raise ValueError(f"unknown step {step!r}")

    @property
    def pid(self) -> Pid:
        """The manager of the last start, dead or alive."""
        assert self.manager is not None
        return self.manager

    async def start(self) -> Any:
        """Start a manager."""
        return self.started(await self.puppet("parent").do(gen_event.start_link))

    def started(self, manager: Pid) -> Any:
        """Take down a manager that has come up."""
        self.starts += 1
        name = f"mgr#{self.starts}"
        self.manager = manager
        self.names[manager] = name
        ended = asyncio.ensure_future(process.wait_exit(manager))
        ended.add_done_callback(
            lambda done: (
                None
                if done.cancelled()
                else self.events.append({"ev": "exit", "who": name, "reason": self.write(done.result())})
            )
        )
        return ["ok", name]

    async def delete(self, client: Puppet, id: str, argument: Any) -> Any:
        """`delete_handler`."""
        try:
            return self.write(await client.do(gen_event.delete_handler, self.pid, self.handler(id), argument))
        except HandlerError as error:
            missing = error.reason == "module_not_found"
            return ["error", "module_not_found"] if missing else self.write(error.reason)

    async def swap(self, client: Puppet, function: Any, step: dict[str, Any]) -> Any:
        """`swap_handler` and `swap_sup_handler`."""
        old, new = self.handler(step["old"]), self.handler(step["new"])
        try:
            await client.do(function, self.pid, old, terms.read(step["arg1"]), new, terms.read(step["arg2"]))
        except HandlerError as error:  # Erlang cannot tell a wrong return `ok` from success
            return "ok" if error.reason == "ok" else ["error", self.write(error.reason)]
        return "ok"

    async def call(self, client: Puppet, step: dict[str, Any]) -> Any:
        """`call`."""
        options: dict[str, Any] = {}
        if "timeout" in step:
            options["timeout_s"] = None if step["timeout"] == "infinity" else step["timeout"] / 1000
        request = terms.read(step["msg"])
        try:
            value = await client.do(gen_event.call, self.pid, self.handler(step["h"]), request, **options)
        except HandlerError as error:
            return ["reply", ["error", self.write(error.reason)]]
        except CallFailed as failed:
            return ["exit", [self.write(failed.cause), "$call"]]
        return ["reply", self.write(value)]

    def burst(self, messages: list[Any]) -> None:
        """All in the mailbox before the manager looks."""
        for message in messages:
            gen_event.notify(self.pid, message)

    async def snap(self) -> dict[str, Any]:
        """Wait until the manager is idle and nothing moves any more; what is seen then."""
        handlers: Any = []
        seen = -1
        while seen != len(self.events):
            seen = len(self.events)
            await settle()
            alive = self.manager is not None and process.is_alive(self.pid)
            with contextlib.suppress(CallFailed):  # it may end before it answers
                handlers = await gen_event.which_handlers(self.pid) if alive else []
            await settle()
        alive = self.manager is not None and process.is_alive(self.pid)
        return {"alive": alive, "handlers": [self.write(handler) for handler in handlers] if alive else []}


async def play(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Play one scenario: the results of its steps."""
    async with Runtime(reports=lambda report: None):
        return await Player(scenario).play()
