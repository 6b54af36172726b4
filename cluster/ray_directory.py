"""The directory as a client reaches it over Ray: views from the root, links to replicas by name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ray

from .client import DirectoryGone
from .names import NAMESPACE, RootName, root_name
from .ray_link import RayLink, RootLink

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from .kernel.views import Table


class RayDirectory:
    """See `raybeam.cluster.client.DirectorySource`."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._root: ActorHandle[Any] | None = None

    async def watch(self, version: int) -> Table:
        """The table, as soon as it is newer; a root that cannot be reached is looked up afresh next time."""
        if not ray.is_initialized():  # Ray would start a cluster of its own to look for the root in
            raise DirectoryGone
        try:
            if self._root is None:
                self._root = await find_actor(root_name(self._system))
            table: Table = await self._root.watch.remote(version)
        except Exception:
            self._root = None
            raise
        return table

    async def link(self, name: str) -> RayLink | RootLink:
        """A link to the replica, or to the process of the root, with that name.

        Raises:
            LookupError: It is gone.
        """
        root = RootName.parse(name)
        if root is not None:
            return RootLink(await find_actor(root_name(root.system)), root.generation)
        return RayLink(await find_actor(name))


async def find_actor(name: str) -> ActorHandle[Any]:
    """The actor with that name; off the loop, since Ray's look-up blocks.

    Raises:
        LookupError: There is none.
        RayError: Ray cannot be asked at the moment.
    """
    try:
        return await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
    except ValueError as error:
        raise LookupError(f"no actor is named {name!r}") from error
