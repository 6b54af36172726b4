"""The root as a runtime among those of the replicas: they reach its processes, and it theirs, over lanes.

Each process of the root has another name in the mesh, `system/root#generation`: what was meant for a former one is told
so, and never reaches a later one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from raybeam.actors import Runtime

from .client import IDLE_LANE_S
from .mesh import Mesh
from .name_authority import AUTHORITY
from .names import RootName
from .session import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from .large import Exchanged
    from .mesh import PeerSource

LIFELINE_S = 20.0
KEEP_UP_S = 30.0


class RootMesh:
    """The runtime of a root's process, its mesh, and its end of the lanes.

    Args:
        system: Name of the system.
        generation: Number of the root's process.
        reports: Gets the reports of the runtime.
        directory: How replicas are reached.
        seed: Seeds the runtime. Default: from the OS.
    """

    def __init__(
        self,
        system: str,
        generation: int,
        reports: Callable[[object], None],
        directory: PeerSource,
        seed: int | None = None,
    ) -> None:
        self._generation = generation
        self.runtime = Runtime(str(RootName(system, generation)), seed=seed, reports=reports)
        self.runtime.open()
        self._mesh = Mesh(self.runtime, directory)
        self._sessions = Sessions(self.runtime, AUTHORITY, self._mesh.receive)
        self.follow = self._mesh.follow

    async def exchange(self, generation: int, data: bytes, *large: object) -> Exchanged | None:
        """One batch of a lane; `None` if it was meant for another process of the root."""
        return await self._sessions.exchange(data, *large) if generation == self._generation else None

    async def lifeline(self, generation: int) -> bool:
        """`True` at once when another process of the root was meant; else `False` after a while, to be called again."""
        if generation == self._generation:
            await asyncio.sleep(LIFELINE_S)
        return generation != self._generation

    async def keep_up(self) -> None:
        """Keep idle connections from being forgotten, and forget those of the lost."""
        while True:
            await asyncio.sleep(KEEP_UP_S)
            self._mesh.keep_up(KEEP_UP_S)
            self._sessions.forget_silent(2 * IDLE_LANE_S)
