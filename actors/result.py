"""How a typed call ended, told instead of raised; and the results of a call made to many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from .errors import RaybeamError
from .kernel.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


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
