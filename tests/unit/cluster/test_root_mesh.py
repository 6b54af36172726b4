"""What is meant for one process of the root never reaches another one."""

import asyncio
from typing import Any

import pytest

from raybeam.actors.testing import run
from raybeam.cluster import envelope
from raybeam.cluster.kernel.lane import Send
from raybeam.cluster.lane import LinkDown
from raybeam.cluster.ray_directory import RayDirectory
from raybeam.cluster.ray_link import RootLink
from raybeam.cluster.root_mesh import RootMesh


class Method:
    """Stands for a method of Ray's handle."""

    def __init__(self, function: Any) -> None:
        self.remote = function


class Handle:
    """Stands for Ray's handle of the root, whichever process of it runs."""

    def __init__(self, mesh: RootMesh) -> None:
        self.exchange = Method(mesh.exchange)
        self.lifeline = Method(mesh.lifeline)


def test_batches_are_taken_by_the_process_that_they_are_meant_for() -> None:
    async def main() -> None:
        mesh = RootMesh("shop", 3, lambda report: None, RayDirectory("shop"))
        handle: Any = Handle(mesh)
        batch = envelope.dump_batch("lane", Send(1, 0, 0, False, False), [])
        assert await RootLink(handle, 3).exchange(batch) != envelope.FORGOTTEN
        with pytest.raises(LinkDown, match="restarted"):
            await RootLink(handle, 2).exchange(batch)
        assert mesh.runtime.name == "shop/root#3"
        await mesh.runtime.close()

    run(main())


def test_the_lifeline_of_a_former_process_ends_at_once_and_that_of_the_present_one_holds() -> None:
    async def main() -> None:
        mesh = RootMesh("shop", 3, lambda report: None, RayDirectory("shop"))
        handle: Any = Handle(mesh)
        with pytest.raises(LinkDown, match="restarted"):
            await RootLink(handle, 2).ended()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100.0):
                await RootLink(handle, 3).ended()
        await mesh.runtime.close()

    run(main())
