"""Capacity: scaling policies, machines for replicas, capacity on paper.

A policy is driven with plain numbers and needs nothing of a cluster:

>>> from raybeam.autoscaler import QueueDepth, Snapshot
>>> policy = QueueDepth()
>>> known = policy.start()
>>> decision, known = policy.decide(Snapshot(time_s=0.0, queue=3, arrivals=3, ready=1), known)
>>> decision.replicas >= 1
True

The simulator is `raybeam.autoscaler.simulator`, loads are made by `raybeam.autoscaler.workload`.
"""

if not __name__.startswith("raybeam."):
    raise ImportError("import raybeam.autoscaler, not autoscaler")

from .history import FamilyHistory
from .kernel.bounds import Bounds
from .kernel.capacity import Capacity, Domain, capacity
from .kernel.combine import Most, Unless
from .kernel.demand import Demand
from .kernel.plan import Bundles, Candidate, MachineType, Plan, dry_run, pack, victims
from .kernel.policy import Decision, Policy
from .kernel.queue_depth import QueueDepth
from .kernel.scheduled import Scheduled
from .kernel.snapshot import Snapshot
from .kernel.static import Static
from .kernel.target_utilisation import TargetUtilisation

__all__ = [
    "Snapshot", "Decision", "Policy", "Bounds",
    "QueueDepth", "TargetUtilisation", "Static", "Scheduled", "Most", "Unless",
    "MachineType", "Bundles", "Plan", "pack", "dry_run", "Candidate", "victims",
    "Demand", "Domain", "Capacity", "capacity",
    "FamilyHistory",
]  # fmt: skip
