"""Loads to play: drawn at random from a shape, or read from a file."""

from .arrivals import draw, poisson_times
from .described import hint, service_of, steady_rate, trace_of
from .files import TraceFile, read_trace
from .parts import cut, shaken
from .profile import Rates, Times, rates_of, times_of
from .rates import Diurnal, FlashCrowd, Ramp, Rate, Spikes, Steady, on_off
from .service import Constant, Exponential, LogNormal, Pareto, Service
from .trace import Trace

__all__ = [
    "Trace", "draw", "poisson_times", "TraceFile", "read_trace", "trace_of",
    "service_of", "steady_rate", "hint", "Rates", "rates_of", "Times", "times_of", "cut", "shaken",
    "Rate", "Steady", "Diurnal", "Ramp", "FlashCrowd", "Spikes", "on_off",
    "Service", "Constant", "Exponential", "LogNormal", "Pareto",
]  # fmt: skip
