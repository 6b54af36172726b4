"""Spans of calls are linked across client and callee, and cost nothing when nobody takes them."""

import asyncio
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from raybeam.actors import AtLeastOnce, CallContext, GenServer, ServiceError, call, calling_as, current_context, query
from raybeam.actors.call_context import enter_context
from raybeam.cluster.telemetry import TelemetryOptions, in_trace_of_call
from tests.unit.cluster.shop import Shop

from .measured import Memory, in_shop


class NotEnough(ServiceError):
    pass


class Stock(GenServer):
    async def init(self) -> None:
        pass

    @call
    async def take(self, count: int) -> int:
        if count > 10:
            raise NotEnough("only 10")
        return count

    @call(retry=AtLeastOnce(), timeout_s=5.0)
    async def again(self) -> str:
        return "done"


def headers(context: CallContext | None) -> dict[str, str]:
    return {} if context is None else dict(context.trace)


def test_the_span_of_serving_is_a_child_of_the_span_of_the_call() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        await stock.take(1)

    in_shop(Stock, play, memory)

    served, called = memory.spans()
    assert (called.name, called.kind, called.parent) == ("stock/take", SpanKind.CLIENT, None)
    assert (served.name, served.kind) == ("stock/take", SpanKind.SERVER)
    assert served.parent is not None
    assert called.context is not None
    assert (served.parent.span_id, served.parent.trace_id) == (called.context.span_id, called.context.trace_id)
    assert served.parent.is_remote
    for span in (called, served):
        assert (
            dict(span.attributes or {}).items()
            >= {
                "rpc.system.name": "raybeam",
                "rpc.method": "stock/take",
                "raybeam.system": "shop",
                "raybeam.family": "stock",
                "raybeam.outcome": "ok",
            }.items()
        )
    assert (called.attributes or {})["raybeam.attempts"] == 1


def test_a_call_belongs_to_the_span_in_which_it_is_made() -> None:
    memory = Memory()
    tracer = memory.telemetry.tracer
    assert tracer is not None

    async def play(shop: Shop, stock: Any) -> None:
        with tracer.start_as_current_span("order"):
            await stock.take(1)

    in_shop(Stock, play, memory)

    _, called, order = memory.spans()
    assert called.parent is not None
    assert order.context is not None
    assert called.parent.span_id == order.context.span_id


def test_errors_are_told_at_both_ends() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        with pytest.raises(NotEnough):
            await stock.take(99)

    in_shop(Stock, play, memory)

    for span in memory.spans():
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "NotEnough"
        assert (span.attributes or {})["raybeam.outcome"] == "failed"


def test_a_repetition_is_an_event_of_the_one_span_of_the_call() -> None:
    memory = Memory()

    async def play(shop: Shop, stock: Any) -> None:
        first = shop.directory.replicas["shop/stock/0#1"]
        first.delay_s = 0.05
        asked = asyncio.ensure_future(stock.again())
        await asyncio.sleep(0.02)
        first.alive = False
        await shop.up(0, 2)
        await asked

    in_shop(Stock, play, memory)

    called = [span for span in memory.spans() if span.kind is SpanKind.CLIENT]
    assert len(called) == 1
    assert [event.name for event in called[0].events] == ["retry"]
    assert dict(called[0].events[0].attributes or {})["raybeam.outcome"] == "unknown"
    assert (called[0].attributes or {})["raybeam.attempts"] == 2


class Front(GenServer):
    """Serves by calling another family, of whose shop it is told."""

    async def init(self) -> None:
        self.stock: Any = None
        self.tracer: Any = None

    @query
    async def order(self, count: int) -> int:
        taken: int = await self.stock.take(count)
        with in_trace_of_call(), self.tracer.start_as_current_span("pack"):
            return taken


def test_calls_and_spans_of_a_handler_are_children_of_the_call_that_it_serves() -> None:
    memory = Memory()

    async def play(front_shop: Shop, front: Any) -> None:
        stock_shop = Shop(Stock, 1, memory.telemetry)
        await stock_shop.up(0)
        server = front_shop.directory.replicas["shop/stock/0#1"].server
        server.stock = stock_shop.client.ref(Stock)
        server.tracer = memory.telemetry.tracer
        with calling_as(tenant="acme"):
            await front.order(3)
        await stock_shop.client.close(RuntimeError("over"))  # type: ignore[arg-type]

    in_shop(Front, play, memory)

    spans = {(span.name, span.kind): span for span in memory.spans()}
    ids = {}
    for key, span in spans.items():
        assert span.context is not None
        ids[key] = span.context.span_id
    outer, inner = ("stock/order", SpanKind.SERVER), ("stock/take", SpanKind.CLIENT)
    for child, parent in (
        (outer, ("stock/order", SpanKind.CLIENT)),
        (inner, outer),
        (("stock/take", SpanKind.SERVER), inner),
        (("pack", SpanKind.INTERNAL), outer),
    ):
        found = spans[child].parent
        assert found is not None
        assert found.span_id == ids[parent], (child, parent)


class Relay(GenServer):
    async def init(self) -> None:
        self.came: list[CallContext | None] = []

    @call
    async def see(self) -> None:
        self.came.append(current_context())


def test_a_callee_that_does_not_trace_passes_the_headers_on() -> None:
    tracing, plain = Memory(), Memory(TelemetryOptions(spans=False))

    async def play(shop: Shop, relay: Any) -> None:
        replica = shop.directory.replicas["shop/stock/0#1"]
        shop.client.observed._calls["stock"].telemetry = tracing.telemetry
        await relay.see()
        assert set(headers(replica.server.came[0])) == {"traceparent"}

    in_shop(Relay, play, plain)

    assert plain.spans() == []
    called = tracing.spans()[0]
    assert called.context is not None


def test_only_metrics_makes_no_spans_and_only_spans_counts_nothing() -> None:
    only_metrics, only_spans = Memory(spans=False), Memory(metrics=False)

    async def play(shop: Shop, stock: Any) -> None:
        await stock.take(1)

    in_shop(Stock, play, only_metrics)
    in_shop(Stock, play, only_spans)

    assert only_metrics.spans() == []
    assert only_metrics.points() != []
    assert len(only_spans.spans()) == 2
    taken = only_spans.telemetry.meter.take()
    assert (taken.grown, taken.durations) == ({}, {})


def test_nothing_is_counted_or_traced_when_it_is_off() -> None:
    for memory in (Memory(TelemetryOptions(metrics=False, spans=False)), Memory(metrics=False, spans=False)):
        seen: list[object] = []

        async def play(shop: Shop, stock: Any, seen: list[object] = seen) -> None:
            await stock.take(1)
            seen.append(shop.client.observed.calls("stock").methods)

        in_shop(Stock, play, memory)

        assert not memory.telemetry.on
        assert seen == [{}]
        assert memory.spans() == []
        taken = memory.telemetry.meter.take()
        assert (taken.grown, taken.durations) == ({}, {})


@pytest.mark.parametrize("metrics", [True, False])
def test_a_trace_that_the_caller_leaves_out_is_left_out_by_the_callee_too(metrics: bool) -> None:
    memory = Memory(metrics=metrics, sampler=ALWAYS_OFF)

    async def play(shop: Shop, relay: Any) -> None:
        await relay.see()
        came = headers(shop.directory.replicas["shop/stock/0#1"].server.came[0])
        assert int(came["traceparent"][-2:], 16) & TraceFlags.SAMPLED == 0

    in_shop(Relay, play, memory)

    assert memory.spans() == []
    taken = memory.telemetry.meter.take()
    assert len(taken.durations) == (2 if metrics else 0) + metrics  # of the call at both ends, of the batches


def test_the_state_of_a_trace_travels_too() -> None:
    memory = Memory()
    tracer = memory.telemetry.tracer
    assert tracer is not None
    came = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("vendor", "x1")]))

    async def play(shop: Shop, relay: Any) -> None:
        with trace.use_span(trace.NonRecordingSpan(came)):
            await relay.see()
        seen = headers(shop.directory.replicas["shop/stock/0#1"].server.came[0])
        assert seen["tracestate"] == "vendor=x1"
        assert seen["traceparent"].startswith(f"00-{1:032x}-")

    in_shop(Relay, play, memory)

    assert [span.context.trace_id for span in memory.spans() if span.context is not None] == [1, 1]


def test_without_a_call_there_is_nothing_to_be_in() -> None:
    enter_context(None)
    with in_trace_of_call():
        assert not trace.get_current_span().get_span_context().is_valid
