"""Whole systems under faults, in one process and under virtual time: `docs/simulation.md` tells how to use it."""

from .cluster import Driver, SimulatedCluster
from .faults import KINDS, Fault, FaultMix, FaultSchedule
from .history import Event, Execution, History, Invocation
from .promises import PROMISES, Broken, Promise
from .recorder import note
from .run import Outcome, schedule_of, simulate
from .scenario import Scenario

__all__ = [
    "Broken",
    "Driver",
    "Event",
    "Execution",
    "Fault",
    "FaultMix",
    "FaultSchedule",
    "History",
    "Invocation",
    "KINDS",
    "Outcome",
    "PROMISES",
    "Promise",
    "Scenario",
    "SimulatedCluster",
    "note",
    "schedule_of",
    "simulate",
]
