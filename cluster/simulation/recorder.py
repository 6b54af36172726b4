"""Writes the history: from references, which number each invocation, and from services, whose handlers are watched.

The number of an invocation travels with the name of its method, so neither services nor lanes know of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from raybeam.actors.delivery import Delivery, Invoke
from raybeam.actors.method import Method

from .history import Event, Execution, History, Installed, Invocation

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from raybeam.actors import GenServer
    from raybeam.actors.reference import Channel
    from raybeam.actors.result import Broadcast

    from .loop import SimulationLoop

R = TypeVar("R")
_recorded: dict[type[GenServer], type[GenServer]] = {}


class Numbered(str):
    """The name of a method, and the number of the invocation."""

    __slots__ = ("number",)

    number: int

    def __reduce__(self) -> tuple[object, ...]:
        return _numbered, (str(self), self.number)


def _numbered(name: str, number: int) -> Numbered:
    made = Numbered(name)
    made.number = number
    return made


class Recorder:
    """Writes the history of one simulation.

    Attributes:
        history: What is written.
        closed: Whether the simulation is over: nothing is written any more.
    """

    def __init__(self, loop: SimulationLoop) -> None:
        self.history = History()
        self.closed = False
        self._loop = loop
        self._lives: dict[str, int] = {}

    def event(self, kind: str, text: str, *data: object) -> None:
        """Write an event."""
        if not self.closed:
            self.history.events.append(Event(self._loop.time(), kind, text, data))

    def installed(self, client: str, family: str, epoch: int) -> None:
        """A client goes by a view."""
        if not self.closed:
            self.history.views.append(Installed(self._loop.time(), client, family, epoch))

    def invoked(self, caller: str, family: str, request: Invoke, delivery: Delivery, *, in_turn: bool) -> Invocation:
        """An invocation begins."""
        now = self._loop.time()
        args = (*request.args, *request.kwargs.values())
        number = len(self.history.invocations) + 1
        until = now + delivery.timeout_s
        made = Invocation(
            number, caller, family, request.method, args, delivery.kind, delivery.retry, now, until, in_turn
        )
        if not self.closed:
            self.history.invocations.append(made)
        return made

    def ended(self, invocation: Invocation, value: object, error: BaseException | None) -> None:
        """Its caller was told."""
        if not self.closed and invocation.ended_at is None:
            invocation.ended_at = self._loop.time()
            invocation.value, invocation.error = value, error

    def runs(self, number: int, replica: str, life: int) -> Execution:
        """A handler begins."""
        execution = Execution(number, replica, life, self._loop.time())
        if not self.closed:
            self.history.executions.append(execution)
        return execution

    def ran(self, execution: Execution, value: object, error: BaseException | None) -> None:
        """A handler has ended."""
        if not self.closed:
            execution.ended_at = self._loop.time()
            execution.value, execution.error = value, error


def note(kind: str, *data: object) -> None:
    """Write an event of the scenario's own into the history; in a service, a driver or what they call.

    Does nothing outside a simulation, so it may stay in the code of a service.

    Args:
        kind: What kind of event, for a promise to look for.
        data: What belongs to it.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    recorder = recorder_of(loop)
    if recorder is not None:
        recorder.event(kind, ", ".join(map(repr, data)), *data)


def recorder_of(loop: asyncio.AbstractEventLoop) -> Recorder | None:
    """Who writes the history of the simulation that runs on a loop, `None` when none does."""
    recorder = getattr(loop, "recorder", None)
    return recorder if isinstance(recorder, Recorder) else None


class RecordedChannel:
    """A channel that writes down what goes over it.

    Args:
        channel: The channel itself.
        recorder: Who writes.
        caller: Name of the process that calls.
        family: Which family it calls.
        out_of_turn: The methods that are not served in the order of the calls.
    """

    __slots__ = ("_caller", "_channel", "_family", "_out_of_turn", "_recorder")

    def __init__(
        self, channel: Channel, recorder: Recorder, caller: str, family: str, out_of_turn: frozenset[str]
    ) -> None:
        self._out_of_turn = out_of_turn
        self._channel = channel
        self._recorder = recorder
        self._caller = caller
        self._family = family

    def __repr__(self) -> str:
        return repr(self._channel)

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """See `Channel`."""
        invocation, numbered = self._begin(request, delivery)
        try:
            value = await self._channel.ask(numbered, delivery)
        except BaseException as error:
            self._recorder.ended(invocation, None, error)
            raise
        self._recorder.ended(invocation, value, None)
        return value

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """See `Channel`."""
        invocation, numbered = self._begin(request, delivery)
        try:
            await self._channel.tell(numbered, delivery)
        except BaseException as error:
            self._recorder.ended(invocation, None, error)
            raise
        self._recorder.ended(invocation, None, None)

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """See `Channel`. A broadcast is no invocation of its own: it has as many answers as there are replicas."""
        return await self._channel.ask_all(request, delivery)

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """See `Channel`."""
        return self._channel.run(coroutine)

    def _begin(self, request: Invoke, delivery: Delivery) -> tuple[Invocation, Invoke]:
        in_turn = request.method not in self._out_of_turn
        invocation = self._recorder.invoked(self._caller, self._family, request, delivery, in_turn=in_turn)
        return invocation, Invoke(_numbered(request.method, invocation.number), request.args, request.kwargs)


class _RecordedMethod(Method[Any, Any, Any]):
    """A method whose runs are written down."""

    async def serve(self, server: GenServer, request: Invoke) -> object:
        """See `Method`."""
        recorder = recorder_of(server.runtime.loop)
        number = getattr(request.method, "number", None)
        if recorder is None or number is None:
            return await super().serve(server, request)
        execution = recorder.runs(number, server.runtime.name, server.pid.serial)
        try:
            value: object = await super().serve(server, request)
        except BaseException as error:
            recorder.ran(execution, None, error)
            raise
        recorder.ran(execution, value, None)
        return value


def recorded(service: type[GenServer]) -> type[GenServer]:
    """A service like `service`, whose handlers' runs are written down."""
    found = _recorded.get(service)
    if found is None:
        names = {"__module__": service.__module__, "__qualname__": service.__qualname__, "__doc__": service.__doc__}
        found = _recorded[service] = type(service.__name__, (service,), names)
        found.interface = {name: _watched(method) for name, method in service.interface.items()}
    return found


def _watched(method: Method[Any, Any, Any]) -> _RecordedMethod:
    made = _RecordedMethod(method.function, method.delivery)
    made.concurrent = method.concurrent
    return made
