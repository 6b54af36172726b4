"""Plays scenarios of process groups through `raybeam.actors.pg`."""

from __future__ import annotations

import asyncio
from typing import Any

from raybeam.actors import CallFailed, Pid, Ref, Runtime, StartError, UsageError, pg, process
from raybeam.actors.testing import settle
from tests.conformance import terms
from tests.conformance.puppet import Puppet, PuppetDeadError


class Player:
    """Plays one scenario."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scenario = scenario
        self.puppets: dict[str, Puppet] = {}
        self.names: dict[Pid, str] = {}
        self.monitors: dict[str, Ref] = {}

    def puppet(self, name: str) -> Puppet:
        """A process of the scenario: a member or a client."""
        if name not in self.puppets:
            self.puppets[name] = puppet = Puppet()
            self.names[puppet.pid] = name
        return self.puppets[name]

    async def play(self) -> list[dict[str, Any]]:
        """The trace of the whole script."""
        for name in self.scenario["procs"]:
            self.puppet(name)
        await pg.start()
        trace: list[dict[str, Any]] = []
        for step in self.scenario["steps"]:
            ret = await self.step(step)
            if step.get("settle", True):
                await settle()
                trace.append({"ret": ret, "events": [], "snap": self.snap(), "order": "total"})
            else:
                trace.append({"ret": ret, "settled": False})
        return trace

    async def step(self, step: dict[str, Any]) -> Any:
        """What a step's call returned, as the trace writes it."""
        try:
            return await self.operation(step)
        except PuppetDeadError:
            return "client_dead"
        except StartError as error:
            return ["error", self.write(error.reason)]
        except CallFailed as failed:
            return ["exit", [terms.write(failed.cause), "$call"]]
        except UsageError:
            return ["error", "badarg"]

    async def operation(self, step: dict[str, Any]) -> Any:
        """Do what a step says."""
        client = self.puppet(step.get("client", "c"))
        group = terms.read(step.get("group"))
        match step["op"]:
            case "join":
                await client.do(pg.join, group, self.pids(step))
            case "leave":
                return "ok" if await client.do(pg.leave, group, self.pids(step)) else "not_joined"
            case "get_members":
                return {"list": self.sorted(await client.do(pg.get_members, group))}
            case "get_local_members":
                return {"list": self.sorted(await client.do(pg.get_local_members, group))}
            case "which_groups":
                found = await client.do(pg.which_groups)
                return {"list": [terms.write(group) for group in sorted(found, key=erlang_order)]}
            case "monitor":
                self.monitors[step.get("client", "c")], members = await client.do(pg.monitor, group)
                return {"list": self.sorted(members)}
            case "monitor_scope":
                self.monitors[step.get("client", "c")], of_groups = await client.do(pg.monitor_scope)
                return {"list": self.groups(of_groups)}
            case "demonitor":
                done = await client.do(lambda: pg.demonitor(self.monitors[step.get("client", "c")]))
                return "ok" if done else False
            case "flush":
                return {"list": [self.write(message) for message in await client.flush()]}
            case "kill":
                process.exit_process(self.puppet(step["proc"]).pid, terms.read(step.get("reason", "kill")))
            case "kill_scope":
                scope = process.whereis(pg.DEFAULT_SCOPE)
                if scope is not None:
                    process.exit_process(scope, "kill")
            case "restart_scope":
                await pg.start()
            case "sleep":
                await asyncio.sleep(step["ms"] / 1000)
            case _:
                raise ValueError(f"unknown step {step!r}")
        return "ok"

    def pids(self, step: dict[str, Any]) -> Pid | list[Pid]:
        """The process or processes of a step."""
        if "proc" in step:
            return self.puppet(step["proc"]).pid
        return [self.puppet(name).pid for name in step["procs"]]

    def sorted(self, pids: Any) -> list[str]:
        """Processes by name, in order."""
        return sorted(self.names.get(pid, "$pid") for pid in pids)

    def groups(self, of_groups: Any) -> list[Any]:
        """Groups with their members, in order."""
        return [[terms.write(group), self.sorted(of_groups[group])] for group in sorted(of_groups, key=erlang_order)]

    def write(self, message: Any) -> Any:
        """A message to a monitor, or any other term, as the trace writes it."""
        match message:
            case pg.Joined(_, group, pids):
                return ["join", terms.write(group), {"list": self.sorted(pids)}]
            case pg.Left(_, group, pids):
                return ["leave", terms.write(group), {"list": self.sorted(pids)}]
            case Pid():
                return self.names.get(message, "$pid")
            case tuple():
                return [self.write(part) for part in message]
            case _:
                return terms.write(message)

    def snap(self) -> dict[str, Any]:
        """What is seen after a step."""
        if process.whereis(pg.DEFAULT_SCOPE) is None:
            return {"scope": "dead"}
        return {"groups": self.groups({group: pg.get_members(group) for group in pg.which_groups()}), "scope": "alive"}


def erlang_order(term: Any) -> tuple[Any, ...]:
    """Sorts terms as Erlang does: numbers, atoms, tuples (shorter ones first), lists, binaries."""
    match term:
        case bool():
            return (1, str(term).lower())
        case int() | float():
            return (0, term)
        case str():
            return (1, term)
        case tuple():
            return (2, len(term), *(erlang_order(part) for part in term))
        case list():
            return (3, *(erlang_order(part) for part in term))
        case _:
            return (4, term)


async def play(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Play one scenario: the results of its steps."""
    async with Runtime(reports=lambda report: None):
        return await Player(scenario).play()
