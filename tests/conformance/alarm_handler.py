"""Plays scenarios of the alarm handler through `raybeam.actors.alarm_handler`."""

from __future__ import annotations

from typing import Any

from raybeam.actors import CallFailed, HandlerError, Runtime, UsageError, alarm_handler, gen_event, process
from tests.conformance import gen_event as events
from tests.conformance import terms


class Player(events.Player):
    """Plays one scenario: steps of the alarm handler, and those of event managers."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        super().__init__(scenario)
        self.names[alarm_handler.AlarmHandler] = "alarm_handler"

    def write(self, term: Any) -> Any:
        """A Python term as a trace writes it."""
        match term:
            case alarm_handler.SetAlarm(alarm):
                return ["set_alarm", self.write(alarm)]
            case alarm_handler.ClearAlarm(id):
                return ["clear_alarm", self.write(id)]
            case _:
                return super().write(term)

    async def start(self) -> Any:
        """Start the alarm handler."""
        return self.started(await self.puppet("parent").do(alarm_handler.start_link))

    async def operation(self, step: dict[str, Any]) -> Any:
        """Do what a step says."""
        client = self.puppet(step.get("client", "c"))
        alarm = terms.read(step.get("id", "none"))
        try:
            match step["op"]:
                case "set_alarm":
                    await client.do(alarm_handler.set_alarm, alarm, terms.read(step["desc"]))
                case "clear_alarm":
                    await client.do(alarm_handler.clear_alarm, alarm)
                case "get_alarms":
                    return await self.get_alarms(client)
                case "add_handler":
                    argument = terms.read(step.get("arg", "none"))
                    await client.do(alarm_handler.add_alarm_handler, self.handler(step["h"]), argument)
                case "swap_default":
                    old, new = alarm_handler.AlarmHandler, self.handler(step["h"])
                    await client.do(gen_event.swap_handler, alarm_handler.NAME, old, "swap", new, "swapped")
                case "delete_default":
                    value = await client.do(alarm_handler.delete_alarm_handler, alarm_handler.AlarmHandler)
                    return "ok" if value is None else self.write(value)
                case "notify":
                    await client.do(gen_event.notify, alarm_handler.NAME, event(step["msg"]))
                case "info":
                    await client.do(process.send, alarm_handler.NAME, terms.read(step["msg"]))
                case _:
                    return await super().operation(step)
        except UsageError:  # the name belongs to nobody
            return ["error", "badarg"]
        except HandlerError as error:
            if step["op"] == "add_handler" or (step["op"], error.reason) == ("swap_default", "ok"):
                return self.write(error.reason)  # Erlang cannot tell a wrong return `ok` from success
            return ["error", self.write(error.reason)]
        return "ok"

    async def get_alarms(self, client: Any) -> Any:
        """`get_alarms`."""
        try:
            return self.write(await client.do(alarm_handler.get_alarms))
        except CallFailed as failed:
            return ["exit", self.write(failed.cause)]


def event(message: Any) -> object:
    """An event of a scenario; those of the alarm handler have types of their own."""
    match message:
        case ["set_alarm", [id, description]]:
            return alarm_handler.SetAlarm(alarm_handler.Alarm(terms.read(id), terms.read(description)))
        case ["clear_alarm", id]:
            return alarm_handler.ClearAlarm(terms.read(id))
        case _:
            return terms.read(message)


async def play(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    """Play one scenario: the results of its steps."""
    async with Runtime(reports=lambda report: None):
        return await Player(scenario).play()
