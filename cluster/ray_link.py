"""Lanes over Ray: one batch is one call of the replica's actor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayError, RayTaskError

from .lane import LinkDown, LinkLost

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ray.actor import ActorHandle

    from .large import Exchanged


UNKNOWN_S = 0.3


class RayLink:
    """Carries the batches of a lane to the actor of a replica, and tells of its end."""

    def __init__(self, actor: ActorHandle[Any]) -> None:
        self._actor = actor

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """Send a batch; see `raybeam.cluster.lane.Link`."""
        reply: Exchanged = await _exchanged(self._actor.exchange.remote(data, *large))
        return reply

    async def ended(self) -> None:
        """Returns when the service of the replica has ended; see `raybeam.cluster.mesh.PeerLink`."""
        while True:
            try:
                if await self._actor.lifeline.remote() is not None:
                    return
            except ActorUnavailableError:
                await asyncio.sleep(UNKNOWN_S)
            except RayError as error:
                raise LinkDown(str(error)) from error


class RootLink:
    """Carries the batches of a lane to one process of the root, and tells when Ray runs another one."""

    def __init__(self, root: ActorHandle[Any], generation: int) -> None:
        self._root = root
        self._generation = generation

    async def exchange(self, data: bytes, *large: object) -> Exchanged:
        """Send a batch; see `raybeam.cluster.lane.Link`."""
        reply: Exchanged | None = await _exchanged(self._root.exchange.remote(self._generation, data, *large))
        if reply is None:
            raise LinkDown("the root was restarted")
        return reply

    async def ended(self) -> None:
        """Raises when that process of the root has ended; see `raybeam.cluster.mesh.PeerLink`."""
        while True:
            try:
                if await self._root.lifeline.remote(self._generation):
                    raise LinkDown("the root was restarted")
            except ActorUnavailableError:
                await asyncio.sleep(UNKNOWN_S)
            except RayError as error:
                raise LinkDown(str(error)) from error


async def _exchanged(reply: Awaitable[Any]) -> Any:
    """The reply to a batch."""
    try:
        return await reply
    except ActorUnavailableError as error:
        raise LinkLost(str(error)) from error
    except (ActorDiedError, RayActorError) as error:
        raise LinkDown(str(error)) from error
    except RayTaskError as error:
        if isinstance(error.cause, Exception):  # as it was raised there, without the traceback in its text
            raise error.cause from error
        raise
    except RayError as error:
        raise LinkLost(str(error)) from error
