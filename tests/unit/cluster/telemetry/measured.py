"""A shop whose telemetry goes to memory, and what came there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from raybeam.actors import GenServer, Runtime, UsageError
from raybeam.actors.testing import run
from raybeam.cluster.telemetry import Telemetry, TelemetryOptions

from ..shop import Shop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.sdk.trace.sampling import Sampler

    from raybeam.cluster.telemetry.instruments import Instrument


class Memory:
    """Takes metrics and spans, as an SDK that is configured for both does."""

    def __init__(
        self,
        options: TelemetryOptions | None = None,
        *,
        metrics: bool = True,
        spans: bool = True,
        sampler: Sampler | None = None,
    ) -> None:
        self.reader = InMemoryMetricReader()
        self.exporter = InMemorySpanExporter()
        tracers = TracerProvider(sampler)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(
            "shop",
            options,
            ray_is_here=lambda: False,
            tracer_provider=tracers if spans else None,
            meter_provider=MeterProvider([self.reader]) if metrics else None,
        )
        self.telemetry.refresh()

    def points(self) -> list[tuple[str, dict[str, str], Any]]:
        """Name, labels and point of every series, once what was collected is handed out."""
        self.telemetry.hand_out()
        data = self.reader.get_metrics_data()
        if data is None:
            return []
        return [
            (metric.name, {name: str(value) for name, value in (point.attributes or {}).items()}, point)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def values(self, instrument: Instrument) -> dict[tuple[str, ...], float]:
        """The value of each series of a counter or gauge, or how many came to a histogram, by its labels but system and
        family."""
        found = {}
        for name, labels, point in self.points():
            if name == instrument.name:
                assert labels.pop("raybeam.system") == "shop"
                assert labels.pop("raybeam.family", "stock") == "stock"
                found[tuple(labels.values())] = point.value if hasattr(point, "value") else point.count
        return found

    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in that order."""
        return list(self.exporter.get_finished_spans())


def in_shop(
    service: type[GenServer],
    play: Callable[[Shop, Any], Awaitable[None]],
    memory: Memory,
    replicas: int = 1,
    **family: object,
) -> None:
    """Play in a shop with so many replicas that are up already."""

    async def main() -> None:
        async with Runtime():
            shop = Shop(service, replicas, memory.telemetry, **family)
            for place in range(replicas):
                await shop.up(place)
            await play(shop, shop.client.ref(service))
            await shop.client.close(UsageError("over"))

    run(main())
