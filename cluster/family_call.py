"""One call to a family, and the attempts at it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from raybeam.actors import (
    AtMostOnce,
    CallFailed,
    CallTimeout,
    ExactlyOnce,
    Interrupted,
    NoProcess,
    Outcome,
    Overloaded,
    current_context,
)
from raybeam.actors.kernel.once import Origin

from . import envelope
from .kernel.attempts import GiveUp, OutOfTime, after_attempt
from .names import SERVICE
from .telemetry.client_calls import context_of_call

if TYPE_CHECKING:
    from raybeam.actors.delivery import Delivery, Invoke
    from raybeam.actors.kernel.once import CallNumbers

    from .family_channel import FamilyChannel
    from .lane import Lane
    from .telemetry.client_calls import Observer


class FamilyCall:
    """One call, and the attempts at it.

    Args:
        channel: Of the family.
        request: What is asked.
        delivery: How the method wants to be called.
        until: The deadline, loop time.
        observed: Who is told how it goes, `None`: nobody.
        avoid: A replica that has the call already.

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
        "_doubt",
        "_made_at",
        "_numbers",
        "_observed",
        "_origin",
        "_request",
        "_share",
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
        until: float,
        observed: Observer | None,
        avoid: str | None = None,
    ) -> None:
        self._channel = channel
        self._client = channel.client
        self._delivery = delivery
        self._avoid = avoid
        self._origin: Origin | None = None
        self._numbers: CallNumbers | None = None
        self._doubt: CallFailed | None = None  # how the last attempt ended that may have been done
        self._made_at = self._client.now()
        self._share = 0.0 if isinstance(delivery.retry, AtMostOnce) else delivery.retry.budget  # of repetitions
        self._request = request
        self.described = (channel.name, request)
        self.payload, self.large = envelope.dump_request(request)
        self._observed = observed
        context = current_context() if observed is None or observed.span is None else context_of_call(observed)
        self.extra = None if context is None else envelope.pack_extra(context, None)
        self.key = None if delivery.key is None else delivery.key.of(request)
        self.member: str | None = None
        self.until = until

    async def answer(self, first_failure: CallFailed | None = None) -> object:
        """Make the call until there is an answer or nothing more may be tried.

        Args:
            first_failure: How the first attempt ended, when it was made already.
        """
        retry, client = self._delivery.retry, self._client
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
                    raise CallTimeout(self.described, sent=self._doubt is not None) from None
                except _StateLost as lost:
                    raise Interrupted(lost.cause, self.described) from None
                except _Shunned as shunned:
                    error: CallFailed = Overloaded(self.described, shunned.seconds)
                    retry_after_s: float | None = shunned.seconds
                except CallFailed as failure:
                    if failure.outcome is Outcome.NOT_SENT and self._doubt is not None and self._origin is not None:
                        raise Interrupted(failure.cause, self.described) from None
                    error = failure
                    retry_after_s = self._learn(failure)
                left_s = self.until - client.now()
                verdict = after_attempt(
                    retry,
                    error.outcome,
                    attempt,
                    left_s,
                    client.random,
                    maybe_done=self._doubt is not None,
                    retry_after_s=retry_after_s,
                )
                if isinstance(verdict, OutOfTime):
                    raise CallTimeout(self.described, sent=self._doubt is not None)
                if isinstance(verdict, GiveUp) or self._channel.state.refuses:
                    raise self._told(error)
                if verdict.same and not client.has(self.member):
                    raise self._told(error)
                if verdict.counts:
                    share, self._share = self._share, 0.0
                    if not self._channel.may_repeat(self._observed, self._made_at, share):
                        raise self._told(error)
                if self._observed is not None:
                    self._observed.retry(error.outcome, verdict.delay_s)
                await asyncio.sleep(verdict.delay_s)
        finally:
            self._settle()

    async def _attempt(self) -> object:
        lane = await self._lane()
        self._channel.check_breaker(self._request)
        self.member = lane.name
        return await lane.call(SERVICE, self.payload, self.until, self.described, self.extra, self.large)

    async def _lane(self) -> Lane:
        """The lane for the next attempt. Once a replica may have done a call exactly once, to no other."""
        client, delivery = self._client, self._delivery
        if self._origin is not None and self._doubt is not None:
            assert self.member is not None
            lane = await client.lane_to(self.member, self.until)
            if lane is None:
                raise _StateLost("noconnection")
            return lane
        self._settle()
        try:
            lane = await client.lane(self._channel.family, self.key, self.until, self._avoid)
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
            await self._channel.state.wait_for_settled()
        self.member = lane.name
        self._numbers = numbers
        self._origin = Origin(numbers.client, numbers.take(), numbers.settled, life)
        self.extra = envelope.pack_extra(context_of_call(self._observed), self._origin)

    def _settle(self) -> None:
        """No answer to the numbered call is waited for any more."""
        if self._origin is not None:
            assert self._numbers is not None
            self._numbers.settle(self._origin.number)
            self._origin = None
            self._channel.state.settled()

    def _told(self, error: CallFailed) -> CallFailed:
        """What the caller is told: that the last attempt was not done says nothing of those before."""
        return self._doubt if self._doubt is not None and error.outcome.surely_not_done else error

    def _learn(self, failure: CallFailed) -> float | None:
        """Take in how an attempt failed; when the callee may be asked again, if it has refused."""
        self._channel.state.failed(failure.outcome)
        if failure.outcome is Outcome.UNKNOWN:
            self._doubt = failure
        if isinstance(failure, Overloaded):
            if not self._channel.refuses_all_alike(failure):
                return failure.retry_after_s
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
