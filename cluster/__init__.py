"""What spans machines: systems of replicated services, their lanes, placement and root."""

if not __name__.startswith("raybeam."):
    raise ImportError(f"import raybeam.{__name__}, not {__name__}: the bare name belongs to other packages")

from . import global_names, peers
from .blueprint import Blueprint, Family
from .collector import calm_collector
from .global_names import Global, GlobalNameConflict
from .kernel.breaker import BreakerSpec, BreakerState
from .kernel.health import HealthLimits
from .system import System

__all__ = [
    "Blueprint",
    "BreakerSpec",
    "BreakerState",
    "Family",
    "Global",
    "GlobalNameConflict",
    "HealthLimits",
    "System",
    "calm_collector",
    "global_names",
    "peers",
]
