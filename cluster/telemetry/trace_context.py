"""The W3C trace context of calls: how the span of a call and the span of its serving find each other."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from raybeam.actors import CallContext, current_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
NOT_SAMPLED: Final = frozenset("02468ace")
"""Last digits of a `traceparent` whose lowest flag, "sampled", is not set."""
_w3c: Final = TraceContextTextMapPropagator()


def parent_of_call() -> Context | None:
    """Where a call that is made here belongs: to the span that is current, else to the call that is served here."""
    if trace.get_current_span().get_span_context().is_valid:
        return None  # OpenTelemetry takes that by itself
    return context_of(current_context())


def context_of(call: CallContext | None) -> Context | None:
    """What OpenTelemetry knows a call's span by; `None`: it has none."""
    if call is None or not call.trace:
        return None
    return _w3c.extract(dict(call.trace), otel.Context())


def with_span(call: CallContext | None, span: trace.Span) -> CallContext:
    """The context of a call that belongs to a span."""
    mine = span.get_span_context()
    parent = f"00-{mine.trace_id:032x}-{mine.span_id:016x}-{mine.trace_flags:02x}"
    state = mine.trace_state.to_header() if mine.trace_state else ""
    headers = ((TRACEPARENT, parent), (TRACESTATE, state)) if state else ((TRACEPARENT, parent),)
    return CallContext(trace=headers) if call is None else replace(call, trace=headers)


def is_left_out(call: CallContext | None) -> bool:
    """Whether the caller has decided, by sampling, that the trace of a call is not recorded.

    >>> is_left_out(CallContext(trace=(("traceparent", "00-" + 32 * "a" + "-" + 16 * "b" + "-00"),)))
    True
    >>> is_left_out(CallContext(trace=(("traceparent", "00-" + 32 * "a" + "-" + 16 * "b" + "-01"),)))
    False
    """
    if call is None:
        return False
    return any(name == TRACEPARENT and value[-1:] in NOT_SAMPLED for name, value in call.trace)


@contextlib.contextmanager
def in_trace_of_call() -> Iterator[None]:
    """Within a handler: OpenTelemetry's spans made in this block are children of the call that is served.

    Calls of raybeam are so without this.

    Example:
        ```python
        @call
        async def reserve(self, item: str) -> None:
            with in_trace_of_call(), tracer.start_as_current_span("price lookup"):
                ...
        ```
    """
    context = context_of(current_context())
    if context is None:
        yield
        return
    token = otel.attach(context)
    try:
        yield
    finally:
        otel.detach(token)
