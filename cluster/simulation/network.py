"""The simulated network: requests and their replies between processes, with every fault that the schedule asks for."""

from __future__ import annotations

import contextvars
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..lane import LinkDown, LinkLost

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine
    from random import Random

    from .loop import OsProcess, SimulationLoop

R = TypeVar("R")
DELAY_S = (0.0003, 0.003)
LOSS_NOTICED_S = (0.02, 0.6)
DEATH_NOTICED_S = (0.002, 0.05)
STRAGGLES_S = (0.01, 0.4)


@dataclass(slots=True)
class Noise:
    """How bad the network is: shares (0 to 1) of what goes wrong.

    Attributes:
        lost_requests: Requests that do not arrive.
        lost_replies: Replies that do not arrive: the request was served.
        duplicates: Requests that arrive twice, if they are such as may.
        stragglers: Messages that take long, and so are overtaken by others.
    """

    lost_requests: float = 0.0
    lost_replies: float = 0.0
    duplicates: float = 0.0
    stragglers: float = 0.0


class _Request:
    """One request under way."""

    __slots__ = ("callee", "caller", "future", "network", "sent_at", "serve")

    def __init__(
        self,
        network: Network,
        caller: OsProcess,
        callee: OsProcess,
        serve: Callable[[], Awaitable[Any]],
        future: asyncio.Future[Any],
    ) -> None:
        self.network = network
        self.caller = caller
        self.callee = callee
        self.serve = serve
        self.future = future
        self.sent_at = network.loop.time()

    def arrive(self) -> None:
        """The callee has it."""
        if self.sent_at < self.network.flushed.get(self.callee, 0.0):
            self.network.loop.at(self.caller, 0.0, self.lose)
            return
        serving = cast("Coroutine[object, object, Any]", self.serve())
        task = self.network.loop.create_task(serving, context=contextvars.Context())
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        network = self.network
        if network.closed:
            return
        if network.cut(self.callee.machine, self.caller.machine) or network.happens(network.noise.lost_replies):
            network.loop.at(self.caller, network.drawn(LOSS_NOTICED_S), self.lose)
        else:
            answer = None if error is not None else task.result()
            network.loop.at(self.caller, network.delay_s(), self.resolve, answer, error)

    def resolve(self, answer: object, error: BaseException | None) -> None:
        """The caller has the reply."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(answer)
        else:
            self.future.set_exception(error)

    def lose(self) -> None:
        """The caller learns that nobody knows."""
        if not self.future.done():
            self.future.set_exception(LinkLost("the outcome is unknown"))

    def down(self) -> None:
        """The caller learns that the callee is dead."""
        if not self.future.done():
            self.future.set_exception(LinkDown(f"{self.callee.name} is dead"))


class Network:
    """Carries requests.

    Attributes:
        noise: How bad it is at the moment.
        requests: How many were sent.
        flushed: By process: what was sent to it before this time and has not arrived, never does.
        closed: Whether the simulation is over: nothing arrives any more.
    """

    def __init__(self, loop: SimulationLoop, random: Random) -> None:
        self.loop = loop
        self.random = random
        self.noise = Noise()
        self.requests = 0
        self.flushed: dict[OsProcess, float] = {}
        self.closed = False
        self._cuts: dict[tuple[str, str], int] = {}
        self._pending: dict[OsProcess, dict[_Request, None]] = {}

    async def request(
        self, caller: OsProcess, callee: OsProcess, serve: Callable[[], Awaitable[R]], *, repeatable: bool = False
    ) -> R:
        """Have `callee` run something, and wait for what it gives.

        Raises:
            LinkLost: The outcome is unknown.
            LinkDown: The callee is dead.
            Exception: What it raised there.
        """
        loop = self.loop
        request = _Request(self, caller, callee, serve, loop.create_future())
        self.requests += 1
        if self.closed:
            await request.future
        waiting = self._pending.setdefault(callee, {})
        waiting[request] = None
        noise = self.noise
        if not callee.alive:
            loop.at(caller, self.drawn(DEATH_NOTICED_S), request.down)
        elif self.cut(caller.machine, callee.machine) or self.happens(noise.lost_requests):
            loop.at(caller, self.drawn(LOSS_NOTICED_S), request.lose)
        else:
            loop.at(callee, self.delay_s(), request.arrive)
            if repeatable and self.happens(noise.duplicates):
                loop.at(callee, self.delay_s() + self.drawn(STRAGGLES_S), request.arrive)
        try:
            answer: R = await request.future
        finally:
            waiting.pop(request, None)
        return answer

    def died(self, process: OsProcess, noticed_s: float | None = None) -> None:
        """A process is dead; those who wait for it learn it after a moment, or after `noticed_s`."""
        for request in self._pending.get(process, {}):
            self.loop.at(request.caller, self.drawn(DEATH_NOTICED_S) if noticed_s is None else noticed_s, request.down)

    def partition(self, sender: str, receiver: str, cuts: int) -> None:
        """Add a cut from one machine to another (`cuts` 1), or take one away (-1)."""
        self._cuts[sender, receiver] = self._cuts.get((sender, receiver), 0) + cuts

    def cut(self, sender: str, receiver: str) -> bool:
        """Whether nothing arrives from one machine at another."""
        return bool(self._cuts) and self._cuts.get((sender, receiver), 0) > 0

    def happens(self, share: float) -> bool:
        """Draw whether something happens that does in so many cases."""
        return share > 0.0 and self.random.random() < share

    def drawn(self, bounds_s: tuple[float, float]) -> float:
        """A duration between two bounds."""
        low, high = bounds_s
        return low + (high - low) * self.random.random()

    def delay_s(self) -> float:
        """How long a message takes."""
        if self.happens(self.noise.stragglers):
            return self.drawn(STRAGGLES_S)
        return self.drawn(DELAY_S)
