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
    NoProcess,
    Overloaded,
    Result,
    UsageError,
    current_context,
)
from raybeam.actors.answer import time_left
from raybeam.actors.kernel.regulation.refusal import Refusal
from raybeam.actors.kernel.retry import AT_MOST_ONCE
from raybeam.actors.result import result_of

from . import envelope
from .family_call import FamilyCall
from .names import SERVICE
from .telemetry.client_calls import context_of_call

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from raybeam.actors.delivery import Delivery, Invoke

    from .client import Client
    from .kernel.views import Member
    from .lane import Lane
    from .large import LargeValues
    from .telemetry.client_calls import Observer

R = TypeVar("R")
AGAIN_S = 0.02
SHORTEST_S = 0.001


class FamilyChannel:
    """Sends the calls of references to one family.

    Args:
        client: Whose views and lanes are used.
        family: Name of the family.

    Attributes:
        client: See above.
        family: See above.
        name: Of the family, with the system's.
        state: What the client remembers of its calls to the family.
    """

    __slots__ = ("_by_caller", "_calls", "_pattern", "client", "family", "name", "state")

    def __init__(self, client: Client, family: str) -> None:
        self.client = client
        self.family = family
        self.name = f"{client.blueprint.name}/{family}"
        spec = client.blueprint.families[family]
        self._pattern = spec.pattern
        regulation = spec.regulation or spec.service_class().regulation
        self._by_caller = regulation is not None and (regulation.priorities is not None or regulation.fair is not None)
        self.state = client.state(family)
        self._calls = client.observed.calls(family)

    def __repr__(self) -> str:
        return self.name

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Call a replica; again as the method's retry strategy allows.

        A call that has surely reached nobody goes to another replica whatever the strategy. A call that the callee
        crashed of is never made again: it would crash the next replica too.
        """
        if self._pattern == "broadcast":
            raise UsageError(f"{self.name} is a broadcast family: await ref.{request.method}.broadcast(...) instead")
        client, calls = self.client, self._calls
        observed: Observer | None = calls.methods.get(request.method) if calls.telemetry.only_counting else None
        if observed is None and calls.telemetry.on:
            observed = calls.begin(request.method)
        now = asyncio.get_running_loop().time
        began = now()
        until = began + _time_left(delivery)
        try:
            if self.state.breaker is not None:
                self.check_breaker(request)
            if delivery.retry is not AT_MOST_ONCE and not isinstance(delivery.retry, AtMostOnce):
                self.state.earns(delivery.retry.budget, began)
            if delivery.hedge is not None:
                value = await self._hedged(request, delivery, until, observed)
            else:
                call = FamilyCall(self, request, delivery, until, observed)
                lane = None if type(delivery.retry) is ExactlyOnce else client.open_lane(self.family, call.key)
                if lane is None:
                    value = await call.answer()
                else:  # the first attempt, without what it seldom needs
                    call.member = lane.name
                    try:
                        value = await lane.call(SERVICE, call.payload, until, call.described, call.extra, call.large)
                    except CallFailed as failure:
                        value = await call.answer(failure)
        except BaseException as error:
            if observed is not None:
                observed.failed(now() - began, error)
            raise
        if observed is not None:
            observed.ok(now() - began)
        return value

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """Call every replica there is, each once, and gather what they answer until the deadline.

        Raises:
            CircuitOpen: The family's breaker is open; nobody was called.
            CallTimeout: There was no replica until the deadline.
        """
        self.check_breaker(request)
        began = self.client.now()
        until = began + _time_left(delivery)
        message = envelope.dump_request(request)
        calls = self._calls

        async def one(member: Member) -> Result[object]:
            observed = calls.begin(request.method) if calls.telemetry.on else None
            extra = envelope.pack_extra(context_of_call(observed), None)
            result = await result_of(self._ask_member(member.name, request, message, extra, until))
            if isinstance(result.error, CallFailed):
                self.state.failed(result.error.outcome)
            if observed is not None:
                took_s = self.client.now() - began
                if result.error is None:
                    observed.ok(took_s)
                else:
                    observed.failed(took_s, result.error)
            return result

        members = await self._members(until, request)
        results = await asyncio.gather(*(one(member) for member in members))
        return Broadcast({member.index: result for member, result in zip(members, results, strict=True)})

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Cast to a replica, or to all of a broadcast family; returns when the cast is on its way."""
        try:
            await self._tell(request, delivery)
        except BaseException as error:
            self._calls.cast(request.method, error)
            raise
        self._calls.cast(request.method, None)

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop."""
        return self.client.run(coroutine)  # type: ignore[return-value]  # what the coroutine gives

    # -- inside --------------------------------------------------------------------------------------

    async def _tell(self, request: Invoke, delivery: Delivery) -> None:
        self.check_breaker(request)
        until = self.client.now() + _time_left(delivery)
        message = envelope.dump_request(request)
        extra = envelope.pack_extra(current_context(), None)
        if self._pattern == "broadcast":
            lanes = [self._lane_to(member.name, until, request) for member in await self._members(until, request)]
            for lane in await asyncio.gather(*lanes):
                if lane is not None:
                    await self._cast(lane, message, until, request, extra)
            return
        key = None if delivery.key is None else delivery.key.of(request)
        while True:
            try:
                lane = await self.client.lane(self.family, key, until)
            except TimeoutError:
                raise CallTimeout((self.name, request), sent=False) from None
            except Overloaded as refused:
                raise Overloaded((self.name, request), refused.retry_after_s, refused.why) from None
            if await self._cast(lane, message, until, request, extra):
                return
            await asyncio.sleep(AGAIN_S)

    async def _members(self, until: float, request: Invoke) -> tuple[Member, ...]:
        try:
            return await self.client.members(self.family, until)
        except TimeoutError:
            raise CallTimeout((self.name, request), sent=False) from None

    async def _lane_to(self, name: str, until: float, request: Invoke) -> Lane | None:
        try:
            return await self.client.lane_to(name, until)
        except TimeoutError:
            raise CallTimeout((self.name, request), sent=False) from None

    async def _cast(
        self,
        lane: Lane,
        message: tuple[bytes, LargeValues],
        until: float,
        request: Invoke,
        extra: envelope.Extra | None,
    ) -> bool:
        payload, large = message
        left_s = max(SHORTEST_S, until - self.client.now())
        try:
            await lane.cast(SERVICE, payload, left_s, (self.name, request), extra, large)
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
        described = (self.name, request)
        lane = await self._lane_to(name, until, request)
        if lane is None:
            raise NoProcess(described)
        return await lane.call(SERVICE, payload, until, described, extra, large)

    def check_breaker(self, request: Invoke) -> None:
        """Refuse a call while the family's breaker is open.

        Raises:
            CircuitOpen: It is.
        """
        breaker = self.state.breaker
        if breaker is not None and self.state.refuses:
            raise CircuitOpen((self.name, request), breaker.retry_after_s)

    def refuses_all_alike(self, refused: Overloaded) -> bool:
        """Whether a replica that has refused a call would refuse any other now: then it is left alone.

        It may have room for calls of another tenant or priority, or for calls with more time.
        """
        return not self._by_caller and refused.why != Refusal.DEADLINE.value

    def may_repeat(self, observed: Observer | None, made_at: float | None = None, share: float = 0.0) -> bool:
        """Take one repetition from the budget, if it has one left; see `RetryBudget.withdraw`."""
        allowed = self.state.repetition_allowed(self.client.now(), made_at, share)
        if not allowed and observed is not None:
            observed.budget_exhausted()
        return allowed

    async def _hedged(self, request: Invoke, delivery: Delivery, until: float, observed: Observer | None) -> object:
        """Ask one replica and, when it takes unusually long, another; the first answer counts."""
        assert delivery.hedge is not None
        client, began = self.client, self.client.now()
        latency = self.state.latency_of(request.method)
        first = FamilyCall(self, request, delivery, until, observed)
        running = {asyncio.ensure_future(first.answer())}
        try:
            pause_s = delivery.hedge.pause_s(latency.quantile(delivery.hedge.quantile, began))
            if pause_s is not None and pause_s < delivery.timeout_s:
                done, _ = await asyncio.wait(running, timeout=pause_s)
                if not done and client.replicas(self.family) > 1 and self.may_repeat(observed):
                    second = FamilyCall(self, request, delivery, until, observed, avoid=first.member)
                    if observed is not None:
                        observed.hedge()
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


def _time_left(delivery: Delivery) -> float:
    """Seconds that a call may take that is made now: its maker may have less time left than its method gives."""
    left_s = time_left(delivery.timeout_s)
    assert left_s is not None
    return left_s
