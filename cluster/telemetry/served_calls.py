"""What is told of the calls that a replica serves, and of how it fares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.trace import SpanKind

from raybeam.actors import CallTimeout, CrashReport, InvalidArgumentsError, NoProcess, Overloaded

from .calls import OK, end_span, outcome_of, start_span
from .instruments import CRASHES, SERVER_CALLS, SERVER_CASTS, SERVER_DURATION, SERVER_REFUSED
from .labels import MAX_REASONS, Bounded
from .trace_context import context_of, is_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.trace import Span

    from raybeam.actors import CallContext

    from .instruments import Instrument
    from .meter import Series
    from .telemetry import Telemetry

_REASONS: Final = {CallTimeout: "deadline", InvalidArgumentsError: "invalid_arguments", NoProcess: "no_process"}


class Observer(Protocol):
    """Is told how a call is served.

    Attributes:
        ok: Is told of its answer, and the seconds from its arrival to that.
        span: Of its serving, if it has one.
    """

    @property
    def ok(self) -> Callable[[float], None]:
        """See above."""
        ...

    @property
    def span(self) -> Span | None:
        """See above."""
        ...

    def failed(self, seconds: float, error: BaseException) -> None:
        """It was answered with an error."""
        ...


class ServedCalls:
    """The calls that come to one replica over lanes.

    Args:
        telemetry: Where they are counted and traced.
        family: Of the replica.
        methods: That its service has.

    Attributes:
        telemetry: See above.
        methods: What observes the calls of a method while they are not traced; those that came so far.
    """

    def __init__(self, telemetry: Telemetry, family: str, methods: Iterable[str]) -> None:
        self.telemetry = telemetry
        self.family = family
        self._bounded = Bounded(methods)
        self._reasons = Bounded(room=MAX_REASONS)
        self.methods: dict[str, MethodServed] = {}

    def arrived(self, method: str, context: CallContext | None) -> Observer | None:
        """A call has come; only while `telemetry.on`. `None`: nobody wants to know of this one."""
        served = self.methods.get(method) or self._method(method)
        tracer = self.telemetry.tracer
        if tracer is None or is_left_out(context):
            return served if self.telemetry.counting else None
        parent = context_of(context)
        return TracedServing(
            served, start_span(tracer, SpanKind.SERVER, self.telemetry.system, self.family, served.name, parent)
        )

    def refused(self, method: str, error: BaseException) -> None:
        """A call has come that could not even be begun with."""
        if self.telemetry.counting:
            (self.methods.get(method) or self._method(method)).failed(0.0, error)

    def cast(self, method: str) -> None:
        """A cast has come."""
        if self.telemetry.counting:
            self.count(SERVER_CASTS, self._bounded.of(method))

    def reported(self, report: object) -> None:
        """A process of the replica has ended abnormally, or something else was told."""
        if self.telemetry.counting and isinstance(report, CrashReport):
            error = getattr(report.reason, "error", None)
            self.count(CRASHES, self._reasons.of("exit" if error is None else type(error).__name__))

    def refusal(self, error: BaseException) -> str | None:
        """Why a call was not done, if it was not."""
        if isinstance(error, Overloaded):
            return self._reasons.of(error.why)
        return _REASONS.get(type(error))

    def count(self, instrument: Instrument, *labels: str) -> None:
        """Count one."""
        self.telemetry.meter.series(instrument, self.telemetry.system, self.family, *labels).add(1)

    def _method(self, method: str) -> MethodServed:
        name = self._bounded.of(method)
        served = self.methods.get(name)
        if served is None:
            served = self.methods[name] = MethodServed(self, name)
        return served


class MethodServed:
    """Observes the serving of calls of one method, or of all unknown ones: all that are under way."""

    __slots__ = ("_by_outcome", "_family", "name", "ok", "span")

    def __init__(self, family: ServedCalls, name: str) -> None:
        self._family = family
        self.name = name
        self.span: Span | None = None
        self._by_outcome: dict[str, Series] = {}
        self.ok: Callable[[float], None] = self._ended(OK).add

    @property
    def counting(self) -> bool:
        """Whether anybody wants numbers."""
        return self._family.telemetry.counting

    def failed(self, seconds: float, error: BaseException) -> None:
        """See `Observer`."""
        self._ended(outcome_of(error)).add(seconds)
        reason = self._family.refusal(error)
        if reason is not None:
            self._family.count(SERVER_REFUSED, self.name, reason)

    def _ended(self, outcome: str) -> Series:
        series = self._by_outcome.get(outcome)
        if series is None:
            family = self._family
            meter, labels = family.telemetry.meter, (family.telemetry.system, family.family, self.name)
            series = self._by_outcome[outcome] = meter.timed(SERVER_DURATION, (SERVER_CALLS,), *labels, outcome)
        return series


class TracedServing:
    """Observes the serving of one call, and keeps its span."""

    __slots__ = ("_served", "span")

    def __init__(self, served: MethodServed, span: Span) -> None:
        self._served = served
        self.span = span

    def ok(self, seconds: float) -> None:
        """See `Observer`."""
        if self._served.counting:
            self._served.ok(seconds)
        end_span(self.span, None)

    def failed(self, seconds: float, error: BaseException) -> None:
        """See `Observer`."""
        if self._served.counting:
            self._served.failed(seconds, error)
        end_span(self.span, error)
