"""What interpreters share: the names of processes, what happened in which order, and when nothing moves any more."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from raybeam.actors import Crashed, Down, Exit, ExitMessage, Pid, Ref, Response, Runtime, UsageError, process
from raybeam.actors.testing import settle
from tests.conformance.terms import Refused, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

CLIENT_DEAD = "client_dead"


class Raised(Exception):
    """Erlang's `error(Term)`: an exception that carries a term."""

    def __init__(self, term: object) -> None:
        super().__init__(term)
        self.term = term


class Stack:
    """Stands for a stack trace within an exit reason."""


def raised(term: object) -> Exception:
    """What to raise for Erlang's `error(Term)`.

    A Python exception is always a crash. In Erlang the reason is `{Term, Stack}`, which for the term `shutdown` happens
    to read as an orderly end.
    """
    return Exit((term, Stack())) if term == "shutdown" else Raised(term)


class Observation:
    """Watches one runtime while a scenario is played.

    Attributes:
        events: What happened since the last `take_events`, as a trace writes it.
        servers: Registered names: a call to one is told from other pairs by them.
    """

    def __init__(self, runtime: Runtime, servers: Iterable[str] = ()) -> None:
        self.events: list[dict[str, Any]] = []
        self.servers = frozenset(servers)
        self._runtime = runtime
        self._names: dict[Pid, str] = {}
        self._up: dict[Pid, str] = {}
        self._busy = 0
        self._idle = asyncio.Event()
        runtime.on_ended = self._ended

    # -- processes -------------------------------------------------------------------------------------------------

    def name(self, pid: Pid, who: str) -> None:
        """Say what a process is called in the trace."""
        self._names[pid] = who

    def who(self, pid: object) -> Any:
        """What a process is called."""
        return self._names.get(pid, "$pid") if isinstance(pid, Pid) else pid

    def came_up(self, pid: Pid) -> None:
        """From now on its end is an event."""
        who = self._names[pid]
        if process.is_alive(pid):
            self._up[pid] = who

    def _ended(self, pid: Pid, reason: object) -> None:
        who = self._up.pop(pid, None)
        if who is not None:
            self.record("exit", who, reason=self.term(reason))

    # -- events ----------------------------------------------------------------------------------------------------

    def record(self, event: str, who: str, **fields: Any) -> None:
        """Note an event; fields are terms as a trace writes them."""
        self.events.append({"ev": event, "who": who, **fields})

    def take_events(self) -> list[dict[str, Any]]:
        """The events since the last time."""
        taken, self.events = self.events, []
        return taken

    def term(self, term: object) -> Any:
        """A term as a trace writes it: processes by name, stacks and calls by placeholder."""
        match term:
            case Pid():
                return self.who(term)
            case Ref():
                return "$ref"
            case Stack():
                return "$stack"
            case Crashed(error):
                return [self._raised(error), "$stack"]
            case (destination, _) if self._is_call(destination):
                return "$call"
            case tuple():
                return [self.term(part) for part in term]
            case list():
                return {"list": [self.term(part) for part in term]}
            case bytes():
                return {"bin": term.decode()}
            case Refused():
                return write(term)
            case None:
                return "undefined"
            case _:
                return term

    def _is_call(self, destination: object) -> bool:
        return isinstance(destination, Pid) or (isinstance(destination, str) and destination in self.servers)

    def _raised(self, error: BaseException) -> Any:
        match error:
            case Raised(term=term):
                return self.term(term)
            case UsageError():  # a callback that the behaviour has no default for
                return "undef"
            case _:
                return repr(error)

    # -- quiet -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A callback runs; it may sleep meanwhile."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def settle(self) -> None:
        """Wait until nothing moves: no message is under way and no callback runs. Timers do not count."""
        while True:
            await settle()
            if not self._busy:
                return
            self._idle.clear()
            await self._idle.wait()


class Client:
    """A lasting process that does what it is told, one thing at a time, and keeps the messages that it gets."""

    def __init__(self, observation: Observation, name: str) -> None:
        self.name = name
        self.pid = process.spawn(self._live)
        observation.name(self.pid, name)

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return process.is_alive(self.pid)

    async def do(self, act: Callable[[], Awaitable[Any]]) -> Any:
        """Have the process do something; what it gave, or `CLIENT_DEAD`."""
        if not self.alive:
            return CLIENT_DEAD
        job = _Job(act)
        process.send(self.pid, job)
        ended = asyncio.ensure_future(process.wait_exit(self.pid))
        await asyncio.wait([job.done, ended], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        return job.done.result() if job.done.done() else CLIENT_DEAD

    async def flush(self) -> Any:
        """Take what lies in the mailbox."""

        async def drain() -> list[object]:
            messages: list[object] = []
            with contextlib.suppress(TimeoutError):
                while True:
                    messages.append(await process.receive(timeout_s=0))
            return messages

        return await self.do(drain)

    async def _live(self) -> None:
        while True:
            job = await process.receive(lambda message: isinstance(message, _Job))
            assert isinstance(job, _Job)
            await job.run()


class _Job:
    def __init__(self, act: Callable[[], Awaitable[Any]]) -> None:
        self.act = act
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        try:
            result = await self.act()
        except Exception as error:  # noqa: BLE001 (handed to whoever gave the job)
            if not self.done.done():
                self.done.set_exception(error)
        else:
            if not self.done.done():
                self.done.set_result(result)


async def ms(duration: float) -> None:
    """Sleep for milliseconds."""
    await asyncio.sleep(duration / 1000)


def mail(observation: Observation, message: object) -> Any:
    """A message in a mailbox, as a trace writes it."""
    match message:
        case ExitMessage(pid, reason):
            return ["EXIT", observation.who(pid), observation.term(reason)]
        case Down(_, target, reason):
            return ["DOWN", observation.who(target), observation.term(reason)]
        case Response():
            return ["$response", observation.term(message.answer())]
        case _:
            return observation.term(message)


def failed(message: object) -> bool:
    """Whether this tells that a request failed, which the monitor of the request tells too."""
    return isinstance(message, Response) and message.error is not None
