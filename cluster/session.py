"""The receiving end of lanes: puts messages into mailboxes of its runtime and returns the answers."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from raybeam.actors import CallFailed, Interrupted, InvalidArgumentsError, NoProcess, UnsendableAnswer
from raybeam.actors.message import Call, Cast, From
from raybeam.actors.runtime import log

from . import envelope
from .envelope import Answer, Row, Told
from .kernel.lane import Receiver, accept, reply_with
from .large import Exchanged, LargeValues, values_at
from .telemetry.labels import OTHER
from .telemetry.trace_context import with_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.actors import Pid, Runtime
    from raybeam.actors.cell import Cell

    from .kernel.views import View
    from .telemetry.served_calls import Observer, ServedCalls

HOLD_S = 10.0
DRAIN_S = 0.02
DRAIN_POLL_S = 0.005
ROOM = 2000


class _RemoteFrom(From):
    """The right to answer a call that came over a lane."""

    __slots__ = ("arrived_at", "done", "observed", "request", "seq", "session")

    def __init__(
        self, session: _Session, seq: int, server: Cell, request: object, arrived_at: float, observed: Observer | None
    ) -> None:
        self.session = session
        self.seq = seq
        self.server = server
        self.request = request
        self.arrived_at = arrived_at
        self.observed = observed
        self.caller: Pid | None = None
        self.done = False

    def reply(self, value: object) -> None:
        if not self.handed_over(self.reply, value) and self._once():
            try:
                payload, large = envelope.dump_answer(value)
            except UnsendableAnswer as error:
                self._failed(error)
            else:
                if self.observed is not None:
                    self.observed.ok(self.session.now() - self.arrived_at)
                if large:
                    self.session.large[self.session.made + 1] = large
                self.session.answer((self.seq, envelope.VALUE, payload))

    def fail(self, error: BaseException) -> None:
        if not self.handed_over(self.fail, error) and self._once():
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if self.observed is not None:
            self.observed.failed(self.session.now() - self.arrived_at, error)
        self.session.answer(envelope.answer_with_error(self.seq, error))

    def abandon(self) -> None:
        """The deadline has passed: the caller waits no longer, but the lane counts on an answer."""
        self.fail(CallFailed("timeout"))

    def never_begun(self, reason: object) -> None:
        """The callee died while this call waited for it: it may be made again."""
        self.fail(NoProcess() if reason == "noproc" else Interrupted(reason, begun=False))

    def server_ended(self, reason: object) -> None:
        """The callee died: of this very call, or while this one waited for it."""
        if reason == "noproc":
            self.fail(NoProcess())
        elif getattr(self.server, "last_message", None) is self.request:
            self.fail(CallFailed(reason))
        else:
            self.fail(Interrupted(reason))

    def _once(self) -> bool:
        self.server.calls.pop(self, None)
        if self.done:
            return False
        self.done = True
        self.session.settled(self.seq)
        return True


class _Session:
    """One lane as its receiving end sees it."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.now = sessions._runtime.loop.time
        self.state = Receiver()
        self.answers: deque[Answer] = deque()  # answers confirmed + 1 .. answers
        self.large: dict[int, LargeValues] = {}  # of those answers, by their number
        self.made = 0
        self.pending: dict[int, _RemoteFrom] = {}
        self.held: asyncio.Future[None] | None = None
        self.greeted = False  # the newest batch wants its reply at once
        self.last_heard = 0.0

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)
        self.made += 1
        self.release()

    def begun(self, sender: _RemoteFrom) -> None:
        """A call has come that will be answered."""
        if not self.pending:
            self.sessions.busy += 1
        self.pending[sender.seq] = sender

    def settled(self, seq: int) -> None:
        """A call has its answer."""
        del self.pending[seq]
        if not self.pending:
            self.sessions.busy -= 1

    def release(self) -> None:
        """Let the held batch return."""
        if self.held is not None and not self.held.done():
            self.held.set_result(None)


class Sessions:
    """All lanes that lead to one runtime.

    Args:
        runtime: Where the messages go.
        service: Name of the process whose queue depth is told to the senders.
        on_signal: Takes signals between processes: the sending runtime, and the signal as it travels. Default: they
            are dropped.
        view: The view of the family as it is known here, for senders who know an older one. Default: not known.
        served: Is told of the calls and casts that come. Default: nobody is.

    Attributes:
        busy: Lanes with calls that have no answer yet; they share the room in the mailbox.
        arrivals: Calls and casts that came, those refused included.
    """

    def __init__(
        self,
        runtime: Runtime,
        service: str,
        on_signal: Callable[[str, bytes], None] = lambda peer, payload: None,
        view: Callable[[], View | None] = lambda: None,
        served: ServedCalls | None = None,
    ) -> None:
        self.busy = 0
        self.arrivals = 0
        self._served = served
        self._view = view
        self._on_signal = on_signal
        self._runtime = runtime
        self._service = service
        self._sessions: dict[str, _Session] = {}

    def depth(self) -> int:
        """Messages that wait in the mailbox of the service, and calls that it works on."""
        cell = self._runtime.cell(self._service)
        return 0 if cell is None else max(len(cell.mailbox), len(cell.calls))

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """Take one batch in, and the large values of its messages.

        Returns when there are answers, a newer batch has come, or the hold time is over. A batch of a lane that was
        forgotten is not taken in: the reply is `envelope.FORGOTTEN`.
        """
        try:
            sender, batch, messages, epoch, counts = envelope.load_batch(data)
        except envelope.LaneVersionError as error:
            log.error("a batch is refused: %s", error)
            raise
        session = self._sessions.get(sender)
        if session is None:
            if batch.begun:
                return envelope.FORGOTTEN
            session = self._sessions[sender] = _Session(self)
        session.last_heard = self._runtime.now()
        confirmed = session.state.confirmed
        session.state, new = accept(session.state, batch)
        for _ in range(session.state.confirmed - confirmed):
            session.answers.popleft()
        if session.large:
            session.large = {at: values for at, values in session.large.items() if at > session.state.confirmed}
        beside = values_at(counts, large) if counts else {}
        now = session.last_heard
        for position in new:
            self._deliver(session, batch.first + position, messages[position], beside.get(position, ()), now)
        session.release()
        if session.state.returned == session.made:
            await self._hold(session)
        state = session.state
        depth = self.depth()
        session.state, reply = reply_with(state, session.made, (ROOM - depth) // max(1, self.busy))
        first = state.returned - state.confirmed
        answers = list(islice(session.answers, first, first + reply.answers))
        session.last_heard = self._runtime.now()
        service, view = self._runtime.cell(self._service), self._view()
        life = 0 if service is None else service.pid.serial
        newer = view if view is not None and view.epoch > epoch else None
        told = Told(depth, life, newer)
        if not session.large:
            return envelope.dump_reply(reply, answers, told)
        positions = [at for at in range(reply.answers) if reply.first_answer + at in session.large]
        found = [(at, session.large[reply.first_answer + at]) for at in positions]
        values = tuple(value for _, large_values in found for value in large_values)
        return envelope.dump_reply(reply, answers, told, tuple((at, len(kept)) for at, kept in found)), values

    async def drain(self, timeout_s: float) -> None:
        """Wait until all answers made have left, at most so long: before the end, so that none is lost with it."""
        until = self._runtime.now() + timeout_s
        while any(session.state.returned < session.made for session in self._sessions.values()):
            if self._runtime.now() > until:
                return
            for session in self._sessions.values():
                session.release()
            await asyncio.sleep(DRAIN_POLL_S)

    def forget_silent(self, older_than_s: float) -> int:
        """Drop the state of lanes not heard of for that long; how many."""
        horizon = self._runtime.now() - older_than_s
        silent = [
            name for name, session in self._sessions.items() if session.held is None and session.last_heard < horizon
        ]
        for name in silent:
            del self._sessions[name]
        return len(silent)

    async def _hold(self, session: _Session) -> None:
        held: asyncio.Future[None] = self._runtime.loop.create_future()
        session.held = held
        timer = self._runtime.loop.call_later(self._patience_s(session), session.release)
        try:
            await held
            await asyncio.sleep(0)  # answers made in the same turn leave together
        finally:
            timer.cancel()
            if session.held is held:
                session.held = None

    def _patience_s(self, session: _Session) -> float:
        """How long a batch may wait for answers: its reply tells also what the sender may send, and of the service."""
        if session.greeted:
            session.greeted = False
            return 0.0
        if session.state.accepted >= session.state.promised:  # the sender may not go on
            return DRAIN_S
        if session.pending:
            return HOLD_S
        # With nothing to answer (casts only) there is nothing to wait for but the mailbox to drain.
        return DRAIN_S if self.depth() >= ROOM else 0.0

    def _deliver(self, session: _Session, seq: int, message: Row, large: LargeValues, now: float) -> None:
        kind, destination, payload, timeout_s, extra = message
        if kind > envelope.CAST:
            self._take_in(session, kind, destination, payload)
            return
        self.arrivals += 1
        cell, served = self._runtime.cell(destination), self._served
        try:
            if cell is None:
                raise NoProcess
            request = envelope.load_request(payload, large)
        except (InvalidArgumentsError, NoProcess) as error:
            if kind == envelope.CALL:
                if served is not None:
                    served.refused(OTHER, error)
                session.answer(envelope.answer_with_error(seq, error))
            elif cell is not None:
                self._runtime.report(error)
            return
        if kind == envelope.CAST:
            if served is not None:
                served.cast(request.method)
            cell.deliver(Cast(request))
            return
        deadline = None if timeout_s is None else now + timeout_s
        context, origin = (None, None) if extra is None else envelope.unpack_extra(extra)
        observed: Observer | None = None
        if served is not None:
            telemetry = served.telemetry
            observed = served.methods.get(request.method) if telemetry.only_counting else None
            if observed is None and telemetry.on:
                observed = served.arrived(request.method, context)
                if observed is not None and observed.span is not None:
                    context = with_span(context, observed.span)
        sender = _RemoteFrom(session, seq, cell, request, now, observed)
        session.begun(sender)
        cell.deliver_call(Call(request, sender, deadline, True, now, context, origin))

    def _take_in(self, session: _Session, kind: int, destination: object, payload: bytes) -> None:
        """A message that is for no process: a `HELLO` only wants a reply."""
        if kind == envelope.HELLO:
            session.greeted = True
        elif kind == envelope.CANCEL:
            assert isinstance(destination, str)
            cancelled = session.pending.get(int(destination))
            if cancelled is not None:
                cancelled.cancel()
        elif kind == envelope.SIGNAL:
            assert isinstance(destination, str)
            try:
                self._on_signal(destination, payload)
            except InvalidArgumentsError as error:
                self._runtime.report(error)
