"""What is measured and traced, and where it goes: OpenTelemetry, and Ray's own metrics.

What there is to see is told by the tables of `instruments`, for people in docs/telemetry.md. Nothing is counted while
nobody listens, and no span is made while no OpenTelemetry SDK is configured; both are looked up once in a while, never
for a call.
"""

from .instruments import INSTRUMENTS, SPANS
from .options import TelemetryOptions
from .sdk import configure_sdk
from .telemetry import Telemetry
from .trace_context import in_trace_of_call

__all__ = ["INSTRUMENTS", "SPANS", "Telemetry", "TelemetryOptions", "configure_sdk", "in_trace_of_call"]
