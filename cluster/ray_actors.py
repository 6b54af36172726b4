"""The Ray actors of a system: `Root` and `Replica` as they are, with what is Ray's around them."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

import ray
from ray.exceptions import GetTimeoutError, RayError

from .collector import calm_collector
from .names import NAMESPACE, ReplicaName, root_name
from .ray_host import RayReplicaHost, RayRootHost
from .replica import Replica
from .root import Root

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray.actor import ActorHandle

    from .blueprint import Blueprint
    from .replica import Beat, End

F = TypeVar("F")
FIRST_CALL_S = 0.2
FIRST_CALL_WITHIN_S = 10.0


def _in_group(group: str) -> Callable[[F], F]:
    """`ray.method`; its own types say that a method is none any more."""
    return cast("Callable[[F], F]", ray.method(concurrency_group=group))


class RootActor(Root):
    """The actor of a root."""

    def __init__(self, blueprint: Blueprint, attached: bool) -> None:
        super().__init__(blueprint, attached, RayRootHost(blueprint, create_replica))
        threading.Thread(target=self._call_myself, name="first call", daemon=True).start()

    def _call_myself(self) -> None:
        """Make the first call: restarted by Ray, nobody else may for long, and the replicas wait for their beats."""
        while self._top is None:
            time.sleep(FIRST_CALL_S)
            with contextlib.suppress(ValueError, RayError, GetTimeoutError):
                myself = ray.get_actor(root_name(self.blueprint.name), NAMESPACE)
                ray.get(myself.described.remote(), timeout=FIRST_CALL_WITHIN_S)


class ReplicaActor(Replica):
    """The actor of a replica. System messages have a thread of their own, so that a busy service is busy, not dead."""

    def __init__(self, name: str, blueprint: Blueprint) -> None:
        self._ray = RayReplicaHost(ReplicaName.parse(name))
        super().__init__(name, blueprint, self._ray)

    async def start(self) -> str:
        """See `Replica`."""
        self._ray.runs_here()
        machine = await super().start()
        calm_collector()
        return machine

    @_in_group("system")
    async def renew(self) -> None:
        """See `Replica`."""
        await super().renew()

    @_in_group("system")
    async def beat(self) -> Beat:
        """See `Replica`."""
        return await super().beat()

    @_in_group("lifelines")
    async def lifeline(self) -> End | None:
        """See `Replica`."""
        return await super().lifeline()

    @_in_group("system")
    async def machine(self) -> str:
        """See `Replica`."""
        return await super().machine()


def root_class(system: str) -> Any:
    """The Ray actor class of a root, named so that the dashboard shows what it is."""
    return ray.remote(type(f"{system}_root", (RootActor,), {}))


def create_root(blueprint: Blueprint, *, attached: bool) -> ActorHandle[Any]:
    """Create the root of a system.

    Raises:
        ValueError: The system runs already.
    """
    handle: ActorHandle[Any] = (
        root_class(blueprint.name)
        .options(
            name=root_name(blueprint.name),
            namespace=NAMESPACE,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=10_000,
            num_cpus=0,
        )
        .remote(blueprint, attached)
    )
    return handle


def replica_class(family: str) -> Any:
    """The Ray actor class of a family's replicas: `ReplicaActor` under the family's name."""
    named = type(family, (ReplicaActor,), {})
    return ray.remote(concurrency_groups={"system": 16, "lifelines": 10_000})(named)  # type: ignore[call-overload]  # Ray's stub lacks it


def create_replica(name: ReplicaName, blueprint: Blueprint, placement: object) -> ActorHandle[Any]:
    """Create the actor of a replica; it does nothing until `start`. Blocks on Ray."""
    family = blueprint.families[name.family]
    options = {
        "name": str(name),
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "max_restarts": 0,
        "max_task_retries": 0,
        "max_concurrency": 10_000,
        "num_cpus": family.cpus,
        "scheduling_strategy": placement,
    }
    handle: ActorHandle[Any] = replica_class(name.family).options(**options).remote(str(name), blueprint)
    return handle
