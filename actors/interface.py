"""The typed face of a service: methods marked `@call`, `@cast` or `@query`, and typed references to them.

On the service's side they stay plain methods. On the caller's side a reference has the same names and types:
`await ref.reserve("x", 1)` inside an event loop, `ref.reserve.sync("x", 1)` outside one.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    get_type_hints,
    overload,
)

import pydantic

from .errors import InvalidArgumentsError, UsageError
from .kernel.retry import AT_MOST_ONCE, AtLeastOnce, Retry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from .server_cell import ServerCell

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Invoke(NamedTuple):
    """The request of a typed call: which method, with what."""

    method: str
    args: tuple[object, ...]
    kwargs: dict[str, object]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a method wants to be called.

    Attributes:
        kind: `"call"`, `"cast"` or `"query"`.
        timeout_s: Seconds until the caller gives up and the callee drops the work undone.
        retry: What the caller does when the outcome is unknown.
    """

    kind: str
    timeout_s: float
    retry: Retry


class Channel(Protocol):
    """Where a reference sends to: a process, or the replicas of a family."""

    async def ask(self, request: Invoke, delivery: Delivery) -> object:
        """Send a call and wait for its answer."""
        ...

    async def tell(self, request: Invoke, delivery: Delivery) -> None:
        """Send a cast; returns when it is on its way, which back pressure may delay."""
        ...

    def run(self, coroutine: Coroutine[object, object, R]) -> R:
        """Run one of the above from a thread without an event loop, and wait for it."""
        ...


class Method(Generic[S, P, R]):
    """A method of a service that others may call. Made by the decorators."""

    def __init__(self, function: Callable[Concatenate[S, P], R | Awaitable[R]], delivery: Delivery) -> None:
        self.function = function
        self.delivery = delivery
        self.name = getattr(function, "__name__", "?")
        self.concurrent = False
        self.blocking = not inspect.iscoroutinefunction(function)
        functools.update_wrapper(self, function)  # type: ignore[arg-type]  # a descriptor stands in for the function
        self._validate: Callable[..., tuple[tuple[object, ...], dict[str, object]]] | None = None
        self._validate_result: Callable[[object], object] | None = None

    @overload
    def __get__(self, owner: None, kind: type[S]) -> Method[S, P, R]: ...
    @overload
    def __get__(self, owner: S, kind: type[S]) -> BoundMethod[P, R]: ...
    def __get__(self, owner: S | None, kind: type[S]) -> Method[S, P, R] | BoundMethod[P, R]:
        if owner is None:
            return self
        # On the service itself the method is just the function: no mailbox between a service and itself.
        return cast("BoundMethod[P, R]", functools.partial(self.function, owner))

    def prepare(self) -> None:
        """Build the validators from the annotations.

        Raises:
            UsageError: An annotation cannot be resolved or validated.
        """

        def capture(*args: object, **kwargs: object) -> tuple[tuple[object, ...], dict[str, object]]:
            return args, kwargs

        try:
            hints = get_type_hints(self.function, include_extras=True)
            result = hints.pop("return", None)
            functools.update_wrapper(capture, self.function)
            capture.__annotations__ = hints
            self._validate = pydantic.validate_call(capture)
            if result is not None and result is not type(None) and result is not object:
                self._validate_result = pydantic.TypeAdapter(result).validate_python
            else:
                self._validate_result = _unchanged
        except (NameError, TypeError, pydantic.PydanticUserError) as error:
            raise UsageError(
                f"{self.name}: its annotations cannot be validated ({error}); import the types where the class is "
                "defined (not under TYPE_CHECKING) and use types that pydantic knows"
            ) from error

    async def serve(self, cell: ServerCell, request: Invoke) -> R:
        """Validate, run the handler, validate its result: the callee's side of a call."""
        if self._validate is None or self._validate_result is None:
            self.prepare()
            assert self._validate is not None
            assert self._validate_result is not None
        try:
            args, kwargs = self._validate(cell.server, *request.args, **request.kwargs)
        except pydantic.ValidationError as error:
            raise InvalidArgumentsError(self._explain(error)) from None
        function = cast("Callable[..., object]", self.function)
        if self.blocking:
            context = contextvars.copy_context()
            result: object = await asyncio.get_running_loop().run_in_executor(
                cell.beside.threads() if self.concurrent and cell.beside is not None else None,
                functools.partial(context.run, function, *args, **kwargs),
            )
        else:
            result = await cast("Awaitable[object]", function(*args, **kwargs))
        return cast("R", self._validate_result(result))

    def _explain(self, error: pydantic.ValidationError) -> str:
        """Which argument is wrong, by name, and what came instead."""
        names = list(inspect.signature(self.function).parameters)
        told = []
        for problem in error.errors(include_url=False):
            first, *rest = problem["loc"]
            name = names[first] if isinstance(first, int) and first < len(names) else first
            where = ".".join(str(part) for part in (name, *rest))
            told.append(f"{where}: {problem['msg']} (got {problem['input']!r})")
        return f"{self.name}: " + "; ".join(told)


def _unchanged(value: object) -> object:
    return value


class BoundMethod(Protocol[P, R_co]):
    """A method as a caller sees it, through a reference."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, object, R_co]:
        """Call and wait for the answer, in an event loop."""
        ...

    def sync(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call and wait for the answer, outside any event loop."""
        ...

    def within(self, timeout_s: float) -> BoundMethod[P, R_co]:
        """The same method with another deadline, in seconds."""
        ...


class _Remote:
    """A `BoundMethod` over a channel."""

    __slots__ = ("_channel", "_delivery", "_name")

    def __init__(self, channel: Channel, name: str, delivery: Delivery) -> None:
        self._channel = channel
        self._name = name
        self._delivery = delivery

    def __call__(self, *args: object, **kwargs: object) -> Coroutine[object, object, object]:
        request = Invoke(self._name, args, kwargs)
        if self._delivery.kind == "cast":
            return self._channel.tell(request, self._delivery)
        return self._channel.ask(request, self._delivery)

    def sync(self, *args: object, **kwargs: object) -> object:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._channel.run(self(*args, **kwargs))
        raise UsageError(f"{self._name}.sync() would block the event loop: await {self._name}(...) instead")

    def within(self, timeout_s: float) -> _Remote:
        delivery = self._delivery
        return _Remote(self._channel, self._name, Delivery(delivery.kind, timeout_s, delivery.retry))


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


def methods_of(service: type) -> dict[str, Method[object, ..., object]]:
    """The methods that a service offers, by name."""
    found: dict[str, Method[object, ..., object]] = {}
    for base in reversed(service.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, Method):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def reference(service: type[S], channel: Channel) -> S:
    """A reference to `service` that sends over `channel`, typed as the service for editors and mypy."""
    return cast("S", Reference(service, channel, methods_of(service)))


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...


def _decorator(kind: str, timeout_s: float, retry: Retry) -> _Decorator:
    if not timeout_s > 0:
        raise UsageError(f"timeout_s={timeout_s!r}: a {kind} needs a deadline in seconds above 0")

    def decorate(function: Callable[Concatenate[S, P], R | Awaitable[R]]) -> Method[S, P, R]:
        return Method(function, Delivery(kind, timeout_s, retry))

    return cast("_Decorator", decorate)


def _beside(decorate: _Decorator) -> _Decorator:
    """The same, for a method that is served beside the turn of its process."""

    def decorate_concurrent(function: Callable[..., object]) -> object:
        method: Method[object, ..., object] = decorate(function)
        method.concurrent = True
        return method

    return cast("_Decorator", decorate_concurrent)


@overload
def call(function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
@overload
def call(function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...
@overload
def call(*, timeout_s: float = 5.0, retry: Retry = AT_MOST_ONCE, concurrent: bool = False) -> _Decorator: ...
def call(
    function: object = None,
    /,
    *,
    timeout_s: float = 5.0,
    retry: Retry = AT_MOST_ONCE,
    concurrent: bool = False,
) -> object:
    """Mark a method as a call: it may change state, and its caller waits for the answer.

    An `async def` handler runs on the loop; a plain `def` runs in a thread, so it may block. Either way the
    process handles one message at a time. Arguments and result are validated against the annotations.

    Args:
        function: The method, when used without brackets.
        timeout_s: The deadline in seconds; expired work is dropped, not done. Default 5.
        retry: What the caller does when the outcome is unknown. Default: nothing (at most once).
        concurrent: For queries only.

    Raises:
        UsageError: A deadline that is not above 0, or `concurrent`.
    """
    if concurrent:
        raise UsageError(
            "@call(concurrent=True): a call may change state, and state changes one call at a time. If it only reads, "
            "mark it with @query(concurrent=True); if it waits long for others, take it apart: a concurrent query that "
            "waits, and a call that changes the state with what came of it"
        )
    decorate = _decorator("call", timeout_s, retry)
    return decorate if function is None else decorate(function)  # type: ignore[call-overload]


@overload
def query(function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
@overload
def query(function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...
@overload
def query(*, timeout_s: float = 5.0, retry: Retry = ..., concurrent: bool = False) -> _Decorator: ...
def query(
    function: object = None, /, *, timeout_s: float = 5.0, retry: Retry | None = None, concurrent: bool = False
) -> object:
    """Mark a method as a query: it only reads, so it is safe to do again, and is (at least once) until its deadline.

    Takes the options of `call`, and:

    Args:
        function: The method, when used without brackets.
        timeout_s: As for `call`.
        retry: As for `call`. Default: at least once.
        concurrent: Whether it is served in a task of its own (or a thread, if it is a plain `def`), beside the turn of
            its process, which goes on with the next message at once. It begins in its turn, so it sees what was done
            before; what is done while it waits for something, it sees too. At most 1000 are under way in a process (32
            in threads), or as many as its regulation says; more wait. Default no: one message at a time.
    """
    decorate = _decorator("query", timeout_s, AtLeastOnce() if retry is None else retry)
    if concurrent:
        decorate = _beside(decorate)
    return decorate if function is None else decorate(function)  # type: ignore[call-overload]


@overload
def cast_(function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
@overload
def cast_(function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...
@overload
def cast_(*, timeout_s: float = 5.0) -> _Decorator: ...
def cast_(function: object = None, /, *, timeout_s: float = 5.0) -> object:
    """Mark a method as a cast: fire and forget; its caller does not learn whether it was done.

    Args:
        function: The method, when used without brackets.
        timeout_s: How long, in seconds, the sender waits for back pressure to let it send. Default 5.
    """
    decorate = _decorator("cast", timeout_s, AT_MOST_ONCE)
    return decorate if function is None else decorate(function)  # type: ignore[call-overload]
