"""A method that a service offers: at the callee, what validates its arguments, runs it and validates its result."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, get_type_hints, overload

import pydantic
from pydantic_core import ArgsKwargs

from .errors import CallbackError, InvalidArgumentsError, UnknownMethodError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from .delivery import Delivery, Invoke
    from .gen_server import GenServer
    from .result import Broadcast, Result

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


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
        try:
            return cast("R", self._validate_result(result))
        except pydantic.ValidationError as error:
            why = "; ".join(problem["msg"] for problem in error.errors(include_url=False))
            how = f"{function.__qualname__}() returned {result!r}, which is not what its annotation says: {why}"
            raise CallbackError(("bad_return_value", result), how) from None

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
