"""What is told of calls to one family, where they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry.trace import SpanKind

from raybeam.actors import CircuitOpen, current_context

from .calls import OK, OUTCOMES, end_span, outcome_of, start_span
from .instruments import (
    CLIENT_ATTEMPTS,
    CLIENT_BUDGET,
    CLIENT_CALLS,
    CLIENT_CASTS,
    CLIENT_DURATION,
    CLIENT_FAILURES,
    CLIENT_HEDGES,
    CLIENT_RETRIES,
)
from .labels import MAX_REASONS, Bounded
from .trace_context import parent_of_call, with_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.trace import Span

    from raybeam.actors import CallContext, Outcome

    from .instruments import Instrument
    from .meter import Series
    from .telemetry import Telemetry


class Observer(Protocol):
    """Is told how a call goes.

    Attributes:
        ok: Is told of its answer, and the seconds from the call to that.
        span: Of the call, if it has one.
    """

    @property
    def ok(self) -> Callable[[float], None]:
        """See above."""
        ...

    @property
    def span(self) -> Span | None:
        """See above."""
        ...

    def retry(self, outcome: Outcome, delay_s: float) -> None:
        """It is made again, so many seconds after an attempt that ended so."""
        ...

    def hedge(self) -> None:
        """It is sent to a second replica."""
        ...

    def budget_exhausted(self) -> None:
        """It is not made again as the budget is spent."""
        ...

    def failed(self, seconds: float, error: BaseException) -> None:
        """It ended with an error."""
        ...


def context_of_call(observed: Observer | None) -> CallContext | None:
    """What travels with a call that is made here."""
    context = current_context()
    return context if observed is None or observed.span is None else with_span(context, observed.span)


class FamilyCalls:
    """The calls to one family.

    Args:
        telemetry: Where they are counted and traced.
        family: Its name.
        methods: That its service has.

    Attributes:
        telemetry: See above.
        methods: What observes the calls of a method while they are not traced; those called so far.
    """

    def __init__(self, telemetry: Telemetry, family: str, methods: Iterable[str]) -> None:
        self.telemetry = telemetry
        self.family = family
        self._bounded = Bounded(methods)
        self._reasons = Bounded(room=MAX_REASONS)
        self.methods: dict[str, MethodCalls] = {}

    def begin(self, method: str) -> Observer:
        """A call is made; only while `telemetry.on`."""
        calls = self.methods.get(method) or self._method(method)
        tracer = self.telemetry.tracer
        if tracer is None:
            return calls
        parent = parent_of_call()
        return TracedCall(
            calls, start_span(tracer, SpanKind.CLIENT, self.telemetry.system, self.family, calls.name, parent)
        )

    def cast(self, method: str, error: BaseException | None) -> None:
        """A cast was sent, or was not."""
        if self.telemetry.counting:
            self.count(CLIENT_CASTS, self._bounded.of(method), OK if error is None else outcome_of(error))
            if error is not None:
                self.failed(error)

    def failed(self, error: BaseException) -> None:
        """A call or cast ended with an error."""
        self.count(CLIENT_FAILURES, self._reasons.of(type(error).__name__))

    def count(self, instrument: Instrument, *labels: str) -> None:
        """Count one."""
        self.telemetry.meter.series(instrument, self.telemetry.system, self.family, *labels).add(1)

    def _method(self, method: str) -> MethodCalls:
        name = self._bounded.of(method)
        calls = self.methods.get(name)
        if calls is None:
            calls = self.methods[name] = MethodCalls(self, name)
        return calls


class MethodCalls:
    """Observes calls of one method, or of all unknown ones: all that are under way, so it remembers nothing of any."""

    __slots__ = ("_by_outcome", "_family", "name", "ok", "span")

    def __init__(self, family: FamilyCalls, name: str) -> None:
        self._family = family
        self.name = name
        self.span: Span | None = None
        self._by_outcome: dict[str, Series] = {}
        self.ok: Callable[[float], None] = self._ended(OK, (CLIENT_CALLS, CLIENT_ATTEMPTS)).add

    @property
    def counting(self) -> bool:
        """Whether anybody wants numbers."""
        return self._family.telemetry.counting

    def retry(self, outcome: Outcome, delay_s: float) -> None:
        """See `Observer`."""
        self._family.count(CLIENT_RETRIES, self.name, OUTCOMES[outcome])
        self._family.count(CLIENT_ATTEMPTS, self.name)

    def hedge(self) -> None:
        """See `Observer`."""
        self._family.count(CLIENT_HEDGES, self.name)
        self._family.count(CLIENT_ATTEMPTS, self.name)

    def budget_exhausted(self) -> None:
        """See `Observer`."""
        self._family.count(CLIENT_BUDGET, self.name)

    def failed(self, seconds: float, error: BaseException) -> None:
        """See `Observer`."""
        counts = (CLIENT_CALLS,) if isinstance(error, CircuitOpen) else (CLIENT_CALLS, CLIENT_ATTEMPTS)
        self._ended(outcome_of(error), counts).add(seconds)
        self._family.failed(error)

    def _ended(self, outcome: str, counts: tuple[Instrument, ...]) -> Series:
        series = self._by_outcome.get(outcome)
        if series is None:
            family = self._family
            meter, labels = family.telemetry.meter, (family.telemetry.system, family.family, self.name)
            series = self._by_outcome[outcome] = meter.timed(CLIENT_DURATION, counts, *labels, outcome)
        return series


class TracedCall:
    """Observes one call, and keeps its span."""

    __slots__ = ("_attempts", "_calls", "span")

    def __init__(self, calls: MethodCalls, span: Span) -> None:
        self._calls = calls
        self.span = span
        self._attempts = 1

    def retry(self, outcome: Outcome, delay_s: float) -> None:
        """See `Observer`."""
        self._attempts += 1
        self.span.add_event("retry", {"raybeam.outcome": OUTCOMES[outcome], "raybeam.delay_s": delay_s})
        if self._calls.counting:
            self._calls.retry(outcome, delay_s)

    def hedge(self) -> None:
        """See `Observer`."""
        self._attempts += 1
        self.span.add_event("hedge")
        if self._calls.counting:
            self._calls.hedge()

    def budget_exhausted(self) -> None:
        """See `Observer`."""
        if self._calls.counting:
            self._calls.budget_exhausted()

    def ok(self, seconds: float) -> None:
        """See `Observer`."""
        if self._calls.counting:
            self._calls.ok(seconds)
        self._end(None)

    def failed(self, seconds: float, error: BaseException) -> None:
        """See `Observer`."""
        if self._calls.counting:
            self._calls.failed(seconds, error)
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        self.span.set_attribute("raybeam.attempts", self._attempts)
        end_span(self.span, error)
