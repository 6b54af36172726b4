"""What spans machines: systems of replicated services, their lanes, placement and root."""

if not __name__.startswith("raybeam."):
    raise ImportError(f"import raybeam.{__name__}, not {__name__}: the bare name belongs to other packages")

from . import global_names, peers
from .blueprint import Blueprint, Family
from .collector import calm_collector
from .global_names import Global, GlobalNameConflict
from .kernel.breaker import BreakerSpec, BreakerState
from .kernel.health import HealthLimits
from .machine_spec import MachineSpec
from .scaling import Scaling
from .system import System
from .telemetry import TelemetryOptions, configure_sdk, in_trace_of_call

__all__ = [
    "Blueprint",
    "BreakerSpec",
    "BreakerState",
    "Family",
    "Global",
    "GlobalNameConflict",
    "HealthLimits",
    "MachineSpec",
    "Scaling",
    "System",
    "TelemetryOptions",
    "calm_collector",
    "configure_sdk",
    "global_names",
    "in_trace_of_call",
    "peers",
]
