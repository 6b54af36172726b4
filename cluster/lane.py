"""The sending end of a lane: collects messages, keeps batches under way, hands answers to their callers."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from raybeam.actors import (
    CallFailed,
    CallTimeout,
    Disconnected,
    Interrupted,
    InvalidArgumentsError,
    NoProcess,
    Overloaded,
    UnsendableAnswer,
)
from raybeam.actors.deadlines import Deadlines

from . import envelope
from .kernel.lane import Lost, Offered, Pause, Replied, Resumed, Send, Sender, SenderEvent, first_new_answer, send_step
from .large import Beside, Exchanged, LargeCounts, LargeValues, values_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybeam.actors import Pid

    from .kernel.views import View
    from .telemetry.lane_traffic import LaneTraffic

MAX_WAITING_TO_BE_SENT = 20_000
NO_EPOCH = 1 << 62
"""Above all epochs: who is not looked up by views needs no newer one."""


class LinkLost(Exception):
    """A batch's fate is unknown; the other end may be alive."""


class LinkDown(Exception):
    """The other end is dead."""


class Link(Protocol):
    """Carries one batch there and its reply back."""

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """Send a batch and the large values of its messages; its reply, with large values of answers if there are any.

        Raises:
            LinkLost: The outcome is unknown.
            LinkDown: The other end is dead.
        """
        ...


class Lane:
    """Messages to one incarnation of a replica, in order.

    A lane ends when the other end is dead, or alive but unable to go on with it. Calls under way fail then, as a rule
    with `Disconnected`, since nobody can say whether they were done.

    Args:
        link: Carries the batches.
        name: Whom the lane leads to, for errors.
        on_end: Called once when the lane has ended by itself, with whether the other end is dead.
        epoch: Of the view by which the other end was found. Default: there is none.
        on_view: Called with a newer view that the other end has told. Default: not needed.
        lane_id: What the other end knows the lane by; never used twice. Default: a random one.
        traffic: Is told of the batches. Default: nobody is.

    Attributes:
        depth: Messages that waited at the other end when it was last heard.
        life: Which life of the service's state it was then; 0: not known.
        heard_at: Loop time of that.
        ended: Whether the lane has ended.
        used_at: Loop time at which it last took a message.
        traffic: See above.
    """

    def __init__(
        self,
        link: Link,
        name: str,
        on_end: Callable[[bool], None] = lambda dead: None,
        epoch: Callable[[], int] = lambda: NO_EPOCH,
        on_view: Callable[[View], None] = lambda view: None,
        lane_id: str | None = None,
        traffic: LaneTraffic | None = None,
    ) -> None:
        self.name = name
        self.depth = 0
        self.life = 0
        self._epoch = epoch
        self._on_view = on_view
        self.traffic = traffic
        self._furthest = 0  # number of the last message ever sent
        self.ended = False
        self._link = link
        self._on_end = on_end
        self._id = lane_id or uuid.uuid4().hex
        self._loop = asyncio.get_running_loop()
        self.used_at = self.heard_at = self._loop.time()
        self._deadlines = Deadlines(self._loop)
        self._state = Sender()
        self._outbox: deque[envelope.Row] = deque()  # messages accepted + 1 .. last, with deadlines in loop time
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._large: dict[int, LargeValues] = {}  # of the messages in the outbox
        self._last = 0
        self._flush_due = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._heard = 0

    @property
    def outstanding(self) -> int:
        """Calls sent or waiting to be sent, and not answered yet."""
        return len(self._waiting)

    async def call(
        self,
        destination: str | Pid,
        payload: bytes,
        deadline: float,
        described: object = None,
        extra: envelope.Extra | None = None,
        large: LargeValues = (),
    ) -> object:
        """Send a call and wait for its answer. Cancelled, it cancels the call at the other end.

        Args:
            destination: Name or pid of the process there.
            payload: The request, pickled.
            deadline: Loop time until which the caller waits.
            described: What the call is, for errors.
            extra: What it carries beside.
            large: Its large values.

        Raises:
            Overloaded: Too many messages wait for the other end to take them.
            CallTimeout: No answer in time; the outcome is unknown.
            Disconnected: The other end died while the call was under way; the outcome is unknown.
            NoProcess: The other end is known to be dead; the call was not sent.
            CallFailed: As the callee gave.
        """
        if self.ended or len(self._outbox) >= MAX_WAITING_TO_BE_SENT:
            self._check_room(described)
        future: asyncio.Future[object] = self._loop.create_future()
        self._last = seq = self._last + 1
        self._outbox.append((envelope.CALL, destination, payload, deadline, extra))
        self._waiting[seq] = future
        if large:
            self._large[seq] = large
        due = self._deadlines.add(future, deadline)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        try:
            return await future
        except CallFailed as failure:
            self._waiting.pop(seq, None)
            if failure.call is not None:
                raise
            raise _described(failure, described) from None
        except asyncio.CancelledError:
            self._waiting.pop(seq, None)
            if not self.ended:
                self._offer((envelope.CANCEL, str(seq), b"", None, None))
            raise
        finally:
            due.call_off()

    async def known_life(self) -> int:
        """Which life of the service's state the other end has, asked if need be. 0: none now, or it has ended."""
        if not self.life and not self.ended:
            self._offer((envelope.HELLO, "", b"", None, None))
            heard = self._heard
            while self._heard == heard and not self.ended:
                self._room.clear()
                await self._room.wait()
        return self.life

    async def cast(
        self,
        destination: str | Pid,
        payload: bytes,
        timeout_s: float,
        described: object = None,
        extra: envelope.Extra | None = None,
        large: LargeValues = (),
    ) -> None:
        """Send a cast; waits while the other end takes no more.

        Raises:
            Overloaded: It took no more for `timeout_s` seconds; the cast was not sent.
            NoProcess: The other end is dead.
        """
        if self._last >= self._state.limit and not self.ended:
            try:
                async with asyncio.timeout(timeout_s):
                    while self._last >= self._state.limit and not self.ended:
                        self._room.clear()
                        await self._room.wait()
            except TimeoutError:
                raise Overloaded(described) from None
        self._check_room(described)
        seq = self._offer((envelope.CAST, destination, payload, None, extra))
        if large:
            self._large[seq] = large

    def post(self, row: envelope.Row) -> None:
        """Send a message that wants no answer; never waits.

        Raises:
            Overloaded: Too many messages wait for the other end to take them.
            NoProcess: The other end is dead.
        """
        self._check_room(self.name)
        self._offer(row)

    async def close(self) -> None:
        """End the lane; calls under way fail with `Disconnected`."""
        self._end()
        self._deadlines.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_room(self, described: object) -> None:
        if self.ended:
            raise NoProcess(described)
        if len(self._outbox) >= MAX_WAITING_TO_BE_SENT:
            raise Overloaded(described)

    def _offer(self, row: envelope.Row) -> int:
        self._last += 1
        self._outbox.append(row)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        return self._last

    def _flush(self) -> None:
        self._flush_due = False
        self.used_at = self._loop.time()
        if not self.ended:
            self._step(Offered(self._last))

    def _step(self, event: SenderEvent) -> None:
        while True:
            self._state, effects = send_step(self._state, event, len(self._waiting))
            for effect in effects:
                if isinstance(effect, Send):
                    self._send(effect)
                elif isinstance(effect, Pause):
                    self._loop.call_later(effect.delay_s, self._resume)
            if not any(isinstance(effect, Send) for effect in effects):
                return
            event = Offered(self._last)

    def _resume(self) -> None:
        if not self.ended:
            self._step(Resumed())

    def _send(self, batch: Send) -> None:
        start = batch.first - 1 - (self._last - len(self._outbox))
        now = self._loop.time()
        rows: list[envelope.Row] = [
            (kind, destination, payload, None if deadline is None else deadline - now, extra)
            for kind, destination, payload, deadline, extra in islice(self._outbox, start, start + batch.count)
        ]
        counts: LargeCounts = ()
        values: list[object] = []
        if self._large:
            counts, values = self._large_of(batch)
        data = envelope.dump_batch(self._id, batch, rows, self._epoch(), counts)
        if self.traffic is not None:
            last = batch.first + batch.count - 1
            self.traffic.sent(batch.count, max(0, min(self._furthest, last) - batch.first + 1), len(data))
            self._furthest = max(self._furthest, last)
        task = self._loop.create_task(self._exchange(data, values))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _large_of(self, batch: Send) -> tuple[LargeCounts, list[object]]:
        """The large values of a batch's messages."""
        found = [(seq - batch.first, self._large[seq]) for seq in self._large if 0 <= seq - batch.first < batch.count]
        return tuple((at, len(values)) for at, values in found), [value for _, values in found for value in values]

    async def _exchange(self, data: bytes, large: list[object]) -> None:
        try:
            exchanged = await self._link.exchange(data, *large)
            replied, came = (exchanged, ()) if isinstance(exchanged, bytes) else exchanged
            if self.traffic is not None:
                self.traffic.received(len(replied))
            if replied == envelope.FORGOTTEN:
                self._ended_by_itself(dead=False)
                return
            reply, answers, told, counts = envelope.load_reply(replied)
            self.depth, self.life = told.depth, told.life
            self.heard_at = self._loop.time()
            self._heard += 1
        except LinkLost:
            if self.traffic is not None:
                self.traffic.lost()
            if not self.ended:
                self._step(Lost())
        except LinkDown:
            if self.traffic is not None:
                self.traffic.lost()
            self._ended_by_itself(dead=True)
        except Exception as error:  # noqa: BLE001 (the other end runs another raybeam, or has a bug: callers are told)
            self._ended_by_itself(dead=False, why=f"{type(error).__name__}: {error}")
        else:
            if told.view is not None:
                self._on_view(told.view)
            if not self.ended:
                self._replied(reply, answers, values_at(counts, came) if counts else {})

    def _replied(self, reply: Replied, answers: list[envelope.Answer], large: dict[int, LargeValues]) -> None:
        skip = first_new_answer(self._state, reply)
        waiting, load = self._waiting, envelope.load
        for at, (seq, status, payload) in enumerate(answers):
            if skip is None or at < skip:
                continue
            future = waiting.pop(seq, None)
            if future is None or future.done():
                continue
            try:
                value = load(payload)
                if type(value) is Beside:
                    value = large[at][0]
            except InvalidArgumentsError as error:
                future.set_exception(UnsendableAnswer(str(error)))
                continue
            if status == envelope.VALUE:
                future.set_result(value)
            else:
                assert isinstance(value, BaseException)
                future.set_exception(value)
        for _ in range(max(0, reply.accepted - (self._last - len(self._outbox)))):
            self._outbox.popleft()
        if self._large:
            self._large = {seq: values for seq, values in self._large.items() if seq > reply.accepted}
        self._step(reply)
        self._room.set()

    def _ended_by_itself(self, *, dead: bool, why: str | None = None) -> None:
        if not self.ended:
            self._end(why)
            self._on_end(dead)

    def _end(self, why: str | None = None) -> None:
        self.ended = True
        self._room.set()
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(Disconnected() if why is None else CallFailed(why))
        self._waiting.clear()
        self._outbox.clear()
        self._large.clear()


def _described(failure: CallFailed, described: object) -> CallFailed:
    if isinstance(failure, Overloaded):
        return Overloaded(described, failure.retry_after_s, failure.why)
    if isinstance(failure, CallTimeout | NoProcess | Disconnected):
        return type(failure)(described)
    if isinstance(failure, Interrupted):
        return Interrupted(failure.cause, described, failure.begun)
    return type(failure)(failure.cause, described)
