"""Lanes over Ray: one batch is one call of the replica's actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayError, RayTaskError

from .lane import LinkDown, LinkLost

if TYPE_CHECKING:
    from ray.actor import ActorHandle


class RayLink:
    """Carries the batches of a lane to the actor of a replica."""

    def __init__(self, actor: ActorHandle[Any]) -> None:
        self._actor = actor

    async def exchange(self, data: bytes) -> bytes:
        """Send a batch; see `raybeam.cluster.lane.Link`."""
        try:
            reply: bytes = await self._actor.exchange.remote(data)
        except ActorUnavailableError as error:
            raise LinkLost(str(error)) from error
        except (ActorDiedError, RayActorError) as error:
            raise LinkDown(str(error)) from error
        except RayTaskError:
            raise
        except RayError as error:
            raise LinkLost(str(error)) from error
        return reply
