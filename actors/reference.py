"""Typed references: the methods of a service at the caller, over a channel to wherever it lives."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from .delivery import Invoke, is_deadline, new_invoke
from .errors import UsageError
from .method import methods_of
from .result import result_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .delivery import Delivery
    from .method import Method
    from .result import Broadcast, Result

R = TypeVar("R")
S = TypeVar("S")


class Channel(Protocol):
    """Where a reference sends to: a process, or the replicas of a family."""

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Send a call and wait for its answer."""
        ...

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Send a cast; returns when it is on its way, which back pressure may delay."""
        ...

    async def ask_all(self, request: Invoke, delivery: Delivery) -> Broadcast[object]:
        """Send a call to every replica and gather what they answer until the deadline."""
        ...

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop, and wait for it."""
        ...


class _Remote:
    """A `BoundMethod` over a channel."""

    __slots__ = ("_channel", "_delivery", "_name")

    def __init__(self, channel: Channel, name: str, delivery: Delivery) -> None:
        self._channel = channel
        self._name = name
        self._delivery = delivery

    def __call__(self, *args: object, **kwargs: object) -> Coroutine[object, object, object]:
        request = new_invoke(Invoke, (self._name, args, kwargs))
        if self._delivery.kind == "cast":
            return self._channel.tell(request, self._delivery)
        return self._channel.ask(request, self._delivery)

    async def result(self, *args: object, **kwargs: object) -> Result[object]:
        return await result_of(self(*args, **kwargs))

    async def broadcast(self, *args: object, **kwargs: object) -> Broadcast[object]:
        if self._delivery.kind == "cast":
            raise UsageError(f"{self._name} is a cast, which has no answers: cast to a family of pattern 'broadcast'")
        return await self._channel.ask_all(Invoke(self._name, args, kwargs), self._delivery)

    def sync(self, *args: object, **kwargs: object) -> object:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._channel.run(self._in_loop(args, kwargs))
        raise UsageError(f"{self._name}.sync() would block the event loop: await {self._name}(...) instead")

    async def _in_loop(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        return await self(*args, **kwargs)

    def within(self, timeout_s: float) -> _Remote:
        if not is_deadline(timeout_s):
            raise UsageError(f"{self._name}.within({timeout_s!r}): give a deadline in seconds above 0")
        return _Remote(self._channel, self._name, replace(self._delivery, timeout_s=timeout_s))


class Reference:
    """A typed reference: has the public methods of a service and nothing else. Made by `ref(...)`."""

    def __init__(self, service: type, channel: Channel, methods: dict[str, Method[object, ..., object]]) -> None:
        self._service = service
        self._channel = channel
        for name, method in methods.items():
            setattr(self, name, _Remote(channel, name, method.delivery))

    def __getattr__(self, name: str) -> object:
        public = ", ".join(sorted(vars(self).keys() - {"_service", "_channel"}))
        raise AttributeError(
            f"{self.__dict__['_service'].__name__} offers no method {name!r} to callers; it has: {public}. "
            "Mark a method with @call, @cast or @query to offer it."
        )

    def __repr__(self) -> str:
        return f"<reference to {self._service.__name__} over {self._channel!r}>"


def reference(service: type[S], channel: Channel) -> S:
    """A reference to `service` that sends over `channel`, typed as the service for editors and mypy."""
    return cast("S", Reference(service, channel, methods_of(service)))
