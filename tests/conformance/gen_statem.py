"""Plays scenarios of gen_statem: the machine is a `GenStatem` that answers from the table of the scenario."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from raybeam.actors import (
    CallFailed,
    NoProcess,
    Pid,
    Runtime,
    StartError,
    StartIgnored,
    gen_server,
    gen_statem,
    process,
)
from tests.conformance import terms
from tests.conformance.observation import CLIENT_DEAD, Client, failed, mail, ms
from tests.conformance.scripted_machine import Scripted, StateFunctions, Told

if TYPE_CHECKING:
    from collections.abc import Awaitable


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
                    process.monitor(self.pid)  # as Erlang does with each request
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
        if messages == CLIENT_DEAD:
            return CLIENT_DEAD
        return {"list": [self.message(message) for message in messages if not failed(message)]}

    def message(self, message: object) -> Any:
        """A message in a mailbox, as a trace writes it."""
        return mail(self.told, message)

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
