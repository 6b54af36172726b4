"""What a blueprint says of telemetry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TelemetryOptions:
    """What is measured and traced in the processes of a system, its drivers included.

    Attributes:
        metrics: Whether anything is counted. Default yes: it is when somebody listens.
        ray_metrics: Whether the metrics go to Ray, whose dashboard shows them. Default yes.
        spans: Whether calls are traced, when an OpenTelemetry SDK is configured for that. Default yes.
        configure_sdk: Whether each process configures an OpenTelemetry SDK by the variables `OTEL_*`, unless one is
            configured already; needs the extra `otel`. Default no.
        interval_s: Seconds between two hand-outs of the metrics. Default 1.
        samples_per_s: At most so many durations a second and process go to Ray's histograms, and ten times as many to
            OpenTelemetry's; of more, a sample that keeps the quantiles. Counters always count all. Default 200.
    """

    metrics: bool = True
    ray_metrics: bool = True
    spans: bool = True
    configure_sdk: bool = False
    interval_s: float = 1.0
    samples_per_s: int = 200

    def __post_init__(self) -> None:
        if not 0.1 <= self.interval_s <= 60.0:
            raise ValueError(f"interval_s={self.interval_s!r}: give seconds from 0.1 to 60")
        if self.samples_per_s < 1:
            raise ValueError(f"samples_per_s={self.samples_per_s!r}: give 1 or more")
