"""Where metrics go: to OpenTelemetry's global meter provider, and to Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from .instruments import ATTRIBUTES, INSTRUMENTS, Kind
from .meter import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry import metrics

    from .instruments import Instrument
    from .meter import Key, Taken

SCOPE: Final = "raybeam"
SAMPLES_AT_LEAST: Final = 2
_no_provider: Final = ("Proxy", "NoOp", "Default")


class Sink(Protocol):
    """Somewhere that metrics go to."""

    name: str

    def put(self, taken: Taken) -> None:
        """Take in what was measured since the last time."""
        ...


def is_configured(provider: object) -> bool:
    """Whether a provider of OpenTelemetry is a real one: without an SDK there is one that does nothing."""
    return not type(provider).__name__.lstrip("_").startswith(_no_provider)


class OtelSink:
    """OpenTelemetry's meters.

    Args:
        samples: Durations at a time; see `raybeam.cluster.telemetry.meter.sample`.
        provider: Of the meters.
    """

    name = "OpenTelemetry"

    def __init__(self, samples: int, provider: metrics.MeterProvider) -> None:
        self._samples = samples
        meter = provider.get_meter(SCOPE)
        self._made: dict[Instrument, Any] = {each: _otel_instrument(meter, each) for each in INSTRUMENTS}

    def put(self, taken: Taken) -> None:
        """See `Sink`."""
        for key, growth in taken.grown.items():
            self._made[key.instrument].add(growth, _attributes(key))
        for key, value in taken.gauges.items():
            self._made[key.instrument].set(value, _attributes(key))
        most = _share(self._samples, taken)
        for key, values in taken.durations.items():
            attributes, record = _attributes(key), self._made[key.instrument].record
            for value in sample(values, most):
                record(value, attributes)


def _otel_instrument(meter: metrics.Meter, instrument: Instrument) -> object:
    if instrument.kind is Kind.COUNTER:
        return meter.create_counter(instrument.name, instrument.unit, instrument.description)
    if instrument.kind is Kind.GAUGE:
        return meter.create_gauge(instrument.name, instrument.unit, instrument.description)
    return meter.create_histogram(
        instrument.name,
        instrument.unit,
        instrument.description,
        explicit_bucket_boundaries_advisory=list(instrument.bounds),
    )


def _attributes(key: Key) -> dict[str, str]:
    return {ATTRIBUTES[name]: value for name, value in zip(("system", *key.instrument.labels), key.labels, strict=True)}


def _share(samples: int, taken: Taken) -> int:
    """How many durations of each series may go."""
    return max(SAMPLES_AT_LEAST, samples // max(1, len(taken.durations)))


class RaySink:
    """Ray's metrics, which its dashboard shows.

    A node's agent counts each observation of a histogram into it one by one, in Python: so few go there.

    Args:
        samples: Durations at a time; see `raybeam.cluster.telemetry.meter.sample`.
        make: Makes one of Ray's metrics. Default: as Ray has them.
    """

    name = "Ray"

    def __init__(self, samples: int, make: Callable[[Instrument], Any] | None = None) -> None:
        self._samples = samples
        self._make = _ray_instrument if make is None else make
        self._made: dict[Instrument, Any] = {}

    def put(self, taken: Taken) -> None:
        """See `Sink`."""
        for key, growth in taken.grown.items():
            if growth > 0:  # Ray refuses a growth of 0
                self._ray(key.instrument).inc(growth, _tags(key))
        for key, value in taken.gauges.items():
            self._ray(key.instrument).set(value, _tags(key))
        most = _share(self._samples, taken)
        for key, values in taken.durations.items():
            tags, observe = _tags(key), self._ray(key.instrument).observe
            for value in sample(values, most):
                observe(value, tags)

    def _ray(self, instrument: Instrument) -> Any:
        made = self._made.get(instrument)
        if made is None:
            made = self._made[instrument] = self._make(instrument)
        return made


def _ray_instrument(instrument: Instrument) -> object:
    from ray.util import metrics as ray_metrics

    labels = ("system", *instrument.labels)
    if instrument.kind is Kind.COUNTER:
        return ray_metrics.Counter(instrument.ray_name, instrument.description, labels)
    if instrument.kind is Kind.GAUGE:
        return ray_metrics.Gauge(instrument.ray_name, instrument.description, labels)
    return ray_metrics.Histogram(instrument.ray_name, instrument.description, list(instrument.bounds), labels)


def _tags(key: Key) -> dict[str, str]:
    return dict(zip(("system", *key.instrument.labels), key.labels, strict=True))


def ray_is_here() -> bool:
    """Whether this process belongs to a Ray cluster at the moment."""
    import ray

    return bool(ray.is_initialized())
