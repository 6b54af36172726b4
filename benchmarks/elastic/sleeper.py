"""The system that is played: one family that scales, whose work takes time and no CPU."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from raybeam.actors import GenServer, query

FAMILY = "sleeper"
INITIAL = 3
MOST = 12
CPUS = 16
"""Of the one machine; each replica takes one."""


class Sleeper(GenServer):
    """So many of them fit on one small machine."""

    @query(timeout_s=60.0)
    async def work(self, size_s: float) -> tuple[float, float]:
        """When it was begun and ended, on the clock that all processes of a machine share."""
        began = time.monotonic()
        await asyncio.sleep(size_s)
        return began, time.monotonic()


POLICIES: dict[str, dict[str, Any]] = {
    "target_utilisation": {"target": 0.8, "hold_s": 20.0},
    "queue_depth": {"places": CPUS},
}
"""Their options. One that follows the load, and the default, which learns: it is told only how many replicas fit."""


def blueprint(policy: str) -> dict[str, Any]:
    """The system, scaled by a policy."""
    scaling = {"min_replicas": 1, "max_replicas": MOST, "policy": policy, "options": POLICIES[policy]}
    family = {"service": Sleeper, "replicas": INITIAL, "cpus": 1.0, "scaling": scaling}
    return {"name": "live", "families": {FAMILY: family}}
