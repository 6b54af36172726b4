"""A cluster on paper: requests, replicas and machines as discrete events, with a policy in charge."""

from ..kernel.static import Static
from .clairvoyant import Clairvoyant, clairvoyant, first_fit
from .family import Calls, Family
from .run import Run, Timeline
from .score import score
from .simulation import simulate
from .station import Dispatch
from .world import Faults, Sensor, World

__all__ = [
    "simulate", "World", "Family", "Calls", "Dispatch", "Faults", "Sensor", "Run", "Timeline",
    "clairvoyant", "first_fit", "Clairvoyant", "score",
    "Static",
]  # fmt: skip
