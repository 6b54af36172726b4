"""The telemetry of one handle to a system, one replica or one root: what it collects, and who hands it out."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace

from raybeam.actors.runtime import log

from .meter import Meter
from .options import TelemetryOptions
from .sdk import configure_sdk
from .sinks import SCOPE, OtelSink, RaySink, is_configured, ray_is_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sinks import Sink

OTEL_SAMPLES: Final = 10
"""Times as many durations go to OpenTelemetry as to Ray: no agent counts them a second time."""
ENDS_WITHIN_S: Final = 5.0


class Telemetry:
    """Collects, and hands out what was collected; does nothing before `start` or `refresh`.

    Args:
        system: Name of the system.
        options: What is wanted. Default: all there is.
        ray_is_here: Whether this process belongs to a Ray cluster. Default: asks Ray.
        make_ray_sink: Makes what takes so many durations at a time, and all else, to Ray. Default: `RaySink`.
        tracer_provider: Of OpenTelemetry. Default: the global one, whichever that is at the time.
        meter_provider: Likewise.

    Attributes:
        on: Whether anything is counted or traced at the moment.
        counting: Whether somebody takes metrics at the moment.
        only_counting: Whether somebody does and nobody takes spans.
        tracer: Makes spans; `None` while nobody takes them.
        meter: What was counted.
    """

    def __init__(
        self,
        system: str,
        options: TelemetryOptions | None = None,
        ray_is_here: Callable[[], bool] = ray_is_here,
        make_ray_sink: Callable[[int], Sink] = RaySink,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self.system = system
        self.options = TelemetryOptions() if options is None else options
        self.on = False
        self.counting = False
        self.only_counting = False
        self.tracer: trace.Tracer | None = None
        self.meter = Meter()
        self._ray_is_here = ray_is_here
        self._make_ray_sink = make_ray_sink
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._sinks: dict[str, Sink] = {}
        self._failed: set[str] = set()
        self._handing_out = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, service: str) -> None:
        """Begin to collect, and hand out once in a while in a thread of its own. Nothing begins when nothing is wanted.

        Args:
            service: What this process is, for an SDK that is configured here.
        """
        if not (self.options.metrics or self.options.spans):
            return
        if self.options.configure_sdk:
            try:
                configure_sdk(service)
            except Exception as error:  # noqa: BLE001 (a process without telemetry is better than none)
                log.warning("telemetry of %s: no OpenTelemetry SDK: %s", self.system, error)
        self.refresh()
        self._thread = threading.Thread(target=self._run, name=f"raybeam telemetry {self.system}", daemon=True)
        self._thread.start()

    def refresh(self) -> None:
        """Look who listens now."""
        options, samples = self.options, max(1, int(self.options.samples_per_s * self.options.interval_s))
        ray = options.metrics and options.ray_metrics and self._ray_is_here()
        self._sink("Ray", ray, lambda: self._make_ray_sink(samples))
        meters = self._meter_provider or metrics.get_meter_provider()
        otel = options.metrics and is_configured(meters)
        self._sink("OpenTelemetry", otel, lambda: OtelSink(OTEL_SAMPLES * samples, meters))
        tracers = self._tracer_provider or trace.get_tracer_provider()
        if not (options.spans and is_configured(tracers)):
            self.tracer = None
        elif self.tracer is None:
            self.tracer = tracers.get_tracer(SCOPE)
        self.counting = bool(self._sinks)
        self.only_counting = self.counting and self.tracer is None
        self.on = self.counting or self.tracer is not None

    def hand_out(self) -> None:
        """Give what was collected to all who listen. Who fails at it is given nothing any more."""
        with self._handing_out:
            taken = self.meter.take()
            for name, sink in list(self._sinks.items()):
                try:
                    sink.put(taken)
                except Exception as error:  # noqa: BLE001 (telemetry must not take along what it watches)
                    log.warning("telemetry of %s: no more metrics to %s: %r", self.system, name, error)
                    self._failed.add(name)
                    del self._sinks[name]

    async def end(self) -> None:
        """The same as `close`, without blocking the event loop."""
        if self._thread is not None:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Hand out the rest, and end."""
        if self._thread is not None:
            self._ending.set()
            self._thread.join(ENDS_WITHIN_S)
            self._thread = None
        self.on = self.counting = self.only_counting = False
        self.tracer = None

    def _sink(self, name: str, wanted: bool, make: Callable[[], Sink]) -> None:
        if not wanted or name in self._failed:
            self._sinks.pop(name, None)
        elif name not in self._sinks:
            self._sinks[name] = make()

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(self.options.interval_s)
            try:
                self.refresh()
                self.hand_out()
            except Exception as error:  # noqa: BLE001 (see `hand_out`)
                log.warning("telemetry of %s: %r", self.system, error)


NO_TELEMETRY: Final = Telemetry("none", TelemetryOptions(metrics=False, spans=False))
"""Never on: where nothing is measured."""
