"""The process that scales a system: it reads, lets `kernel.control` decide, and carries out what that says.

It holds no decision. Whatever it asks of the fleet may fail or hang: that is told once, and tried again at the next
tick. What it knows it gives the fleet to remember, so that its successor goes on where it ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Any, TypeVar

from raybeam.actors import GenServer, Ok, process

from .errand import Errand
from .kernel.machines import shape
from .memory import latest_s, read, write

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from raybeam.actors.kernel.reason import ExitReason
    from raybeam.actors.kernel.server import Result

    from .fleet import Fleet, MachinesReading
    from .history import History
    from .kernel.control import Control, Order, State

R = TypeVar("R")
REMEMBER_EVERY_S = 10.0
"""What is known is given away so often: more than a process of this machine would lose by a crash is not lost."""
OLDEST_S = 600.0
"""What is older tells nothing of the load."""
ASK_AGAIN_S = 15.0
"""The request for machines is repeated so often: the fleet may hold it by a lease."""
ANSWERS_S = 2.0
"""The fleet is waited for so long at one tick."""


@dataclass(frozen=True, slots=True)
class Tick:
    """It is time to look."""


class Controller(GenServer):
    """Scales the families of one system. One process, in the system's supervision tree."""

    async def init(
        self,
        fleet: Fleet,
        control: Control,
        history: History,
        tell: Callable[[str, str, str], None],
    ) -> Ok:
        """Begin to tick.

        Args:
            fleet: The system.
            control: What decides.
            history: Where decisions are kept; it outlives this process.
            tell: Called with the kind (`"scale"`: what a dry run would do, `"scaling"`: something does not work), the
                family, `"machines"` or `"memory"`, and what happened. What is done the fleet tells.
        """
        process.trap_exit(True)
        self._fleet = fleet
        self._control = control
        self._history = history
        self._tell = tell
        self._every_s = min(family.every_s for family in control.families.values())
        self._state: State | None = None
        self._wall_s = 0.0
        self._machines: MachinesReading | None = None
        self._asked: tuple[list[dict[str, float]], float] | None = None
        self._remembered_s = fleet.now()
        self._failed: dict[str, str] = {}
        self._errands: dict[str, Errand[Any]] = {}
        self._begun_s = fleet.now()
        return Ok(continue_with=Tick())

    async def handle_continue(self, term: object) -> Result:
        """The first tick."""
        return await self.handle_info(term)

    async def handle_info(self, message: object) -> Result:
        """Look, decide, act; and again at the next multiple of the interval, however long this took."""
        if not isinstance(message, Tick):
            return await super().handle_info(message)
        await self._tick()
        passed = floor((self._fleet.now() - self._begun_s) / self._every_s + 1e-9) + 1
        process.send_after(
            max(self._begun_s + passed * self._every_s - self._fleet.now(), 0.0), process.self_pid(), Tick()
        )
        return None

    async def terminate(self, reason: ExitReason) -> None:
        """Let the successor know all; when the whole system ends, ask for no machines any more."""
        if self._state is not None:
            await self._remember(self._state)
            if reason == "shutdown" and self._asked and self._asked[0]:
                await self._try("machines", "machines", lambda: self._fleet.request_machines(()))
        for errand in self._errands.values():
            errand.cancel()

    async def _tick(self) -> None:
        if self._state is None:
            self._state = await self._recall()
            if self._state is None:
                return
        seen, machines = await self._try("reading", "machines", self._fleet.machines)
        self._machines = machines if seen else self._machines
        now_s = self._fleet.now()
        orders, state = self._control.step(self._state, self._fleet.read(), self._machines, now_s, self._wall_s + now_s)
        self._state = state
        await asyncio.gather(*(self._carry_out(order, self._wall_s + now_s) for order in orders))
        if self._control.asks_for_machines:
            await self._request(shape(state.demand.counts, self._control.types), now_s)
        ordered = any(order.replicas != order.before and not order.dry_run for order in orders)
        if ordered or now_s - self._remembered_s >= REMEMBER_EVERY_S:
            # A successor that did not know of an order would take it to have been given only just now.
            await self._remember(state)

    async def _carry_out(self, order: Order, time_s: float) -> None:
        """Keep a decision, and do it or say that it would be done."""
        family, replicas = order.family, order.replicas
        if order.failure:
            self._tell("scaling", family, f"the policy failed, the family is held: {order.failure}")
        entry, is_news = self._history.add(time_s, order)
        if order.dry_run:
            if is_news:
                self._tell("scale", family, str(entry))
        elif replicas != order.before:
            await self._try(f"scale {family}", family, lambda: self._fleet.scale(family, replicas, entry.why))

    async def _request(self, wanted: list[dict[str, float]], now_s: float) -> None:
        """Ask for machines if that is news, or the last time was long ago."""
        if self._asked is None or wanted != self._asked[0] or now_s - self._asked[1] >= ASK_AGAIN_S:

            async def ask() -> None:
                await self._fleet.request_machines(wanted)
                self._asked = wanted, now_s  # not by who waits for it: that may be a later tick, which wants another

            await self._try("machines", "machines", ask)

    async def _recall(self) -> State | None:
        """What a predecessor knew; `None` as long as nobody says whether there was one: then nothing is decided."""
        done, data = await self._try("recall", "memory", self._fleet.recall)
        if not done:
            return None
        state = self._control.start()
        if data is not None:
            state, dropped = read(data, self._control)
            if latest_s(state) and self._fleet.wall_clock() - latest_s(state) > OLDEST_S:
                state = self._control.start()
                dropped = dict.fromkeys(self._control.families, f"what was remembered is over {OLDEST_S:g} s old")
            for family, why in dropped.items():
                self._tell("scaling", family, f"begins to learn anew: {why}")
        # Policies see one clock, which never goes back, whatever becomes of the machine's.
        self._wall_s = max(self._fleet.wall_clock(), latest_s(state)) - self._fleet.now()
        return state

    async def _remember(self, state: State) -> None:
        data, left_out = write(state, self._control)
        for family in left_out:
            self._failure(f"memory of {family}", family, "its policy's state is too large to be remembered, or no data")
        done, _ = await self._try("remember", "memory", lambda: self._fleet.remember(data))
        if done:
            self._remembered_s = self._fleet.now()

    async def _try(
        self, what: str, subject: str, call: Callable[[], Coroutine[object, object, R]]
    ) -> tuple[bool, R | None]:
        """Ask the fleet for something: whether it was done, and the answer. A failure is told when it is news."""
        errand = self._errands.setdefault(what, Errand(ANSWERS_S))
        try:
            answer = await errand.run(call)
        except Exception as error:  # noqa: BLE001 (the fleet's own, whatever it is)
            self._failure(what, subject, f"{type(error).__name__}: {error}")
            return False, None
        self._failed.pop(what, None)
        return True, answer

    def _failure(self, what: str, subject: str, text: str) -> None:
        if self._failed.get(what) != text:
            self._failed[what] = text
            self._tell("scaling", subject, text)
