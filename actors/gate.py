"""The gate of a regulated process: calls wait there, and the process takes the next one when it has a turn for it.

What lies in the mailbox for each call that waits is a turn; which call it is used for, the regulator decides. Where
calls are served first come, first served, the turn of a call that is gone is used for no other one: so they keep their
order among the casts and other messages around them.
"""

from __future__ import annotations

import contextvars
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .call_context import NOBODY
from .cell import ALIVE
from .errors import CallTimeout, Overloaded
from .kernel.regulation.gradient import Gradient
from .kernel.regulation.line import Phase, Waiter
from .kernel.regulation.refusal import Refusal
from .kernel.regulation.regulator import Regulator

if TYPE_CHECKING:
    import asyncio
    from collections import deque

    from .behaviour_cell import BehaviourCell
    from .kernel.regulation.counters import RegulationCounters
    from .kernel.regulation.damper import Sample
    from .kernel.regulation.regulation import Regulation
    from .kernel.regulation.regulator import Refused
    from .message import Call, From

SWEEP_ABOVE: Final = 64
LEAST_TIMER_S: Final = 1e-6


class OwedTurn:
    """A message: a turn that could not be used when it came."""

    __slots__ = ()


OWED_TURN: Final = OwedTurn()


class RegulatedCalls(dict["From", None]):
    """The calls of a process that are not answered yet; its gate learns of each answer."""

    __slots__ = ("_gate",)

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def pop(self, sender: From, default: None = None) -> None:  # type: ignore[override]  # nobody wants the value
        """A call is answered, or its caller has given it up."""
        super().pop(sender, default)
        self._gate.left(sender, learn=True)


class Gate:
    """The calls of one process that wait, and those under way.

    Args:
        cell: The process.
        regulation: What is wanted.

    Attributes:
        casts: Casts that came.
        most_places: How many calls may ever be under way, `None`: any number.
    """

    __slots__ = (
        "_cell",
        "_damper_s",
        "_in_order",
        "_owed",
        "_regulator",
        "_timer",
        "_turns",
        "_waiters",
        "casts",
        "most_places",
    )

    def __init__(self, cell: BehaviourCell[Any], regulation: Regulation) -> None:
        self._cell = cell
        self._regulator: Regulator[Call] = Regulator(regulation, cell.runtime.now())
        self._waiters: dict[object, Waiter[Call]] = {}
        self._in_order = regulation.priorities is None and regulation.fair is None
        self._turns = 0  # in the mailbox
        self._owed = 0  # turns that came while no call could begin
        self._timer: asyncio.TimerHandle | None = None
        self.casts = 0
        places = regulation.concurrency
        self.most_places = places.most if isinstance(places, Gradient) else places
        if regulation.damper is not None:
            self._sample_later(regulation.damper.sample_s)

    def arrive(self, call: Call) -> None:
        """A call comes: it waits, or is refused at once."""
        cell, context = self._cell, call.context or NOBODY
        arrival = self._regulator.arrive(
            call,
            cell.runtime.loop.time(),
            tenant=context.tenant,
            priority=context.priority,
            deadline_at=call.deadline if call.drop_expired else None,
        )
        if arrival.refused:
            self._refuse(arrival.refused)
        if arrival.waiter is not None:
            cell.calls[call.sender] = None
            self._waiters[call.sender] = arrival.waiter
            self._give_turn(arrival.waiter)

    def next(self, used: object) -> Call | None:
        """The process has a turn: the call to serve; `None`: none can be begun now.

        Args:
            used: The turn.
        """
        self._turns -= 1
        if self._in_order and type(used) is Waiter and used.phase is Phase.GONE:
            return None
        now = self._cell.runtime.loop.time()
        turn = self._regulator.take(now, one=self._in_order)
        if turn.refused:
            self._refuse(turn.refused)
        if turn.full or turn.ready_at is not None:
            self._owed += 1
            if turn.ready_at is not None:
                self._wake_at(turn.ready_at)
        elif not self._regulator.waiting:
            self._owed = 0
        elif self._owed:
            self._go_on(now)
        return None if turn.waiter is None else turn.waiter.item

    def left(self, sender: object, *, learn: bool) -> None:
        """A call is answered or given up.

        Args:
            sender: Whose.
            learn: Whether it was answered, so that what it took tells something.
        """
        waiter = self._waiters.pop(sender, None)
        if waiter is None:
            return
        if waiter.phase is Phase.WAITING:
            self._regulator.cancel(waiter)
            self._sweep()
        else:
            now = self._cell.runtime.loop.time()
            self._regulator.done(waiter, now, learn=learn)
            if self._owed:
                self._go_on(now)

    def waiting_calls(self) -> list[From]:
        """The calls that have not been begun."""
        return [waiter.item.sender for waiter in self._waiters.values() if waiter.phase is Phase.WAITING]

    def oldest_waiting(self) -> Call | None:
        """The call that came first of those that have not been begun."""
        return next((waiter.item for waiter in self._waiters.values() if waiter.phase is Phase.WAITING), None)

    def counters(self) -> RegulationCounters:
        """What was done, and how things stand."""
        return replace(self._regulator.counters(), casts=self.casts)

    # -- inside --------------------------------------------------------------------------------------

    def _refuse(self, refused: tuple[Refused[Call], ...]) -> None:
        """Tell the callers."""
        for each in refused:
            sender = each.item.sender
            waited = self._waiters.pop(sender, None) is not None
            if waited and each.reason is Refusal.DEADLINE:
                sender.fail(CallTimeout())
            else:
                sender.fail(Overloaded(None, each.retry_after_s, each.reason.value))
        self._sweep()

    def _give_turn(self, turn: object) -> None:
        self._turns += 1
        self._cell.deliver(turn)

    def _go_on(self, now: float) -> None:
        """Use a turn that is owed, when a call can begin."""
        ready_at = self._regulator.ready_at(now)
        if ready_at is None or self._cell.exit_reason is not ALIVE:
            return
        if ready_at > now:
            self._wake_at(ready_at)
        else:
            self._owed -= 1
            self._give_turn(OWED_TURN)

    def _wake_at(self, when: float) -> None:
        """A token comes."""
        if self._timer is None:
            loop = self._cell.runtime.loop
            when = max(when, loop.time() + LEAST_TIMER_S)
            self._timer = loop.call_at(when, self._woken, context=contextvars.Context())

    def _woken(self) -> None:
        self._timer = None
        if self._owed:
            self._go_on(self._cell.runtime.loop.time())

    def _sweep(self) -> None:
        """Take turns of calls that are gone out of the mailbox, when they are most of it."""
        waiting = self._regulator.waiting
        self._owed = min(self._owed, waiting)
        surplus = self._turns + self._owed - waiting
        if surplus <= SWEEP_ABOVE or surplus <= waiting:
            return
        queues: tuple[deque[object] | None, ...] = (self._cell.held, self._cell.mailbox)
        for queue in queues:
            if queue:
                kept = []
                for message in queue:
                    if surplus and type(message) is Waiter and message.phase is Phase.GONE:
                        surplus -= 1
                        self._turns -= 1
                    else:
                        kept.append(message)
                queue.clear()
                queue.extend(kept)

    def _sample_later(self, delay_s: float) -> None:
        self._cell.runtime.loop.call_later(delay_s, self._sample, delay_s, context=contextvars.Context())

    def _sample(self, delay_s: float) -> None:
        """Ask how loaded the machine is; a failing sampler is asked no more, and the limits stay as they are."""
        cell = self._cell
        if cell.exit_reason is not ALIVE:
            return
        try:
            load = (cell.runtime.load or _machine_load)()
        except Exception as error:  # noqa: BLE001 (a sampler must not take the process along)
            cell.runtime.report(f"{cell.description()}: no more load samples for its damper, as one failed: {error!r}")
            return
        now = cell.runtime.loop.time()
        self._regulator.sample(load, now)
        if self._owed:
            self._go_on(now)
        self._sample_later(delay_s)


def _machine_load() -> Sample:
    from .machine_load import machine_load  # psutil costs time to import, and few need it

    return machine_load()
