"""The decorators `@call`, `@cast` and `@query`, which make methods of a service callable by others.

On the service's side they stay plain methods. On the caller's side a reference has the same names and types:
`await ref.reserve("x", 1)` inside an event loop, `ref.reserve.sync("x", 1)` outside one.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from .delivery import Delivery, Key, is_deadline
from .errors import UsageError
from .kernel.hedge import Hedge
from .kernel.retry import AT_MOST_ONCE, AtLeastOnce, Retry
from .method import Method

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class _Decorator(Protocol):
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], Awaitable[R]], /) -> Method[S, P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[S, P], R], /) -> Method[S, P, R]: ...


def _decorator(
    kind: str, timeout_s: float, retry: Retry, key: str | None = None, hedge: Hedge | None = None
) -> _Decorator:
    if not is_deadline(timeout_s):
        raise UsageError(f"timeout_s={timeout_s!r}: a {kind} needs a deadline in seconds above 0")
    if not isinstance(retry, Retry):
        raise UsageError(f"retry={retry!r}: give AtMostOnce(), AtLeastOnce(...) or ExactlyOnce(...)")

    if not isinstance(hedge, Hedge | None):
        raise UsageError(f"hedge={hedge!r}: give Hedge(...), or None for none")

    def decorate(function: Callable[Concatenate[S, P], R | Awaitable[R]]) -> Method[S, P, R]:
        if not callable(function):
            raise UsageError(f"@{kind}({function!r}): options are given by name, such as @{kind}(timeout_s=1.0)")
        return Method(function, Delivery(kind, timeout_s, retry, _key(function, key), hedge))

    return cast("_Decorator", decorate)


def _beside(decorate: _Decorator) -> _Decorator:
    """The same, for a method that is served beside the turn of its process."""

    def decorate_concurrent(function: Callable[..., object]) -> object:
        method: Method[object, ..., object] = decorate(function)
        method.concurrent = True
        return method

    return cast("_Decorator", decorate_concurrent)


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
