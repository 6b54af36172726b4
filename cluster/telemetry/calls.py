"""What is told of a call while it is under way, at its caller and at its callee."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanKind, Status, StatusCode

from raybeam.actors import CircuitOpen, Outcome, RaybeamError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

OK: Final = "ok"
CANCELLED: Final = "cancelled"
CIRCUIT_OPEN: Final = "circuit_open"
OUTCOMES: Final = {
    Outcome.OK: OK,
    Outcome.NOT_SENT: "not_sent",
    Outcome.REJECTED: "rejected",
    Outcome.UNKNOWN: "unknown",
    Outcome.FAILED: "failed",
}
"""The outcomes as values of a label; beside them `cancelled`, and `circuit_open` for what a breaker let not pass."""


def outcome_of(error: BaseException) -> str:
    """How a call ended, as a label tells it."""
    if isinstance(error, CircuitOpen):
        return CIRCUIT_OPEN
    if isinstance(error, RaybeamError):
        return OUTCOMES[error.outcome]
    return CANCELLED if isinstance(error, asyncio.CancelledError) else OUTCOMES[Outcome.FAILED]


def start_span(tracer: Tracer, kind: SpanKind, system: str, family: str, method: str, parent: Context | None) -> Span:
    """Begin the span of a call."""
    attributes = {
        "rpc.system.name": "raybeam",
        "rpc.method": f"{family}/{method}",
        "raybeam.system": system,
        "raybeam.family": family,
    }
    return tracer.start_span(f"{family}/{method}", parent, kind, attributes)


def end_span(span: Span, error: BaseException | None) -> None:
    """End it, with the outcome."""
    span.set_attribute("raybeam.outcome", OK if error is None else outcome_of(error))
    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR, str(error)))
    span.end()
