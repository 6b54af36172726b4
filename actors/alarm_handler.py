"""The alarm handler: what is wrong at the moment, told by anybody, known to whoever asks or listens. After OTP's SASL.

An alarm is a condition that lasts: it is set when the condition begins and cleared when it ends. The alarm handler is
an event manager with the name `alarm_handler`, one to a runtime, with a default handler that keeps the list:

    >>> from raybeam.actors import Runtime, alarm_handler
    >>> from raybeam.actors.testing import run
    >>> async def main() -> list[alarm_handler.Alarm]:
    ...     async with Runtime():
    ...         await alarm_handler.start()
    ...         alarm_handler.set_alarm("disk", "/data is 97 % full")
    ...         alarm_handler.set_alarm("memory", "swapping")
    ...         alarm_handler.clear_alarm("disk")
    ...         return await alarm_handler.get_alarms()
    >>> run(main())
    [Alarm(id='memory', description='swapping')]

**Several handlers.** Each handler added by `add_alarm_handler` gets `SetAlarm` and `ClearAlarm` events, to write them
to a log, call somebody, or act. To replace the default one, swap it with the argument `"swap"`: the new one's
`init_swapped` gets `("alarm_handler", alarms)`:

    await gen_event.swap_handler("alarm_handler", AlarmHandler, "swap", MyHandler)

**A failure and its outcome.** A handler that fails is removed alone, as in any event manager; the default one goes on.
Without the default one, `get_alarms` raises `HandlerError("bad_module")`: ask your own handler by `gen_event.call`.

**Supervision**: `ChildSpec("alarm_handler", AlarmManager)`. A restarted manager begins without alarms: those who set
one while its condition lasts should set it again.

The same id set twice is listed twice, and one clear takes away the newest. Severities, probable causes, correlation and
history are no business of this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from . import gen_event, gen_server
from .event_handler import EventHandler, HandlerCallResult, HandlerResult
from .gen_event import GenEvent
from .kernel.server import Error, Reply
from .runtime import log

if TYPE_CHECKING:
    from .kernel.event import HandlerId
    from .pid import Pid

NAME = "alarm_handler"


class Alarm(NamedTuple):
    """Something that is wrong.

    Attributes:
        id: Names the condition; any term.
        description: What there is to say; any term.
    """

    id: object
    description: object


@dataclass(frozen=True, slots=True)
class SetAlarm:
    """Event: a condition has begun."""

    alarm: Alarm


@dataclass(frozen=True, slots=True)
class ClearAlarm:
    """Event: the condition with this id has ended."""

    id: object


class AlarmHandler(EventHandler):
    """The default handler: logs each alarm and keeps the list of those that are set."""

    async def init(self) -> None:
        """Begin with no alarm."""
        self.alarms: list[Alarm] = []

    async def handle_event(self, event: object) -> HandlerResult:
        """Keep the list; other events do nothing."""
        match event:
            case SetAlarm(alarm):
                log.info("alarm set: %r %r", alarm.id, alarm.description)
                self.alarms.insert(0, alarm)
            case ClearAlarm(id):
                log.info("alarm cleared: %r", id)
                newest = next((index for index, alarm in enumerate(self.alarms) if alarm.id == id), None)
                if newest is not None:
                    del self.alarms[newest]
        return None

    async def handle_call(self, request: object) -> HandlerCallResult:
        """`"get_alarms"`: the list, the newest first. Anything else: `("error", "bad_query")`."""
        return Reply(list(self.alarms) if request == "get_alarms" else ("error", "bad_query"))

    async def handle_info(self, message: object) -> HandlerResult:
        """Other messages do nothing."""
        return None

    async def terminate(self, argument: object) -> object:
        """Hand the alarms over, in a swap with the argument `"swap"`."""
        return (NAME, list(self.alarms)) if argument == "swap" else None


class AlarmManager(GenEvent):
    """The event manager of the alarms: takes the name `alarm_handler` and begins with the default handler."""

    async def init(self) -> Any:
        """Take the name, add the default handler. `Error(("already_started", pid))` when there is one already."""
        holder = self.runtime.whereis(NAME)
        if holder is not None:
            return Error(("already_started", holder))
        self.runtime.register(NAME, self._cell)
        return await self.add_handler(AlarmHandler)


async def start() -> Pid:
    """Start the alarm handler of this runtime, linked to nobody.

    Raises:
        StartError: There is one already: the reason is `("already_started", pid)`.
    """
    return await gen_server.start(AlarmManager)


async def start_link() -> Pid:
    """Like `start`, linked to the calling process."""
    return await gen_server.start_link(AlarmManager)


def set_alarm(id: object, description: object = "") -> None:
    """Tell that something is wrong.

    Args:
        id: Names the condition, for `clear_alarm`; any term.
        description: What there is to say; any term.

    Raises:
        UsageError: There is no alarm handler in this runtime.
    """
    gen_event.notify(NAME, SetAlarm(Alarm(id, description)))


def clear_alarm(id: object) -> None:
    """Tell that it is well again; nothing happens when no alarm has this id.

    Raises:
        UsageError: There is no alarm handler in this runtime.
    """
    gen_event.notify(NAME, ClearAlarm(id))


async def get_alarms() -> list[Alarm]:
    """The alarms that are set, the newest first.

    Raises:
        HandlerError: The default handler was deleted or swapped (`"bad_module"`).
        NoProcess: There is no alarm handler in this runtime.
    """
    alarms = await gen_event.call(NAME, AlarmHandler, "get_alarms")
    assert isinstance(alarms, list)
    return alarms


async def add_alarm_handler(handler: HandlerId, *args: object) -> None:
    """Have another handler get all alarms from now on, before the default one.

    Raises:
        HandlerError: It did not start.
    """
    await gen_event.add_handler(NAME, handler, *args)


async def delete_alarm_handler(handler: HandlerId) -> object:
    """Take a handler away; the value of its `terminate(None)`.

    Raises:
        HandlerError: It is not installed (`"module_not_found"`), or failed to clean up.
    """
    return await gen_event.delete_handler(NAME, handler)


__all__ = [
    "NAME",
    "Alarm",
    "AlarmHandler",
    "AlarmManager",
    "ClearAlarm",
    "SetAlarm",
    "add_alarm_handler",
    "clear_alarm",
    "delete_alarm_handler",
    "get_alarms",
    "set_alarm",
    "start",
    "start_link",
]
