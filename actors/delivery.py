"""What a typed call carries, and how its method wants to be called."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from .errors import InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kernel.hedge import Hedge
    from .kernel.retry import Retry


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


def is_time(value: object) -> bool:
    """Whether a value is seconds: a number from 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def is_deadline(value: object) -> bool:
    """Whether a value is seconds that a call can be given: above 0, and not for ever."""
    return is_time(value) and 0 < cast("float", value) < float("inf")
