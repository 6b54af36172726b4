"""The directory as a client reaches it over Ray: views from the root, links to replicas by name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from raybeam.actors import ClusterError

from .client import DirectoryGone
from .names import NAMESPACE, RootName, root_name
from .ray_errors import in_one_line
from .ray_link import RayLink, RootLink

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ray.actor import ActorHandle

    from raybeam.actors import Pid

    from .kernel.views import Table


ASK_AGAIN_S = 0.1


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


async def ask_who_has(root: ActorHandle[Any], name: Hashable) -> Pid | None:
    """Who has a name of the whole system; a root that is being restarted is waited for.

    Raises:
        ClusterError: There is no root any more.
    """
    while True:
        try:
            pid: Pid | None = await root.whereis_name.remote(name)
        except ActorUnavailableError:
            await asyncio.sleep(ASK_AGAIN_S)
        except RayError as error:
            raise ClusterError(f"the root does not answer: {in_one_line(error)}") from error
        else:
            return pid


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
