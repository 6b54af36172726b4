"""An OpenTelemetry SDK, configured by the variables `OTEL_*` as OpenTelemetry's specification has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import metrics, trace

from raybeam.actors import UsageError

from .sinks import is_configured

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOLS: Final = {"http/protobuf": "http", "grpc": "grpc"}


def configure_sdk(service: str = "raybeam", environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Configure where OpenTelemetry's spans and metrics of this process go, unless somebody has already.

    Args:
        service: `service.name`, unless `OTEL_SERVICE_NAME` says another.
        environment: The variables. Default: those of the process. Read here are `OTEL_SDK_DISABLED`,
            `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` (`otlp`, the default; `console`; `none`) and
            `OTEL_EXPORTER_OTLP_PROTOCOL` (`http/protobuf`, the default; `grpc`), also as `..._TRACES_PROTOCOL` and
            `..._METRICS_PROTOCOL`; the SDK itself reads the others (endpoints, headers, samplers, intervals, resource).

    Returns:
        What was configured: `"traces"`, `"metrics"`, both or nothing.

    Raises:
        UsageError: The SDK or the exporter is not installed, or a variable asks for something that there is not.
    """
    variables = os.environ if environment is None else environment
    if variables.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    done = []
    if not is_configured(trace.get_tracer_provider()) and _configure("TRACES", variables, service):
        done.append("traces")
    if not is_configured(metrics.get_meter_provider()) and _configure("METRICS", variables, service):
        done.append("metrics")
    return tuple(done)


def _configure(signal: str, variables: Mapping[str, str], service: str) -> bool:
    wanted = variables.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower()
    if wanted == "none":
        return False
    if wanted not in ("otlp", "console"):
        raise UsageError(f"OTEL_{signal}_EXPORTER={wanted!r}: raybeam configures 'otlp', 'console' or 'none'")
    try:
        if signal == "TRACES":
            _trace(_exporter(signal, wanted, variables), _resource(service, variables))
        else:
            _measure(_exporter(signal, wanted, variables), _resource(service, variables))
    except ImportError as error:
        raise UsageError(f"{error}: install raybeam[otel]") from error
    return True


def _exporter(signal: str, wanted: str, variables: Mapping[str, str]) -> Any:
    if wanted == "console":
        if signal == "TRACES":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return ConsoleSpanExporter()
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

        return ConsoleMetricExporter()
    general = variables.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    protocol = variables.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", general)
    if protocol not in PROTOCOLS:
        raise UsageError(f"the OTLP protocol {protocol!r}: write {' or '.join(PROTOCOLS)}")
    from importlib import import_module

    kind = "trace" if signal == "TRACES" else "metric"
    module = import_module(f"opentelemetry.exporter.otlp.proto.{PROTOCOLS[protocol]}.{kind}_exporter")
    return (module.OTLPSpanExporter if signal == "TRACES" else module.OTLPMetricExporter)()


def _resource(service: str, variables: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in variables or "service.name=" in variables.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": service})


def _trace(exporter: Any, resource: Any) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _measure(exporter: Any, resource: Any) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter)], resource))
