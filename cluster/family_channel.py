"""The channel of a reference to a family: routing, deadline, and the retry strategy of the method."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from raybeam.actors import (
    AtMostOnce,
    Broadcast,
    CallFailed,
    CallTimeout,
    CircuitOpen,
    ExactlyOnce,
    Interrupted,
    NoProcess,
    Outcome,
    Overloaded,
    Result,
    UsageError,
    current_context,
)
from raybeam.actors.answer import time_left
from raybeam.actors.interface import Delivery, Invoke, result_of
from raybeam.actors.kernel.once import Origin
from raybeam.actors.kernel.retry import AT_MOST_ONCE

from . import envelope
from .kernel.attempts import GiveUp, OutOfTime, after_attempt
from .kernel.breaker import BreakerState
from .names import SERVICE

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .client import Client
    from .kernel.views import Member
    from .lane import Lane
    from .large import LargeValues

R = TypeVar("R")
AGAIN_S = 0.02
SHORTEST_S = 0.001


class FamilyChannel:
    """Sends the calls of references to one family.

    Args:
        client: Whose views and lanes are used.
        family: Name of the family.
    """

    __slots__ = ("_client", "_family", "_name", "_pattern", "_state")

    def __init__(self, client: Client, family: str) -> None:
        self._client = client
        self._family = family
        self._name = f"{client.blueprint.name}/{family}"
        self._pattern = client.blueprint.families[family].pattern
        self._state = client.state(family)

    def __repr__(self) -> str:
        return self._name

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Call a replica; again as the method's retry strategy allows.

        A call that has surely reached nobody goes to another replica whatever the strategy. A call that the callee
        crashed of is never made again: it would crash the next replica too.
        """
        if self._pattern == "broadcast":
            raise UsageError(f"{self._name} is a broadcast family: await ref.{request.method}.broadcast(...) instead")
        if self._state.breaker is not None:
            self._check_breaker(request)
        if delivery.retry is not AT_MOST_ONCE and not isinstance(delivery.retry, AtMostOnce):
            self._state.earned += delivery.retry.budget
        if delivery.hedge is not None:
            return await self._hedged(request, delivery)
        call = _Call(self, request, delivery)
        if type(delivery.retry) is not ExactlyOnce:  # the first attempt, without what it seldom needs
            lane = self._client.open_lane(self._family, call.key)
            if lane is not None:
                call.member = lane.name
                try:
                    return await lane.call(SERVICE, call.payload, call.until, call.described, call.extra, call.large)
                except CallFailed as failure:
                    return await call.answer(failure)
        return await call.answer()

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """Call every replica there is, each once, and gather what they answer until the deadline."""
        until = _deadline(self._client, delivery)
        message = envelope.dump_request(request)
        extra = envelope.pack_extra(current_context(), None)

        async def one(member: Member) -> Result[object]:
            return await result_of(self._ask_member(member.name, request, message, extra, until))

        members = await self._members(until, request)
        results = await asyncio.gather(*(one(member) for member in members))
        return Broadcast({member.index: result for member, result in zip(members, results, strict=True)})

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to a replica, or to all of a broadcast family; returns when the cast is on its way."""
        self._check_breaker(request)
        until = _deadline(self._client, delivery)
        message = envelope.dump_request(request)
        extra = envelope.pack_extra(current_context(), None)
        if self._pattern == "broadcast":
            lanes = [self._client.lane_to(member.name, until) for member in await self._members(until, request)]
            for lane in await asyncio.gather(*lanes):
                if lane is not None:
                    await self._cast(lane, message, until, request, extra)
            return
        key = None if delivery.key is None else delivery.key.of(request)
        while True:
            try:
                lane = await self._client.lane(self._family, key, until)
            except TimeoutError:
                raise CallTimeout((self._name, request), sent=False) from None
            if await self._cast(lane, message, until, request, extra):
                return
            await asyncio.sleep(AGAIN_S)

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop."""
        return self._client.run(coroutine)  # type: ignore[return-value]  # what the coroutine gives

    # -- inside --------------------------------------------------------------------------------------

    async def _members(self, until: float, request: Invoke) -> tuple[Member, ...]:
        try:
            return await self._client.members(self._family, until)
        except TimeoutError:
            raise CallTimeout((self._name, request), sent=False) from None

    async def _cast(
        self,
        lane: Lane,
        message: tuple[bytes, LargeValues],
        until: float,
        request: Invoke,
        extra: envelope.Extra | None,
    ) -> bool:
        payload, large = message
        left_s = max(SHORTEST_S, until - self._client.now())
        try:
            await lane.cast(SERVICE, payload, left_s, (self._name, request), extra, large)
        except NoProcess:  # the lane has ended: another replica takes it
            return False
        return True

    async def _ask_member(
        self,
        name: str,
        request: Invoke,
        message: tuple[bytes, LargeValues],
        extra: envelope.Extra | None,
        until: float,
    ) -> object:
        payload, large = message
        described = (self._name, request)
        try:
            lane = await self._client.lane_to(name, until)
        except TimeoutError:
            raise CallTimeout(described, sent=False) from None
        if lane is None:
            raise NoProcess(described)
        return await lane.call(SERVICE, payload, until, described, extra, large)

    def _check_breaker(self, request: Invoke) -> None:
        breaker = self._state.breaker
        if breaker is not None and breaker.state is not BreakerState.OK:
            raise CircuitOpen((self._name, request), breaker.retry_after_s)

    async def _hedged(self, request: Invoke, delivery: Delivery) -> object:
        """Ask one replica and, when it takes unusually long, another; the first answer counts."""
        assert delivery.hedge is not None
        client, began = self._client, self._client.now()
        latency = self._state.latency_of(request.method)
        first = _Call(self, request, delivery)
        running = {asyncio.ensure_future(first.answer())}
        try:
            pause_s = delivery.hedge.pause_s(latency.quantile(delivery.hedge.quantile, began))
            if pause_s is not None and pause_s < delivery.timeout_s:
                done, _ = await asyncio.wait(running, timeout=pause_s)
                others = await client.members(self._family, first.until)
                if not done and len(others) > 1 and self._state.repetition_allowed(client.now()):
                    second = _Call(self, request, delivery, avoid=first.member, until=first.until)
                    running.add(asyncio.ensure_future(second.answer()))
            while True:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                ended = done.pop()
                running |= done
                if ended.exception() is None or not running:
                    value = ended.result()
                    latency.add(client.now() - began, client.now())
                    return value
        finally:
            for other in running:
                other.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def _deadline(client: Client, delivery: Delivery) -> float:
    """Until when a call made now may take, loop time: its maker may have less time left than its method gives."""
    left_s = time_left(delivery.timeout_s)
    assert left_s is not None
    return client.now() + left_s


class _Call:
    """One call, and the attempts at it.

    Attributes:
        member: The replica that was asked last.
        key: Where it belongs, `None`: anywhere.
        until: The deadline, loop time.
        payload: The request, pickled.
        large: Its large values.
        extra: What it carries beside.
        described: What it is, for errors.
    """

    __slots__ = (
        "_avoid",
        "_channel",
        "_client",
        "_delivery",
        "_maybe_done",
        "_origin",
        "described",
        "extra",
        "key",
        "large",
        "member",
        "payload",
        "until",
    )  # fmt: skip

    def __init__(
        self,
        channel: FamilyChannel,
        request: Invoke,
        delivery: Delivery,
        avoid: str | None = None,
        until: float | None = None,
    ) -> None:
        self._channel = channel
        self._client = channel._client
        self._delivery = delivery
        self._avoid = avoid
        self._origin: Origin | None = None
        self._maybe_done = False
        self.described = (channel._name, request)
        self.payload, self.large = envelope.dump_request(request)
        context = current_context()
        self.extra = None if context is None else envelope.pack_extra(context, None)
        self.key = None if delivery.key is None else delivery.key.of(request)
        self.member: str | None = None
        self.until = _deadline(channel._client, delivery) if until is None else until

    async def answer(self, first_failure: CallFailed | None = None) -> object:
        """Make the call until there is an answer or nothing more may be tried.

        Args:
            first_failure: How the first attempt ended, when it was made already.
        """
        retry, state, client = self._delivery.retry, self._channel._state, self._client
        attempt = 0
        try:
            while True:
                attempt += 1
                try:
                    if first_failure is not None:
                        failure, first_failure = first_failure, None
                        raise failure
                    return await self._attempt()
                except TimeoutError:
                    raise CallTimeout(self.described, sent=self._maybe_done) from None
                except _StateLost as lost:
                    raise Interrupted(lost.cause, self.described) from None
                except _Shunned as shunned:
                    error: CallFailed = Overloaded(self.described, shunned.seconds)
                    retry_after_s: float | None = shunned.seconds
                except CallFailed as failure:
                    error = failure
                    retry_after_s = self._learn(failure)
                left_s = self.until - client.now()
                verdict = after_attempt(
                    retry,
                    error.outcome,
                    attempt,
                    left_s,
                    client.random,
                    maybe_done=self._maybe_done,
                    retry_after_s=retry_after_s,
                )
                if isinstance(verdict, OutOfTime):
                    raise CallTimeout(self.described, sent=self._maybe_done)
                if isinstance(verdict, GiveUp) or (verdict.same and not client.has(self.member)):
                    raise error
                if verdict.counts and not state.repetition_allowed(client.now()):
                    raise error
                await asyncio.sleep(verdict.delay_s)
        finally:
            self._settle()

    async def _attempt(self) -> object:
        lane = await self._lane()
        self.member = lane.name
        return await lane.call(SERVICE, self.payload, self.until, self.described, self.extra, self.large)

    async def _lane(self) -> Lane:
        """The lane for the next attempt. Once a replica may have done a call exactly once, to no other."""
        client, delivery = self._client, self._delivery
        if self._origin is not None and self._maybe_done:
            assert self.member is not None
            lane = await client.lane_to(self.member, self.until)
            if lane is None:
                raise _StateLost("noconnection")
            return lane
        self._settle()
        try:
            lane = await client.lane(self._channel._family, self.key, self.until, self._avoid)
        except Overloaded as refused:
            raise _Shunned(refused.retry_after_s) from None
        if isinstance(delivery.retry, ExactlyOnce):
            async with asyncio.timeout_at(self.until):
                await self._number(lane, delivery.retry.window)
        return lane

    async def _number(self, lane: Lane, window: int) -> None:
        """Give the call a number at the replica of the lane, waiting while too many are under way there."""
        life = await lane.known_life()
        if not life:
            raise NoProcess(self.described)
        numbers = self._client.numbers(lane.name)
        while numbers.under_way >= window:
            await self._channel._state.wait_for_settled()
        self.member = lane.name
        self._origin = Origin(self._client.id, numbers.take(), numbers.settled, life)
        self.extra = envelope.pack_extra(current_context(), self._origin)

    def _settle(self) -> None:
        """No answer to the numbered call is waited for any more."""
        if self._origin is not None:
            assert self.member is not None
            self._client.numbers(self.member).settle(self._origin.number)
            self._origin = None
            self._channel._state.settled()

    def _learn(self, failure: CallFailed) -> float | None:
        """Take in how an attempt failed; when the callee may be asked again, if it has refused.

        Raises:
            _StateLost: It was not done, but an earlier attempt may have been, by a state that is gone now.
        """
        breaker = self._channel._state.breaker
        if breaker is not None and failure.outcome in (Outcome.UNKNOWN, Outcome.FAILED):
            breaker.melt()
        if failure.outcome is Outcome.UNKNOWN:
            self._maybe_done = True
        elif failure.outcome is Outcome.NOT_SENT and self._maybe_done and self._origin is not None:
            raise _StateLost(failure.cause)
        if isinstance(failure, Overloaded):
            assert self.member is not None
            self._client.shun(self.member, failure.retry_after_s)
            return 0.0  # another replica may take it at once
        return None


class _StateLost(Exception):
    """The state that may have done the call has ended, and its memory of what it has done."""

    def __init__(self, cause: object) -> None:
        super().__init__(cause)
        self.cause = cause


class _Shunned(Exception):
    """All replicas that could take the call are overloaded, and left alone for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
