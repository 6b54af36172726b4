"""The typed face of a service: methods marked `@call`, `@cast` or `@query`, and typed references to them.

On the service's side they stay plain methods. On the caller's side a reference has the same names and types:
`await ref.reserve("x", 1)` inside an event loop, `ref.reserve.sync("x", 1)` outside one.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from dataclasses import dataclass, replace
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
from pydantic_core import ArgsKwargs

from .errors import InvalidArgumentsError, RaybeamError, UnknownMethodError, UsageError
from .kernel.outcome import Outcome
from .kernel.retry import AT_MOST_ONCE, AtLeastOnce, Retry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from .gen_server import GenServer
    from .kernel.hedge import Hedge

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Invoke(NamedTuple):
    """The request of a typed call: which method, with what."""

    method: str
    args: tuple[object, ...]
    kwargs: dict[str, object]


new_invoke = cast("Callable[[type[Invoke], tuple[object, ...]], Invoke]", tuple.__new__)
"""Makes an `Invoke` as `Invoke._make` does, at half the cost: there is one to each call."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a method wants to be called.

    Attributes:
        kind: `"call"`, `"cast"` or `"query"`.
        timeout_s: Seconds until the caller gives up and the callee drops the work undone.
        retry: What the caller does when the outcome is unknown.
        key: Which argument says where the call belongs; `None`: anywhere.
        hedge: When a query is asked a second time; `None`: never.
    """

    kind: str
    timeout_s: float
    retry: Retry
    key: Key | None = None
    hedge: Hedge | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """The argument of a method that says where a call belongs, as its callers pass it.

    Attributes:
        name: Of the parameter.
        position: Among the positional arguments; `None`: it is passed by name only.
        default: What it is when not passed; `inspect.Parameter.empty`: it must be.
    """

    name: str
    position: int | None
    default: object

    def of(self, request: Invoke) -> object:
        """The key of a call.

        Raises:
            InvalidArgumentsError: The argument is missing.
        """
        if self.name in request.kwargs:
            return request.kwargs[self.name]
        if self.position is not None and self.position < len(request.args):
            return request.args[self.position]
        if self.default is inspect.Parameter.empty:
            raise InvalidArgumentsError(
                f"{request.method}: the argument {self.name!r}, the key of the call, is missing"
            )
        return self.default


@dataclass(frozen=True, slots=True)
class Result(Generic[R_co]):
    """How a call ended.

    Attributes:
        outcome: What became of it.
        value: Its answer, `None` unless `outcome` is `OK`.
        error: What would have been raised, `None` when `outcome` is `OK`.

    Example:
        ```python
        result = await stock.reserve.result("apple", 3)
        if result.outcome is Outcome.UNKNOWN:
            ...  # it may have been done: ask before doing it again
        ```
    """

    outcome: Outcome
    value: R_co | None = None
    error: RaybeamError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.outcome is Outcome.OK

    def unwrap(self) -> R_co:
        """The answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast("R_co", self.value)


async def result_of(call: Awaitable[R]) -> Result[R]:
    """How a call ends, told instead of raised."""
    try:
        return Result(Outcome.OK, await call)
    except RaybeamError as error:
        return Result(error.outcome, error=error)


@dataclass(frozen=True, slots=True)
class Broadcast(Generic[R_co]):
    """The results of a call made to all replicas of a family, by the replica's place.

    Attributes:
        results: One for each replica that was called. Places whose replica is down are missing.
    """

    results: Mapping[int, Result[R_co]]

    @property
    def answers(self) -> dict[int, R_co]:
        """The answers of those that gave one."""
        return {place: result.unwrap() for place, result in self.results.items() if result.ok}

    @property
    def failures(self) -> dict[int, Result[R_co]]:
        """The results of those that gave none."""
        return {place: result for place, result in self.results.items() if not result.ok}


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


class Method(Generic[S, P, R]):
    """A method of a service that others may call. Made by the decorators."""

    def __init__(self, function: Callable[Concatenate[S, P], R | Awaitable[R]], delivery: Delivery) -> None:
        self.function = function
        self.delivery = delivery
        self.name = getattr(function, "__name__", "?")
        self.concurrent = False
        self.blocking = not inspect.iscoroutinefunction(function)
        functools.update_wrapper(self, function)  # type: ignore[arg-type]  # a descriptor stands in for the function
        self._validate: Callable[[ArgsKwargs], tuple[tuple[object, ...], dict[str, object]]] | None = None
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
            checked = pydantic.TypeAdapter[object](capture)  # type: ignore[arg-type]  # a function is a type to pydantic
            self._validate = checked.validator.validate_python
            if result is not None and result is not type(None) and result is not object:
                self._validate_result = pydantic.TypeAdapter(result).validator.validate_python
            else:
                self._validate_result = _unchanged
        except (NameError, TypeError, pydantic.PydanticUserError) as error:
            raise UsageError(
                f"{self.name}: its annotations cannot be validated ({error}); import the types where the class is "
                "defined (not under TYPE_CHECKING) and use types that pydantic knows"
            ) from error

    def serve(self, service: GenServer, request: Invoke) -> Coroutine[object, object, R]:
        """Validate the arguments; what is returned runs the handler and validates its result.

        Raises:
            InvalidArgumentsError: The arguments do not validate.
        """
        if self._validate is None or self._validate_result is None:
            self.prepare()
            assert self._validate is not None
            assert self._validate_result is not None
        try:
            args, kwargs = self._validate(ArgsKwargs((service, *request.args), request.kwargs))
        except pydantic.ValidationError as error:
            raise InvalidArgumentsError(self._explain(error)) from None
        return self._run(service, args, kwargs)

    async def _run(self, service: GenServer, args: tuple[object, ...], kwargs: dict[str, object]) -> R:
        assert self._validate_result is not None
        function = cast("Callable[..., object]", self.function)
        if self.blocking:
            context, beside = contextvars.copy_context(), service._cell.beside
            executor = beside.threads() if self.concurrent and beside is not None else None
            result: object = await asyncio.get_running_loop().run_in_executor(
                executor, functools.partial(context.run, _in_thread, function, *args, **kwargs)
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
            missing = problem["type"].startswith("missing")
            told.append(f"{where}: {problem['msg']}" + ("" if missing else f" (got {problem['input']!r})"))
        return f"{self.name}: " + "; ".join(told)


def _in_thread(function: Callable[..., object], *args: object, **kwargs: object) -> object:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:  # no future can carry one: who waits would wait for ever
        raise RuntimeError(f"{function.__qualname__}() raised StopIteration") from error


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

    async def result(self, *args: P.args, **kwargs: P.kwargs) -> Result[R_co]:
        """Call and wait for the outcome: errors of the call are told, not raised."""
        ...

    async def broadcast(self, *args: P.args, **kwargs: P.kwargs) -> Broadcast[R_co]:
        """Call every replica of the family; those that fail or are late do not spoil the answers of the others."""
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
        if not _is_deadline(timeout_s):
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


def serve(service: GenServer, request: Invoke) -> Coroutine[object, object, object]:
    """Begin a typed call at its callee: what is returned does the work.

    Raises:
        UnknownMethodError: The service offers no such method.
        InvalidArgumentsError: The arguments do not validate.
    """
    method = service.interface.get(request.method)
    if method is None:
        offered = ", ".join(sorted(service.interface)) or "none"
        raise UnknownMethodError(
            f"{type(service).__qualname__} offers no method {request.method!r} to callers; it offers: {offered}. "
            "Mark a method with @call, @cast or @query to offer it, and make the reference with the callee's own class."
        )
    return method.serve(service, request)


def reference(service: type[S], channel: Channel) -> S:
    """A reference to `service` that sends over `channel`, typed as the service for editors and mypy."""
    return cast("S", Reference(service, channel, methods_of(service)))


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...


def _decorator(
    kind: str, timeout_s: float, retry: Retry, key: str | None = None, hedge: Hedge | None = None
) -> _Decorator:
    if not _is_deadline(timeout_s):
        raise UsageError(f"timeout_s={timeout_s!r}: a {kind} needs a deadline in seconds above 0")
    if not isinstance(retry, Retry):
        raise UsageError(f"retry={retry!r}: give AtMostOnce(), AtLeastOnce(...) or ExactlyOnce(...)")

    def decorate(function: Callable[Concatenate[S, P], R | Awaitable[R]]) -> Method[S, P, R]:
        return Method(function, Delivery(kind, timeout_s, retry, _key(function, key), hedge))

    return cast("_Decorator", decorate)


def _beside(decorate: _Decorator) -> _Decorator:
    """The same, for a method that is served beside the turn of its process."""

    def decorate_concurrent(function: Callable[..., object]) -> object:
        method: Method[object, ..., object] = decorate(function)
        method.concurrent = True
        return method

    return cast("_Decorator", decorate_concurrent)


def _is_deadline(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _key(function: Callable[..., object], name: str | None) -> Key | None:
    if name is None:
        return None
    parameters = list(inspect.signature(function).parameters.values())[1:]  # without self
    for position, parameter in enumerate(parameters):
        if parameter.name == name and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            by_name = parameter.kind is parameter.KEYWORD_ONLY
            return Key(name, None if by_name else position, parameter.default)
    known = ", ".join(parameter.name for parameter in parameters) or "none"
    raise UsageError(f"key={name!r}: {getattr(function, '__name__', '?')} has no such argument; it has: {known}")


@overload
def call(function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
@overload
def call(function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...
@overload
def call(
    *, timeout_s: float = 5.0, retry: Retry = AT_MOST_ONCE, key: str | None = None, concurrent: bool = False
) -> _Decorator: ...
def call(
    function: object = None,
    /,
    *,
    timeout_s: float = 5.0,
    retry: Retry = AT_MOST_ONCE,
    key: str | None = None,
    concurrent: bool = False,
) -> object:
    """Mark a method as a call: it may change state, and its caller waits for the answer.

    An `async def` handler runs on the loop; a plain `def` runs in a thread, so it may block; it may send, cast, answer,
    link, spawn ... from there. Either way the process handles one message at a time. Arguments and result are validated
    against the annotations.

    Args:
        function: The method, when used without brackets.
        timeout_s: The deadline in seconds; expired work is dropped, not done. Default 5.
        retry: What the caller does when the outcome is unknown: `AtMostOnce()`, `AtLeastOnce(...)` or
            `ExactlyOnce(...)`. Default: nothing (at most once).
        key: Name of the argument that says which replica of a `ring` family the call belongs to. Default: none.
        concurrent: For queries only.

    Raises:
        UsageError: A deadline that is not above 0, an argument that the method does not have, or `concurrent`.
    """
    if concurrent:
        raise UsageError(
            "@call(concurrent=True): a call may change state, and state changes one call at a time. If it only reads, "
            "mark it with @query(concurrent=True); if it waits long for others, take it apart: a concurrent query that "
            "waits, and a call that changes the state with what came of it"
        )
    decorate = _decorator("call", timeout_s, retry, key)
    return decorate if function is None else decorate(function)  # type: ignore[call-overload]


@overload
def query(function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
@overload
def query(function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...
@overload
def query(
    *,
    timeout_s: float = 5.0,
    retry: Retry = ...,
    key: str | None = None,
    hedge: Hedge | None = None,
    concurrent: bool = False,
) -> _Decorator: ...
def query(
    function: object = None,
    /,
    *,
    timeout_s: float = 5.0,
    retry: Retry | None = None,
    key: str | None = None,
    hedge: Hedge | None = None,
    concurrent: bool = False,
) -> object:
    """Mark a method as a query: it only reads, so it is safe to do again, and is (at least once) until its deadline.

    Takes the options of `call`, and:

    Args:
        function: The method, when used without brackets.
        timeout_s: As for `call`.
        retry: As for `call`. Default `AtLeastOnce()`.
        key: As for `call`.
        hedge: Ask a second replica when the first takes unusually long, `Hedge(...)`. Default: do not.
        concurrent: Whether it is served in a task of its own (or a thread, if it is a plain `def`), beside the turn of
            its process, which goes on with the next message at once. It begins in its turn, so it sees what was done
            before; what is done while it waits for something, it sees too. At most 1000 are under way in a process (32
            in threads), or as many as its regulation says; more wait. Default no: one message at a time.
    """
    decorate = _decorator("query", timeout_s, AtLeastOnce() if retry is None else retry, key, hedge)
    if concurrent:
        decorate = _beside(decorate)
    return decorate if function is None else decorate(function)  # type: ignore[call-overload]


@overload
def cast_(function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
@overload
def cast_(function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...
@overload
def cast_(*, timeout_s: float = 5.0, key: str | None = None) -> _Decorator: ...
def cast_(function: object = None, /, *, timeout_s: float = 5.0, key: str | None = None) -> object:
    """Mark a method as a cast: fire and forget; its caller does not learn whether it was done.

    Args:
        function: The method, when used without brackets.
        timeout_s: How long, in seconds, the sender waits for back pressure to let it send. Default 5.
        key: As for `call`.
    """
    decorate = _decorator("cast", timeout_s, AT_MOST_ONCE, key)
    return decorate if function is None else decorate(function)  # type: ignore[call-overload]
